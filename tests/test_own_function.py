"""The documentation's page on own functions does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana import DetObjectFunc, open_run
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import kinds, model_of
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.events import Event

PAGE = Path(__file__).parents[1] / "docs/own_function.md"
EXPERIMENT = 'open_run(exp="xppsim01", run=1)'


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Return what the page's examples define, after they were executed in order."""
    made = make_run(
        tmp_path_factory.mktemp("own"),
        RunSpec("xpptut15", 7, (DetectorSpec("epix100"),), events=3),
    )
    run = open_run(
        exp="xpptut15", run=7, xtc_dir=made.xtc_dir, calib_dir=made.calib_dir
    )
    text = PAGE.read_text()
    assert text.count(EXPERIMENT) == 1
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    names = {"the_run": run}
    exec(compile(code.replace(EXPERIMENT, "the_run"), PAGE.name, "exec"), names)
    yield names
    run.close()


def test_the_functions_give_what_the_page_says(names):
    det, image = names["det"], names["det"].evt.dat
    found = names["getUserData"](det)
    assert found["bright_n"] == np.count_nonzero(image > 10)
    assert found["bright_max"] == image.max()
    bright = (image > 4 * det.noise)[det.good]
    assert found["above_fraction"] == bright.mean()
    row, column = np.nonzero(image > 10)
    np.testing.assert_array_equal(found["var_where"]["row"], row)
    np.testing.assert_array_equal(found["var_where"]["column"], column)
    inside = np.where(det.good, image, 0)[100:110, 100:110]
    np.testing.assert_allclose(found["flat_corner_sum"], 2 * inside.sum(), rtol=1e-5)


def test_a_misspelt_parameter_is_an_error_with_the_nearest_name(names):
    with pytest.raises(ParameterError, match="Did you mean 'sigmas'"):
        names["BrightFraction"](sigma=4)


def test_what_a_function_needs_is_asked_for_at_its_set_up(names):
    det, run = names["det"], names["the_run"]
    raw = names["DetObject"]("epix100", run, common_mode=-1)
    raw.addFunc(names["BrightPixels"]())
    raw.getData(Event(run, 1))
    raw.processFuncs()
    assert names["getUserData"](raw)["BrightPixels_max"] == raw.evt.dat.max()
    assert det.fields["where_row"].unit == "pixel"


def test_the_list_of_functions_is_complete():
    page = (PAGE.parent / "functions.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`", page, flags=re.MULTILINE)
    registered = {
        kind: model_of(kind).__name__
        for kind in kinds()
        if issubclass(model_of(kind), DetObjectFunc)
    }
    assert dict(rows) == registered
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = {}
    exec(compile(code, "functions.md", "exec"), names)
    assert names["roi"].funcs["droplet"].funcs["phot"].funcs
