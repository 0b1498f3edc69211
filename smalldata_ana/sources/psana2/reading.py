"""Read datagrams at the places that the index names, from any thread."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smalldata_ana.errors import FileError, RunNotFound
from smalldata_ana.sources.datagrams import (
    HEADER,
    Service,
    on_disk,
    service_and_size,
)
from smalldata_ana.sources.stream_index import Place, StreamIndex


def configuration(path: Path) -> Any:
    """Read the first datagram of a file, which describes all others."""
    from psana.dgram import Dgram

    try:
        with on_disk(path).open("rb") as file:
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


class DatagramReader:
    """Makes psana's events of the datagrams of a run.

    Parameters
    ----------
    streams : where the datagrams are
    configurations : the configuration of each stream
    identity : experiment, run number and time of the begin of the run
    """

    def __init__(
        self,
        streams: Sequence[StreamIndex],
        configurations: Sequence[Any],
        identity: tuple[str, int, int],
    ) -> None:
        from psana.psexp.run_ctx import RunCtx

        self._streams = streams
        self._configurations = configurations
        self._context = RunCtx(*identity)
        self._descriptors: dict[tuple[int, int], int] = {}
        self._damaged: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._local = threading.local()

    def event(self, timestamp: int, streams: Sequence[int]) -> Any:
        """Return psana's event of that time, with the parts that these streams have.

        Its memory is this thread's, until the thread reads the next one.
        """
        from psana.dgram import Dgram
        from psana.event import Event

        parts: list[Any] = [None] * len(self._configurations)
        for stream in streams:
            place = self._streams[stream].place(timestamp)
            data = None if place is None else self._bytes(stream, place, timestamp)
            if data is not None:
                parts[stream] = Dgram(config=self._configurations[stream], view=data)
        return Event(dgrams=parts, run=self._context)

    def problems(self) -> list[str]:
        """Say which parts of events could not be read so far."""
        return [
            f"{count} events of stream {stream} are damaged and count as missing"
            for stream, count in sorted(Counter(s for s, _ in self._damaged).items())
        ]

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        with self._lock:
            for descriptor in self._descriptors.values():
                os.close(descriptor)
            self._descriptors.clear()

    def _bytes(self, stream: int, place: Place, timestamp: int) -> memoryview | None:
        """Read a datagram into this thread's buffer; None, and noted, if it is bad.

        psana's parser ends the process at data that are not what it expects, so the
        header is compared with the index before.
        """
        buffers = self._local.__dict__.setdefault("buffers", {})
        buffer = buffers.get(stream)
        if buffer is None or len(buffer) < place.size:
            buffer = buffers[stream] = bytearray(place.size)
        view = memoryview(buffer)[: place.size]
        count = os.preadv(self._descriptor(stream, place.chunk), [view], place.offset)
        if count == place.size and _is_event(view, timestamp):
            return view
        with self._lock:
            self._damaged.add((stream, timestamp))
        return None

    def _descriptor(self, stream: int, chunk: int) -> int:
        with self._lock:
            key = (stream, chunk)
            if key not in self._descriptors:
                path = on_disk(self._streams[stream].files[chunk])
                self._descriptors[key] = os.open(path, os.O_RDONLY)
            return self._descriptors[key]


def _is_event(data: memoryview, timestamp: int) -> bool:
    """Tell whether these are the bytes of the event of that time."""
    try:
        service, size = service_and_size(data)
    except FileError:
        return False
    low, high = HEADER.unpack_from(data)[:2]
    return service.is_event and size == len(data) and high << 32 | low == timestamp
