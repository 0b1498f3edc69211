"""Read datagrams at the places that the index names, from any thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from smalldata_ana.errors import FileError, RunNotFound, counted
from smalldata_ana.sources.datagrams import (
    HEADER,
    Service,
    reached,
    service_and_size,
)
from smalldata_ana.sources.event_table import EventTable, Place, StreamEvents


def configuration(path: Path) -> Any:
    """Read the first datagram of a file, which describes all others."""
    from psana.dgram import Dgram

    try:
        with reached(path, lambda now: now.open("rb")) as file:
            header = file.read(HEADER.size)
            service, size = service_and_size(header.ljust(HEADER.size, b"\0"))
            if service is not Service.CONFIGURE:
                raise RunNotFound(f"{path} is not the first file of an xtc2 stream")
            data = header + file.read(size - HEADER.size)
    except OSError as error:
        raise RunNotFound(f"cannot read {path}: {error.strerror}") from error
    except FileError as error:
        raise RunNotFound(f"{path} is not an xtc2 file") from error
    if len(data) < size:
        raise RunNotFound(f"{path} is cut off within its first datagram")
    return Dgram(view=memoryview(data))


def decoder(configuration: Any) -> Callable[[bytes], Any]:
    """Return what decodes the datagrams of a stream that are kept in memory."""
    from psana.dgram import Dgram

    return lambda data: Dgram(config=configuration, view=memoryview(data), offset=0)


class DatagramReader:
    """Makes psana's events of the datagrams of a run.

    Each thread keeps the last datagram that it read of each stream, as several
    detectors and scalars of an event are asked for one by one.

    Parameters
    ----------
    configurations : the configuration of each stream
    identity : experiment, run number and time of the begin of the run
    """

    def __init__(
        self, configurations: Sequence[Any], identity: tuple[str, int, int]
    ) -> None:
        from psana.psexp.run_ctx import RunCtx

        self._configurations = configurations
        self._context = RunCtx(*identity)
        self._descriptors: dict[Path, int] = {}
        self._damaged: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._local = _Kept()

    def event(self, events: EventTable, timestamp: int, streams: Sequence[int]) -> Any:
        """Return psana's event of that time, with the parts that these streams have.

        Its memory is this thread's, until the thread reads another event.

        Raises
        ------
        FileError
            if a file cannot be read
        """
        from psana.event import Event

        parts: list[Any] = [None] * len(self._configurations)
        for number in streams:
            parts[number] = self._part(number, events.streams[number], timestamp)
        return Event(dgrams=parts, run=self._context)

    def problems(self) -> list[str]:
        """Say which parts of events could not be read so far."""
        with self._lock:
            damaged = sorted(self._damaged)
        found = []
        for stream, events in groupby(damaged, key=itemgetter(0)):
            times = [time for _, time in events]
            found.append(
                f"stream {stream} has {counted(len(times), 'damaged event')}, taken as "
                f"missing, the first at timestamp {times[0]}"
            )
        return found

    def forget_problems(self) -> None:
        """Begin anew to count what could not be read."""
        with self._lock:
            self._damaged.clear()

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        with self._lock:
            for descriptor in self._descriptors.values():
                os.close(descriptor)
            self._descriptors.clear()

    def _part(self, number: int, stream: StreamEvents, timestamp: int) -> Any:
        """Return psana's datagram of a stream, or None if there is none."""
        from psana.dgram import Dgram

        kept = self._local.parts.get(number)
        if kept is not None and kept[0] == timestamp:
            return kept[1]
        place = stream.place(timestamp)
        if place is None:
            return None
        # what was kept goes first, as its memory is written over
        self._local.parts.pop(number, None)
        data = self._bytes(number, stream.files[place.chunk], place, timestamp)
        if data is None:
            return None
        part = Dgram(config=self._configurations[number], view=data)
        self._local.parts[number] = (timestamp, part)
        return part

    def _bytes(
        self, stream: int, path: Path, place: Place, timestamp: int
    ) -> memoryview | None:
        """Read a datagram into this thread's buffer; None, and noted, if it is bad.

        psana's parser ends the process at data that are not what it expects, so the
        header is compared with the index before.
        """
        buffers = self._local.buffers
        buffer = buffers.get(stream)
        if buffer is None or len(buffer) < place.size:
            buffer = buffers[stream] = bytearray(place.size)
        view = memoryview(buffer)[: place.size]
        try:
            count = os.preadv(self._descriptor(path), [view], place.offset)
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from error
        if count == place.size and _is_event(view, timestamp):
            return view
        with self._lock:
            self._damaged.add((stream, timestamp))
        return None

    def _descriptor(self, path: Path) -> int:
        with self._lock:
            if path not in self._descriptors:
                self._descriptors[path] = reached(
                    path, lambda now: os.open(now, os.O_RDONLY)
                )
            return self._descriptors[path]


class _Kept(threading.local):
    """What a thread read last of each stream: its memory; timestamp and datagram."""

    def __init__(self) -> None:
        self.buffers: dict[int, bytearray] = {}
        self.parts: dict[int, tuple[int, Any]] = {}


def _is_event(data: memoryview, timestamp: int) -> bool:
    """Tell whether these are the bytes of the event of that time."""
    try:
        service, size = service_and_size(data)
    except FileError:
        return False
    low, high = HEADER.unpack_from(data)[:2]
    return service.is_event and size == len(data) and high << 32 | low == timestamp
