"""A ``cube_config`` in upstream's style in the place of a parameter file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalldata_ana.cubes.config import cubes_of_config
from smalldata_ana.cubes.planning import plan
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.errors import ParameterError
from smalldata_ana.producing.choices import no_parameters
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 12
XRAYS = 137
"""The event code of X-rays at xpp."""


def written(folder: Path) -> Hdf5Run:
    """Write and open a scan of the laser in three steps."""
    steps = np.repeat([0, 1, 2], EVENTS // 3)
    codes = np.zeros((EVENTS, 288), np.int8)
    codes[:, XRAYS] = 1
    path = write_run(
        folder / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"jungfrau1M": np.ones((EVENTS, 2, 12, 10), np.float32)},
        scalars={
            "scan/lxt": 1e-12 * steps,
            "ipm2/sum": np.full(EVENTS, 1.5),
            "diode/channels": np.zeros((EVENTS, 4)),
        },
        steps=steps,
        event_codes=codes,
    )
    return Hdf5Run(path)


CONFIG = """
import numpy as np
laser = True
use_tt = False
filters = [["ipm2/sum", 0.5, 1.9, "filter1"], ["ipm2/sum", 1.0, 1.9, "strong"]]
def binBoundaries(run):
    return np.arange(-2, 4, 0.5) if run > 10 else None
def get_addBinVars(run):
    return {"ipm2/sum": [0.0, 2.0, 4]}
jungfrau = {"source": "jungfrau1M", "full": 1, "image": 1, "thresADU": 6.5,
            "common_mode": 0}
varList = ["ipm2/sum", "ipm3/sum", "diode/channels", jungfrau]
"""


def test_a_cube_config_makes_a_cube(tmp_path, caplog):
    """It is binned in what it sums, and sums what the run does not have."""
    path = tmp_path / "cube_config_xpp.py"
    code = CONFIG.replace('"common_mode": 0', '"common_mode": -1')
    path.write_text(f"import no_such_package\n{code}")
    tables = cubes_of_config(path, 12)
    assert "no module no_such_package" in caplog.text
    run = written(tmp_path)
    wanted = replace(no_parameters(run, tmp_path / "none.toml"), tables=tables)
    variables = Variables.of(run, wanted, tmp_path / "small.h5")
    for table in tables:
        planned = plan(run, wanted, table.name, tmp_path / "parts", variables)
        assert planned.parameters.add == ["ipm2/sum", "diode/channels"]
    assert caplog.text.count("no variable 'ipm3/sum'") == 1


def test_cube_config(tmp_path):
    path = tmp_path / "cube_config_xpp.py"
    path.write_text(CONFIG)
    first, strong = cubes_of_config(path, 12)
    assert (first.name, strong.name) == ("cube", "cube_strong")
    assert path.read_text() == CONFIG
    parameters = first.make()
    assert parameters.axes[0].edges == tuple(np.arange(-2, 4, 0.5))
    assert parameters.axes[1].edges == (0, 0.5, 1, 1.5, 2)
    assert parameters.laser
    assert not parameters.use_tt
    assert list(parameters.add) == ["ipm2/sum", "ipm3/sum", "diode/channels"]
    assert parameters.may_lack
    detector = parameters.of_detector("jungfrau1M")
    assert (detector.image, detector.thresADU, detector.common_mode) == (True, 6.5, 0)
    assert parameters.selections == [["ipm2/sum", 0.5, 1.9]]
    assert cubes_of_config(path, 3)[0].make().axes[0].edges == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("varList = [{'full': 1}]", "source"),
        ("varList = [{'source': 'a', 'ful': 1}]", "'ful' of a is unknown"),
        ("filters = [['ipm2/sum', 0, 1]]", "variable, low, high, name"),
        ("def binBoundaries(run): return [1., 2., -0.1]", "not above 0"),
        ("def binBoundaries(run): raise KeyError('x')", "failed: KeyError"),
        ("def binBoundaries(run): return print", "binBoundaries: .*print.* is no p"),
    ],
)
def test_cube_config_errors(tmp_path, text, message):
    path = tmp_path / "cube_config_xpp.py"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        cubes_of_config(path, 12)
