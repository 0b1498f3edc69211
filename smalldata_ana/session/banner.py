"""What is printed above the first prompt."""

from __future__ import annotations

from collections.abc import Iterator

from smalldata_ana.places import Places
from smalldata_ana.sources.base import DetectorInfo, Run

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
            *_detectors(run),
            f"  constants: {_constants(where)}",
            *(f"  problem: {text}" for text in run.problems),
        ]
    )


def first_commands() -> str:
    """Return the commands that one needs first, each with a remark."""
    return "\n".join(f"  {code:<22} # {text}" for code, text in FIRST_COMMANDS)


def _detectors(run: Run) -> Iterator[str]:
    width = max(map(len, run.detectors), default=0)
    for name, info in run.detectors.items():
        yield f"  {name:<{width}}  {_described(info)}"
    if not run.detectors:
        yield "  no area detectors"


def _described(info: DetectorInfo) -> str:
    shape = " x ".join(map(str, info.shape))
    remark = ", of a type that is not known: taken as it is" if info.generic else ""
    return f"{info.dettype or 'unnamed type'}, {shape} {info.dtype}{remark}"


def _constants(where: Places) -> str:
    if where.calib.is_dir():
        return str(where.calib)
    return f"none: there is no store {where.calib}"
