"""Which events a detector has a part of, by the index and by the datagrams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import FileError
from smalldata_ana.sources.base import Indices
from smalldata_ana.sources.event_table import EventTable
from smalldata_ana.sources.psana2.detectors import Interface

_BLOCK = 4096

Read = Callable[[int, Sequence[int]], Any]
"""Takes the number of an event and some streams; returns psana's event of them."""


def with_all_parts(events: EventTable, streams: Sequence[int]) -> Iterator[int]:
    """Yield the events that all of these streams have a part of.

    They are looked for block by block: mostly the first is wanted, and a run is long.
    """
    for begin in range(0, len(events), _BLOCK):
        block = events.between(begin, min(begin + _BLOCK, len(events)))
        yield from (begin + np.flatnonzero(block.contributed(streams))).tolist()


def recorded(
    events: EventTable, own: Sequence[Interface], numbers: Indices, read: Read
) -> npt.NDArray[np.bool_]:
    """Tell of which events a detector has data, or had some that cannot be read.

    A stream may hold several detectors, so that its datagrams are looked into.

    Parameters
    ----------
    events : those of the run, or of a part of it
    own : the detector's interfaces
    numbers : of the events to look at
    read : reads the datagrams of an event
    """
    streams = sorted({stream for interface in own for stream in interface.streams})
    times = events.timestamps[numbers]
    in_index = np.array(
        [np.isin(times, events.streams[stream].timestamps) for stream in streams]
    )
    found = np.zeros(len(times), bool)
    for k in np.flatnonzero(in_index.any(axis=0)):
        there = [streams[row] for row in np.flatnonzero(in_index[:, k])]
        found[k] = _has_sent(own, there, int(numbers[k]), read)
    return found


def _has_sent(
    own: Sequence[Interface], streams: Sequence[int], number: int, read: Read
) -> bool:
    """Tell whether these streams' parts of an event are a detector's, or unreadable."""
    try:
        event = read(number, streams)
    except FileError:
        return True
    unreadable = any(event._dgrams[stream] is None for stream in streams)
    return unreadable or any(interface.is_in(event) for interface in own)
