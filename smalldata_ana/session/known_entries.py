"""What applies to a session's run: entries of the parameter file, and accepted ones."""

from __future__ import annotations

from typing import Any

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import applying


def written_entries(session: Any) -> list[Entry]:
    """Return the entries of the parameter file that apply to the session's run.

    Raises
    ------
    ParameterError
        if the parameter file is wrong
    """
    places = session.places
    if not places.params.exists():
        return []
    entries = ParameterFile.load(places.params, places.experiment).entries
    return applying(entries, session.run.number)
