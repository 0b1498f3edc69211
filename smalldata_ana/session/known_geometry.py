"""What a session knows of where the beam meets a detector."""

from __future__ import annotations

from typing import Any

from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import applying

KIND = "geometry"


def known_geometry(session: Any, detector: str) -> dict[str, Any]:
    """Return the values of a detector's ``geometry`` entry.

    Parameters
    ----------
    session : the session; what was accepted in it wins over the parameter file
    detector : its name

    Returns
    -------
    The values by name; empty if there are none.
    """
    mine = [e for e in session.pending if (e.detector, e.kind) == (detector, KIND)]
    if mine:
        return dict(mine[-1].values)
    places = session.places
    if not places.params.exists():
        return {}
    entries = ParameterFile.load(places.params, places.experiment).entries
    for entry in applying(entries, session.run.number):
        if (entry.detector, entry.kind) == (detector, KIND):
            return dict(entry.values)
    return {}
