"""Where each event of a run is in its files: any event by number, in any order.

An xtc2 run is several streams, each a file (and its continuations, the chunks), and
beside each the DAQ writes a small *offset file* that holds all transitions and, for
each event, where its datagram is.  The index reads the offset files once, whole
blocks at a time, or, where there are none, the headers in the data files.  A growing
run is read on from where the last look ended.

It knows nothing of what is inside a datagram: that is the ``decode`` of whoever makes
it (`smalldata_ana.sources.psana2`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import FileError
from smalldata_ana.sources.base import Indices
from smalldata_ana.sources.datagrams import HEADER, Service, service_and_size

Decode = Callable[[bytes], Any]
Timestamps = npt.NDArray[np.uint64]

_BLOCK = 32 << 20
_SERVICE_BYTE = 11
_EXTENT = slice(20, 24)


class Transition(NamedTuple):
    """A datagram that is no event: a step, an update of slow values, the end."""

    timestamp: int
    service: Service
    stream: int
    data: bytes


class Place(NamedTuple):
    """Where a datagram is: which file of the stream, and where in it [bytes]."""

    chunk: int
    offset: int
    size: int


@dataclass
class _Columns:
    """The events of a stream as they are collected: blocks of columns."""

    timestamps: list[Timestamps] = field(default_factory=list)
    offsets: list[Indices] = field(default_factory=list)
    sizes: list[Indices] = field(default_factory=list)
    chunks: list[Indices] = field(default_factory=list)

    def add(
        self, timestamps: Timestamps, offsets: Indices, sizes: Indices, chunk: int
    ) -> None:
        self.timestamps.append(timestamps)
        self.offsets.append(offsets.astype(np.int64))
        self.sizes.append(sizes.astype(np.uint32))
        self.chunks.append(np.full(len(timestamps), chunk, np.int16))


def _joined(blocks: list[Any], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype)


class StreamIndex:
    """The events and transitions of one stream.

    Parameters
    ----------
    number : which stream of the run it is
    data : its first data file
    offsets : its offset file, or None where there is none
    decode : makes an object of a datagram's bytes; of it are used ``smdinfo`` (the
        place of an event) and ``chunkinfo`` (the name of the next data file)

    Attributes
    ----------
    files : the data files, by chunk
    timestamps : uint64, growing, of the events that are whole on disk
    transitions : all others, in the order of the file
    ended : True when the end of the run has been seen
    cut : how many events lie beyond the end of their data file, or in one that is not
        there
    """

    def __init__(
        self, number: int, data: Path, offsets: Path | None, decode: Decode
    ) -> None:
        self.number = number
        self.files = [data]
        self.offset_file = offsets
        self.transitions: list[Transition] = []
        self.ended = False
        self.cut = 0
        self.timestamps: Timestamps = np.zeros(0, np.uint64)
        self._decode = decode
        self._columns = _Columns()
        self._position = 0
        self._chunk_read = 0
        self._fields: tuple[int, int, int] | None = None

    def scan(self) -> None:
        """Read on from where the last scan ended."""
        if self.offset_file is not None:
            self._scan_offsets(self.offset_file)
        else:
            self._scan_data()
        self._settle()

    def place(self, timestamp: int) -> Place | None:
        """Return where the event of that time is, or None if it has no part here."""
        row = int(np.searchsorted(self.timestamps, np.uint64(timestamp)))
        if row == len(self.timestamps) or self.timestamps[row] != timestamp:
            return None
        return Place(
            int(self._chunks[row]), int(self._offsets[row]), int(self._sizes[row])
        )

    @property
    def latest(self) -> int:
        """Time of the last thing seen, event or transition."""
        last = self.transitions[-1].timestamp if self.transitions else 0
        return max(last, int(self.timestamps[-1]) if len(self.timestamps) else 0)

    # -- offset files ------------------------------------------------------------

    def _scan_offsets(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._position)
            rest = b""
            while block := file.read(_BLOCK):
                block = rest + block
                used = self._take_block(block)
                self._position += used
                rest = block[used:]

    def _take_block(self, block: bytes) -> int:
        """Take the whole datagrams of a block; return how many bytes they are."""
        at = 0
        while at + HEADER.size <= len(block):
            service, size = service_and_size(memoryview(block)[at:])
            if at + size > len(block):
                break
            if service.is_event:
                records = _alike(block, at, size)
                self._take_records(records)
                at += records.size
            else:
                self._take_transition(service, block[at : at + size])
                at += size
        return at

    def _take_records(self, records: npt.NDArray[np.uint8]) -> None:
        size = records.shape[1]
        if self._fields is None or self._fields[0] != size:
            self._fields = (size, *self._find_fields(records[0].tobytes()))
        offset, length = (_column(records, at, "<u8") for at in self._fields[1:])
        self._columns.add(_timestamps(records), offset, length, len(self.files) - 1)

    def _find_fields(self, record: bytes) -> tuple[int, int]:
        """Return where offset and size of an event stand in a record of this size."""
        info = self._decode(record).smdinfo[0].offsetAlg
        found = [
            record.rfind(int(value).to_bytes(8, "little"))
            for value in (info.intOffset, info.intDgramSize)
        ]
        if min(found) < 0:
            raise FileError(
                f"{self.offset_file}: an event's place cannot be read from it; "
                "remove the file to have the data file itself indexed"
            )
        return found[0], found[1]

    def _take_transition(self, service: Service, data: bytes) -> None:
        low, high = HEADER.unpack_from(data)[:2]
        self.transitions.append(
            Transition(high << 32 | low, service, self.number, data)
        )
        if service is Service.END_RUN:
            self.ended = True
        if service is Service.ENABLE and len(data) > HEADER.size:
            for segment in getattr(self._decode(data), "chunkinfo", {}).values():
                if segment.chunkinfo.chunkid >= len(self.files):
                    self.files.append(
                        self.files[0].with_name(segment.chunkinfo.filename)
                    )

    # -- data files --------------------------------------------------------------

    def _scan_data(self) -> None:
        while self._chunk_read < len(self.files):
            path = self.files[self._chunk_read]
            if not path.exists():
                return
            self._scan_headers(path)
            if self._chunk_read + 1 == len(self.files):
                return
            self._chunk_read += 1
            self._position = 0

    def _scan_headers(self, path: Path) -> None:
        rows: list[tuple[int, int, int]] = []
        with path.open("rb") as file:
            descriptor, end = file.fileno(), os.fstat(file.fileno()).st_size
            while self._position + HEADER.size <= end:
                header = os.pread(descriptor, HEADER.size, self._position)
                service, size = service_and_size(header)
                if service.is_event:
                    low, high = HEADER.unpack(header)[:2]
                    rows.append((high << 32 | low, self._position, size))
                if self._position + size > end:
                    break
                if not service.is_event:
                    data = os.pread(descriptor, size, self._position)
                    self._take_transition(service, data)
                self._position += size
            else:
                # a header that is itself cut counts as one more cut event
                self.cut += self._position < end
        if rows:
            timestamps, offsets, sizes = zip(*rows, strict=True)
            self._columns.add(
                np.array(timestamps, np.uint64),
                np.array(offsets, np.int64),
                np.array(sizes, np.int64),
                self._chunk_read,
            )

    # -- both --------------------------------------------------------------------

    def _settle(self) -> None:
        """Join what was read, and leave out what is not on disk (yet)."""
        columns = self._columns
        timestamps = _joined(columns.timestamps, np.uint64)
        offsets = _joined(columns.offsets, np.int64)
        sizes = _joined(columns.sizes, np.uint32)
        chunks = _joined(columns.chunks, np.int16)
        self._columns = _Columns([timestamps], [offsets], [sizes], [chunks])
        ends = np.array([_size(path) for path in self.files], np.int64)
        whole = offsets + sizes <= ends[chunks]
        order = np.flatnonzero(whole)
        order = order[np.argsort(timestamps[order], kind="stable")]
        self.cut = int(len(timestamps) - len(order))
        self.timestamps = timestamps[order]
        self._offsets, self._sizes = offsets[order], sizes[order]
        self._chunks = chunks[order]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _alike(block: bytes, at: int, size: int) -> npt.NDArray[np.uint8]:
    """Return the events from ``at`` on that are all of this size, one per row.

    They are looked at in pieces that double, so that a block of many short series
    costs no more than one of a long one.
    """
    most = (len(block) - at) // size
    rows = np.frombuffer(block, np.uint8, most * size, at).reshape(most, size)
    extent = rows[0, _EXTENT]
    count, piece = 1, 64
    while count < most:
        part = rows[count : count + piece]
        service = part[:, _SERVICE_BYTE] & 0xF
        event = (service == Service.EVENT) | (service == Service.END_OF_BATCH)
        same = event & (part[:, _EXTENT] == extent).all(axis=1)
        if not same.all():
            return rows[: count + int(np.argmin(same))]
        count, piece = count + len(part), 2 * piece
    return rows


def _column(records: npt.NDArray[np.uint8], at: int, dtype: str) -> npt.NDArray[Any]:
    width = np.dtype(dtype).itemsize
    return np.ascontiguousarray(records[:, at : at + width]).view(dtype)[:, 0]


def _timestamps(records: npt.NDArray[np.uint8]) -> Timestamps:
    low, high = (_column(records, at, "<u4").astype(np.uint64) for at in (0, 4))
    return high << np.uint64(32) | low


class EventIndex:
    """The events of a run: all streams together, numbered by time.

    Parameters
    ----------
    streams : the streams, which are scanned here
    growing : True while the run is being taken: an event then counts only when all
        streams have come past it, so that its number and its parts never change

    Attributes
    ----------
    timestamps : uint64, growing, one per event
    steps : int64, number of the scan step of each event, -1 before the first
    """

    def __init__(self, streams: Sequence[StreamIndex], growing: bool = False) -> None:
        self.streams = streams
        self.growing = growing
        self.timestamps: Timestamps = np.zeros(0, np.uint64)
        self.steps: Indices = np.zeros(0, np.int64)
        self.refresh()

    def refresh(self) -> int:
        """Look for events that were added since; return how many there are new."""
        before = len(self.timestamps)
        for stream in self.streams:
            stream.scan()
        self.timestamps = np.unique(
            np.concatenate([stream.timestamps for stream in self.streams])
        )
        if self.growing and not all(stream.ended for stream in self.streams):
            limit = min(stream.latest for stream in self.streams)
            self.timestamps = self.timestamps[self.timestamps <= np.uint64(limit)]
        begins = np.unique([t.timestamp for t in self.transitions(Service.BEGIN_STEP)])
        self.steps = (
            np.searchsorted(begins.astype(np.uint64), self.timestamps, side="right") - 1
        ).astype(np.int64)
        return len(self.timestamps) - before

    def contributed(self, streams: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Tell for each event whether all of these streams have a part of it."""
        present = np.ones(len(self.timestamps), bool)
        for number in streams:
            present &= np.isin(
                self.timestamps, self.streams[number].timestamps, assume_unique=True
            )
        return present

    def transitions(self, *services: Service) -> Iterator[Transition]:
        """Yield the transitions of these kinds, stream after stream."""
        for stream in self.streams:
            yield from (t for t in stream.transitions if t.service in services)

    def problems(self) -> list[str]:
        """Say what is missing on disk, a sentence for each stream concerned."""
        found = []
        for stream in self.streams:
            absent = [path for path in stream.files if not path.exists()]
            found += [
                f"{path.name} is missing, and with it a part of stream {stream.number}"
                for path in absent
            ]
            if stream.cut and not absent and not self.growing:
                found.append(
                    f"{stream.files[-1].name} is truncated: {stream.cut} of "
                    f"{len(stream.timestamps) + stream.cut} events of stream "
                    f"{stream.number} are lost"
                )
        return found
