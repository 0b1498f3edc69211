"""A run in one HDF5 file: images and scalars without psana.

For people whose data do not come from LCLS-II, and for tests.  The layout of the file
is described in `smalldata_ana.sources.hdf5_contents`; `write_run` makes such a file,
and any HDF5 library can.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import (
    DetectorNotFound,
    FileError,
    NameNotFound,
    ParameterError,
    unknown,
)
from smalldata_ana.safe_files import replacing
from smalldata_ana.sources.base import (
    Array,
    DetectorInfo,
    Indices,
    PixelPositions,
    RunPart,
    ScalarInfo,
    present,
)
from smalldata_ana.sources.constants import NAMES, Constant, Constants
from smalldata_ana.sources.hdf5_contents import Contents, is_text, open_contents
from smalldata_ana.sources.hdf5_geometry import read_positions, write_positions
from smalldata_ana.sources.hdf5_parts import Hdf5Head, Hdf5Part
from smalldata_ana.sources.run_parts import check_numbers, check_range, own_part

CODES = 288
"""Number of event codes at LCLS-II: the columns of a table without timing data."""


class Hdf5Run:
    """A `smalldata_ana.sources.base.Run` over one HDF5 file.

    Parameters
    ----------
    path : the file; `smalldata_ana.sources.hdf5_contents` describes its layout
    first : the events that the run has until it is turned to a part; default: all

    Raises
    ------
    RunNotFound
        if there is no such file, or it is not HDF5
    FileError
        if the file lacks a required part, or its parts do not fit each other
    """

    def __init__(
        self, path: str | os.PathLike[str], first: Hdf5Part | None = None
    ) -> None:
        self._path = Path(path).expanduser().absolute()
        self._lock = threading.RLock()
        self._contents: Contents | None = open_contents(self._path, events=first)
        self._is_whole = first is None
        self._first = self._part = self._contents.events
        self.experiment = self._contents.experiment
        self.number = self._contents.number
        self.origin = str(self._path)
        self.problems: Sequence[str] = ()
        self.aliases: Mapping[str, str] = {}
        self.growing = False

    def __repr__(self) -> str:
        return f"<Hdf5Run {self.experiment} run {self.number}: {self.origin}>"

    def __len__(self) -> int:
        return len(self._part)

    @property
    def begin(self) -> int:
        """Number in the run of the first event."""
        return self._part.begin

    @property
    def timestamps(self) -> npt.NDArray[np.uint64]:
        """Time of each event, growing."""
        return self._part.timestamps

    @property
    def steps(self) -> Indices:
        """Number of the scan step of each event."""
        return self._part.steps

    @property
    def detectors(self) -> Mapping[str, DetectorInfo]:
        """The area detectors by name."""
        return self._opened().detectors

    @property
    def scalars(self) -> Mapping[str, ScalarInfo]:
        """Everything else by name."""
        return self._opened().scalars

    def contributed(self, detector: str) -> npt.NDArray[np.bool_]:
        """Tell for each event whether the detector has data."""
        self._detector(detector)
        return ~self._part.missing[detector]

    def recorded(self, detector: str, events: Indices) -> npt.NDArray[np.bool_]:
        """Tell of which events the file has data of a detector."""
        names = [name for name in self.scalars if name.split("/")[0] == detector]
        if detector in self.detectors or not names:
            return self.contributed(detector)[events]
        columns = self.scalar_columns(names, events).values()
        return np.asarray(np.any([present(column) for column in columns], axis=0))

    def read(self, detector: str, event: int, out: Array | None = None) -> Array | None:
        """Read one raw frame, or None where the detector has no data."""
        info = self._detector(detector)
        self._check_event(event)
        if out is None:
            out = np.empty(info.shape, info.dtype)
        elif out.shape != info.shape or out.dtype != info.dtype:
            raise ParameterError(
                f"out has shape {out.shape} and type {out.dtype}; a frame of "
                f"{detector!r} has {info.shape} and {info.dtype}"
            )
        elif not out.flags.c_contiguous:
            raise ParameterError("out must be C-contiguous, not a strided view")
        with self._file() as file:
            if self._part.missing[detector][event]:
                return None
            row = int(self._part.rows[event])
            file[f"images/{detector}"].read_direct(out, np.s_[row])
        return out

    def scalar(self, name: str, events: Indices | None = None) -> Array:
        """Read a scalar for some events (default: all)."""
        return self.scalar_columns([name], events)[name]

    def scalar_columns(
        self, names: Sequence[str], events: Indices | None = None
    ) -> dict[str, Array]:
        """Read scalars for some events (default: all)."""
        columns = {}
        for name in names:
            if name not in self.scalars:
                raise NameNotFound(unknown("scalar", name, self.scalars, self._where))
            with self._file() as file:
                values = self._rows(file[f"scalars/{name}"], events)
            columns[name] = np.asarray(values, self.scalars[name].dtype)
        return columns

    def event_codes(self, events: Indices | None = None) -> npt.NDArray[np.int8]:
        """Return the table of the event codes for some events (default: all)."""
        with self._file() as file:
            if "event_codes" in file:
                return self._rows(file["event_codes"], events).astype(np.int8)
        count = len(self) if events is None else len(events)
        return np.full((count, CODES), -1, np.int8)

    def constants(self, detector: str) -> Constants:
        """Return the calibration constants that the file has for a detector."""
        self._detector(detector)
        origin, run = f"{self.origin}:/constants/{detector}", self.number
        with self._file() as file:
            group = file.get(f"constants/{detector}", {})
            items = {
                name: Constant(name, _value(group[name]), run, run, origin)
                for name in NAMES
                if name in group
            }
        return Constants(detector, items, places=(origin,))

    def forget_constants(self, detector: str) -> None:
        """Do nothing: the constants of the file are read each time."""

    def pixel_positions(self, detector: str) -> PixelPositions | None:
        """Return where the pixels are, or None if the file does not say it."""
        self._detector(detector)
        with self._file() as file:
            group = file.get(f"geometry/{detector}")
            if group is None:
                return None
            return read_positions(group, self.origin)

    def gain_configuration(
        self, detector: str, event: int = 0
    ) -> npt.NDArray[np.uint8] | None:
        """Return the control bits of the pixels, or None if there are none."""
        self._detector(detector)
        self._check_event(event)
        with self._file() as file:
            dataset = file.get(f"gain_configuration/{detector}")
            return None if dataset is None else np.asarray(dataset[()], np.uint8)

    def head(self) -> Hdf5Head:
        """Return what another process needs to open this run."""
        there = [np.flatnonzero(~gone)[:1] for gone in self._first.missing.values()]
        numbers = np.unique(np.concatenate([np.arange(len(self._first))[:1], *there]))
        return Hdf5Head(self._path, self._first.at(numbers))

    def part(self, begin: int, end: int) -> Hdf5Part:
        """Return the events ``[begin, end)`` of those that the run has now."""
        check_range(self, begin, end)
        return self._part.between(begin, end)

    def part_at(self, numbers: Indices) -> Hdf5Part:
        """Return some of the events that the run has now; their numbers must grow."""
        check_numbers(self, numbers)
        return self._part.at(numbers)

    def turn_to(self, part: RunPart) -> None:
        """Have the events of this part, and no others, from now on."""
        self._part = own_part(self, part, Hdf5Part)

    def refresh(self) -> int:
        """Open the file anew, and return how many events were added.

        The run has all its events then, also where it was turned to a part; but one
        that was opened by its head has the events of its part, and no more.
        """
        if not self._is_whole:
            return 0
        with self._lock:
            before = len(self._first)
            # HDF5 shows what was added only after the file was closed altogether.
            self.close()
            self._contents = open_contents(self._path)
            self._first = self._part = self._contents.events
            added = len(self) - before
        if added < 0:
            raise FileError(
                f"{self.origin} has become shorter: {before + added} events, "
                f"{before} before; open the run again"
            )
        return added

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._contents is not None:
                self._contents.file.close()
                self._contents = None

    @property
    def _where(self) -> str:
        return f"{self.experiment} run {self.number}"

    def _opened(self) -> Contents:
        # During refresh() another thread has to wait for the file opened anew.
        with self._lock:
            if self._contents is None:
                raise FileError(f"{self.origin} was closed; open the run again")
            return self._contents

    @contextmanager
    def _file(self) -> Iterator[h5py.File]:
        with self._lock:
            try:
                yield self._opened().file
            except OSError as error:
                raise FileError(f"{self.origin} cannot be read: {error}") from error

    def _detector(self, name: str) -> DetectorInfo:
        known = self.detectors
        if name not in known:
            raise DetectorNotFound(unknown("area detector", name, known, self._where))
        return known[name]

    def _check_event(self, event: int) -> None:
        if not 0 <= event < len(self):
            raise ParameterError(
                f"no event {event} in {self._where}; it has {len(self)} events, "
                "counted from 0"
            )

    def _rows(self, dataset: h5py.Dataset, events: Indices | None) -> Array:
        """Read the rows of some events; they may be asked for in any order."""
        rows = self._part.rows
        if events is not None:
            events = np.asarray(events, np.int64)
            for event in (events.min(), events.max()) if events.size else ():
                self._check_event(int(event))
            rows = rows[events]
        begin, end = (int(rows.min()), int(rows.max()) + 1) if rows.size else (0, 0)
        source = dataset.asstr() if is_text(dataset) else dataset
        return np.asarray(source[begin:end])[rows - begin]


def _value(dataset: h5py.Dataset) -> npt.NDArray[Any] | str:
    return str(dataset.asstr()[()]) if is_text(dataset) else np.asarray(dataset[()])


def write_run(
    path: str | os.PathLike[str],
    *,
    experiment: str,
    run: int,
    images: Mapping[str, Array],
    timestamps: npt.NDArray[np.uint64] | None = None,
    scalars: Mapping[str, Array] = {},
    units: Mapping[str, str] = {},
    steps: Indices | None = None,
    event_codes: npt.NDArray[np.int8] | None = None,
    dettypes: Mapping[str, str] = {},
    missing: Mapping[str, npt.NDArray[np.bool_]] = {},
    positions: Mapping[str, PixelPositions] = {},
    constants: Mapping[str, Mapping[str, npt.NDArray[Any] | str]] = {},
    gain_configuration: Mapping[str, npt.NDArray[np.uint8]] = {},
) -> Path:
    """Write a run that `Hdf5Run` reads.

    Parameters
    ----------
    path : the file; one that is there is replaced when the new one is complete
    experiment, run : which run it is
    images : raw frames by detector, (events, rows, columns) or
        (events, panels, rows, columns)
    timestamps : (events,), growing; default: one event a second
    scalars : (events, ...) by name, numbers or text
    units : units of the scalars by name, as UDUNITS text
    steps : (events,) numbers of the scan steps
    event_codes : (events, codes): 1 present, 0 not, -1 no timing data
    dettypes : types of the detectors in the data acquisition, by name
    missing : (events,) by detector, True where it has no data
    positions : positions of the pixels by detector
    constants : calibration constants by detector and psana's name of the constant
    gain_configuration : control bits of the pixels by detector

    Returns
    -------
    The file.

    Raises
    ------
    ParameterError
        if something is given for a detector or scalar that is not there
    FileError
        if the parts do not fit each other, or the file cannot be written
    """
    for names in (dettypes, missing, positions, constants, gain_configuration):
        _check_names("area detector", names, images)
    _check_names("scalar", units, scalars)
    for items in constants.values():
        _check_names("constant", items, NAMES)
    path = Path(path).expanduser().absolute()
    with _written_aside(path) as file:
        file.attrs.update(experiment=experiment, run=run)
        columns = {"timestamps": timestamps, "steps": steps, "event_codes": event_codes}
        _put(file, "", {k: v for k, v in columns.items() if v is not None})
        _put(file, "images/", images)
        _put(file, "scalars/", scalars)
        _put(file, "missing/", missing)
        _put(file, "gain_configuration/", gain_configuration)
        for name, items in constants.items():
            _put(file, f"constants/{name}/", items)
        for name, where in positions.items():
            write_positions(file.create_group(f"geometry/{name}"), where)
        for name, dettype in dettypes.items():
            file[f"images/{name}"].attrs["dettype"] = dettype
        for name, unit in units.items():
            file[f"scalars/{name}"].attrs["units"] = unit
    return path


def _check_names(what: str, names: Mapping[str, Any], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ParameterError(unknown(what, name, known))


def _put(file: h5py.File, folder: str, values: Mapping[str, Array | str]) -> None:
    for name, value in values.items():
        file[folder + name] = _storable(value)


def _storable(value: Array | str) -> Array | str:
    """Turn numpy's own text type, which HDF5 does not have, into text objects."""
    unicode = isinstance(value, np.ndarray) and value.dtype.kind == "U"
    return np.asarray(value, object) if unicode else value


@contextmanager
def _written_aside(path: Path) -> Iterator[h5py.File]:
    """Give a new file; check it when it is written, and put it into its place."""
    with replacing(path) as aside:
        try:
            with h5py.File(aside, "w") as file:
                yield file
        except (TypeError, ValueError) as error:
            raise FileError(f"cannot write {path}: {error}") from error
        open_contents(aside, shown_as=path).file.close()
