"""What was accepted must go together with the rest, before it can be exported."""

from __future__ import annotations

from collections.abc import Sequence

from smalldata_ana.errors import UsageError
from smalldata_ana.parameters.appending import free_name_like, new_problems
from smalldata_ana.parameters.entry import Entry


def check_beside(
    entry: Entry, pending: Sequence[Entry], written: Sequence[Entry]
) -> None:
    """Check that an entry can be exported beside others.

    Parameters
    ----------
    entry : what is being accepted
    pending : what was accepted before
    written : what stands in the parameter file

    Raises
    ------
    UsageError
        if another kind has its name, or a function that it takes away is still needed
    """
    others = [*written, *pending]
    problems = new_problems(others, [*others, entry])
    if not problems:
        return
    text = "; ".join(map(str, problems))
    ours = [e for e in others if e.detector == entry.detector]
    if any((e.name, e.kind != entry.kind) == (entry.name, True) for e in ours):
        free = free_name_like(entry.name, {e.name for e in ours})
        text += f"; {free!r} is free: .accept({free!r})"
    raise UsageError(text)
