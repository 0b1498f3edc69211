"""Where each event of one stream is: read from its offset file, or from its data.

An xtc2 run is several streams, each a file (and its continuations, the chunks), and
beside each the DAQ writes a small *offset file* that holds all transitions and, for
each event, where its datagram is.  The offset file is read once, whole blocks at a
time, or, where there is none, the headers in the data files.  A stream that grows is
read on from where the last look ended.

Nothing is known here of what is inside a datagram: that is the ``decode`` of whoever
makes the index (`smalldata_ana.sources.psana2`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import FileError
from smalldata_ana.sources.base import Indices
from smalldata_ana.sources.datagrams import (
    HEADER,
    Service,
    on_disk,
    reached,
    service_and_size,
    unfinished,
)
from smalldata_ana.sources.event_table import StreamEvents, Timestamps

Decode = Callable[[bytes], Any]

_BLOCK = 32 << 20
_SERVICE_BYTE = 11
_EXTENT = slice(20, 24)


class Transition(NamedTuple):
    """A datagram that is no event: a step, an update of slow values, the end."""

    timestamp: int
    service: Service
    stream: int
    data: bytes


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
    files : the data files, by chunk, as they are called when they are finished
    events : all events that are known of, and where they are
    transitions : all others, in the order of the file
    ended : True when the end of the run has been seen
    """

    def __init__(
        self, number: int, data: Path, offsets: Path | None, decode: Decode
    ) -> None:
        self.number = number
        self.files = [data]
        self.offset_file = offsets
        self.transitions: list[Transition] = []
        self.ended = False
        self._decode = decode
        self._columns = _Columns()
        self._position = 0
        self._chunk_read = 0
        self._fields: dict[int, int] = {}
        self._cut_event: tuple[int, int] | None = None
        self._cut_offsets = False
        self._damage: tuple[Path, int] | None = None
        self.events = self._settled()

    def scan(self) -> None:
        """Read on from where the last scan ended."""
        self._damage = self._cut_event = None
        if self.offset_file is not None:
            self._scan_offsets(self.offset_file)
        else:
            self._scan_data()
        self.events = self._settled()

    @property
    def on_disk_until(self) -> int:
        """Time until which all of the stream that there will be is on disk."""
        timestamps, whole = self.events.timestamps, self.events.whole
        if not whole.all():
            return int(timestamps[np.argmin(whole)]) - 1
        last = self.transitions[-1].timestamp if self.transitions else 0
        return max(last, int(timestamps[-1]) if len(timestamps) else 0)

    @property
    def size(self) -> int:
        """Bytes of its files on disk, as far as they are known of."""
        offsets = [] if self.offset_file is None else [self.offset_file]
        return sum(_size(path) for path in [*self.files, *offsets])

    @property
    def finished(self) -> bool:
        """True when nothing is added any more."""
        writing = any(unfinished(path).exists() for path in self.files)
        return self.ended and (bool(self.events.whole.all()) or not writing)

    def problems(self) -> list[str]:
        """Say what of the stream is missing on disk, a sentence each."""
        found = []
        stream = f"stream {self.number}"
        whole, chunks = self.events.whole, self.events.chunks
        for chunk, path in enumerate(self.files):
            lost = int(np.count_nonzero(~whole & (chunks == chunk)))
            events = f"{lost} of {len(whole)} events of {stream}"
            if not on_disk(path).exists():
                part = events if lost else f"a part of {stream}"
                found.append(f"{path.name} is missing, and with it {part}")
            elif lost and self.offset_file is None:
                found.append(f"{path.name} is truncated: the end of {stream} is lost")
            elif lost:
                found.append(f"{path.name} is truncated: {events} are lost")
        if self._cut_offsets and self.offset_file is not None:
            found.append(
                f"{self.offset_file.name} is truncated: later events of {stream} are "
                "not known; remove it to have the data file itself indexed"
            )
        if self._damage is not None:
            path, position = self._damage
            found.append(
                f"{path.name} is damaged at byte {position}: what follows of {stream} "
                "is lost"
            )
        return found

    # -- offset files ------------------------------------------------------------

    def _scan_offsets(self, path: Path) -> None:
        with reached(path, lambda now: now.open("rb")) as file:
            file.seek(self._position)
            rest = b""
            while self._damage is None and (block := file.read(_BLOCK)):
                block = rest + block
                used = self._take_block(block)
                self._position += used
                rest = block[used:]
        self._cut_offsets = bool(rest)

    def _take_block(self, block: bytes) -> int:
        """Take the whole datagrams of a block; return how many bytes they are."""
        at = 0
        while at + HEADER.size <= len(block):
            try:
                service, size = service_and_size(memoryview(block)[at:])
            except FileError:
                self._damage = self.offset_file or self.files[0], self._position + at
                break
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
        if size not in self._fields:
            self._fields[size] = self._find_fields(records[0].tobytes())
        at = self._fields[size]
        offsets, sizes = (_column(records, k, "<u8") for k in (at, at + 8))
        self._columns.add(_timestamps(records), offsets, sizes, len(self.files) - 1)

    def _find_fields(self, record: bytes) -> int:
        """Return where offset and size of an event stand in a record of this size."""
        info = self._decode(record).smdinfo[0].offsetAlg
        pair = b"".join(
            int(value).to_bytes(8, "little")
            for value in (info.intOffset, info.intDgramSize)
        )
        found = record.rfind(pair)
        if found < 0:
            raise FileError(
                f"{self.offset_file}: an event's place cannot be read from it; "
                "remove the file to have the data file itself indexed"
            )
        return found

    def _take_transition(self, service: Service, data: bytes) -> None:
        self.transitions.append(
            Transition(_timestamp(data), service, self.number, data)
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
        while on_disk(self.files[self._chunk_read]).exists():
            self._scan_headers(self.files[self._chunk_read])
            if self._chunk_read + 1 == len(self.files):
                return
            self._chunk_read += 1
            self._position = 0

    def _scan_headers(self, path: Path) -> None:
        rows: list[tuple[int, int, int]] = []
        with reached(path, lambda now: now.open("rb")) as file:
            descriptor, end = file.fileno(), os.fstat(file.fileno()).st_size
            while self._position + HEADER.size <= end:
                header = os.pread(descriptor, HEADER.size, self._position)
                try:
                    service, size = service_and_size(header)
                except FileError:
                    self._damage = path, self._position
                    break
                if self._position + size > end:
                    if service.is_event:
                        self._cut_event = _timestamp(header), self._chunk_read
                    break
                if service.is_event:
                    rows.append((_timestamp(header), self._position, size))
                else:
                    data = os.pread(descriptor, size, self._position)
                    self._take_transition(service, data)
                self._position += size
        if rows:
            timestamps, offsets, sizes = zip(*rows, strict=True)
            self._columns.add(
                np.array(timestamps, np.uint64),
                np.array(offsets, np.int64),
                np.array(sizes, np.int64),
                self._chunk_read,
            )

    # -- both --------------------------------------------------------------------

    def _settled(self) -> StreamEvents:
        """Join what was read, and see what of it is on disk."""
        columns = self._columns
        timestamps = _joined(columns.timestamps, np.uint64)
        offsets = _joined(columns.offsets, np.int64)
        sizes = _joined(columns.sizes, np.uint32)
        chunks = _joined(columns.chunks, np.int16)
        self._columns = _Columns([timestamps], [offsets], [sizes], [chunks])
        ends = np.array([_size(path) for path in self.files], np.int64)
        whole = offsets + sizes <= ends[chunks]
        if self._cut_event is not None:
            # known by its header only; the next scan looks at it again
            time, chunk = self._cut_event
            timestamps = np.append(timestamps, np.uint64(time))
            offsets, sizes = np.append(offsets, 0), np.append(sizes, np.uint32(0))
            chunks, whole = np.append(chunks, np.int16(chunk)), np.append(whole, False)
        events = StreamEvents(
            tuple(self.files), timestamps, whole, chunks, offsets, sizes
        )
        return events.by_time()


def _size(path: Path) -> int:
    try:
        return reached(path, os.path.getsize)
    except FileNotFoundError:
        return -1


def _timestamp(header: bytes) -> int:
    low, high = HEADER.unpack_from(header)[:2]
    return int(high << 32 | low)


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
