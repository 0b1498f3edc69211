"""What the rest of the package knows of a run: a protocol and a few small types.

A `Run` is events (by number), area detectors (raw frames) and scalars.  There are
several implementations: `smalldata_ana.sources.psana2` reads LCLS-II files through
psana, `smalldata_ana.sources.hdf5_run` reads images and scalars from an HDF5 file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.constants import Constants

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DetectorInfo:
    """One area detector of a run.

    Attributes
    ----------
    name : the name in the data acquisition, which users type
    dettype : its type there, e.g. ``jungfrau``; the key into the table of kinds
    shape : of a raw frame, ``(panels, rows, columns)``, or ``(rows, columns)`` for a
        detector without panels
    dtype : of a raw frame
    panels : numbers of the panels that the data hold; constants may be for more
    serial : serial number(s), or an empty string
    generic : True if the reader does not know this type, and its frames are taken
        as they are
    """

    name: str
    dettype: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    panels: tuple[int, ...] = (0,)
    serial: str = ""
    generic: bool = False


@dataclass(frozen=True)
class ScalarInfo:
    """One value (or small array) per event that stands beside the area detectors.

    Attributes
    ----------
    name : ``<detector>/<field>``, ``epics/<name>`` or ``scan/<name>``
    shape : of the value of one event; ``()`` for a number
    dtype : ``float64``, ``int64`` or ``object`` (text)
    unit : as UDUNITS text, or an empty string where it is not known
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: str = ""


def present(column: Array) -> npt.NDArray[np.bool_]:
    """Tell for which events there is a value, or for an array any of its values.

    Parameters
    ----------
    column : as `Run.scalar` returns it
    """
    rows = column.reshape(len(column), -1)
    if column.dtype == object:
        return np.asarray((rows != "").any(axis=1))
    if column.dtype.kind != "f":
        return np.ones(len(column), bool)
    return np.asarray((~np.isnan(rows)).any(axis=1))


@dataclass(frozen=True)
class Extent:
    """How far a detector reaches, also where the data hold only some of its panels.

    Attributes
    ----------
    x, y : smallest and largest of any pixel's centre [um]
    mean_z : of all pixels [um]
    """

    x: tuple[float, float]
    y: tuple[float, float]
    mean_z: float

    @classmethod
    def of(cls, x: Array, y: Array, z: Array) -> Self:
        """Return the extent of the given pixels."""
        return cls(
            (float(x.min()), float(x.max())),
            (float(y.min()), float(y.max())),
            float(z.mean()),
        )


@dataclass(frozen=True)
class PixelPositions:
    """Where each pixel of a raw frame is, in the psana frame.

    Attributes
    ----------
    x, y, z : float64, shape of a raw frame [um]; x down, y right, z against the beam
    pixel_size : edge of a normal pixel [um]
    origin : where the geometry came from
    extent : of all panels of the detector, or None where these are all; use `whole`
    note : what users must know of the geometry, or an empty string
    panels : how many panels the geometry has, or None where that is not known
    """

    x: Array
    y: Array
    z: Array
    pixel_size: float
    origin: str = ""
    extent: Extent | None = None
    note: str = ""
    panels: int | None = None

    @property
    def whole(self) -> Extent:
        """The extent of the whole detector."""
        return self.extent or Extent.of(self.x, self.y, self.z)


class RunPart(Protocol):
    """Successive events of a run, with what a process needs to read them.

    It can be pickled, and is small: the places of its events in the files, and the
    slow values that these see.

    Attributes
    ----------
    experiment, number : of which run
    begin : number in the run of its first event
    """

    @property
    def experiment(self) -> str:
        """Of which experiment."""

    @property
    def number(self) -> int:
        """Of which run."""

    @property
    def begin(self) -> int:
        """Number in the run of its first event."""

    def __len__(self) -> int:
        """Return the number of events."""

    def checksum(self) -> str:
        """Return a checksum of what there is of its events, and where.

        It is another one when data that were missing have come, or were lost.
        """


class RunHead(Protocol):
    """What a process needs to open a run without a look at all of its events.

    It can be pickled, and its size does not depend on the number of events.
    """

    def open(self) -> Run:
        """Open the run, to turn it to one part after the other.

        Until it is turned, it has the first event of the whole run and those in which
        each detector is complete for the first time, for all that is set up before
        the first event.  Its detectors and scalars are those of the whole run.
        """


@runtime_checkable
class Run(Protocol):
    """A run, open for reading any event in any order, from several threads.

    Events are numbered from 0 in what the run has: all events, or those of the part
    that it is turned to.

    Attributes
    ----------
    experiment, number : which run it is
    origin : the files that it is read from, for people
    begin : number in the whole run of its event 0
    timestamps : uint64, one per event, growing; seconds since 1990 (psana's epoch)
        in the high half, nanoseconds in the low half
    steps : int64, the number of the scan step of each event, -1 before the first
    detectors : the area detectors by name
    scalars : everything else by name
    aliases : the process variable behind each EPICS name, where it is known
    growing : True while events may be added; `refresh` looks for them
    problems : what is wrong with the data (truncated files, missing chunks), a
        sentence each; of a part, what was found while it was read
    """

    experiment: str
    number: int
    origin: str

    @property
    def growing(self) -> bool:
        """True while events may be added; see the class."""

    @property
    def begin(self) -> int:
        """Number in the whole run of event 0; see the class."""

    @property
    def timestamps(self) -> npt.NDArray[np.uint64]:
        """Time of each event; see the class."""

    @property
    def steps(self) -> Indices:
        """Scan step of each event; see the class."""

    @property
    def detectors(self) -> Mapping[str, DetectorInfo]:
        """The area detectors by name."""

    @property
    def scalars(self) -> Mapping[str, ScalarInfo]:
        """Everything else by name."""

    @property
    def aliases(self) -> Mapping[str, str]:
        """The process variable behind each EPICS name; see the class."""

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the data."""

    def __len__(self) -> int:
        """Return the number of events."""

    def contributed(self, detector: str) -> npt.NDArray[np.bool_]:
        """Tell for each event whether the detector's stream has a part of it."""

    def recorded(self, detector: str, events: Indices) -> npt.NDArray[np.bool_]:
        """Tell of which events there were data of a detector, usable or not.

        Parameters
        ----------
        detector : an area detector or another one, as the scalars begin with it
        events : numbers of events in the run

        Returns
        -------
        (events,) True also where the data are incomplete, damaged or cannot be read,
        as far as the source can tell this from no data.

        Raises
        ------
        DetectorNotFound
            if the run has no such detector
        """

    def read(self, detector: str, event: int, out: Array | None = None) -> Array | None:
        """Read one raw frame.

        Parameters
        ----------
        detector : name of an area detector
        event : number of the event in the run
        out : array of the frame's shape and dtype to fill, else a new one is made

        Returns
        -------
        The frame, in memory that belongs to the caller, or None where the detector
        has no (complete) data in this event.
        """

    def scalar(self, name: str, events: Indices | None = None) -> Array:
        """Read a scalar for some events (default: all).

        Returns
        -------
        Array of shape ``(events, *shape)``: float64 with NaN, or text with '', where
        the event has no value.  Whole numbers are int64 if no event lacks one.
        """

    def scalar_columns(
        self, names: Sequence[str], events: Indices | None = None
    ) -> dict[str, Array]:
        """Read several scalars for some events (default: all), each event once.

        Returns
        -------
        By name what `scalar` returns.
        """

    def event_codes(self, events: Indices | None = None) -> npt.NDArray[np.int8]:
        """Return a table ``(events, codes)`` of the event codes.

        1 where the code is present, 0 where it is not, -1 where the event has no
        timing data at all.
        """

    def constants(self, detector: str) -> Constants:
        """Return the calibration constants that are valid for this run."""

    def forget_constants(self, detector: str) -> None:
        """Look for the constants anew when they are asked for next."""

    def pixel_positions(self, detector: str) -> PixelPositions | None:
        """Return where the pixels are, or None for a detector without geometry."""

    def gain_configuration(
        self, detector: str, event: int = 0
    ) -> npt.NDArray[np.uint8] | None:
        """Return the control bits of each pixel at an event, or None if it has none.

        Only epix10ka-like detectors have them; see `smalldata_ana.detector.kinds`.
        """

    def head(self) -> RunHead:
        """Return what another process needs to open this run."""

    def part(self, begin: int, end: int) -> RunPart:
        """Return the events ``[begin, end)``, to turn an opened head to them.

        Raises
        ------
        ParameterError
            if the run has not got all of them
        """

    def part_at(self, numbers: Indices) -> RunPart:
        """Return some events, to turn an opened head to them; they count from 0.

        Parameters
        ----------
        numbers : of the events, growing

        Raises
        ------
        ParameterError
            if they do not grow, or the run has not got all of them
        """

    def turn_to(self, part: RunPart) -> None:
        """Have the events of this part, numbered from 0, and no others from now on.

        What was found out about the run stays as it is.

        Raises
        ------
        ParameterError
            if it is no part of this run
        """

    def refresh(self) -> int:
        """Look for events that were added since, and return how many there are new."""

    def close(self) -> None:
        """Release the files."""
