"""The events of a run, or of a part of it: when they are, and where their data are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Array, Indices

Timestamps = npt.NDArray[np.uint64]


def among(some: Timestamps, times: Timestamps) -> npt.NDArray[np.bool_]:
    """Tell of each time whether it is one of others, which grow."""
    if not len(times):
        return np.zeros(len(some), bool)
    rows = np.searchsorted(times, some)
    rows[rows == len(times)] = 0
    same: npt.NDArray[np.bool_] = times[rows] == some
    return same


def together(parts: Iterable[Timestamps]) -> Timestamps:
    """Return the times that are in any part, each once, growing.

    Parts that tell of hardly anything new, as those of one run, cost little.
    """
    found = np.zeros(0, np.uint64)
    for times in sorted(parts, key=len, reverse=True):
        new = times[~among(times, found)]
        if len(new):
            found = _each_once(np.concatenate([found, new]))
    return found


def _each_once(times: Timestamps) -> Timestamps:
    # The stable sort is linear in what is sorted, or two sorted pieces, already.
    in_order = np.sort(times, kind="stable")
    first = np.ones(len(in_order), bool)
    np.not_equal(in_order[1:], in_order[:-1], out=first[1:])
    return in_order[first]


class Place(NamedTuple):
    """Where a datagram is: which file of the stream, and where in it [bytes]."""

    chunk: int
    offset: int
    size: int


@dataclass(frozen=True, eq=False)
class StreamEvents:
    """Events of one stream.

    Attributes
    ----------
    files : the data files, by chunk, as they are called when they are finished
    timestamps : uint64, growing
    whole : bool, True for those that are wholly on disk
    chunks : int16, which file each is in
    offsets : int64, where in it [bytes]
    sizes : uint32 [bytes]
    """

    files: tuple[Path, ...]
    timestamps: Timestamps
    whole: npt.NDArray[np.bool_]
    chunks: npt.NDArray[np.int16]
    offsets: Indices
    sizes: npt.NDArray[np.uint32]

    def place(self, timestamp: int) -> Place | None:
        """Return where the event of that time is, or None if it has no part here."""
        row = int(np.searchsorted(self.timestamps, np.uint64(timestamp)))
        if row == len(self.timestamps) or self.timestamps[row] != timestamp:
            return None
        if not self.whole[row]:
            return None
        return Place(
            int(self.chunks[row]), int(self.offsets[row]), int(self.sizes[row])
        )

    def at(self, timestamps: Timestamps) -> Self:
        """Return those of these times; which grow."""
        rows = np.searchsorted(self.timestamps, timestamps)
        rows = rows[rows < len(self.timestamps)]
        return self._rows(rows[among(self.timestamps[rows], timestamps)])

    def arrays(self) -> tuple[Array, ...]:
        """Return all that says which events there are, and where."""
        return self.timestamps, self.whole, self.chunks, self.offsets, self.sizes

    def by_time(self) -> Self:
        """Return them in the order of time; nothing is copied if they are."""
        times = self.timestamps
        if (times[1:] >= times[:-1]).all():
            return self
        return self._rows(np.argsort(times, kind="stable"))

    def between(self, first: np.uint64, last: np.uint64) -> Self:
        """Return those from one time to another, both included."""
        begin = int(np.searchsorted(self.timestamps, first))
        end = int(np.searchsorted(self.timestamps, last, side="right"))
        return self._rows(slice(begin, end))

    def _rows(self, rows: slice | npt.NDArray[np.intp]) -> Self:
        return replace(
            self,
            timestamps=self.timestamps[rows],
            whole=self.whole[rows],
            chunks=self.chunks[rows],
            offsets=self.offsets[rows],
            sizes=self.sizes[rows],
        )


@dataclass(frozen=True, eq=False)
class EventTable:
    """Events of a run, all streams together.

    Attributes
    ----------
    begin : number in the run of the first of them
    timestamps : uint64, growing, one per event
    steps : int64, number of the scan step of each event, -1 before the first
    streams : the events of each stream
    """

    begin: int
    timestamps: Timestamps
    steps: Indices
    streams: tuple[StreamEvents, ...]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.timestamps)

    def arrays(self) -> list[Array]:
        """Return all that says which events there are, and where."""
        streams = [array for stream in self.streams for array in stream.arrays()]
        return [self.timestamps, self.steps, *streams]

    def contributed(self, streams: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Tell for each event whether all of these streams have a part of it."""
        present = np.ones(len(self), bool)
        for number in streams:
            stream = self.streams[number]
            present &= among(self.timestamps, stream.timestamps[stream.whole])
        return present

    def between(self, begin: int, end: int) -> Self:
        """Return the events ``[begin, end)``; nothing is copied.

        Parameters
        ----------
        begin, end : numbers in this table, ``0 <= begin <= end <= len``
        """
        timestamps = self.timestamps[begin:end]
        if len(timestamps):
            first, last = timestamps[0], timestamps[-1]
            streams = tuple(stream.between(first, last) for stream in self.streams)
        else:
            streams = tuple(stream.at(timestamps) for stream in self.streams)
        return replace(
            self,
            begin=self.begin + begin,
            timestamps=timestamps,
            steps=self.steps[begin:end],
            streams=streams,
        )

    def at(self, numbers: Indices) -> Self:
        """Return some events, numbered anew from 0.

        Parameters
        ----------
        numbers : in this table, growing
        """
        timestamps = self.timestamps[numbers]
        return replace(
            self,
            begin=0,
            timestamps=timestamps,
            steps=self.steps[numbers],
            streams=tuple(stream.at(timestamps) for stream in self.streams),
        )
