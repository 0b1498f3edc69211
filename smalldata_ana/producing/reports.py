"""What a worker says of a batch that it has done."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.failures import Failures


@dataclass
class Report:
    """Events of one or several batches, and what happened to them.

    Attributes
    ----------
    events : how many were read and written
    without_data : events without data, by detector
    failures : errors of functions
    problems : what is wrong with the files of the run, as far as reading them showed
    other_codes : events with event codes that were not seen in the run's first events
        and have no dataset, by code
    """

    events: int = 0
    without_data: Counter[str] = field(default_factory=Counter)
    failures: Failures = field(default_factory=Failures)
    problems: set[str] = field(default_factory=set)
    other_codes: Counter[int] = field(default_factory=Counter)

    def update(self, later: Self) -> None:
        """Add what is said of later events."""
        self.events += later.events
        self.without_data.update(later.without_data)
        self.failures.update(later.failures)
        self.problems |= later.problems
        self.other_codes.update(later.other_codes)

    def to_json(self) -> str:
        """Return it as text, which `from_json` reads."""
        return json.dumps(
            {
                "events": self.events,
                "without_data": self.without_data,
                "failures": self.failures.as_dict(),
                "problems": sorted(self.problems),
                "other_codes": sorted(self.other_codes.items()),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` gave."""
        values = json.loads(text)
        return cls(
            values["events"],
            Counter(values["without_data"]),
            Failures.from_dict(values["failures"]),
            set(values["problems"]),
            Counter(dict(values["other_codes"])),
        )


@dataclass(frozen=True)
class Done:
    """A batch whose part is complete.

    Attributes
    ----------
    batch : which one
    report : what happened
    """

    batch: Batch
    report: Report


@dataclass(kw_only=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    report : what happened to the events
    given_up : batches that killed every worker; their events are in no file
    reused : events that an earlier job had done
    problems : what is wrong with the data of the run, a sentence each
    seconds : that the work on the events took [s]
    """

    report: Report = field(default_factory=Report)
    given_up: list[Batch] = field(default_factory=list)
    reused: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Events that were worked on in a second [1/s]."""
        return (self.report.events - self.reused) / max(self.seconds, 1e-3)
