"""What changes slowly: EPICS and scan variables, and detectors' configuration.

Each event has the last update at or before it.  psana, asked after later updates were
read, gives the next value instead of the one in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Array, Indices, ScalarInfo
from smalldata_ana.sources.datagrams import HEADER, Service
from smalldata_ana.sources.event_index import EventIndex
from smalldata_ana.sources.event_table import Timestamps
from smalldata_ana.sources.psana2.values import table

Decoder = Callable[[int], Callable[[bytes], Any]]
"""Gives for a stream the function that decodes its datagrams."""

SERVICES = {
    "epics": (Service.SLOW_UPDATE,),
    "scan": (Service.BEGIN_RUN, Service.BEGIN_STEP),
}
"""Which transitions carry which group of values."""


@dataclass(frozen=True, eq=False)
class Updates:
    """The updates of one thing.

    Attributes
    ----------
    times : uint64, growing
    values : the value from each of them on
    """

    times: Timestamps
    values: Array

    def seen_at(self, timestamps: Timestamps) -> Self:
        """Return the updates that events at these times see; which grow."""
        if not len(timestamps):
            return type(self)(self.times[:0], self.values[:0])
        first, last = self.in_force(timestamps[[0, -1]])
        begin, end = max(int(first), 0), int(last) + 1
        times, values = self.times[begin:end], self.values[begin:end]
        if len(times) > len(timestamps):
            rows = np.searchsorted(times, timestamps, side="right") - 1
            seen = np.unique(rows[rows >= 0])
            times, values = times[seen], values[seen]
        return type(self)(times, values)

    def in_force(self, timestamps: Timestamps) -> Indices:
        """Return which update is in force at each time, -1 before the first."""
        return np.searchsorted(self.times, timestamps, side="right") - 1


class SlowValues:
    """Slow values by name: float64, or text.

    Parameters
    ----------
    updates : of each of them
    """

    def __init__(self, updates: Mapping[str, Updates]) -> None:
        self._updates = updates

    @classmethod
    def of(cls, index: EventIndex, decoder: Decoder) -> Self:
        """Return all slow values of a run, read from its transitions."""
        collected: dict[str, list[tuple[int, Any]]] = {}
        for group, services in SERVICES.items():
            for time, datagram in _datagrams(index, decoder, *services):
                for segment in getattr(datagram, group, {}).values():
                    for name, value in _fields(segment):
                        key = f"{group}/{name}"
                        collected.setdefault(key, []).append((time, value))
        return cls({name: _column(found) for name, found in collected.items()})

    def seen_at(self, timestamps: Timestamps) -> Self:
        """Return what events at these times see of them; the names are all kept."""
        return type(self)({k: u.seen_at(timestamps) for k, u in self._updates.items()})

    def arrays(self) -> Iterator[Array]:
        """Yield all that it is made of, in an order that depends on the names alone."""
        for _, updates in sorted(self._updates.items()):
            yield from (updates.times, updates.values)

    def infos(self) -> dict[str, ScalarInfo]:
        """Return what there is, by name."""
        return {
            name: ScalarInfo(name, updates.values.shape[1:], updates.values.dtype)
            for name, updates in self._updates.items()
        }

    def values(self, name: str, timestamps: Timestamps) -> Array:
        """Return the value in force at each time, NaN or '' before the first."""
        updates = self._updates[name]
        last = updates.in_force(timestamps)
        text = updates.values.dtype == object
        shape = (len(timestamps), *updates.values.shape[1:])
        result = np.full(shape, "" if text else np.nan, updates.values.dtype)
        there = last >= 0
        result[there] = updates.values[last[there]]
        return result


class ConfigurationChanges:
    """What the steps of a scan changed of the detectors' configuration.

    Parameters
    ----------
    updates : by detector and segment; each value is all that was changed until then
    """

    def __init__(self, updates: Mapping[tuple[str, int], Updates]) -> None:
        self._updates = updates

    @classmethod
    def of(cls, index: EventIndex, decoder: Decoder) -> Self:
        """Return the changes within a run, read from its transitions."""
        collected: dict[tuple[str, int], list[tuple[int, dict[str, Any]]]] = {}
        for time, datagram in _datagrams(index, decoder, Service.BEGIN_STEP):
            for detector, segments in vars(datagram).items():
                if not isinstance(segments, dict):
                    continue
                for segment, part in segments.items():
                    if hasattr(part, "config"):
                        change = (time, _public(part.config))
                        collected.setdefault((detector, segment), []).append(change)
        return cls({key: _summed(found) for key, found in collected.items()})

    def seen_at(self, timestamps: Timestamps) -> Self:
        """Return what events at these times see of them."""
        return type(self)({k: u.seen_at(timestamps) for k, u in self._updates.items()})

    def at(self, detector: str, segment: int, timestamp: np.uint64) -> dict[str, Any]:
        """Return what was changed until then."""
        updates = self._updates.get((detector, segment))
        if updates is None:
            return {}
        (last,) = updates.in_force(np.array([timestamp]))
        return dict(updates.values[last]) if last >= 0 else {}


def _datagrams(
    index: EventIndex, decoder: Decoder, *services: Service
) -> Iterator[tuple[int, Any]]:
    for transition in index.transitions(*services):
        if len(transition.data) > HEADER.size:
            yield transition.timestamp, decoder(transition.stream)(transition.data)


def _public(fields: Any) -> dict[str, Any]:
    return {k: value for k, value in vars(fields).items() if not k.startswith("_")}


def _fields(segment: Any) -> Iterator[tuple[str, Any]]:
    for values in vars(segment).values():
        if not hasattr(values, "__dict__"):
            continue
        for name, value in _public(values).items():
            if name != "damage":
                yield name, value if isinstance(value, str) else np.array(value)


def _by_time(found: list[tuple[int, Any]]) -> tuple[Timestamps, list[Any]]:
    ordered = sorted(found, key=lambda update: update[0])
    times = np.array([time for time, _ in ordered], np.uint64)
    return times, [value for _, value in ordered]


def _column(found: list[tuple[int, Any]]) -> Updates:
    times, values = _by_time(found)
    text = isinstance(values[0], str)
    shape = () if text else values[0].shape
    info = ScalarInfo("", shape, np.dtype(object if text else np.float64))
    return Updates(times, table(values, info))


def _summed(found: list[tuple[int, dict[str, Any]]]) -> Updates:
    """Return with each change also those before it."""
    times, changes = _by_time(found)
    sums: npt.NDArray[np.object_] = np.empty(len(changes), object)
    so_far: dict[str, Any] = {}
    for row, change in enumerate(changes):
        so_far = so_far | change
        sums[row] = so_far
    return Updates(times, sums)
