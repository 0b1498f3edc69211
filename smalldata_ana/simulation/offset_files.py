"""Offset files (``.smd.xtc2``): where each event of an xtc2 stream is.

They hold the same transitions as the stream, and for each event a small datagram with
the offset and size of the stream's.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smalldata_ana.errors import FileError
from smalldata_ana.simulation.padding import clear_names
from smalldata_ana.sources.datagrams import (
    HEADER,
    Service,
    service_and_size,
    unfinished,
    whole_datagrams,
)
from smalldata_ana.sources.psana2.mended import psana

_ROOM = 1 << 16


class OffsetFile:
    """An offset file, written beside its stream or after it.

    Parameters
    ----------
    path : where to write it
    configuration : the stream's first datagram
    growing : as for `XtcStream`
    """

    def __init__(
        self, path: Path, configuration: bytes | memoryview, growing: bool
    ) -> None:
        psana()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._growing = path, growing
        self._file = open(unfinished(path) if growing else path, "wb")  # noqa: SIM115
        content, self._event, self._where = _offset_datagrams(configuration)
        self._put(content)

    def add(self, datagram: bytes | memoryview, offset: int) -> None:
        """Note a datagram of the stream; of an event, only the header is looked at."""
        service, size = service_and_size(datagram)
        if not service.is_event:
            self._put(datagram)
            return
        self._event[:12] = datagram[:12]
        for place, number in zip(self._where, (offset, size), strict=True):
            struct.pack_into("<Q", self._event, place, number)
        self._put(self._event)

    def close(self) -> None:
        """Finish the file; a growing one gets its final name."""
        self._file.close()
        if self._growing:
            os.replace(unfinished(self._path), self._path)

    def _put(self, content: bytes | bytearray | memoryview) -> None:
        self._file.write(content)
        if self._growing:
            self._file.flush()


def write_offsets(files: Sequence[Path], offsets: Path) -> int:
    """Write the offset file of a stream that exists, and return its number of events.

    Parameters
    ----------
    files : the stream's file, followed by its chunk files, if any, in order
    offsets : the offset file to write

    Raises
    ------
    FileError
        if the first file does not begin as an xtc2 file does
    """
    with open(files[0], "rb") as file:
        first = next(whole_datagrams(file), None)
        if first is None or first.service != Service.CONFIGURE:
            raise FileError(
                f"{files[0]} does not begin with a configuration: it is not the first "
                "file of an xtc2 stream"
            )
        target = OffsetFile(offsets, os.pread(file.fileno(), first.size, 0), False)
    events = 0
    for path in files:
        with open(path, "rb") as file:
            for item in whole_datagrams(file):
                if item.service == Service.CONFIGURE:
                    continue
                length = HEADER.size if item.service.is_event else item.size
                content = os.pread(file.fileno(), length, item.offset)
                target.add(content, item.offset)
                events += item.service.is_event
    target.close()
    return events


def _offset_datagrams(
    configuration: bytes | memoryview,
) -> tuple[bytes, bytearray, tuple[int, int]]:
    """Make the first datagram of an offset file, and a pattern for its events.

    Returns
    -------
    The configuration with the block ``smdinfo`` added, the datagram of an event, and
    where in that its offset and size are.
    """
    from psana.dgram import Dgram
    from psana.dgramedit import AlgDef, DetectorDef, DgramEdit

    room = len(configuration) + _ROOM
    source = bytearray(room)
    source[: len(configuration)] = configuration
    config = DgramEdit(Dgram(view=memoryview(source), offset=0), bufsize=room)
    info = config.Detector(
        DetectorDef("smdinfo", "offset", ""),
        AlgDef("offsetAlg", 0, 0, 0),
        {"intOffset": (np.uint64, 0), "intDgramSize": (np.uint64, 0)},
    )
    target = bytearray(room)
    config.save(target)
    # now: the size of a DgramEdit changes when others are made from it
    del target[config.size :]
    clear_names(memoryview(target))
    event = DgramEdit(
        transition_id=Service.EVENT, config_dgramedit=config, ts=1, bufsize=_ROOM
    )
    marks = 0x1122334455667788, 0x2233445566778899
    info.offsetAlg.intOffset, info.offsetAlg.intDgramSize = marks
    event.adddata(info.offsetAlg)
    pattern = bytearray(_ROOM)
    event.save(pattern)
    del pattern[event.size :]
    first, second = (pattern.index(struct.pack("<Q", mark)) for mark in marks)
    return bytes(target), pattern, (first, second)
