"""Read datagrams at the places that the index names, from any thread."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smalldata_ana.errors import RunNotFound
from smalldata_ana.sources.datagrams import HEADER, Service, service_and_size
from smalldata_ana.sources.event_index import Place, StreamIndex


def configuration(path: Path) -> Any:
    """Read the first datagram of a file, which describes all others."""
    from psana.dgram import Dgram

    try:
        with open(path, "rb") as file:
            header = file.read(HEADER.size)
            if len(header) == HEADER.size:
                try:
                    service, size = service_and_size(header)
                except ValueError:
                    service, size = Service.EVENT, 0
                data = header + file.read(max(size - HEADER.size, 0))
                if service is Service.CONFIGURE and len(data) == size:
                    return Dgram(view=memoryview(data))
    except OSError as error:
        raise RunNotFound(f"cannot read {path}: {error.strerror}") from error
    raise RunNotFound(f"{path} is not an xtc2 file, or it is cut off at its begin")


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
        self._damaged: Counter[int] = Counter()
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
            for stream, count in sorted(self._damaged.items())
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
        if count == place.size:
            low, high = HEADER.unpack_from(view)[:2]
            service, size = service_and_size(view)
            if high << 32 | low == timestamp and size == count and service.is_event:
                return view
        with self._lock:
            self._damaged[stream] += 1
        return None

    def _descriptor(self, stream: int, chunk: int) -> int:
        with self._lock:
            key = (stream, chunk)
            if key not in self._descriptors:
                path = self._streams[stream].files[chunk]
                self._descriptors[key] = os.open(path, os.O_RDONLY)
            return self._descriptors[key]
