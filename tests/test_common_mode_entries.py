"""Common modes in the parameter file: what no kind of detector has is refused."""

import pytest

import smalldata_ana.pipeline  # noqa: F401 (it knows all kinds of entries)
from smalldata_ana.detector.common_mode_table import COMMON_MODES
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import problems_of_file
from smalldata_ana.parameters.model import model_of

NUMBERS = sorted({number for modes in COMMON_MODES.values() for number in modes})
RIGHT = [
    *NUMBERS,
    [7, 2, 100, 10],
    [6],
    {"number": 81, "region": [[0, 1], [0, 1]]},
    {"number": 180, "ghost": "file.h5"},
]


@pytest.mark.parametrize("value", RIGHT, ids=str)
def test_what_a_kind_has(value):
    assert model_of("common_mode")(common_mode=value).common_mode == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7777, "no kind of detector has the common mode 7777; there are -2, -1, 0"),
        ({"number": 7777}, "no kind of detector has the common mode 7777"),
        ({"number": True}, "no kind of detector has the common mode True"),
        ({"nmber": 80}, "Did you mean 'number'"),
        ([9, 1, 1], "is not of the form"),
        ([7, 8, 100, 10], "is not of the form"),
        ("80", "not the str"),
        (True, "no kind of detector has the common mode True"),
    ],
)
def test_what_no_kind_has(value, message):
    with pytest.raises(ParameterError, match=message):
        model_of("common_mode")(common_mode=value)


def test_it_is_told_with_its_line(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        '[[detector.epix100.common_mode]]\nruns = "1-"\ncommon_mode = 7777\n'
    )
    (problem,) = problems_of_file(path)
    assert problem.startswith("line 5: detector.epix100.common_mode: no kind of")
