"""A run in LCLS-II files: psana's datagrams and detectors, our own event index.

psana's own way to a run, ``DataSource``, is not used: it asks the logbook over the
network, reads the events once and in order, gives slow values of a later time when
events are read out of order, stops quietly at damaged data, and leaks descriptors.
What is used are its parsers (``Dgram``, ``Event``), its detector classes and its
geometry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import DetectorNotFound, NameNotFound, unknown
from smalldata_ana.sources.base import (
    Array,
    DetectorInfo,
    Indices,
    PixelPositions,
    RunPart,
    ScalarInfo,
)
from smalldata_ana.sources.constants import Constants
from smalldata_ana.sources.psana2.detectors import (
    Interface,
    control_bits,
    interfaces,
    scalar_methods,
)
from smalldata_ana.sources.psana2.geometry import pixel_positions
from smalldata_ana.sources.psana2.parts import Psana2Head, Psana2Part, RunSource
from smalldata_ana.sources.psana2.presence import recorded, with_all_parts
from smalldata_ana.sources.psana2.reading import DatagramReader
from smalldata_ana.sources.psana2.values import owned, scalar_info, table
from smalldata_ana.sources.run_parts import check_numbers, check_range, own_part

CODES = 288
"""How many event codes there are in LCLS-II's timing data."""

_NO_FILE = -1
_FRAME_RANK = 2


class Psana2Run:
    """A `smalldata_ana.sources.base.Run` of LCLS-II files, turned to some events.

    Parameters
    ----------
    source : which run it is
    configurations : the configuration of each stream
    first : the events that it has until it is turned to a part; what there is in the
        run is found in them
    """

    def __init__(
        self, source: RunSource, configurations: Sequence[Any], first: Psana2Part
    ) -> None:
        self._source = source
        self._configurations = configurations
        self._constants: dict[str, Constants] = {}
        self.experiment, self.number = source.experiment, source.number
        self.origin = source.origin
        self._lock = threading.RLock()
        self._reader = DatagramReader(
            configurations, (source.experiment, source.number, source.begun)
        )
        self._begin_with(first)

    # -- the events ----------------------------------------------------------------

    @property
    def begin(self) -> int:
        """Number in the run of the first event."""
        return self._part.begin

    @property
    def timestamps(self) -> npt.NDArray[np.uint64]:
        """One per event, growing."""
        return self._part.events.timestamps

    @property
    def steps(self) -> Indices:
        """Number of the scan step of each event."""
        return self._part.events.steps

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._part)

    def head(self) -> Psana2Head:
        """Return what another process needs to open this run."""
        found = {self._first_number(interface) for interface in self._interfaces}
        if len(self._first):
            # the values at the begin of the run are those of its first event
            found.add(0)
        numbers = sorted(number for number in found if number is not None)
        return Psana2Head(self._source, self._first.at(np.array(numbers, np.int64)))

    def part(self, begin: int, end: int) -> Psana2Part:
        """Return the events ``[begin, end)`` of those that the run has now."""
        check_range(self, begin, end)
        return self._part.between(begin, end)

    def part_at(self, numbers: Indices) -> Psana2Part:
        """Return some of the events that the run has now; their numbers must grow."""
        check_numbers(self, numbers)
        return self._part.at(numbers)

    def turn_to(self, part: RunPart) -> None:
        """Have the events of this part; see `Run.turn_to`.

        What could not be read of the events before is no longer among the problems.
        """
        own = own_part(self, part, Psana2Part)
        self._reader.forget_problems()
        self._part = own

    def refresh(self) -> int:
        """Return 0: no events are added to a part."""
        return 0

    @property
    def growing(self) -> bool:
        """False: no events are added to a part."""
        return False

    @property
    def problems(self) -> Sequence[str]:
        """What was wrong with the data of the part, a sentence each."""
        return self._reader.problems()

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    # -- what there is ---------------------------------------------------------------

    @cached_property
    def detectors(self) -> Mapping[str, DetectorInfo]:
        """The area detectors by name; one that never had data is left out."""
        found: dict[str, DetectorInfo] = {}
        for interface in self._interfaces:
            info = self._detector_info(interface) if interface.is_area else None
            if info is not None:
                found.setdefault(interface.detector, info)
        return MappingProxyType(found)

    @cached_property
    def scalars(self) -> Mapping[str, ScalarInfo]:
        """Everything else by name."""
        found = {name: info for name, (_, _, info) in self._methods.items()}
        return MappingProxyType(found | self._first.slow.infos())

    @property
    def aliases(self) -> Mapping[str, str]:
        """The name of the process variable behind each EPICS name."""
        names: dict[str, str] = {}
        for stream in self._configurations:
            for segment in getattr(stream, "epicsinfo", {}).values():
                names |= {
                    name: value
                    for name, value in vars(segment.epicsinfo).items()
                    if isinstance(value, str) and name != "keys"
                }
        return names

    def contributed(self, detector: str) -> npt.NDArray[np.bool_]:
        """Tell for each event whether the detector's streams have a part of it."""
        return self._part.events.contributed(self._area(detector).streams)

    def recorded(self, detector: str, events: Indices) -> npt.NDArray[np.bool_]:
        """Tell of which events there were data of a detector; see `Run.recorded`."""
        own = [i for i in self._interfaces if i.detector == detector]
        if not own:
            known = dict.fromkeys(i.detector for i in self._interfaces)
            raise DetectorNotFound(unknown("detector", detector, known, self._where))
        return recorded(self._part.events, own, events, self._event)

    # -- reading -----------------------------------------------------------------

    def read(self, detector: str, event: int, out: Array | None = None) -> Array | None:
        """Read one raw frame; see `smalldata_ana.sources.base.Run.read`."""
        interface = self._area(detector)
        frame = interface.frame_of(self._event(event, interface.streams))
        if frame is None:
            return None
        info = self.detectors[detector]
        target = np.empty(info.shape, info.dtype) if out is None else out
        if isinstance(frame, list):
            for panel, part in zip(target, frame, strict=True):
                panel[...] = part.reshape(panel.shape)
        else:
            target[...] = frame.reshape(info.shape)
        return target

    def scalar(self, name: str, events: Indices | None = None) -> Array:
        """Read a scalar for some events; see `Run.scalar`."""
        return self.scalar_columns([name], events)[name]

    def scalar_columns(
        self, names: Sequence[str], events: Indices | None = None
    ) -> dict[str, Array]:
        """Read scalars for some events, each event once; see `Run.scalar_columns`."""
        part = self._part
        numbers = np.arange(len(part)) if events is None else np.asarray(events)
        for name in names:
            if name not in self.scalars:
                raise NameNotFound(unknown("scalar", name, self.scalars, self._where))
        slow = [name for name in names if name not in self._methods]
        columns = {
            name: part.slow.values(name, part.events.timestamps[numbers])
            for name in slow
        }
        asked = {name: self._methods[name] for name in names if name not in slow}
        values: dict[str, list[Any]] = {name: [] for name in asked}
        streams = {k for interface, _, _ in asked.values() for k in interface.streams}
        for number in numbers if asked else ():
            event = self._event(int(number), sorted(streams))
            for name, (interface, method, _) in asked.items():
                values[name].append(owned(interface.value(method, event)))
        columns |= {name: table(values[name], asked[name][2]) for name in asked}
        return {name: columns[name] for name in names}

    def event_codes(self, events: Indices | None = None) -> npt.NDArray[np.int8]:
        """Return a table of the event codes; see `Run.event_codes`."""
        numbers = np.arange(len(self)) if events is None else np.asarray(events)
        codes_table = np.full((len(numbers), CODES), -1, np.int8)
        name = "timing/eventcodes"
        if name in self._methods:
            interface, method, _ = self._methods[name]
            for row, number in zip(codes_table, numbers, strict=True):
                event = self._event(int(number), interface.streams)
                codes = interface.value(method, event)
                if codes is not None:
                    row[: len(codes)] = codes
        return codes_table

    def constants(self, detector: str) -> Constants:
        """Return the calibration constants that are valid for this run."""
        interface = self._area(detector)
        with self._lock:
            known = self._constants.get(detector)
            if known is None:
                name = f"{interface.dettype}_{interface.serial}"
                known = self._source.constants_for(
                    detector, self.number, interface.serial, name
                )
            # what is missing may come while the run is open, so it is asked for again
            if "pedestals" in known.items:
                self._constants[detector] = known
            return known

    def forget_constants(self, detector: str) -> None:
        """Look for the constants anew when they are asked for next."""
        with self._lock:
            self._constants.pop(detector, None)

    def pixel_positions(self, detector: str) -> PixelPositions | None:
        """Return where the pixels are, or None for a detector without geometry."""
        interface, info = self._area(detector), self.detectors[detector]
        constant = self.constants(detector).items.get("geometry")
        return pixel_positions(interface.reader, info, constant)

    def gain_configuration(
        self, detector: str, event: int = 0
    ) -> npt.NDArray[np.uint8] | None:
        """Return the control bits of each pixel at an event, or None."""
        interface = self._area(detector)
        part = self._part

        def changed(segment: int) -> Mapping[str, Any]:
            if not len(part):
                return {}
            now = part.events.timestamps[event]
            return part.changes.at(detector, segment, now)

        return control_bits(interface, self._configurations, changed)

    # -- inside ------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self.experiment} run {self.number}"

    def _begin_with(self, first: Psana2Part) -> None:
        """Have these events, and find anew what there is in them."""
        self._first = self._part = first
        self._first_numbers: dict[tuple[str, str], int | None] = {}
        for name in ("detectors", "_methods", "scalars"):
            self.__dict__.pop(name, None)

    @cached_property
    def _interfaces(self) -> list[Interface]:
        from psana.dgrammanager import DgramManager

        descriptors = [_NO_FILE] * len(self._configurations)
        manager = DgramManager(
            [str(stream.files[0]) for stream in self._first.events.streams],
            configs=self._configurations,
            fds=descriptors,
        )
        return list(interfaces(manager, self._configurations))

    @cached_property
    def _methods(self) -> dict[str, tuple[Interface, Callable[..., Any], ScalarInfo]]:
        found = {}
        for interface in self._interfaces:
            if interface.is_area:
                continue
            first = self._first_event(interface)
            if first is None:
                continue
            prefix = interface.detector + (
                "" if interface.algorithm == "raw" else f"/{interface.algorithm}"
            )
            for field, method, value in scalar_methods(interface, first):
                name = f"{prefix}/{field}"
                found[name] = (interface, method, scalar_info(name, field, value))
        return found

    def _area(self, detector: str) -> Interface:
        if detector in self.detectors:
            return next(
                interface
                for interface in self._interfaces
                if interface.detector == detector and interface.is_area
            )
        raise DetectorNotFound(
            unknown("area detector", detector, self.detectors, self._where)
        )

    def _detector_info(self, interface: Interface) -> DetectorInfo | None:
        first = self._first_event(interface)
        if first is None:
            return None
        frame = interface.frame_of(first)
        generic = interface.reader is None
        if isinstance(frame, list):
            panel = np.squeeze(np.asarray(frame[0]))
            shape: tuple[int, ...] = (len(frame), *panel.shape)
            dtype = panel.dtype
        else:
            shape, dtype = frame.shape, frame.dtype
        return DetectorInfo(
            name=interface.detector,
            dettype=interface.dettype,
            shape=tuple(int(n) for n in shape),
            dtype=dtype,
            panels=_panels(shape, interface),
            serial=interface.serial,
            generic=generic,
        )

    def _first_event(self, interface: Interface) -> Any:
        """Return the first event in which all segments are there, or None."""
        number = self._first_number(interface)
        if number is None:
            return None
        return self._read(self._first, number, interface.streams)

    def _first_number(self, interface: Interface) -> int | None:
        """Return its number among the events in which the run looks what there is."""
        key = (interface.detector, interface.algorithm)
        if key not in self._first_numbers:
            complete = (
                number
                for number in with_all_parts(self._first.events, interface.streams)
                if interface.parts(self._read(self._first, number, interface.streams))
            )
            self._first_numbers[key] = next(complete, None)
        return self._first_numbers[key]

    def _event(self, number: int, streams: Sequence[int]) -> Any:
        return self._read(self._part, number, streams)

    def _read(self, part: Psana2Part, number: int, streams: Sequence[int]) -> Any:
        """Read what these streams have of an event."""
        timestamp = int(part.events.timestamps[number])
        return self._reader.event(part.events, timestamp, streams)


def _panels(shape: tuple[int, ...], interface: Interface) -> tuple[int, ...]:
    """Return the numbers of the panels of a frame of this shape."""
    if len(shape) <= _FRAME_RANK:
        return (0,)
    if shape[0] == len(interface.segments):
        return interface.segments
    return tuple(range(shape[0]))
