"""Masks of other programs: any format, of frames and of images, and no guesses."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from rotated_panels import detector as six_panels

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.image_masks import image_from_raw, raw_from_image
from smalldata_ana.detector.kinds import GENERIC
from smalldata_ana.detector.mask_exchange import frame_mask, load_mask, save_mask
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.sources.base import PixelPositions

POSITIONS = six_panels(tilted=False)
GEOMETRY = ImageGeometry.from_positions(POSITIONS, POSITIONS.x.shape)
GOOD = raw_from_image(np.hypot(*(np.indices(GEOMETRY.shape) - 50)) > 22, GEOMETRY)


def turned():
    """Return the geometry of a square camera that is seen from its side."""
    x, y = np.mgrid[:8, :8] * 75.0
    return ImageGeometry.from_positions(
        PixelPositions(y, x, np.zeros_like(x), 75.0, "made up"), (8, 8)
    )


def test_the_mask_is_one_of_some_pixels():
    assert 0.5 < GOOD.mean() < 1


@pytest.mark.parametrize("suffix", [".data", ".txt", ".npy", ".h5", ".nxs"])
def test_a_mask_of_frames_comes_back(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    save_mask(path, GOOD, GEOMETRY, GENERIC, "epix100")
    found = load_mask(path, GEOMETRY, GENERIC, good=1)
    np.testing.assert_array_equal(found, GOOD)


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".edf"])
def test_a_mask_of_the_image_comes_back(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    save_mask(path, GOOD, GEOMETRY, GENERIC, "epix100", good=0, of="image")
    found = load_mask(path, GEOMETRY, GENERIC, good=0)
    expected = raw_from_image(image_from_raw(GOOD, GEOMETRY), GEOMETRY)
    np.testing.assert_array_equal(found, expected)


def test_an_edf_file_is_as_pyfai_reads_it(tmp_path):
    fabio = pytest.importorskip("fabio")
    save_mask(tmp_path / "mask.edf", GOOD, GEOMETRY, GENERIC, "epix100")
    masked = fabio.open(str(tmp_path / "mask.edf")).data
    np.testing.assert_array_equal(masked[GEOMETRY.ix, GEOMETRY.iy] == 0, GOOD)


def test_a_mask_that_silx_saves_in_hdf5_is_read_by_its_name(tmp_path):
    masked = ~image_from_raw(GOOD, GEOMETRY)
    with h5py.File(tmp_path / "silx.h5", "w") as file:
        file["mask"] = masked.astype(np.uint8)
    found = load_mask(tmp_path / "silx.h5", GEOMETRY, GENERIC, name="mask")
    np.testing.assert_array_equal(found, GOOD)


def test_numbers_of_which_nothing_is_said_are_not_guessed(tmp_path):
    path = tmp_path / "mask.npy"
    np.save(path, GOOD.astype(np.uint8))
    with pytest.raises(ParameterError, match=r"good=1 \(psana.*good=0 \(pyFAI"):
        load_mask(path, GEOMETRY, GENERIC)
    found = load_mask(path, GEOMETRY, GENERIC, good=0)
    np.testing.assert_array_equal(found, ~GOOD)


def test_a_mask_of_another_detector_is_refused_with_both_shapes(tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((7, 9), np.uint8))
    with pytest.raises(FileError, match=r"\(7, 9\).*\(6, 12, 16\).*; .*\(7, 9\)"):
        load_mask(tmp_path / "mask.npy", GEOMETRY, GENERIC, good=1)
    with pytest.raises(ParameterError, match="neither one of frames"):
        frame_mask(np.ones((7, 9), bool), GEOMETRY)


def test_a_shape_that_tells_nothing_has_to_be_said(tmp_path):
    geometry = turned()
    good = np.ones((8, 8), bool)
    good[0, 1] = False
    with pytest.raises(ParameterError, match="of='frame' or of='image'"):
        frame_mask(good, geometry)
    np.testing.assert_array_equal(frame_mask(good, geometry, "frame"), good)
    np.testing.assert_array_equal(frame_mask(good, geometry, "image"), good.T)
    save_mask(tmp_path / "m.npy", good, geometry, GENERIC, "opal", of="image")
    np.testing.assert_array_equal(np.load(tmp_path / "m.npy"), good.T)
    found = load_mask(tmp_path / "m.npy", geometry, GENERIC, good=1, of="image")
    np.testing.assert_array_equal(found, good)


def test_an_image_that_is_the_frame_needs_no_word():
    geometry = ImageGeometry.from_positions(None, (8, 9))
    good = np.eye(8, 9, dtype=bool)
    np.testing.assert_array_equal(frame_mask(good, geometry), good)


def test_wrong_words_and_formats_are_named(tmp_path):
    with pytest.raises(ParameterError, match=r"no format of masks '\.pickle'"):
        load_mask(tmp_path / "m.pickle", GEOMETRY, GENERIC)
    with pytest.raises(ParameterError, match=r"no format of masks '\.tif'"):
        save_mask(tmp_path / "m.tif", GOOD, GEOMETRY, GENERIC, "epix100")
    for call in (
        frame_mask,
        lambda *a: save_mask("m.npy", *a[:2], GENERIC, "x", of="i"),
    ):
        with pytest.raises(ParameterError, match="not 'frame' or 'image'"):
            call(GOOD, GEOMETRY, "i")
    with pytest.raises(ParameterError, match="not 'frame' or 'image'"):
        load_mask(tmp_path / "m.h5", GEOMETRY, GENERIC, of="picture")
    with pytest.raises(ParameterError, match="not one of frames"):
        frame_mask(np.ones(GEOMETRY.shape, bool), GEOMETRY, "frame")
    for name in ("none.h5", "none.npy"):
        with pytest.raises(FileError, match=f"there is no file .*{name}"):
            load_mask(tmp_path / name, GEOMETRY, GENERIC)
