"""Questions to the user: asked only where somebody can answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from smalldata_ana.errors import UsageError, listing
from smalldata_ana.session.tools.dialogue import Back, Dialogue, one_of

_HELP = """\
  Type a number or a name of the list; Enter takes the name in brackets, Ctrl-C leaves
  without taking any."""


def somebody_there() -> bool:
    """Tell whether a person can be asked: input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def choose(
    what: str, names: Sequence[str], *, default: str | None = None, ask: bool
) -> str:
    """Return the one name that there is, or let the user pick among several.

    Parameters
    ----------
    what : what is chosen, e.g. ``"area detector"``
    names : the choices, at least one
    default : what Enter takes; the first if left out
    ask : False where nobody is to be asked

    Raises
    ------
    UsageError
        where there are several and nobody can be asked, or the question was left; the
        text lists them
    """
    if len(names) == 1:
        return names[0]
    there = f"there are {listing(names)}; name one of them"
    if not (ask and somebody_there()):
        raise UsageError(f"which {what}? {there}")
    for number, name in enumerate(names, 1):
        print(f"  {number}  {name}")
    meant = {str(number): name for number, name in enumerate(names, 1)}
    meant |= {name: name for name in names}

    def parse(answer: str) -> str:
        return one_of(meant.get(answer, answer), names)

    try:
        return Dialogue().ask(
            f"Select {what} by number or name",
            parse,
            names[0] if default is None else default,
            help=_HELP,
        )
    except Back:
        raise UsageError(f"no {what} was chosen; {there}") from None
