"""Parameters that follow a value of the run, e.g. the distance on a stage.

In a ``geometry`` entry, ``dis_to_sam = { pv = "det_z", offset = 80.0, scale = -1.0 }``
is ``offset + scale * value``, with the value of the EPICS variable at the first event
of the run.  It is named as in the data (``epics/<name>``), or by its process variable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.sources.base import Run

_EPICS = "epics/"


def followed(values: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return parameters with the numbers that they have in a run.

    Parameters
    ----------
    values : parameters of a ``geometry`` entry; those that are tables ``{ pv, … }``
        become numbers
    run : the run

    Raises
    ------
    ParameterError
        if the run has no such variable, or no number of it at its first event
    """
    return {
        key: _number(key, value, run) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }


def _number(key: str, table: Mapping[str, Any], run: Run) -> float:
    name = _scalar(key, table["pv"], run)
    found = run.scalar(name, np.array([0]))[0] if len(run) else math.nan
    value = np.asarray(found).tolist()
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(
            f"{key} follows {name!r}, which is {value!r} at the first event of run "
            f"{run.number}, not a number; give {key} as a number"
        )
    return float(table.get("offset", 0.0) + table.get("scale", 1.0) * value)


def _scalar(key: str, variable: str, run: Run) -> str:
    """Return the scalar of the run that has an EPICS variable."""
    names = {n.removeprefix(_EPICS): n for n in run.scalars if n.startswith(_EPICS)}
    by_variable = {v: names[n] for n, v in run.aliases.items() if n in names}
    known = by_variable | names
    if variable not in known:
        where = f"{run.experiment} run {run.number}"
        what = unknown("EPICS variable", variable, known, where)
        raise ParameterError(f"{key}: {what}")
    return known[variable]
