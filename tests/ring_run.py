"""A small simulated run of a calibrant, and a session on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from simulated import DetectorSpec, RunSpec, SimulatedRun, make_run, ours

from smalldata_ana.places import places
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.session.azint_commands import AzIntCommands
from smalldata_ana.session.center_commands import CenterCommands
from smalldata_ana.session.parameter_commands import ParameterCommands
from smalldata_ana.simulation.experiment import LAB6, calibrant
from smalldata_ana.simulation.physics import Setup

mpl.use("agg")

DETECTOR = "cspad140k"
DISTANCE = 50.0
ENERGY = 9.5
Q = 2 * np.pi * np.sqrt([1, 2]) / LAB6
"""Of the two rings that are wholly on the detector [1/angstrom]."""


class Session(CenterCommands, AzIntCommands, ParameterCommands):
    """The commands that are tested."""


def make_calibrant(folder: Path) -> SimulatedRun:
    """Write the run; the beam is beside the middle of the detector."""
    return make_run(
        folder,
        RunSpec(
            run=3,
            detectors=(DetectorSpec(DETECTOR),),
            events=3,
            laser=False,
            sample=calibrant(0.02),
            setup=Setup(energy=ENERGY, distance=DISTANCE, center=(3000.0, -4000.0)),
        ),
    )


def session(run: Any, folder: Path) -> Session:
    """Return a session that keeps its files in a folder."""

    def places_of(experiment: str) -> Any:
        return places(experiment, directory=folder, params=folder / "p.toml")

    return Session(run, places_of=places_of)


def whole_session(run: Any, folder: Path) -> SmallDataAna_psana:
    """Return a session with all commands, that keeps its files in a folder."""
    where = places(run.experiment, directory=folder, params=folder / "p.toml")
    return SmallDataAna_psana(run, places_of=lambda experiment: where)


def open_calibrant(made: SimulatedRun) -> Any:
    """Open the run with its constants."""
    return ours(made)


def true_center(run: Any) -> np.ndarray:
    """Return where the beam is [um]: the simulation counts from the mean place."""
    from smalldata_ana.detector.nominal_geometry import positions_of

    positions = positions_of(run, DETECTOR)
    return np.array([positions.x.mean() + 3000, positions.y.mean() - 4000])
