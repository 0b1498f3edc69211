"""What the doctor looks at, detector by detector."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeGuard

import numpy as np

from smalldata_ana.ana_funcs.regions import boxes_within, region
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.masks import MaskParts
from smalldata_ana.errors import ConstantsError, SmallDataError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.sources.constants import Constant
from smalldata_ana.sources.photon_energy import measured_energy

Level = Literal["ok", "warning", "error"]

_EPOCH = datetime(1990, 1, 1, tzinfo=UTC)
"""Begin of psana's time."""
_OLD = timedelta(days=2)
_MANY_MASKED = 0.2
_FEW_DATA = 0.5
_ENERGY_DIFFERS = 0.005
_OF_IMAGE = "[unit of the image]"
"""In the help of the parameters that are compared with pixels."""
_FAR = 3.0
"""A threshold above so many photons is not one in keV."""
_LOOSE_CENTER = 5.0
"""Standard error of a centre, from which rings are blurred [px]."""
_NEAREST, _FARTHEST = 5.0, 30_000.0
"""Distances that there are [mm]."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    level : ``ok``, ``warning`` or ``error``
    what : that was looked at
    text : what was seen
    remedy : what to do, or an empty text
    """

    level: Level
    what: str
    text: str
    remedy: str = ""

    def line(self, width: int = 0) -> str:
        """Return it as a line.

        Parameters
        ----------
        width : of the column of `what`
        """
        remedy = f" -> {self.remedy}" if self.remedy else ""
        text = " ".join(self.text.split())
        return f"{self.level:<8} {self.what:<{width}}  {text}{remedy}"

    def __str__(self) -> str:
        return self.line()


def ok(what: str, text: str) -> Finding:
    """Return that something is in order."""
    return Finding("ok", what, text)


def warning(what: str, text: str, remedy: str) -> Finding:
    """Return that something may be wrong."""
    return Finding("warning", what, text, remedy)


def error(what: str, text: str, remedy: str) -> Finding:
    """Return that something is wrong."""
    return Finding("error", what, text, remedy)


def check_data(session: Any, name: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Check that the detector has data."""
    there = session.run.contributed(name)
    number, events = int(np.count_nonzero(there)), len(there)
    text = f"data in {number} of {events} events"
    if not number:
        yield error(f"{name} data", text, "is it in the run? anaps.info()")
    elif number < _FEW_DATA * events:
        remedy = "is it meant to be slower than the run? The others have fill values"
        yield warning(f"{name} data", text, remedy)
    else:
        yield ok(f"{name} data", text)


def check_constants(
    session: Any, name: str, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Check that there are constants, for this run, and not from long ago."""
    what = f"{name} constants"
    remedy = f"take a dark run, and anaps.makePedestal({name!r}) there"
    try:
        calibration = Calibration.for_run(session.run, name, _common_mode(entries))
    except ConstantsError as problem:
        yield error(what, str(problem), remedy)
        return
    for note in calibration.notes:
        yield warning(what, note, remedy)
    pedestals = session.run.constants(name).items.get("pedestals")
    if pedestals is not None:
        yield _aged(what, pedestals, session, remedy)


def _aged(what: str, pedestals: Constant, session: Any, remedy: str) -> Finding:
    text = f"pedestals of runs {pedestals.validity}, from {pedestals.origin}"
    begin = _EPOCH + timedelta(seconds=int(session.run.timestamps[0]) >> 32)
    made = _time(pedestals.time)
    if made is None:
        return ok(what, text)
    age = begin - made
    text += f", made {made:%Y-%m-%d %H:%M}"
    if age < _OLD:
        return ok(what, text)
    return warning(what, f"{text}, {age.days} days before the run", remedy)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def check_geometry(
    session: Any, name: str, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Check that it is known where the pixels are, and where the beam meets them."""
    what = f"{name} geometry"
    positions = session.run.pixel_positions(name)
    remedy = f"`smalldata-ana calib put {name} geometry FILE --begin RUN`"
    if positions is None:
        text = "the run has none; pixels lie where the design has them, if at all"
        yield warning(what, text, remedy)
    elif positions.note:
        yield warning(what, positions.note, remedy)
    else:
        yield ok(what, positions.origin or "of the run")
    yield from _fit_notes(what, entries)
    center = _known(entries, "center")
    if center is None or positions is None:
        return
    extent, place = positions.whole, f"center {center[0]:.0f}, {center[1]:.0f} um"
    outside = max(
        max(low - at, at - high) / (high - low)
        for at, (low, high) in zip(center, (extent.x, extent.y), strict=True)
    )
    if outside > 1:
        remedy = "is it x, y [um] of the psana frame? anaps.FitCircleAuto()"
        yield warning(what, f"{place} is far outside of the detector", remedy)
        return
    error_um = max(_known(entries, "center_err") or [0.0])
    if error_um > _LOOSE_CENTER * positions.pixel_size:
        text = f"{place} is known to {error_um:.0f} um only"
        remedy = "fit more rings: anaps.FitCircleAuto(), or more points of one ring"
        yield warning(what, text, remedy)
    else:
        yield ok(what, place)


def _fit_notes(what: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Return what was noted when the geometry was fitted."""
    for entry in entries:
        notes = entry.made.get("notes") if entry.kind == "geometry" else None
        if notes:
            remedy = "if it is not meant, fit it anew: anaps.refineGeometry()"
            yield warning(what, str(notes), remedy)


def check_masks(session: Any, name: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Check that enough pixels are left."""
    good = _good(session, name, entries)
    masked = 1 - float(good.mean())
    masks = sum(entry.kind == "mask" for entry in entries)
    text = f"{masked:.1%} of the pixels are masked, with {masks} of your masks"
    remedy = f"anaps.maskInfo({name!r}) tells why; a mask may be upside down"
    if masked == 1:
        yield error(f"{name} mask", text, remedy)
    elif masked > _MANY_MASKED:
        yield warning(f"{name} mask", text, remedy)
    else:
        yield ok(f"{name} mask", text)


def _good(session: Any, name: str, entries: Sequence[Entry]) -> Any:
    """Return the pixels to use, with the masks of the entries."""
    good = MaskParts.for_run(session.run, name).cmask()
    folder = session.places.params.parent
    for entry in entries:
        if entry.kind == "mask":
            array = entry.array
            mask: Any = entry.make()
            good = good & (mask.read(folder) if array is None else array)
    return good


def check_regions(
    session: Any, name: str, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Check that regions lie in the detector, on pixels that are used."""
    shape = session.run.detectors[name].shape
    for entry in entries:
        if entry.values.get("ROI") is None or entry.of:
            continue
        what = f"{name} {entry.name or entry.kind}"
        try:
            boxes = boxes_within(region(entry.values["ROI"]), shape, name)
        except SmallDataError as problem:
            yield error(what, str(problem), f"anaps.SelectRegion({name!r}) anew")
            continue
        inside = np.zeros(shape, bool)
        for box in boxes:
            inside[tuple(slice(*pair) for pair in box)] = True
        yield _used(what, name, float(_good(session, name, entries)[inside].mean()))


def _used(what: str, name: str, share: float) -> Finding:
    text = f"in the detector, {1 - share:.1%} masked"
    if share == 0:
        return error(what, text, f"choose another region, or anaps.maskInfo({name!r})")
    if share < 1 - _MANY_MASKED:
        return warning(what, text, f"is that meant? anaps.maskInfo({name!r})")
    return ok(what, text)


def check_energy(
    session: Any, name: str, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Compare the energy of the entries with that of the run."""
    given = {
        entry.name or entry.kind: entry.values["eBeam"]
        for entry in entries
        if _is_number(entry.values.get("eBeam"))
    }
    if not given:
        return
    found = measured_energy(session.run)
    for owner, energy in given.items():
        what = f"{name} {owner} eBeam"
        if found is None:
            yield ok(what, f"{energy:g} keV; the run does not tell the photon energy")
        elif abs(energy / found[0] - 1) > _ENERGY_DIFFERS:
            text = f"{energy:g} keV, but {found[1]} says {found[0]:.4g} keV"
            yield warning(
                what, text, "which is right? The run may be of another energy"
            )
        else:
            yield ok(what, f"{energy:g} keV, as {found[1]} says")


def check_units(session: Any, name: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Check numbers that look as if they were in other units."""
    for entry in entries:
        distance = entry.values.get("dis_to_sam")
        if _is_number(distance) and not (_NEAREST < distance < _FARTHEST):
            what = f"{name} {entry.name or entry.kind} distance"
            text = f"dis_to_sam = {distance:g} mm"
            yield warning(what, text, "it is in mm: is this one in m or um?")
    energy = _known(entries, "eBeam")
    if not _is_number(energy):
        found = measured_energy(session.run)
        energy = None if found is None else found[0]
    unit = Calibration.for_run(
        session.run, name, _common_mode(entries), lenient=True
    ).unit
    for entry in entries:
        for key, value in _limits(entry):
            what = f"{name} {entry.name or entry.kind} {key}"
            if unit == "keV" and energy is not None and value > _FAR * energy:
                text = f"{value:g} is {value / energy:.0f} photons of {energy:g} keV"
                yield warning(what, text, "images are in keV: was it meant in ADU?")
            else:
                yield ok(what, f"{value:g} {unit}")


def _limits(entry: Entry) -> Iterator[tuple[str, float]]:
    """Return the parameters of an entry that are in the unit of the image."""
    traits = entry.model.class_traits()
    for key, value in entry.values.items():
        values = value if isinstance(value, list) else [value]
        if key in traits and _OF_IMAGE in traits[key].help:
            yield from ((key, float(v)) for v in values if _is_number(v))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _known(entries: Sequence[Entry], key: str) -> Any:
    """Return a value of the ``geometry`` entry, or None."""
    for entry in entries:
        if entry.kind == "geometry":
            return entry.values.get(key)
    return None


def _common_mode(entries: Sequence[Entry]) -> Any:
    modes = [e.values["common_mode"] for e in entries if e.kind == "common_mode"]
    return modes[0] if modes else None
