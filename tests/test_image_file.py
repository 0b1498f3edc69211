"""Saved average images: exact on the way back, and readable by others."""

from __future__ import annotations

import dataclasses
import stat

import h5py
import numpy as np
import pytest

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import FileError
from smalldata_ana.image_file import load_image, save_image
from smalldata_ana.sources.base import PixelPositions

SHAPE = (2, 20, 30)


def positions() -> PixelPositions:
    """Return two panels beside each other, with a gap of 4 pixels."""
    rows, columns = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    x = np.stack([rows, rows]) * 75
    y = np.stack([columns, columns + 34]) * 75
    return PixelPositions(x, y, np.zeros(SHAPE), 75.0, "a test")


@pytest.fixture
def average() -> AverageImage:
    random = np.random.default_rng(3)
    frames = random.normal(5, 1, (4, *SHAPE)).astype(np.float32)
    good = np.ones(SHAPE, bool)
    good[1, 3, 4] = False
    geometry = ImageGeometry.from_positions(positions(), SHAPE)
    return AverageImage(
        name="AvImg_pedSub_jungfrau1M",
        detector="jungfrau1M",
        data=frames.mean(0),
        unit="keV",
        good=good,
        events=np.array([0, 2, 3, 5]),
        timestamps=np.array([1, 3, 2**63 + 1, 2**63 + 5], np.uint64),
        made={
            "experiment": "xppsim01",
            "run": 7,
            "tool": "smalldata_ana 0.1.0",
            "at": "2026-11-21T01:02:03+00:00",
            "label": "pedSub_",
            "common_mode": 0,
            "selection": "x_on",
            "last_timestamp": 2**63 + 5,
            "notes": ["a note: µm"],
            "constants": {"pedestals": {"validity": "1-end", "origin": "there"}},
        },
        find_geometry=lambda: geometry,
        std=frames.std(0),
        median=np.median(frames, axis=0),
        median_error=np.full(SHAPE, np.inf, np.float32),
        max=frames.max(0),
        hits=np.ones(SHAPE, np.uint32),
    )


def assert_equal(got: AverageImage, expected: AverageImage) -> None:
    for field in dataclasses.fields(AverageImage):
        one, other = getattr(got, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        elif field.name != "find_geometry":
            assert one == other
    np.testing.assert_array_equal(got.image, expected.image)
    assert got.geometry.origin == expected.geometry.origin
    assert got.geometry.note == expected.geometry.note
    assert got.geometry.corner == expected.geometry.corner
    assert got.geometry.pixel_size == expected.geometry.pixel_size


def test_it_loads_as_it_was_saved(average, tmp_path):
    path = save_image(average, tmp_path / "new" / "image.h5")
    got = load_image(path)
    assert_equal(got, average)
    assert got.geometry.panel_pixel(3, 35) == average.geometry.panel_pixel(3, 35)
    for statistic in average.statistics():
        assert_equal(got.of(statistic), average.of(statistic))


def test_only_the_mean_loads_as_it_was_saved(average, tmp_path):
    without = dict.fromkeys(("std", "median", "median_error", "max", "hits"))
    bare = dataclasses.replace(average, **without)
    assert_equal(load_image(save_image(bare, tmp_path / "a.h5")), bare)


def test_another_statistic_can_be_saved_alone(average, tmp_path):
    std = average.of("std")
    assert_equal(load_image(save_image(std, tmp_path / "a.h5")), std)


def test_silx_finds_the_picture(average, tmp_path):
    nxdata = pytest.importorskip("silx.io.nxdata")
    with h5py.File(save_image(average, tmp_path / "image.h5")) as file:
        found = nxdata.get_default(file)
        assert found is not None
        assert found.is_valid
        assert found.signal_is_2d
        np.testing.assert_array_equal(found.signal[()], average.image)
        assert found.signal.attrs["units"] == "keV"
        assert found.signal.attrs["long_name"] == "mean [keV]"
        assert found.title == average.name
        std = nxdata.NXdata(file["entry/std"])
        assert std.is_valid
        assert std.title == "AvImg_std_pedSub_jungfrau1M"


def test_the_detector_is_nexus(average, tmp_path):
    with h5py.File(save_image(average, tmp_path / "image.h5")) as file:
        detector = file["entry/instrument/jungfrau1M"]
        assert detector.attrs["NX_class"] == "NXdetector"
        np.testing.assert_array_equal(detector["data"][()], average.data)
        mask = detector["pixel_mask"]
        assert mask.dtype == np.uint32
        np.testing.assert_array_equal(mask[()] == 0, average.good)
        assert file["entry/average/program"].asstr()[()] == "smalldata_ana"
        assert file["entry/average/version"].asstr()[()] == "0.1.0"


def test_what_is_replaced_keeps_its_mode(average, tmp_path):
    path = save_image(average, tmp_path / "image.h5")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    path.chmod(0o640)
    save_image(average, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["image.h5"]


def test_a_failed_save_leaves_the_file_as_it_was(average, tmp_path):
    path = save_image(average, tmp_path / "image.h5")
    odd = dataclasses.replace(average, made={"not": object()})
    with pytest.raises(TypeError):
        save_image(odd, path)
    assert_equal(load_image(path), average)
    assert [p.name for p in tmp_path.iterdir()] == ["image.h5"]


def test_a_place_that_cannot_be_written_is_an_error(average, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="folder"):
        save_image(average, tmp_path / "file" / "image.h5")


def test_what_is_no_average_image_is_an_error(average, tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        load_image(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(FileError, match="cannot be read"):
        load_image(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(FileError, match="its schema is 'none'"):
        load_image(other)
    broken = save_image(average, tmp_path / "broken.h5")
    with h5py.File(broken, "a") as file:
        del file["entry/average/making"]
    with pytest.raises(FileError, match="cannot be read"):
        load_image(broken)
