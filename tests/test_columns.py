"""Datasets that grow with the events, of results of any length."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field, Length
from smalldata_ana.errors import ParameterError
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.event_file import EventFile

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
