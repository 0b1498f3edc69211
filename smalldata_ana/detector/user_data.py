"""What scripts ask of a detector: is it there, its results, its environment."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array, Environment, Field, run_of
from smalldata_ana.errors import unknown
from smalldata_ana.sources.base import Run, ScalarInfo

logger = logging.getLogger(__name__)

_reported: WeakKeyDictionary[Run, set[str]] = WeakKeyDictionary()
"""The names that `checkDet` has said to be missing, by run."""


def checkDet(run_or_env: Run | Environment, name: str) -> bool:
    """Tell whether a run has an area detector.

    A name that is missing is logged as a warning with those that exist, once for a
    run.

    Parameters
    ----------
    run_or_env : the run, or an environment that has it
    name : of the detector in the data acquisition
    """
    run = run_of(run_or_env)
    if name in run.detectors:
        return True
    reported = _reported.setdefault(run, set())
    if name not in reported:
        reported.add(name)
        where = f"{run.experiment} run {run.number}"
        logger.warning("%s", unknown("area detector", name, run.detectors, where))
    return False


def getUserData(det: DetObject) -> dict[str, Any]:
    """Return the results of a detector's functions for its last event.

    Parameters
    ----------
    det : a detector after ``getData`` and ``processFuncs``

    Returns
    -------
    The results as ``<function>_<key>``.  Those of which an event may have any number
    are ``ragged_<function>_<key>``, or in ``var_<function>`` as ``<key>``; see `Field`.
    """
    found: dict[str, Any] = {}
    for key, value in det.evt.results.items():
        *groups, name = det.fields[key].path(key)
        group = found
        for above in groups:
            group = group.setdefault(above, {})
        group[name] = value
    return found


def getUserEnvData(det: DetObject) -> dict[str, Any]:
    """Return what the run knows of a detector's environment at its last event.

    These are the numbers that the kind of detector stores with its frames, e.g.
    temperatures and humidity of an epix100, as far as the run has them: as scalars
    ``<detector>/<name>``, or as EPICS values ``epics/<detector>_<name>``.  Small-data
    files have them in the group ``<detector>_env``.

    Parameters
    ----------
    det : a detector after ``getData``

    Returns
    -------
    The values by name: float64 or int64, with NaN or `MISSING_INTEGER` where the event
    has none; empty for a detector without.
    """
    event = det.evt.event
    if event is None:
        return {}
    scalars = environment_scalars(det)
    return {k: _value(det.run, info, event.number) for k, info in scalars.items()}


def environment_scalars(det: DetObject) -> dict[str, ScalarInfo]:
    """Return which scalars of the run tell of a detector's environment, by name."""
    found = {
        key: _environment_scalar(det.run, det.detname, key)
        for key in det.calibration.kind.env_values
    }
    return {key: info for key, info in found.items() if info is not None}


def _environment_scalar(run: Run, detector: str, key: str) -> ScalarInfo | None:
    for name in (f"{detector}/{key}", f"epics/{detector}_{key}"):
        if name in run.scalars:
            return run.scalars[name]
    return None


def _value(run: Run, info: ScalarInfo, event: int) -> Array:
    """Return a scalar of one event, of the same type in all events."""
    value = run.scalar(info.name, np.array([event]))[0]
    if info.dtype.kind == "i" and not np.isfinite(value).all():
        return Field(info.dtype, info.shape).missing()
    return np.asarray(value, info.dtype)
