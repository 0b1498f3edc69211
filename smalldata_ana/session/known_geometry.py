"""What a session knows of where the beam meets a detector."""

from __future__ import annotations

from typing import Any

from smalldata_ana.ana_funcs.followed_values import followed
from smalldata_ana.session.known_entries import written_entries

KIND = "geometry"


def known_geometry(session: Any, detector: str) -> dict[str, Any]:
    """Return the values of a detector's ``geometry`` entry.

    Parameters
    ----------
    session : the session; what was accepted in it wins over the parameter file
    detector : its name

    Returns
    -------
    The values by name, as they are written; empty if there are none.
    """
    entries = [*written_entries(session), *session.pending]
    found = [e for e in entries if (e.detector, e.kind) == (detector, KIND)]
    return dict(found[-1].values) if found else {}


def geometry_in_numbers(session: Any, detector: str) -> dict[str, Any]:
    """Return `known_geometry` with what follows process variables as it is in the run.

    Raises
    ------
    ParameterError
        if a process variable is not in the run
    """
    return followed(known_geometry(session, detector), session.run)
