"""A run in LCLS-II files: psana's datagrams and detectors, our own event index.

psana's own way to a run, ``DataSource``, is not used: it asks the logbook over the
network, reads the events once and in order, gives slow values of a later time when
events are read out of order, stops quietly at damaged data, and leaks descriptors.
What is used are its parsers (``Dgram``, ``Event``), its detector classes and its
geometry.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import (
    DetectorNotFound,
    NameNotFound,
    RunNotFound,
    listing,
    unknown,
)
from smalldata_ana.sources.base import (
    Array,
    DetectorInfo,
    Indices,
    PixelPositions,
    ScalarInfo,
)
from smalldata_ana.sources.constants import Constants
from smalldata_ana.sources.datagrams import Service
from smalldata_ana.sources.event_index import EventIndex
from smalldata_ana.sources.psana2.detectors import (
    Interface,
    control_bits,
    interfaces,
    scalar_methods,
)
from smalldata_ana.sources.psana2.geometry import pixel_positions
from smalldata_ana.sources.psana2.mended import psana
from smalldata_ana.sources.psana2.reading import DatagramReader, configuration
from smalldata_ana.sources.psana2.slow_values import SlowValues
from smalldata_ana.sources.psana2.values import owned, scalar_info, table
from smalldata_ana.sources.stream_index import StreamIndex
from smalldata_ana.sources.xtc_files import StreamFiles, run_of

logger = logging.getLogger(__name__)

CODES = 288
"""How many event codes there are in LCLS-II's timing data."""

ConstantsFor = Callable[[str, int, str, str], Constants]
"""(detector, run, serial number, psana's long name) -> what is valid."""

_NO_FILE = -1
_FRAME_RANK = 2


class Psana2Run:
    """A `smalldata_ana.sources.base.Run` of LCLS-II files.

    Parameters
    ----------
    streams : the files of the run
    constants_for : finds the constants of a detector
    live : True if the run may still grow

    Raises
    ------
    RunNotFound
        if a file is not an xtc2 file, or the streams are not of one run
    """

    def __init__(
        self,
        streams: Sequence[StreamFiles],
        constants_for: ConstantsFor,
        *,
        live: bool = False,
    ) -> None:
        psana()
        self._constants_for = constants_for
        self._constants: dict[str, Constants] = {}
        self._configurations = [configuration(s.offsets or s.data) for s in streams]
        self.index = EventIndex(
            [
                StreamIndex(k, s.data, s.offsets, self._decoder(k))
                for k, s in enumerate(streams)
            ],
            growing=live or any(s.growing for s in streams),
        )
        self.experiment, self.number, begin = self._identity()
        self._warn_of_other_names()
        self.origin = ", ".join(sorted({str(s.data.parent) for s in streams}))
        self._lock = threading.RLock()
        self._reader = DatagramReader(
            self.index.streams,
            self._configurations,
            (self.experiment, self.number, begin),
        )
        self._slow = SlowValues(self.index, self._decoder)

    # -- the events ----------------------------------------------------------------

    @property
    def timestamps(self) -> npt.NDArray[np.uint64]:
        """One per event, growing."""
        return self.index.timestamps

    @property
    def steps(self) -> Indices:
        """Number of the scan step of each event."""
        return self.index.steps

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.index.timestamps)

    def refresh(self) -> int:
        """Look for events that were added since; return how many there are new."""
        with self._lock:
            new = self.index.refresh()
            if new:
                self._slow = SlowValues(self.index, self._decoder)
                for name in ("detectors", "_methods", "scalars"):
                    self.__dict__.pop(name, None)
        return new

    @property
    def growing(self) -> bool:
        """True while the run is being taken."""
        return self.index.growing

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the data, a sentence each."""
        return [*self.index.problems(), *self._reader.problems()]

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
        return MappingProxyType(found | self._slow.infos())

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
        return self.index.contributed(self._area(detector).streams)

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
        numbers = np.arange(len(self)) if events is None else np.asarray(events)
        if name not in self.scalars:
            raise NameNotFound(unknown("scalar", name, self.scalars, self._where))
        info = self.scalars[name]
        if name not in self._methods:
            return self._slow.values(name, self.timestamps[numbers])
        interface, method, _ = self._methods[name]
        values = [
            owned(interface.value(method, self._event(int(k), interface.streams)))
            for k in numbers
        ]
        return table(values, info)

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
                known = self._constants_for(
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
        now = int(self.timestamps[event]) if len(self) else 0
        steps = [
            t
            for t in self.index.transitions(Service.BEGIN_STEP)
            if t.timestamp <= now and t.stream in interface.streams
        ]
        updates = [self._decoder(t.stream)(t.data) for t in steps]
        return control_bits(interface, self._configurations, updates)

    # -- inside ------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self.experiment} run {self.number}"

    def _decoder(self, stream: int) -> Callable[[bytes], Any]:
        from psana.dgram import Dgram

        configuration = self._configurations[stream]
        return lambda data: Dgram(config=configuration, view=memoryview(data), offset=0)

    def _warn_of_other_names(self) -> None:
        names = {run_of(stream.files[0]) for stream in self.index.streams}
        for name in names - {None, (self.experiment, self.number)}:
            logger.warning(
                "the files are called %s run %d, but their data are of %s",
                *name or (),
                self._where,
            )

    def _identity(self) -> tuple[str, int, int]:
        """Return experiment, number and begin, by the data or else the files' names."""
        found: set[tuple[str, int]] = set()
        begin = 0
        for transition in self.index.transitions(Service.BEGIN_RUN):
            datagram = self._decoder(transition.stream)(transition.data)
            begin = transition.timestamp
            for segment in getattr(datagram, "runinfo", {}).values():
                info = segment.runinfo
                found.add((str(info.expt), int(info.runnum)))
        files = [stream.files[0] for stream in self.index.streams]
        found = found or {name for name in map(run_of, files) if name}
        if not found:
            raise RunNotFound(f"{files[0]} does not tell which run it is of")
        if len(found) > 1:
            runs = listing(
                f"{experiment} run {run}" for experiment, run in sorted(found)
            )
            raise RunNotFound(f"the files are not of one run, but of {runs}")
        return *found.pop(), begin

    @cached_property
    def _interfaces(self) -> list[Interface]:
        from psana.dgrammanager import DgramManager

        descriptors = [_NO_FILE] * len(self._configurations)
        manager = DgramManager(
            [str(s.files[0]) for s in self.index.streams],
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
        for number in np.flatnonzero(self.index.contributed(interface.streams)):
            event = self._event(int(number), interface.streams)
            if interface.parts(event) is not None:
                return event
        return None

    def _event(self, number: int, streams: Sequence[int]) -> Any:
        """Read the parts of an event that these streams have."""
        return self._reader.event(int(self.timestamps[number]), streams)


def _panels(shape: tuple[int, ...], interface: Interface) -> tuple[int, ...]:
    """Return the numbers of the panels of a frame of this shape."""
    if len(shape) <= _FRAME_RANK:
        return (0,)
    if shape[0] == len(interface.segments):
        return interface.segments
    return tuple(range(shape[0]))
