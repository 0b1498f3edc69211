"""Leaving the session: what was accepted is not lost by it."""

from __future__ import annotations

from typing import Any

from smalldata_ana.errors import counted
from smalldata_ana.session.export import export_params
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.tools.dialogue import Back, Dialogue

_HELP = """\
  y writes them to the parameter file and leaves, n leaves and forgets them.
  Enter or Ctrl-C goes back to the prompt."""
_FAILED = (
    "nothing was exported; the session goes on. Mend the file and leave again, or "
    "write to another one: anaps.exportParams(path='…')"
)


def may_leave(session: Any, dialogue: Dialogue | None = None) -> bool:
    """Tell whether a session may end; ask a person about what is pending.

    Parameters
    ----------
    session : the session that is being left
    dialogue : asks; by default at the terminal, if a person is there

    Returns
    -------
    False if the person wants to go back, or the export that they wanted has failed.
    """
    if not session.pending:
        return True
    for entry in session.pending:
        print(f"  not exported: {entry}")
    number = counted(len(session.pending), "accepted entry", "accepted entries")
    if dialogue is None and not (session.interactive and somebody_there()):
        print(f"{number} not exported")
        return True
    talk = Dialogue() if dialogue is None else dialogue
    try:
        question = f"Export {number} to {session.places.params}?"
        return not talk.yes(question, help=_HELP) or _exported(session)
    except Back:
        print(f"{number} still there: anaps.exportParams()")
        return False


def _exported(session: Any) -> bool:
    """Export what is pending, and tell whether that was possible."""
    try:
        print(export_params(session))
    except Exception as error:  # whatever it is, what was accepted stays
        print(f"error: {error}\n{_FAILED}")
        return False
    except KeyboardInterrupt:
        raise Back from None
    return True
