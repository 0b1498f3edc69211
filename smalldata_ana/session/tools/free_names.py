"""Names for what is accepted, which nothing else has yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smalldata_ana.session.known_entries import all_written


def free_name(session: Any, detector: str, names: Iterable[str]) -> str:
    """Return the first name that no entry of a detector has.

    Parameters
    ----------
    session : the session: its pending entries, and its parameter file
    detector : name of the detector
    names : as many as one likes, the best first
    """
    entries = (*session.pending, *all_written(session))
    taken = {entry.name for entry in entries if entry.detector == detector}
    return next(name for name in names if name not in taken)
