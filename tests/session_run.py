"""A run for tests of the session, and the session's command line on it.

Run as a script, this is ``smalldata-ana`` with an HDF5 run in the place of any other:
``$SESSION_RUN`` names the file, ``$SECONDS_PER_EVENT`` makes reading slow.
"""

from __future__ import annotations

import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_ana.errors import RunNotFound
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 40
EXPERIMENT = "xpptut15"
RUN = 14
DROPPED = np.arange(EVENTS) % 5 == 0
LASER = np.arange(EVENTS) % 2 == 1
ENERGY = np.linspace(0, 1, EVENTS)
SHAPES = {"epix100": (1, 30, 20), "opal": (24, 16)}


def frames() -> dict[str, np.ndarray]:
    """Return the raw frames by detector."""
    rng = np.random.default_rng(3)
    return {
        name: rng.integers(0, 3000, (EVENTS, *shape)).astype(np.uint16)
        for name, shape in SHAPES.items()
    }


def write(folder: Path, detectors: tuple[str, ...] = tuple(SHAPES)) -> Path:
    """Write the run: dropped X-ray shots, laser on and off, pulse energy, a motor."""
    codes = np.zeros((EVENTS, 288), np.int8)
    codes[:, 137] = 1
    codes[DROPPED, 162] = 1
    codes[~LASER, 91] = 1
    return write_run(
        folder / "run.h5",
        experiment=EXPERIMENT,
        run=RUN,
        images={name: frames()[name] for name in detectors},
        scalars={"gasdet/energy": ENERGY, "epics/lxt": np.arange(EVENTS) * 1e-12},
        units={"gasdet/energy": "mJ", "epics/lxt": "s"},
        event_codes=codes,
    )


class SlowRun(Hdf5Run):
    """A run whose events take a while to read."""

    def read(self, detector: str, event: int, out: Any = None) -> Any:
        time.sleep(float(os.environ.get("SECONDS_PER_EVENT", "0")))
        return super().read(detector, event, out)


def stand_in_for_opening(path: str | os.PathLike[str]) -> types.ModuleType:
    """Return a module in the place of `smalldata_ana.opening`."""

    def open_run(exp: str | None = None, run: int | None = None, **_: Any) -> SlowRun:
        if run not in (None, RUN):
            raise RunNotFound(f"no run {run} of {exp}; there is {RUN}")
        return SlowRun(path)

    module = types.ModuleType("smalldata_ana.opening")
    module.open_run = open_run  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    from smalldata_ana.session.app import main

    sys.modules["smalldata_ana.opening"] = stand_in_for_opening(
        os.environ["SESSION_RUN"]
    )
    sys.exit(main())
