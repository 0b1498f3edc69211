"""What is printed above the first prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.errors import GeometryError
from smalldata_ana.places import Places, at_slac
from smalldata_ana.sources.base import DetectorInfo, Run
from smalldata_ana.sources.constants_store import ConstantsStore, Record

FIRST_COMMANDS = (
    ("anaps.AvImage()", "average of 100 events"),
    ("anaps.plotAvImage()", "show it"),
    ("anaps.SelectRegion()", "choose a region"),
    ("anaps.exportParams()", "hand what you accepted to the producer"),
    ("anaps.info()", "this text; anaps.AvImage? explains a command"),
)


def banner(run: Run, where: Places) -> str:
    """Return experiment, run, events, detectors, constants, problems of the run."""
    return "\n".join(
        [
            f"{run.experiment} run {run.number}: {len(run)} events, from {run.origin}",
            *_detectors(run, where),
            f"  constants from {_stores(where)}",
            *(f"  problem: {text}" for text in run.problems),
        ]
    )


def first_commands() -> str:
    """Return the commands that one needs first, each with a remark."""
    return "\n".join(f"  {code:<22} # {text}" for code, text in FIRST_COMMANDS)


def _detectors(run: Run, where: Places) -> Iterator[str]:
    width = max(map(len, run.detectors), default=0)
    store = ConstantsStore(where.calib)
    for name, info in run.detectors.items():
        valid = store.valid(name, run.number)
        note = "" if "geometry" in valid else _geometry_note(run, info)
        remarks = [_described(info), _constants(valid), *([note] if note else [])]
        yield f"  {name:<{width}}  {'; '.join(remarks)}"
    if not run.detectors:
        yield "  no area detectors"


def _described(info: DetectorInfo) -> str:
    shape = " x ".join(map(str, info.shape))
    remark = ", of a type that is not known: taken as it is" if info.generic else ""
    return f"{info.dettype or 'unnamed type'}, {shape} {info.dtype}{remark}"


def _geometry_note(run: Run, info: DetectorInfo) -> str:
    """Return what users must know of the geometry, where it is not a constant."""
    try:
        positions = positions_of(run, info.name)
    except GeometryError as error:
        return str(error)
    if positions is None:
        return ImageGeometry.from_positions(None, info.shape).note
    return positions.note


def _constants(valid: Mapping[str, Record]) -> str:
    """Say which constants the store has, without reading them."""
    if "pedestals" not in valid:
        return "no pedestals in the store"
    others = [name for name in valid if name != "pedestals"]
    return ", ".join([f"pedestals {valid['pedestals'].validity}", *others])


def _stores(where: Places) -> str:
    store = str(where.calib) if where.calib.is_dir() else f"{where.calib} (not there)"
    return f"{store} and psana's database" if at_slac() else store
