"""Where a number is wanted, true, false and NaN are refused: for every kind."""

import math

import pytest
from traitlets import Any, Bool, Dict, Float, Int, List, TraitError, Unicode, Union

import smalldata_ana.pipeline  # noqa: F401 (it knows all that parameters may hold)
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import problems_of_file
from smalldata_ana.parameters.model import (
    Parameters,
    kinds,
    model_of,
    table_kinds,
)

NAN = math.nan
MODELS = {kind: model_of(kind) for kind in kinds()}
MODELS |= {kind: table.model for kind, table in table_kinds().items()}
KEYS = [(kind, key) for kind, model in MODELS.items() for key in model.file_keys()]
BOOLS = [
    True,
    [True, True],
    [False, 1.5],
    [[False, True], [False, True]],
    [[[False, True], [0, 2]], [[0, 1], [0, 2]]],
    {"pv": "z", "offset": True},
    {"number": True},
    {"xray": [True]},
]
NANS = [NAN, [NAN, 1.0], [[NAN, 1.0]], {"pv": "z", "offset": NAN}]


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_of_every_kind(kind, key):
    model = MODELS[kind]
    wrong = NANS if isinstance(model.class_traits()[key], Bool) else BOOLS + NANS
    for value in wrong:
        with pytest.raises(ParameterError):
            model.check_value(key, value)


class Example(Parameters):
    number = Float(0.0)
    whole = Int(0)
    flag = Bool(False)
    numbers = List(Float())
    either = Union([Bool(), Float()])
    table = Dict(value_trait=Float())
    anything = Any()
    tables = List(Dict())
    text = Unicode()


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("number", True, "true"),
        ("number", NAN, "nan"),
        ("whole", False, "false"),
        ("numbers", [1.0, True], "true"),
        ("numbers", [1.0, NAN], "nan"),
        ("either", NAN, "nan"),
        ("table", {"a": True}, "true"),
    ],
)
def test_what_is_wrong_is_named(key, value, wrong):
    with pytest.raises(ParameterError, match=f"{key} = .*: {wrong} is no number"):
        Example(**{key: value})
    with pytest.raises(ParameterError, match=f"{wrong} is no number"):
        Example.check_value(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("flag", True),
        ("either", True),
        ("either", 2.0),
        ("anything", [True, NAN]),
        ("tables", [{"on": True, "inner": [False]}]),
        ("number", math.inf),
        ("text", "true"),
    ],
)
def test_what_has_a_place(key, value):
    assert getattr(Example(**{key: value}), key) == value


def test_a_value_that_is_refused_is_not_taken():
    example = Example(number=2.0)
    with pytest.raises(TraitError):
        example.number = True
    assert example.number == 2.0


def test_it_is_told_with_its_line(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        '[[detector.epix100.droplet]]\nruns = "1-"\nthreshold = true\n'
    )
    (problem,) = problems_of_file(path)
    assert problem == (
        "line 5: detector.epix100.droplet: threshold = True: true is no number"
    )
