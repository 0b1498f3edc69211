"""Masks in files of others, and masks on the assembled image."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psana_reference import psana_module

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.image_masks import image_from_raw, raw_from_image
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.detector.mask_files import (
    USER_MASK,
    UnknownConventionError,
    read_edf,
    read_nexus,
    read_npy,
    read_text,
    write_edf,
    write_nexus,
    write_npy,
    write_text,
)
from smalldata_ana.errors import ConstantsError, FileError, ParameterError
from smalldata_ana.sources.base import PixelPositions

FRAME = (3, 5, 7)
CSPAD140K = (2, 185, 388)


@pytest.fixture
def good():
    return np.random.default_rng(5).random(FRAME) > 0.3


# -- psana's text ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dettype", "shape", "lines"),
    [
        ("cspad", (32, 185, 388), (5920, 388)),
        ("cspad", CSPAD140K, (185 * 388, 2)),
        ("epix100", (1, 704, 768), (704, 768)),
        ("epix10ka", (4, 352, 384), (1408, 384)),
        ("opal", (30, 40), (30, 40)),
    ],
)
def test_text_in_the_layout_of_each_detector(tmp_path, dettype, shape, lines):
    good = np.random.default_rng(1).random(shape) > 0.1
    kind, path = kind_of(dettype, shape), tmp_path / "1-end.data"
    write_text(path, good, kind)
    loaded = np.loadtxt(path)
    assert loaded.shape == lines
    assert loaded.sum() == good.sum()
    np.testing.assert_array_equal(read_text(path, shape, kind), good)


def test_text_of_a_cspad140k_has_a_column_for_each_panel(tmp_path):
    good = np.ones(CSPAD140K, bool)
    good[1, 3, 7] = False
    write_text(tmp_path / "m.data", good, kind_of("cspad", CSPAD140K))
    # In LCLS-I its arrays are (rows, columns, panels).
    array = np.loadtxt(tmp_path / "m.data").reshape(185, 388, 2)
    assert np.argwhere(array == 0).tolist() == [[3, 7, 1]]


def test_text_is_read_by_psana_and_read_from_it(tmp_path, good):
    psana = psana_module("psana.pscalib.calib.NDArrIO")
    write_text(tmp_path / "ours.data", good)
    theirs = psana.load_txt(str(tmp_path / "ours.data"))
    np.testing.assert_array_equal(theirs.reshape(FRAME), good)
    psana.save_txt(str(tmp_path / "theirs.data"), good.astype(np.uint8), fmt="%d")
    np.testing.assert_array_equal(read_text(tmp_path / "theirs.data", FRAME), good)


def test_text_with_the_panels_last_is_read(tmp_path):
    psana = psana_module("psana.pscalib.calib.NDArrIO")
    good = np.random.default_rng(1).random(CSPAD140K) > 0.1
    path = tmp_path / "1-end.data"
    psana.save_txt(str(path), np.moveaxis(good, 0, -1).astype(np.uint8), fmt="%d")
    read = read_text(path, CSPAD140K, kind_of("cspad", CSPAD140K))
    np.testing.assert_array_equal(read, good)


def test_text_of_another_detector(tmp_path, good):
    write_text(tmp_path / "m.data", good)
    with pytest.raises(FileError, match=r"\(15, 7\), not of \(2, 5, 7\).*\(10, 7\)"):
        read_text(tmp_path / "m.data", (2, 5, 7))


def test_text_with_other_values(tmp_path):
    np.savetxt(tmp_path / "m.data", [[1, 0, 2]])
    with pytest.raises(FileError, match=r"not a mask of 0 and 1: it has the value 2"):
        read_text(tmp_path / "m.data", (1, 3))


def test_text_that_is_none(tmp_path):
    (tmp_path / "m.data").write_bytes(b"\x93NUMPY")
    with pytest.raises(ConstantsError, match=r"m\.data"):
        read_text(tmp_path / "m.data", FRAME)


# -- npy -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1])
def test_npy_has_the_value_for_good_that_the_caller_says(tmp_path, good, value):
    write_npy(tmp_path / "m.npy", good, good=value)
    stored = np.load(tmp_path / "m.npy")
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored == value, good)
    np.testing.assert_array_equal(read_npy(tmp_path / "m.npy", FRAME, good=value), good)


@pytest.mark.parametrize("value", [0, 1])
def test_npy_that_was_written_here_says_what_is_good(tmp_path, good, value):
    path = tmp_path / "m.npy"
    write_npy(path, good, good=value)
    np.testing.assert_array_equal(read_npy(path, FRAME), good)
    with pytest.raises(ParameterError, match=f"says that {value} is good"):
        read_npy(path, FRAME, good=1 - value)


def test_npy_of_another_program_is_not_guessed(tmp_path, good):
    path = tmp_path / "m.npy"
    np.save(path, good)
    with pytest.raises(UnknownConventionError, match="does not say"):
        read_npy(path, FRAME)
    with path.open("ab") as file:
        np.save(file, np.arange(3))
    with pytest.raises(UnknownConventionError, match="does not say"):
        read_npy(path, FRAME)
    np.testing.assert_array_equal(read_npy(path, FRAME, good=1), good)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_npy_of_any_type_of_numbers(tmp_path, good, dtype):
    np.save(tmp_path / "m.npy", good.astype(dtype))
    np.testing.assert_array_equal(read_npy(tmp_path / "m.npy", FRAME, good=1), good)
    np.testing.assert_array_equal(read_npy(tmp_path / "m.npy", FRAME, good=0), ~good)


class Bomb:
    """Fails the test if it is ever loaded."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.array([Bomb()], object), allow_pickle=True)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb()))
    for path in tmp_path.iterdir():
        with pytest.raises(FileError, match="Pickles are never loaded"):
            read_npy(path, FRAME, good=1)


def test_npz_is_not_a_mask(tmp_path, good):
    np.savez(tmp_path / "m.npz", good)
    with pytest.raises(FileError, match="several arrays"):
        read_npy(tmp_path / "m.npz", FRAME, good=1)


def test_npy_that_does_not_fit(tmp_path, good):
    write_npy(tmp_path / "m.npy", good)
    with pytest.raises(FileError, match=r"\(3, 5, 7\), not of \(3, 5, 8\)"):
        read_npy(tmp_path / "m.npy", (3, 5, 8), good=1)


@pytest.mark.parametrize("values", [[[0.0, np.nan]], [[0, 3]], [[-1, 1]]])
def test_npy_with_other_values(tmp_path, values):
    np.save(tmp_path / "m.npy", values)
    with pytest.raises(FileError, match="not a mask of 0 and 1"):
        read_npy(tmp_path / "m.npy", (1, 2), good=1)


def test_npy_of_text(tmp_path):
    np.save(tmp_path / "m.npy", [["a", "b"]])
    with pytest.raises(FileError, match="holds <U1, not a mask"):
        read_npy(tmp_path / "m.npy", (1, 2), good=1)


def test_npy_with_a_convention_that_there_is_not(tmp_path, good):
    with pytest.raises(ParameterError, match="good = 2 is not 0 or 1"):
        write_npy(tmp_path / "m.npy", good, good=2)
    with pytest.raises(ParameterError, match="good = 2 is not 0 or 1"):
        read_npy(tmp_path / "m.npy", FRAME, good=2)


# -- NeXus -----------------------------------------------------------------------------


def test_nexus_has_the_bit_of_a_user(tmp_path, good):
    write_nexus(tmp_path / "m.h5", good, "jungfrau1M")
    with h5py.File(tmp_path / "m.h5") as file:
        group = file["/entry/instrument/jungfrau1M"]
        assert group.attrs["NX_class"] == "NXdetector"
        stored = group["pixel_mask"][()]
    assert stored.dtype == np.uint32
    np.testing.assert_array_equal(stored, np.where(good, 0, 256))
    assert USER_MASK == 256
    np.testing.assert_array_equal(read_nexus(tmp_path / "m.h5", FRAME), good)


def test_nexus_of_others_with_any_bit(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        bits = np.array([[0, 1, 1 << 1], [1 << 8, 1 << 31, 0]], np.uint32)
        file["entry/instrument/detector/pixel_mask"] = bits
    read = read_nexus(tmp_path / "m.h5", (2, 3))
    assert read.tolist() == [[True, False, False], [False, False, True]]


def test_nexus_with_several_masks_or_none(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((2, 3))
    with pytest.raises(FileError, match="has no 'pixel_mask'; masks in it: none"):
        read_nexus(path, (2, 3))
    with h5py.File(path, "w") as file:
        file["a/pixel_mask"] = np.zeros((2, 3), np.uint32)
        file["b/pixel_mask"] = np.ones((2, 3), np.uint32)
    with pytest.raises(FileError, match="'/a/pixel_mask', '/b/pixel_mask'; choose one"):
        read_nexus(path, (2, 3))
    assert not read_nexus(path, (2, 3), "/b/pixel_mask").any()
    with pytest.raises(FileError, match="has no '/c'"):
        read_nexus(path, (2, 3), "/c")


def test_nexus_that_does_not_fit(tmp_path, good):
    path = tmp_path / "m.h5"
    write_nexus(path, good, "det")
    with pytest.raises(FileError, match=r"\(3, 5, 7\), not of \(5, 7\)"):
        read_nexus(path, (5, 7))
    with h5py.File(path, "w") as file:
        file["pixel_mask"] = np.zeros((5, 7))
    with pytest.raises(FileError, match="float64, not bits"):
        read_nexus(path, (5, 7))


# -- edf -------------------------------------------------------------------------------


def masked_image():
    masked = np.zeros((6, 9), np.uint8)
    masked[1, 2] = 1
    masked[4, 5:8] = 3
    return masked


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ({}, masked_image()),
        ({"program_name": "silx-mask", "masked_value": "nonzero"}, masked_image()),
        ({"masked_value": "zero"}, masked_image() == 0),
        ({"masked_value": "7"}, np.where(masked_image(), 7, 1)),
    ],
)
def test_edf_that_was_drawn_with_pyfai_or_silx(tmp_path, header, values):
    edfimage = pytest.importorskip("fabio.edfimage")
    path = str(tmp_path / "m.edf")
    edfimage.EdfImage(data=values.astype(np.uint8), header=header).write(path)
    np.testing.assert_array_equal(read_edf(path, (6, 9)), masked_image() == 0)


def test_edf_is_written_for_pyfai_and_silx(tmp_path):
    fabio = pytest.importorskip("fabio")
    good = masked_image() == 0
    write_edf(tmp_path / "m.edf", good)
    with fabio.open(str(tmp_path / "m.edf")) as image:
        np.testing.assert_array_equal(image.data, ~good)
        assert image.header["masked_value"] == "nonzero"
    np.testing.assert_array_equal(read_edf(tmp_path / "m.edf", (6, 9)), good)


def test_edf_with_a_convention_that_is_not_known(tmp_path):
    edfimage = pytest.importorskip("fabio.edfimage")
    path = str(tmp_path / "m.edf")
    edfimage.EdfImage(data=masked_image(), header={"masked_value": "some"}).write(path)
    with pytest.raises(FileError, match="masked_value = 'some'"):
        read_edf(path, (6, 9))


def test_edf_holds_no_frame_of_panels(tmp_path, good):
    with pytest.raises(ParameterError, match=r"\(3, 5, 7\).*image_from_raw"):
        write_edf(tmp_path / "m.edf", good)


@pytest.mark.parametrize(
    "content", [b"nothing", b"{\nHeaderID = a ;\nDim_1 = 4 ;\nDim_2 = 4;\n}\n"]
)
def test_edf_that_is_none(tmp_path, content):
    (tmp_path / "m.edf").write_bytes(content)
    with pytest.raises(FileError, match=r"m\.edf"):
        read_edf(tmp_path / "m.edf", (6, 9))


def test_edf_that_does_not_fit(tmp_path):
    write_edf(tmp_path / "m.edf", masked_image() == 0)
    with pytest.raises(FileError, match=r"\(6, 9\), not of \(9, 6\)"):
        read_edf(tmp_path / "m.edf", (9, 6))


# -- all formats -----------------------------------------------------------------------

READERS = {
    "text": read_text,
    "npy": lambda path, shape: read_npy(path, shape, good=1),
    "nexus": read_nexus,
    "edf": read_edf,
}
WRITERS = {
    "text": write_text,
    "npy": write_npy,
    "nexus": lambda path, good: write_nexus(path, good, "det"),
    "edf": write_edf,
}


@pytest.mark.parametrize("name", READERS)
def test_file_that_is_not_there(tmp_path, name):
    with pytest.raises((FileError, ConstantsError), match="No such file"):
        READERS[name](tmp_path / "none", (4, 5))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones((4, 5)), r"0 and 1.*float64 of \(4, 5\)"),
        (np.ones(5, bool), r"2 or 3 dimensions; this one is bool of \(5,\)"),
        (np.full((4, 5), 3, np.uint8), "has the value 3"),
        (np.full((4, 5), -1, np.int16), "has the value -1"),
    ],
)
def test_what_is_no_mask_is_not_written(tmp_path, name, mask, says):
    with pytest.raises(ParameterError, match=says):
        WRITERS[name](tmp_path / "m", mask)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u8", "i8"])
def test_masks_of_numbers_have_1_for_good(tmp_path, name, dtype):
    good = np.eye(4, 5, dtype=bool)
    WRITERS[name](tmp_path / "m.x", good.astype(dtype))
    np.testing.assert_array_equal(READERS[name](tmp_path / "m.x", (4, 5)), good)


@pytest.mark.parametrize("name", WRITERS)
def test_folder_that_is_not_there(tmp_path, name):
    with pytest.raises(FileError, match="cannot write"):
        WRITERS[name](tmp_path / "none" / "m", np.ones((4, 5), bool))


@pytest.mark.parametrize("name", WRITERS)
def test_file_is_replaced_and_the_mask_not_changed(tmp_path, name):
    first, second = np.ones((4, 5), bool), np.eye(4, 5, dtype=bool)
    WRITERS[name](tmp_path / "m.x", first)
    WRITERS[name](tmp_path / "m.x", second)
    np.testing.assert_array_equal(READERS[name](tmp_path / "m.x", (4, 5)), second)
    assert [path.name for path in tmp_path.iterdir()] == ["m.x"]
    np.testing.assert_array_equal(second, np.eye(4, 5, dtype=bool))


# -- masks on the assembled image ------------------------------------------------------


def rotated(angles, shape=(8, 6), distance=30):
    """Return the geometry of panels that are each turned by an angle [deg]."""
    rows, cols = np.mgrid[: shape[0], : shape[1]] - np.array(shape).reshape(2, 1, 1) / 2
    x, y = [], []
    for number, angle in enumerate(np.radians(angles)):
        x.append(np.cos(angle) * rows - np.sin(angle) * cols)
        y.append(np.sin(angle) * rows + np.cos(angle) * cols + number * distance)
    positions = PixelPositions(
        np.array(x) * 100, np.array(y) * 100, np.zeros_like(x), 100.0
    )
    return ImageGeometry.from_positions(positions, (len(angles), *shape))


right_angles = st.lists(st.sampled_from([0, 90, 180, 270]), min_size=1, max_size=4)
any_angles = st.lists(st.floats(0, 360), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(right_angles, st.integers(0, 2**32 - 1), st.booleans())
def test_raw_to_image_and_back_on_rotated_panels(angles, seed, gaps):
    geometry = rotated(angles)
    good = np.random.default_rng(seed).random(geometry.ix.shape) > 0.5
    image = image_from_raw(good, geometry, gaps=gaps)
    np.testing.assert_array_equal(raw_from_image(image, geometry), good)
    np.testing.assert_array_equal(image[~geometry.covered], gaps)
    # And an image of what the detector shows comes back as it was.
    again = image_from_raw(raw_from_image(image, geometry), geometry, gaps=gaps)
    np.testing.assert_array_equal(again, image)


@settings(max_examples=60, deadline=None)
@given(any_angles, st.integers(0, 2**32 - 1))
def test_no_masked_pixel_is_lost_where_pixels_share_one_of_the_image(angles, seed):
    geometry = rotated(angles)
    good = np.random.default_rng(seed).random(geometry.ix.shape) > 0.3
    image = image_from_raw(good, geometry)
    back = raw_from_image(image, geometry)
    assert not (back & ~good).any()
    number = np.ravel_multi_index((geometry.ix, geometry.iy), geometry.shape)
    alone = np.bincount(number.ravel(), minlength=image.size)[number] == 1
    np.testing.assert_array_equal(back[alone], good[alone])
    np.testing.assert_array_equal(image_from_raw(back, geometry), image)


def test_rectangle_on_the_image_is_found_on_a_rotated_panel():
    geometry = rotated([90])
    assert geometry.shape == (6, 8)
    drawn = np.ones((6, 8), bool)
    drawn[5, 2:4] = False
    # Turned by 90 degrees: image row = 5 - column, image column = row.
    assert np.argwhere(~raw_from_image(drawn, geometry)).tolist() == [
        [0, 2, 0],
        [0, 3, 0],
    ]


def test_mask_of_another_detector():
    geometry = rotated([0])
    with pytest.raises(ParameterError, match=r"\(1, 8, 6\) is not one of image of"):
        raw_from_image(np.ones((1, 8, 6), bool), geometry)
    with pytest.raises(ParameterError, match=r"\(2, 8, 6\).*frames of \(1, 8, 6\)"):
        image_from_raw(np.ones((2, 8, 6), bool), geometry)
    with pytest.raises(ParameterError, match="a mask is bool"):
        raw_from_image(np.ones(geometry.shape), geometry)
