"""What the product makes of a run: its file, and what a loop over events finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.user_data import getUserData
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.planning import plan
from smalldata_ana.producing.production import Production
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event


def produced(
    run: Run,
    resolved: Resolved,
    folder: Path,
    *,
    size: int | None = None,
    limit: int | None = None,
) -> Path:
    """Return the file that one undisturbed worker makes.

    Parameters
    ----------
    run : the run
    resolved : the parameters for it
    folder : of the file
    size : events of a batch; default: by the size of their data
    limit : how many events, the first ones, or None for all
    """
    target = folder / f"{run.experiment}_Run{run.number:04d}.h5"
    planned = plan(run, resolved, folder / ".parts", size=size)
    Production(planned, target, limit=limit).run(Workers(1))
    return target


def results(run: Run, detectors: Sequence[DetObject], number: int) -> dict[str, Any]:
    """Return what the detectors find in an event, as a user's own loop gets it.

    Parameters
    ----------
    run : the run
    detectors : of the run
    number : of the event

    Returns
    -------
    Values by ``<detector>/<function>_<key>``.
    """
    found = {}
    for detector in detectors:
        detector.getData(Event(run, number))
        detector.processFuncs()
        for key, value in getUserData(detector).items():
            found[f"{detector.name}/{key}"] = value
    return found
