"""Which events a command of the session takes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import NameNotFound, NoDataError, UsageError, unknown
from smalldata_ana.sources.base import Indices, Run
from smalldata_ana.sources.events import ALL, choose, selection_mask

Mask = npt.NDArray[np.bool_]
Filter = str | npt.ArrayLike

_BLOCK = 1000
"""Events whose values are read at once while some are looked for."""


@dataclass(frozen=True)
class Minimum:
    """A lowest allowed value of a scalar, e.g. of the pulse energy."""

    scalar: str
    value: float

    @classmethod
    def parse(cls, given: object, run: Run) -> Minimum:
        """Read ``(scalar name, minimum)``.

        Raises
        ------
        UsageError
            if it is not such a pair
        NameNotFound
            if the run has no such scalar
        """
        match given:
            case (str() as name, int() | float() as value):
                pass
            case _:
                raise UsageError(
                    "minIpm is a pair of a scalar's name and its minimum, e.g. "
                    f"('gasdet/energy', 0.5), not {given!r}"
                )
        if name not in run.scalars:
            where = f"{run.experiment} run {run.number}"
            raise NameNotFound(unknown("scalar", name, run.scalars, where))
        return cls(name, float(value))

    @property
    def label(self) -> str:
        """What it is called in names, e.g. ``gasdet_energy_0p5``."""
        return re.sub(r"\W", "_", f"{self.scalar}_{self.value:g}".replace(".", "p"))

    def __str__(self) -> str:
        return f"{self.scalar} >= {self.value:g}"

    def of(self, run: Run, events: Indices, count: int) -> Indices:
        """Return the first so many of the events that reach the minimum.

        Raises
        ------
        NoDataError
            if none does
        """
        found: list[Indices] = []
        missing = events.size if count == ALL else count
        for begin in range(0, events.size, _BLOCK):
            block = events[begin : begin + _BLOCK]
            values = np.asarray(run.scalar(self.scalar, block), dtype=float)
            # An event without a value is NaN, and does not reach any minimum.
            found.append(block[values >= self.value][:missing])
            missing -= found[-1].size
            if missing <= 0:
                break
        chosen = np.concatenate(found)
        if not chosen.size:
            raise NoDataError(f"none of {events.size} events has {self}; lower it")
        return chosen


@dataclass(frozen=True)
class ChosenEvents:
    """Events to work on, and how they were chosen.

    Attributes
    ----------
    numbers : of the events in the run, growing
    name : of the selection, for the name of an image; empty for none
    text : what they were selected by, for people
    dropped : how many events of the run are left out as dropped X-ray shots
    """

    numbers: Indices
    name: str
    text: str
    dropped: int


def choose_events(
    run: Run,
    detector: str,
    count: int,
    named: Mapping[str, Mask],
    *,
    use_filter: Filter | None = None,
    skip: int = 0,
    uniform: bool = False,
    minimum: object = None,
) -> ChosenEvents:
    """Choose events in which a detector has data.

    Without a filter, dropped X-ray shots are left out where the run has X-rays at all.

    Parameters
    ----------
    run : the run
    detector : name of an area detector
    count : how many events at most; -1: all
    named : the selections that have a name
    use_filter : name of a selection, boolean array over the run's events, or
        timestamps
    skip : events at the begin of the run to leave out
    uniform : spread the events over the run; events below the minimum fall away then
    minimum : (name of a scalar, its lowest allowed value)

    Raises
    ------
    NoDataError
        if no event is left
    """
    mask = selection_mask(run, use_filter, named)
    name, text = _called(mask, use_filter)
    dropped = _dropped(named) if use_filter is None else np.zeros(len(run), bool)
    mask &= ~dropped & run.contributed(detector)
    lowest = None if minimum is None else Minimum.parse(minimum, run)
    # Spread events are taken as they are; others are looked for until there are enough.
    wanted = count if lowest is None or uniform else ALL
    events = choose(run, wanted, skip=skip, uniform=uniform, selection=mask)
    if lowest is not None:
        events = lowest.of(run, events, count)
        name = f"{name}_{lowest.label}".strip("_")
        text = f"{text}, {lowest}" if text else str(lowest)
    return ChosenEvents(events, name, text, int(dropped.sum()))


def _dropped(named: Mapping[str, Mask]) -> Mask:
    """Return the events without X-rays, if the run has X-rays at all."""
    if "xon" in named and named["xon"].any():
        return named["xoff"]
    return np.zeros(1, bool)


def _called(mask: Mask, use_filter: Filter | None) -> tuple[str, str]:
    """Return the name of a filter, and what it is, for people."""
    if use_filter is None:
        return "", ""
    if isinstance(use_filter, str):
        return use_filter, use_filter
    # Different events make different names.
    name = f"events{zlib.crc32(np.packbits(mask).tobytes()):08x}"
    return name, f"{np.count_nonzero(mask)} chosen events"
