"""Ranges of runs, as users write them: "12", "12-", "12-40"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Self

from smalldata_ana.errors import ParameterError

_TEXT = re.compile(r"\s*([0-9]+)\s*(?:(-)\s*([0-9]+|end)?)?\s*")


@dataclass(frozen=True)
class RunRange:
    """The runs from `begin` to `end`, both included.

    Attributes
    ----------
    begin : the first run
    end : the last run, or None: all from `begin` on
    """

    begin: int
    end: int | None = None

    def __post_init__(self) -> None:
        if self.begin < 0 or (self.end is not None and self.end < self.begin):
            raise ParameterError(f"runs {self.begin}-{self.end}: the end is too small")

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """Read "12" or 12 (one run), "12-40", "12-" or, in psana's spelling, "12-end".

        Raises
        ------
        ParameterError
            if the text is none of these, or ends before it begins
        """
        match = _TEXT.fullmatch(str(text))
        if match is None:
            raise ParameterError(
                f"{text!r} is not a range of runs; write '12', '12-' or '12-40'"
            )
        begin = int(match[1])
        if match[2] is None:
            return cls(begin, begin)
        return cls(begin, None if match[3] in {None, "end"} else int(match[3]))

    @property
    def last(self) -> float:
        """The last run, infinity for none."""
        return math.inf if self.end is None else self.end

    def within(self, other: Self) -> Self:
        """Return the runs that this and another range hold; there must be some."""
        return type(self)(
            max(self.begin, other.begin), min(self, other, key=lambda r: r.last).end
        )

    def overlaps(self, other: Self) -> bool:
        """Tell whether some run is in both."""
        return max(self.begin, other.begin) <= min(self.last, other.last)

    def __contains__(self, run: int) -> bool:
        return self.begin <= run and (self.end is None or run <= self.end)

    def __str__(self) -> str:
        if self.end == self.begin:
            return str(self.begin)
        return f"{self.begin}-{'' if self.end is None else self.end}"


def run_list(text: str) -> tuple[int, ...]:
    """Read a list of runs: "12", "10-14", "3,7-9".

    Returns
    -------
    The numbers in the order given, each once.

    Raises
    ------
    ParameterError
        if a part is no run and no range with an end
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        if _TEXT.fullmatch(part) is None:
            raise ParameterError(
                f"{part!r} is no run and no range of runs; write '12', '10-14' or "
                "'3,7-9'"
            )
        runs = RunRange.parse(part)
        if runs.end is None:
            raise ParameterError(f"{part!r} has no last run; write '12' or '10-14'")
        found |= dict.fromkeys(range(runs.begin, runs.end + 1))
    return tuple(found)
