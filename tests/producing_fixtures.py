"""What the tests of the producer share: a run, and the file that is right for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from producing_run import EVENTS, LATE, Site, output, site_of
from simulated import ours

from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("producing")


@pytest.fixture(scope="session")
def made(run_folder: Path) -> SimulatedRun:
    spec = RunSpec(
        detectors=(DetectorSpec("epix100", missing=(LATE,)), DetectorSpec("cspad140k")),
        events=EVENTS,
        steps=2,
    )
    return make_run(run_folder / "run", spec)


@pytest.fixture
def site(made: SimulatedRun, run_folder: Path) -> Iterator[Site]:
    """The run; its functions stand in the same place for all tests."""
    site = site_of(made, run_folder / "site")
    yield site
    site.order()


@pytest.fixture(scope="session")
def reference(made: SimulatedRun, run_folder: Path) -> Path:
    """The file that one undisturbed worker makes."""
    site = site_of(made, run_folder / "site")
    out = run_folder / "reference"
    assert site.produce(out, "--nproc", 1) == 0
    return output(out)


@pytest.fixture(scope="session")
def timestamps(made: SimulatedRun) -> Any:
    """Of the events of the index."""
    run = ours(made)
    times = np.array(run.timestamps, np.int64)
    run.close()
    assert len(times) == EVENTS
    return times
