"""What a session knows from the parameter file, also where that is wrong.

Looking and choosing go on with what is right of the file, with one warning; only what
is written into it, `exportParams`, needs all of it to be right.
"""

from __future__ import annotations

from typing import Any

from smalldata_ana.errors import SmallDataError, counted
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import right_entries
from smalldata_ana.parameters.resolved import applying


def written_entries(session: Any) -> list[Entry]:
    """Return the entries of the parameter file that apply to the session's run.

    Parameters
    ----------
    session : as for `all_written`
    """
    return applying(all_written(session), session.run.number)


def all_written(session: Any) -> list[Entry]:
    """Return the entries of the parameter file, for whichever runs.

    What is wrong with the file is said once, and left out.

    Parameters
    ----------
    session : the session: its places
    """
    entries, wrong = right_or_wrong(session)
    if wrong:
        session.warn_once(f"what is wrong in the parameter file is left out: {wrong}")
    return entries


def right_or_wrong(session: Any) -> tuple[list[Entry], str]:
    """Return the right entries of the parameter file, and what is wrong with it.

    Parameters
    ----------
    session : the session: its places

    Returns
    -------
    The entries, and a sentence that is empty if the whole file is right.
    """
    path = session.places.params
    if not path.exists():
        return [], ""
    try:
        entries, problems = right_entries(path, session.places.experiment)
    except SmallDataError as error:
        return [], str(error)
    if not problems:
        return entries, ""
    more = len(problems) - 1
    rest = f" (and {counted(more, 'more problem')})" if more else ""
    return entries, f"{path}: {problems[0]}{rest}"
