"""Datasets that grow with the events, of results of any length."""

import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field, Length
from smalldata_ana.errors import MissingSoftwareError, ParameterError
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.event_file import EventFile
from smalldata_ana.smalldata.growing import CHUNK_BYTES

NUMBER = Field(np.dtype(np.int64), unit="pixel", long_name="row of the peak")
VARIABLE = Field(np.dtype(np.float64), (2,), length=Length.VARIABLE)
RAGGED = Field(np.dtype(np.int64), length=Length.RAGGED)


@pytest.fixture
def file():
    with h5py.File("columns", "w", driver="core", backing_store=False) as file:
        yield file


def test_events_are_appended_and_what_they_lack_is_missing(file):
    columns = Columns(file)
    columns.add("det/row", NUMBER)
    columns.extend([{"det/row": np.array(7)}, {}])
    columns.add("det/var_f/xy", VARIABLE)
    columns.add("det/ragged_f_n", RAGGED)
    columns.extend(
        [{"det/var_f/xy": np.ones((3, 2)), "det/ragged_f_n": np.arange(4)}, {}]
    )
    columns.extend([{"det/var_f/xy": np.zeros((1, 2)), "det/row": np.array(9)}])
    missing = MISSING_INTEGER
    assert file["det/row"][()].tolist() == [7, missing, missing, missing, 9]
    assert dict(file["det/row"].attrs) == {
        "units": "pixel",
        "long_name": "row of the peak",
    }
    assert file["det/var_f_len"][()].tolist() == [0, 0, 3, 0, 1]
    assert file["det/var_f/xy"][()].tolist() == [[1, 1]] * 3 + [[0, 0]]
    assert [list(v) for v in file["det/ragged_f_n"]] == [[], [], [0, 1, 2, 3], [], []]


def test_results_of_a_function_have_one_length(file):
    columns = Columns(file)
    columns.add("d/var_f/row", replace(RAGGED, length=Length.VARIABLE))
    columns.add("d/var_f/col", replace(RAGGED, length=Length.VARIABLE))
    with pytest.raises(ParameterError, match=r"'d/var_f/col' has not as many values"):
        columns.extend([{"d/var_f/row": np.arange(2), "d/var_f/col": np.arange(3)}])


def test_names_say_the_length_in_scripts(tmp_path):
    file = EventFile(tmp_path / "out.h5", 2)
    for n in range(4):
        file.write(
            n, {"var_peaks": np.arange(n), "det": {"ragged_p": np.arange(2.0 * n)}}
        )
    file.close()
    with h5py.File(tmp_path / "out.h5") as written:
        assert written["var_peaks"][()].tolist() == [0, 0, 1, 0, 1, 2]
        assert written["var_peaks_len"][()].tolist() == [0, 1, 2, 3]
        assert [len(v) for v in written["det/ragged_p"]] == [0, 2, 4, 6]


def test_what_may_have_any_length_is_a_list(tmp_path):
    file = EventFile(tmp_path / "out.h5", 2)
    with pytest.raises(ParameterError, match="list of numbers"):
        file.write(0, {"var_image": np.zeros((2, 2))})
    file.close()


def test_columns_of_events_that_are_not_given_are_missing(file):
    columns = Columns(file)
    columns.add("a", NUMBER)
    columns.add("b", Field(np.dtype(np.float32), (2,)))
    columns.extend_columns({"a": np.arange(3)}, 3)
    assert file["a"][()].tolist() == [0, 1, 2]
    assert np.isnan(file["b"][()]).all()
    assert file["b"].shape == (3, 2)


@pytest.mark.parametrize(
    ("shape", "expected", "rows"),
    [
        ((), 10**7, CHUNK_BYTES // 8),
        ((), 120, 120),
        ((64, 64), 10**7, 32),
        ((1000, 1000), 10**7, 1),
    ],
)
def test_chunks_are_of_about_a_megabyte_and_not_more_than_there_is(
    file, shape, expected, rows
):
    columns = Columns(file, expected=expected)
    columns.add("x", Field(np.dtype(np.float64), shape))
    assert file["x"].chunks == (rows, *shape)
    assert file["x"].compression is None


def test_a_file_of_few_numbers_is_small(tmp_path):
    with h5py.File(tmp_path / "few.h5", "w") as file:
        columns = Columns(file, expected=100)
        for n in range(60):
            columns.add(f"x{n}", NUMBER)
        columns.extend([{}] * 100)
    assert (tmp_path / "few.h5").stat().st_size < 300_000


def test_bitshuffle_lz4(tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    values = np.repeat(np.arange(1000.0), 100).reshape(100, 1000)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        columns = Columns(file, compression="bitshuffle-lz4")
        columns.add("x", Field(np.dtype(np.float64), (1000,)))
        columns.add("ragged_y", RAGGED)
        columns.extend_columns({"x": values, "ragged_y": list(values)}, 100)
        filters = file["x"].id.get_create_plist()
        assert filters.get_filter(0)[0] == hdf5plugin.BSHUF_ID
    assert (tmp_path / "small.h5").stat().st_size < 1.2 * values.nbytes
    with h5py.File(tmp_path / "small.h5") as file:
        np.testing.assert_array_equal(file["x"], values)


def test_compression_without_its_package(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(MissingSoftwareError, match=r"smalldata_ana\[compression\]"):
        Columns(file, compression="bitshuffle-lz4")


def test_an_unknown_compression(file):
    with pytest.raises(ParameterError, match="Did you mean 'bitshuffle-lz4'"):
        Columns(file, compression="bitshufle-lz4")
