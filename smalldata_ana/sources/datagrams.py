"""The outside of an xtc2 file: one datagram after the other, each with a header."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, TypeVar

from smalldata_ana.errors import FileError

T = TypeVar("T")

HEADER = struct.Struct("<6I")
"""Time stamp (low, high), env, source, damage and type, extent."""

_XTC = 12


class Service(IntEnum):
    """What a datagram is: a transition, or an event."""

    CONFIGURE = 2
    BEGIN_RUN = 4
    END_RUN = 5
    BEGIN_STEP = 6
    END_STEP = 7
    ENABLE = 8
    DISABLE = 9
    SLOW_UPDATE = 10
    END_OF_BATCH = 11
    EVENT = 12

    @property
    def is_event(self) -> bool:
        """True for an event, also for one that ends a batch."""
        return self in (Service.EVENT, Service.END_OF_BATCH)


def timestamp(nanoseconds: int) -> int:
    """Return psana's timestamp of a time in nanoseconds since 1990.

    Seconds are in the high half, nanoseconds in the low half.
    """
    seconds, rest = divmod(nanoseconds, 10**9)
    return seconds << 32 | rest


@dataclass(frozen=True)
class Datagram:
    """One datagram of a file: what it is, and where."""

    service: Service
    offset: int
    size: int


def service_and_size(header: bytes | memoryview) -> tuple[Service, int]:
    """Return what a datagram is, and its size in bytes, from its header.

    Raises
    ------
    FileError
        if these bytes are not the header of a datagram
    """
    # timestamp (8 bytes) and env (4) are followed by an Xtc, whose extent counts
    # its own 12 bytes, but not those before it
    _, _, env, _, _, extent = HEADER.unpack_from(header)
    size = extent + HEADER.size - _XTC
    try:
        service = Service(env >> 24 & 0xF)
    except ValueError:
        size = 0
    if size < HEADER.size:
        raise FileError(f"not the header of a datagram: {bytes(header[:24]).hex()}")
    return service, size


def begins(path: Path) -> bool:
    """Tell whether the first datagram of a file is whole; others are not looked at.

    What is no datagram at all counts as whole: who reads it says so.
    """
    with path.open("rb") as file:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return False
        try:
            return service_and_size(header)[1] <= os.fstat(file.fileno()).st_size
        except FileError:
            return True


def whole_datagrams(file: BinaryIO) -> Iterator[Datagram]:
    """Yield the whole datagrams of a file; a cut one at the end is left out."""
    offset, end = 0, os.fstat(file.fileno()).st_size
    while offset + HEADER.size <= end:
        header = os.pread(file.fileno(), HEADER.size, offset)
        service, size = service_and_size(header)
        if offset + size > end:
            return
        yield Datagram(service, offset, size)
        offset += size


def unfinished(path: Path) -> Path:
    """Return what a file is called while it is being written."""
    return path.with_name(path.name + ".inprogress")


def on_disk(path: Path) -> Path:
    """Return the path of a file that may still be written: as it is called now."""
    writing = unfinished(path)
    return writing if writing.exists() and not path.exists() else path


def reached(path: Path, by: Callable[[Path], T]) -> T:
    """Return what a function finds at a path, also if the file is just being renamed.

    Parameters
    ----------
    path : of a file that may still be written: as it is called in the end
    by : the function
    """
    try:
        return by(on_disk(path))
    except FileNotFoundError:
        return by(path)
