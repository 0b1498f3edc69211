"""What another process needs to read a run: its head once, then part after part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from smalldata_ana.sources.base import Indices
from smalldata_ana.sources.constants import Constants
from smalldata_ana.sources.event_table import EventTable
from smalldata_ana.sources.psana2.mended import psana
from smalldata_ana.sources.psana2.reading import configuration
from smalldata_ana.sources.psana2.slow_values import ConfigurationChanges, SlowValues
from smalldata_ana.sources.run_parts import checksum_of

if TYPE_CHECKING:
    from smalldata_ana.sources.psana2.run import Psana2Run

ConstantsFor = Callable[[str, int, str, str], Constants]
"""(detector, run, serial number, psana's long name) -> what is valid."""


@dataclass(frozen=True)
class RunSource:
    """Which run it is, and which files tell what is in it.

    Attributes
    ----------
    experiment, number : which run
    begun : timestamp of its begin
    origin : the folders of the files, for people
    configured_by : a file of each stream that begins with its configuration
    constants_for : finds the constants of a detector
    """

    experiment: str
    number: int
    begun: int
    origin: str
    configured_by: tuple[Path, ...]
    constants_for: ConstantsFor


@dataclass(frozen=True, eq=False)
class Psana2Part:
    """Events of a run, and the slow values that they see.

    Attributes
    ----------
    experiment, number : of which run
    events : where they are
    slow : EPICS and scan variables
    changes : what the steps changed of the configuration
    """

    experiment: str
    number: int
    events: EventTable
    slow: SlowValues
    changes: ConfigurationChanges

    @property
    def begin(self) -> int:
        """Number in the run of its first event."""
        return self.events.begin

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.events)

    def checksum(self) -> str:
        """Return a checksum of what there is of its events, and where."""
        return checksum_of([*self.events.arrays(), *self.slow.arrays()])

    def between(self, begin: int, end: int) -> Self:
        """Return the events ``[begin, end)`` of these."""
        return self._with(self.events.between(begin, end))

    def at(self, numbers: Indices) -> Self:
        """Return some of the events, numbered anew from 0."""
        return self._with(self.events.at(numbers))

    def _with(self, events: EventTable) -> Self:
        return replace(
            self,
            events=events,
            slow=self.slow.seen_at(events.timestamps),
            changes=self.changes.seen_at(events.timestamps),
        )


@dataclass(frozen=True, eq=False)
class Psana2Head:
    """What a process needs to open a run without a look at its index.

    Attributes
    ----------
    source : which run, and its files
    first : the first event of the run, and the first complete one of each detector
    """

    source: RunSource
    first: Psana2Part

    def open(self) -> Psana2Run:
        """Open the run; until it is turned to a part, it has these events only."""
        psana()
        from smalldata_ana.sources.psana2.run import Psana2Run

        configurations = [configuration(path) for path in self.source.configured_by]
        return Psana2Run(self.source, configurations, self.first)
