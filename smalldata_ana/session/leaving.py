"""Leaving the session: what was chosen is not lost by it."""

from __future__ import annotations

from typing import Any

from smalldata_ana.errors import counted
from smalldata_ana.session.export import export_params, not_accepted
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.tools.dialogue import Back, Dialogue

_EXPORT_HELP = """\
  y writes them to the parameter file and leaves, n leaves and forgets them.
  Enter or Ctrl-C goes back to the prompt."""
_LEAVE_HELP = """\
  y leaves and forgets what is not accepted.  n, Enter or Ctrl-C goes back to the
  prompt, where .accept() of the tool takes it."""
_FAILED = "the session goes on; leave again, or try again: anaps.exportParams()"


def may_leave(session: Any, dialogue: Dialogue | None = None) -> bool:
    """Tell whether a session may end; ask a person about what would be lost.

    Parameters
    ----------
    session : the session that is being left
    dialogue : asks; by default at the terminal, if a person is there

    Returns
    -------
    False if the person wants to go back, or the export that they wanted has failed.
    """
    drawn = not_accepted(session)
    if not (session.pending or drawn):
        return True
    for note in (*(f"not exported: {entry}" for entry in session.pending), *drawn):
        print(f"  {note}")
    number = counted(len(session.pending), "accepted entry", "accepted entries")
    if dialogue is None and not (session.interactive and somebody_there()):
        return True
    talk = Dialogue() if dialogue is None else dialogue
    try:
        if not session.pending:
            return talk.yes("Leave without accepting?", help=_LEAVE_HELP)
        question = f"Export {number} to {session.places.params}?"
        return not talk.yes(question, help=_EXPORT_HELP) or _exported(session)
    except Back:
        if session.pending:
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
