"""Simulated runs for tests, read back with psana; skips where it is not there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_ana.errors import MissingSoftwareError
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.detectors import kind
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.psana2 import mended

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        psana = mended.psana()
except MissingSoftwareError as error:
    pytest.skip(str(error), allow_module_level=True)


def opened(made: SimulatedRun) -> Any:
    """Open a run with psana as it is, but for its network, and with the constants."""
    from psana.psexp.ds_base import DataSourceBase

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataSourceBase, "_get_file_info_from_db", lambda self, run: {})
        source = psana.DataSource(
            exp=made.spec.experiment,
            run=made.spec.run,
            dir=str(made.xtc_dir),
            skip_calib_load="all",
            log_level="ERROR",
        )
        run = next(source.runs())
    for detector, constants in made.constants.items():
        run._calib_const[detector] = {
            name: (value, {"experiment": made.spec.experiment, "run": 0})
            for name, value in constants.items()
        }
    return run


def good(made: SimulatedRun, detector: str) -> Any:
    """Return True for the pixels of a frame that are not bad."""
    use = np.ones(kind(detector).frame, bool)
    for name in ("dead", "hot", "noisy"):
        use.flat[made.truth[f"{detector}/{name}"]] = False
    return use


def ours(made: SimulatedRun, **options: Any) -> Run:
    """Open a run as users do, with its constants if they were written."""
    return open_run(
        made.spec.experiment,
        made.spec.run,
        xtc_dir=made.xtc_dir,
        calib_dir=made.calib_dir if made.spec.with_constants else None,
        **options,
    )


def make(folder: Path, **changes: Any) -> SimulatedRun:
    """Write a run of a small detector; ``changes`` are of its specification."""
    options: dict[str, Any] = {
        "detectors": (DetectorSpec("cspad140k"),),
        "events": 8,
        "with_constants": False,
    }
    return make_run(folder, RunSpec(**{**options, **changes}))
