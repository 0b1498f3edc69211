"""Write xtc2 streams through psana's own writer: one file each, or several chunks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from smalldata_ana.simulation.offset_files import OffsetFile
from smalldata_ana.simulation.padding import Padding
from smalldata_ana.sources.datagrams import Service, unfinished
from smalldata_ana.sources.psana2.mended import psana

Fields = Mapping[str, tuple[type, int]]
"""Name of a field -> its numpy type (or ``str``) and rank; a text has rank 1."""
Values = Mapping["Key", Mapping[str, Any]]


@dataclass(frozen=True)
class Key:
    """What `XtcStream.declare` gives: the name of a block of data in a datagram."""

    detector: str
    algorithm: str
    segment: int


@dataclass(frozen=True)
class _Declaration:
    key: Key
    dettype: str
    serial: str
    version: tuple[int, int, int]
    fields: Fields


class XtcStream:
    """One stream of a run, written datagram by datagram.

    Parameters
    ----------
    path : the first file, ``<exp>-r<run>-s<stream>-c000.xtc2``
    largest : bytes that the largest datagram needs
    offsets : the offset file, or None to write none
    growing : files are called ``….inprogress`` until the stream is closed, and every
        datagram can be read as soon as it is written
    """

    def __init__(
        self,
        path: Path,
        largest: int,
        *,
        offsets: Path | None = None,
        growing: bool = False,
    ) -> None:
        psana()
        self.files: list[Path] = []
        self._growing = growing
        self._room = largest + (1 << 16)
        self._buffer = bytearray(self._room)
        self._declarations: list[_Declaration] = []
        self._blocks: dict[Key, Any] = {}
        self._configuration: Any = None
        self._padding: Padding | None = None
        self._offset_path = offsets
        self._offsets: OffsetFile | None = None
        self._written: list[tuple[Path, int, int]] = []
        self._file = self._open(path)
        self._runinfo = self.declare(
            "runinfo", "runinfo", "", "runinfo", (0, 0, 1),
            {"expt": (str, 1), "runnum": (np.uint32, 0)},
        )  # fmt: skip
        self._chunkinfo = self.declare(
            "chunkinfo", "chunkinfo", "", "chunkinfo", (0, 0, 1),
            {"filename": (str, 1), "chunkid": (np.uint32, 0)},
        )  # fmt: skip

    @property
    def events(self) -> Sequence[tuple[Path, int, int]]:
        """File, offset and size of every event written so far."""
        return self._written

    def declare(
        self,
        detector: str,
        dettype: str,
        serial: str,
        algorithm: str,
        version: tuple[int, int, int],
        fields: Fields,
        segment: int = 0,
    ) -> Key:
        """Announce a block of data; all must be announced before `configure`.

        Parameters
        ----------
        detector, dettype, serial : name, type and serial number of the detector
        algorithm, version : what psana chooses the reading class by
        fields : what each block holds; all of it must be given at every event
        segment : number of the panel
        """
        key = Key(detector, algorithm, segment)
        self._declarations.append(_Declaration(key, dettype, serial, version, fields))
        return key

    def configure(self, time: int, values: Values) -> None:
        """Write the first datagram: the declarations, and values that stay."""
        from psana.dgramedit import AlgDef, DetectorDef, DgramEdit

        dgram = DgramEdit(transition_id=Service.CONFIGURE, ts=time, bufsize=self._room)
        for number, item in enumerate(self._declarations):
            self._blocks[item.key] = dgram.Detector(
                DetectorDef(item.key.detector, item.dettype, item.serial),
                AlgDef(item.key.algorithm, *item.version),
                item.fields,
                nodeId=1,
                namesId=number,
                segment=item.key.segment,
            )
        self._configuration = dgram
        content = self._finish(dgram, values)
        if self._offset_path is not None:
            self._offsets = OffsetFile(self._offset_path, content, self._growing)

    def begin_run(self, time: int, experiment: str, run: int) -> None:
        """Write the datagram that names experiment and run."""
        self.write(
            Service.BEGIN_RUN,
            time,
            {self._runinfo: {"expt": experiment, "runnum": run}},
        )

    def write(self, service: Service, time: int, values: Values | None = None) -> None:
        """Write one datagram: a transition, or an event.

        Parameters
        ----------
        service : which transition, or `Service.EVENT`
        time : its timestamp, the same in all streams of the run
        values : the data, by what `declare` gave
        """
        from psana.dgramedit import DgramEdit

        dgram = DgramEdit(
            transition_id=service,
            config_dgramedit=self._configuration,
            ts=time,
            bufsize=self._room,
        )
        offset = self._file.tell()
        content = self._finish(dgram, values or {})
        if service == Service.EVENT:
            self._written.append((self.files[-1], offset, len(content)))
        if self._offsets is not None:
            self._offsets.add(content, offset)

    def next_chunk(self, time: int) -> None:
        """Announce the next chunk file with an Enable, and go on in it."""
        number = len(self.files)
        first = self.files[0].name
        name = first.replace("-c000.", f"-c{number:03d}.")
        self.write(
            Service.ENABLE,
            time,
            {self._chunkinfo: {"filename": name, "chunkid": number}},
        )
        self._file.close()
        self._file = self._open(self.files[0].with_name(name))

    def close(self) -> None:
        """Finish the files; growing ones get their final names."""
        self._file.close()
        if self._offsets is not None:
            self._offsets.close()
        if self._growing:
            for path in self.files:
                os.replace(unfinished(path), path)

    def _open(self, path: Path) -> BinaryIO:
        self.files.append(path)
        return open(unfinished(path) if self._growing else path, "wb")

    def _finish(self, dgram: Any, values: Values) -> memoryview:
        for key, content in values.items():
            block = getattr(self._blocks[key], key.algorithm)
            for name, value in content.items():
                setattr(block, name, value)
            dgram.adddata(block)
        dgram.save(self._buffer)
        view = memoryview(self._buffer)[: dgram.size]
        if self._padding is None:
            self._padding = Padding(view)
        self._padding.clear(view)
        self._file.write(view)
        if self._growing:
            self._file.flush()
        return view
