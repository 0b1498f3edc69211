"""`Dialogue`: the conversation that leads a tool at a terminal.

No answer loses work: one that makes no sense is asked again, and Ctrl-C goes back one
step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from smalldata_ana.errors import SmallDataError, UsageError, did_you_mean, listing
from smalldata_ana.session.tools.waiting import read_line

Answer = TypeVar("Answer")

HELP = "?"
_YES_OR_NO = {"y": True, "yes": True, "n": False, "no": False}


class Back(Exception):  # noqa: N818 (the way back is no error)
    """The user wants to go back one step."""


class Dialogue:
    """Asks questions until their answers make sense.

    Parameters
    ----------
    read : returns the answer to a prompt; raises KeyboardInterrupt and EOFError as
        `input` does; by default the terminal, with windows that go on working
    write : shows a line
    """

    def __init__(
        self,
        read: Callable[[str], str] = read_line,
        write: Callable[[str], None] = print,
    ) -> None:
        self._read = read
        self.write = write

    def ask(
        self,
        question: str,
        parse: Callable[[str], Answer],
        default: Answer | None = None,
        *,
        help: str,
        shown: str | None = None,
    ) -> Answer:
        """Ask until the answer makes sense.

        Parameters
        ----------
        question : without the blank at its end
        parse : returns what an answer means; raises `UsageError` (or another error of
            ours) with the reason if it means nothing
        default : what an empty answer means; without it, an empty answer goes back
        help : what ``?`` prints
        shown : how the default is written; by default as Python writes it

        Raises
        ------
        Back
            for Ctrl-C, an empty answer without a default, and at the end of the input
        """
        text = str(default) if shown is None else shown
        prompt = f"{question} " if default is None else f"{question} [{text}] "
        while True:
            answer = self._answer(prompt)
            if answer == HELP:
                self.write(help)
            elif answer:
                try:
                    return parse(answer)
                except SmallDataError as error:
                    self.write(f"  {error}")
            elif default is None:
                raise Back
            else:
                return default

    def _answer(self, prompt: str) -> str:
        try:
            return self._read(prompt).strip()
        except (KeyboardInterrupt, EOFError):
            # The line with the prompt is still open.
            self.write("")
            raise Back from None

    def yes(self, question: str, default: bool | None = None, *, help: str) -> bool:
        """Ask a question that is answered by y, yes, n or no.

        Raises
        ------
        Back
            as `ask`
        """
        shown = {True: "y", False: "n", None: None}[default]
        text = f"{question} (y/n)"
        return self.ask(text, yes_or_no, default, help=help, shown=shown)

    def choose(
        self,
        question: str,
        choices: Sequence[str],
        default: str | None = None,
        *,
        help: str,
    ) -> str:
        """Ask for one of several letters or names.

        Raises
        ------
        Back
            as `ask`
        """

        def parse(answer: str) -> str:
            return one_of(answer, choices)

        return self.ask(question, parse, default, help=help)


def yes_or_no(answer: str) -> bool:
    """Return True for y and yes, False for n and no, in any case of letters.

    Raises
    ------
    UsageError
        for anything else
    """
    if answer.lower() not in _YES_OR_NO:
        raise UsageError(f"{answer!r} is neither y (yes) nor n (no)")
    return _YES_OR_NO[answer.lower()]


def one_of(answer: str, choices: Sequence[str]) -> str:
    """Return an answer that is one of some choices; letters count with their case.

    Raises
    ------
    UsageError
        if it is none of them
    """
    if answer not in choices:
        hint = did_you_mean(answer, choices)
        raise UsageError(f"{answer!r} is none of {listing(choices)}.{hint}")
    return answer


def numbers(answer: str, count: int | None = None) -> list[float]:
    """Return the numbers of an answer, separated by blanks or commas, in any brackets.

    Parameters
    ----------
    answer : e.g. ``10 20``, ``10,20`` or ``[10, 20]``
    count : how many there must be; by default at least one

    Raises
    ------
    UsageError
        if it holds anything else, or another number of them
    """
    words = answer.strip("[]() ").replace(",", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise UsageError(f"{answer!r} holds more than numbers") from None
    if not all(map(math.isfinite, values)):
        raise UsageError(f"{answer!r} holds numbers that are not finite")
    if count not in (None, len(values)) or not values:
        wanted = "numbers" if count is None else f"{count} numbers"
        raise UsageError(f"{answer!r} is not {wanted}; separate them by blanks")
    return values


def whole_numbers(answer: str, count: int | None = None) -> list[int]:
    """Return the whole numbers of an answer, as `numbers` does.

    Raises
    ------
    UsageError
        if it holds anything else, or another number of them
    """
    values = numbers(answer, count)
    if not all(value.is_integer() for value in values):
        raise UsageError(f"{answer!r} holds numbers that are not whole")
    return [int(value) for value in values]
