"""What went wrong on single events: counted by kind, with the first traceback."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from smalldata_ana.errors import SmallDataError


class FunctionError(SmallDataError):
    """A function failed on an event, and nothing is to be left out."""

    exit_code = 1


@dataclass
class Failures:
    """Errors of functions on single events.

    Attributes
    ----------
    counts : how often, by ``<detector>/<function>: <type of error>``
    first : the first of each, with its traceback, for people
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, source: str, event: int, error: Exception) -> None:
        """Count an error.

        Parameters
        ----------
        source : ``<detector>/<function>``
        event : number of the event in the run
        error : what was raised
        """
        kind = f"{source}: {type(error).__name__}"
        self.counts[kind] += 1
        if kind not in self.first:
            lines = "".join(traceback.format_exception(error))
            self.first[kind] = f"{source} failed on event {event}:\n{lines}"

    def update(self, later: Self) -> None:
        """Add those of later events."""
        self.counts.update(later.counts)
        self.first = later.first | self.first

    def as_dict(self) -> dict[str, Any]:
        """Return them as JSON can hold them; `from_dict` reads it."""
        return {"counts": dict(self.counts), "first": self.first}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `as_dict` gave."""
        return cls(Counter(values["counts"]), dict(values["first"]))
