"""The photon energy that a run tells of itself."""

from __future__ import annotations

import math
import re

import numpy as np

from smalldata_ana.sources.base import Run

EVENTS = 100
"""How many events, from the first on, are looked at."""

_NAME = re.compile(r"photon_?energy$", re.IGNORECASE)


def measured_energy(run: Run) -> tuple[float, str] | None:
    """Return the median photon energy of a run's first events [keV], and its name.

    Returns
    -------
    None if the run has no scalar ``…photonEnergy`` or ``…photon_energy``, or no
    number in it.  LCLS' own value is in eV, whether its unit is recorded or not.
    """
    events = np.arange(min(len(run), EVENTS))
    for name, info in run.scalars.items():
        if info.shape != () or info.dtype.kind == "O" or not _NAME.search(name):
            continue
        values = np.asarray(run.scalar(name, events), np.float64)
        known = values[np.isfinite(values)]
        energy = float(np.median(known)) if known.size else math.nan
        in_kev = energy if info.unit == "keV" else 1e-3 * energy
        if in_kev > 0:
            return in_kev, name
    return None
