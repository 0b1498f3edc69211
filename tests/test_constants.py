"""Reading constants from files, and choosing between the store and the database."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_ana.errors import ConstantsError
from smalldata_ana.sources.constants import Constant, Constants, valid_constants
from smalldata_ana.sources.constants_files import as_constant, read_constant
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.text_array import read_text_array, text_array_shape

needs_psana = pytest.mark.skipif(
    importlib.util.find_spec("psana") is None, reason="psana is not installed"
)


def psana_save_txt(path: Path, array: np.ndarray, fmt: str) -> None:
    from smalldata_ana.sources.psana2.mended import psana

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that psana imports
        psana()
    from psana.pscalib.calib.NDArrIO import save_txt

    save_txt(str(path), array.copy(), cmts=("TITLE a test",), fmt=fmt)


@needs_psana
@pytest.mark.parametrize(
    ("shape", "fmt"),
    [((16,), "%.4f"), ((5, 7), "%.4f"), ((3, 2, 5, 7), "%.4f"), ((1, 4, 4), "%d")],
)
def test_text_of_psana_is_read_as_psana_reads_it(
    tmp_path: Path, shape: tuple[int, ...], fmt: str
) -> None:
    path = tmp_path / "a.txt"
    array = np.random.default_rng(1).integers(0, 4000, shape).astype(np.float32)
    psana_save_txt(path, array, fmt)
    from psana.pscalib.calib.NDArrIO import load_txt

    read = read_text_array(path)
    assert read.shape == shape
    np.testing.assert_array_equal(read, load_txt(str(path)))
    np.testing.assert_array_equal(read, array)
    assert text_array_shape(path) == shape


def test_the_head_of_lcls1_files_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "0-end.data"
    path.write_text(
        "# TITLE  pedestals\n\n# DTYPE float\n# NDIM 3\n"
        "# DIM:1 2\n# DIM:2 1\n# DIM:3 3\n\n1 2 3\n4 5 6.5\n"
    )
    np.testing.assert_array_equal(
        read_text_array(path), [[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.5]]]
    )


def test_text_without_a_shape_is_as_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.data"
    path.write_text("1 2 3\n4 5 6\n")
    assert read_text_array(path).shape == (2, 3)
    path.write_text("2 25 25 100\n")
    assert read_text_array(path).shape == (4,)
    assert text_array_shape(path) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# SHAPE (2,3)\n1 2 3\n", r"damaged: it has 3 numbers.*\(2, 3\)"),
        ("# SHAPE (2,3)\n", "no numbers"),
        ("", "no numbers"),
        ("1 2 x\n", "not an array as text"),
        ("1 2 3\n4 5\n", "not an array as text"),
    ],
)
def test_damaged_text_is_said(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "3-end.data"
    path.write_text(text)
    with pytest.raises(ConstantsError, match=f"3-end.data .*{problem}"):
        read_constant("pedestals", path)


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    path = tmp_path / "3-end.data"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConstantsError, match=r"3-end\.data"):
        read_constant("geometry", path)
    with pytest.raises(ConstantsError, match=r"3-end\.data"):
        read_constant("pedestals", path)


def _truncated(path: Path) -> None:
    np.save(path, np.zeros(100))
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: np.save(path, np.array([{}, None], dtype=object)),
        lambda path: np.save(path, np.array(["a", "b"])),
        lambda path: np.save(path, np.zeros(3, dtype=complex)),
        lambda path: np.save(path, np.zeros((0, 3))),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not numpy"),
        lambda path: path.mkdir(),
        _truncated,
    ],
    ids=[
        "object",
        "text",
        "complex",
        "empty",
        "nothing",
        "foreign",
        "folder",
        "truncated",
    ],
)
def test_unreadable_arrays_are_said(
    tmp_path: Path, write: Callable[[Path], Any]
) -> None:
    path = tmp_path / "3-end.npy"
    write(path)
    with pytest.raises(ConstantsError, match=r"3-end\.npy"):
        read_constant("pedestals", path)


def test_a_file_with_several_arrays_is_none(tmp_path: Path) -> None:
    path = tmp_path / "3-end.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(ConstantsError, match="several arrays"):
        read_constant("pedestals", path)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("pedestals", np.float32),
        ("pixel_status", np.uint64),
        ("pixel_mask", np.uint8),
        ("common_mode", np.float64),
    ],
)
def test_constants_get_the_dtype_of_psana(name: str, dtype: type) -> None:
    given = np.array([0.0, 1.0])
    value = as_constant(name, given, "test")
    assert isinstance(value, np.ndarray)
    assert value.dtype == dtype
    assert not np.shares_memory(value, given)


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan])
def test_a_status_must_be_whole_numbers(value: float) -> None:
    with pytest.raises(ConstantsError, match="not whole numbers of uint64"):
        as_constant("pixel_status", np.array([value]), "test")


def test_geometry_is_text_and_nothing_else_is() -> None:
    assert as_constant("geometry", "QUAD 0", "test") == "QUAD 0"
    with pytest.raises(ConstantsError, match="geometry must be text"):
        as_constant("geometry", np.zeros(2), "test")
    with pytest.raises(ConstantsError, match="pedestals must be an array"):
        as_constant("pedestals", "QUAD 0", "test")


@pytest.fixture
def store(tmp_path: Path) -> ConstantsStore:
    store = ConstantsStore(tmp_path)
    store.put("cam", "pedestals", np.full((2, 2), 1.0), 10)
    store.put("cam", "pixel_gain", np.full((2, 2), 2.0), 10)
    return store


def in_database(begin: int, value: float, *names: str) -> Callable[[], Constants]:
    items = {
        name: Constant(name, np.full((2, 2), value, np.float32), begin, None, "db")
        for name in names
    }
    return lambda: Constants("cam", items)


@pytest.mark.parametrize(
    ("given", "begin", "taken"),
    [
        (False, 9, "store"),
        (False, 10, "store"),
        (False, 11, "database"),
        (True, 11, "store"),
    ],
)
def test_the_newest_is_taken_unless_the_store_was_given(
    store: ConstantsStore, given: bool, begin: int, taken: str
) -> None:
    database = in_database(begin, 5.0, "pedestals", "pixel_rms")
    found = valid_constants("cam", 12, store=store, given=given, database=database)
    assert set(found.items) == {"pedestals", "pixel_gain", "pixel_rms"}
    assert found.items["pedestals"].origin.startswith(
        "db" if taken == "database" else str(store.folder)
    )
    assert found.notes == (
        f"cam: pedestals of the store (10-end) and of the database ({begin}-end) "
        f"differ; that of the {taken} is used",
    )


def test_equal_constants_of_both_need_no_note(store: ConstantsStore) -> None:
    found = valid_constants(
        "cam", 12, store=store, given=False, database=in_database(3, 1.0, "pedestals")
    )
    assert found.notes == ()
    assert found.items["pedestals"].begin == 10


def test_without_a_database_the_store_is_all(store: ConstantsStore) -> None:
    found = valid_constants("cam", 12, store=store, given=False, database=None)
    assert set(found.items) == {"pedestals", "pixel_gain"}
    assert not valid_constants("cam", 9, store=store, given=False, database=None).items


def test_geometries_that_differ_are_noted(store: ConstantsStore) -> None:
    store.put("cam", "geometry", "here", 1)
    there = Constants("cam", {"geometry": Constant("geometry", "there", 2, 5, "db")})
    found = valid_constants("cam", 3, store=store, given=False, database=lambda: there)
    assert found.text("geometry") == "there"
    assert "geometry of the store (1-end) and of the database (2-5)" in found.notes[0]


def test_a_database_that_does_not_answer_is_a_note(store: ConstantsStore) -> None:
    def silent() -> Constants:
        raise ConstantsError("no answer within 5 s")

    found = valid_constants("cam", 12, store=store, given=False, database=silent)
    assert set(found.items) == {"pedestals", "pixel_gain"}
    assert found.notes == ("the constants database was not used: no answer within 5 s",)
