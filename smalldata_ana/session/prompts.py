"""Questions to the user: asked only where somebody can answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from smalldata_ana.errors import UsageError, did_you_mean, listing
from smalldata_ana.session.tools.waiting import read_line

TRIES = 3
"""How often a question is asked, so that pasted lines are not all taken as answers."""


def somebody_there() -> bool:
    """Tell whether a person can be asked: input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _answer(question: str) -> str:
    try:
        return read_line(question).strip()
    except EOFError:
        raise UsageError(f"no answer to the question {question.strip()!r}") from None


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
        where there are several and nobody can be asked, or no answer is one of them;
        the text lists them
    """
    if len(names) == 1:
        return names[0]
    unclear = UsageError(f"which {what}? there are {listing(names)}; name one of them")
    if not (ask and somebody_there()):
        raise unclear
    default = names[0] if default is None else default
    for number, name in enumerate(names, 1):
        print(f"  {number}  {name}")
    for _ in range(TRIES):
        answer = _answer(f"Select {what} by number or name [{default}]: ")
        if not answer:
            return default
        if answer in names:
            return answer
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        hint = did_you_mean(answer, names)
        print(f"  {answer!r} is none of them.{hint}")
    raise unclear
