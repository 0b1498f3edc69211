"""What a run's configuration says: which detectors, their frames and their scalars."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

FRAME_FIELDS = ("raw", "image", "frame", "value", "arrayRaw")
"""Names that a frame has in the data; the first one that is there is taken."""

STACKED = {"jungfrau": "raw", "epix10ka": "raw"}
"""Types whose panels are put one behind the other as they are, field by type."""

PLAIN = {"epix100": "raw", "opal": "image"}
"""Types of one panel whose frame is the field as it is."""

NOT_DATA = {"runinfo", "smdinfo", "chunkinfo", "epicsinfo", "pvdetinfo"}

UNITS = {
    "millijoulesperpulse": "mJ",
    "f11ENRC": "mJ",
    "f12ENRC": "mJ",
    "f21ENRC": "mJ",
    "f22ENRC": "mJ",
    "f63ENRC": "mJ",
    "f64ENRC": "mJ",
    "ebeamPhotonEnergy": "eV",
    "ebeamL3Energy": "MeV",
    "ebeamDumpCharge": "e",
    "totalIntensityJoules": "J",
    "xPositionMeters": "m",
    "yPositionMeters": "m",
}
"""Units of fields whose meaning the DAQ defines."""

_NUMBER_TYPES = range(10)
_AREA_RANK = 2


@dataclass
class Interface:
    """One (detector, algorithm) of the configuration.

    Attributes
    ----------
    detector, algorithm, dettype, serial : as the DAQ names them
    streams : numbers of the streams that hold it
    segments : numbers of its segments, growing
    frame : the field with its frames, or None if it has none
    reader : psana's object for it, or None where psana does not know it
    """

    detector: str
    algorithm: str
    dettype: str
    serial: str
    streams: tuple[int, ...]
    segments: tuple[int, ...]
    frame: str | None
    reader: Any

    @property
    def is_area(self) -> bool:
        """True if it delivers frames."""
        return self.frame is not None

    def parts(self, event: Any) -> list[Any] | None:
        """Return the segments' data of an event, or None unless all are there.

        What the data acquisition has marked as damaged counts as missing.
        """
        found = event._det_segments.get((self.detector, self.algorithm), {})
        if tuple(sorted(found)) != self.segments:
            return None
        parts = [found[segment] for segment in self.segments]
        return None if any(part._xtc.damage for part in parts) else parts

    def is_in(self, event: Any) -> bool:
        """Tell whether any segment has data in an event, whole or damaged."""
        return (self.detector, self.algorithm) in event._det_segments

    def value(self, method: Callable[[Any], Any], event: Any) -> Any:
        """Return what a method reads of an event, or None where a segment is missing.

        psana's methods are not asked then: some of them fail.
        """
        return None if self.parts(event) is None else method(event)

    def frame_of(self, event: Any) -> Any:
        """Return the frame of an event as psana gives it, or None.

        It may be a view into the event, or a list of the panels, each such a view.
        """
        parts = self.parts(event)
        if parts is None:
            return None
        if self.reader is None or self.dettype in STACKED or self.dettype in PLAIN:
            panels = [getattr(part, self.frame or "") for part in parts]
            single = len(panels) == 1 and self.dettype not in STACKED
            return panels[0] if single else panels
        return self.reader.raw(event)


def interfaces(manager: Any, configurations: Sequence[Any]) -> Iterator[Interface]:
    """Yield what a run's configuration holds, apart from slow values and steps.

    Parameters
    ----------
    manager : psana's table of detector classes (``DgramManager``)
    configurations : the configuration of each stream
    """
    names: dict[tuple[str, str], list[int]] = {}
    for number, configuration in enumerate(configurations):
        for detector, segments in vars(configuration.software).items():
            for segment in segments.values():
                for algorithm, fields in vars(segment).items():
                    if isinstance(fields, str) or algorithm.startswith("_"):
                        continue
                    streams = names.setdefault((detector, algorithm), [])
                    if number not in streams:
                        streams.append(number)
    for (detector, algorithm), streams in sorted(names.items()):
        if detector in NOT_DATA | {"epics", "scan"} or algorithm == "config":
            continue
        yield _interface(manager, configurations, detector, algorithm, streams)


def _interface(
    manager: Any,
    configurations: Sequence[Any],
    detector: str,
    algorithm: str,
    streams: Sequence[int],
) -> Interface:
    segments: dict[int, Any] = {}
    for number in streams:
        segments |= getattr(configurations[number].software, detector)
    first = segments[min(segments)]
    kind = manager.det_classes["normal"].get((detector, algorithm))
    information = manager.configinfo_dict.get(detector)
    reader = None
    if kind is not None and information is not None:
        reader = kind(detector, algorithm, information, {}, None, None)
    return Interface(
        detector=detector,
        algorithm=algorithm,
        dettype=first.dettype,
        serial="_".join(segments[number].detid for number in sorted(segments)),
        streams=tuple(streams),
        segments=tuple(sorted(segments)),
        frame=_frame_field(getattr(first, algorithm), first.dettype),
        reader=reader,
    )


def _fields(software: Any) -> dict[str, Any]:
    return {
        name: field
        for name, field in vars(software).items()
        if name not in ("software", "version") and not name.startswith("_")
    }


def _frame_field(software: Any, dettype: str) -> str | None:
    fields = {
        name: field
        for name, field in _fields(software).items()
        if field._type in _NUMBER_TYPES and field._rank >= _AREA_RANK
    }
    told = STACKED.get(dettype) or PLAIN.get(dettype)
    for name in ((told,) if told else ()) + FRAME_FIELDS:
        if name in fields:
            return name
    return None


def scalar_methods(interface: Interface, event: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what is read of one interface beside frames.

    Yields
    ------
    name : of the field
    method : takes an event, returns a value or None
    value : of the event given, a number, an array or text
    """
    for name in _readable(interface, event):
        method = getattr(interface.reader, name, None) or _field_method(interface, name)
        try:
            value = method(event)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            logger.debug("%s %s is not read: %s", interface.detector, name, error)
            continue
        if isinstance(value, str) or np.asarray(value).dtype.kind in "biuf":
            yield name, method, value


def _readable(interface: Interface, event: Any) -> list[str]:
    parts = interface.parts(event)
    if not parts:
        return []
    if interface.reader is None:
        return [name for name in vars(parts[0]) if not name.startswith("_")]
    from psana.psexp.run import _enumerate_attrs

    return [name for name in _enumerate_attrs(interface.reader) if "." not in name]


def _field_method(interface: Interface, name: str) -> Callable[[Any], Any]:
    def value(event: Any) -> Any:
        parts = interface.parts(event)
        return None if not parts else getattr(parts[0], name)

    return value


def control_bits(
    interface: Interface,
    configurations: Sequence[Any],
    changed: Callable[[int], Mapping[str, Any]],
) -> npt.NDArray[np.uint8] | None:
    """Return the gain control bits of each pixel, or None if there are none.

    Parameters
    ----------
    interface : the detector
    configurations : the configuration of each stream
    changed : gives what the steps until then changed of a segment's
    """
    if not hasattr(interface.reader, "_cbits_config_segment"):
        return None
    panels = []
    for segment in interface.segments:
        values: dict[str, Any] = {}
        for source in configurations:
            part = getattr(source, interface.detector, {}).get(segment)
            if part is not None and hasattr(part, "config"):
                values |= vars(part.config)
        values |= changed(segment)
        panels.append(interface.reader._cbits_config_segment(SimpleNamespace(**values)))
    return np.stack(panels).astype(np.uint8)
