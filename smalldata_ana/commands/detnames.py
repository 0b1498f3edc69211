"""``smalldata-ana detnames exp=<exp>:run=<run>``: what there is in a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.commands import (
    add_experiment,
    add_log_level,
    run_command,
    set_log_level,
    table,
)
from smalldata_ana.errors import UsageError
from smalldata_ana.session.experiment import find_experiment

if TYPE_CHECKING:
    from smalldata_ana.sources.base import DetectorInfo, Run, ScalarInfo

_KEYS = ("exp", "run", "dir")
_SECTIONS = {"scan": "scan", "epics": "EPICS"}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="smalldata-ana detnames",
        description="List the area detectors, scalars, scan variables and EPICS "
        "variables of a run.",
    )
    add = options.add_argument
    add(
        "datasource",
        nargs="?",
        metavar="exp=EXP:run=RUN",
        help="the run, as psana's detnames takes it; or give -e and -r",
    )
    add_experiment(options)
    add("-r", "--run", type=int, help="run number")
    add("--xtc-dir", type=Path, metavar="DIR", help="xtc2 files [<experiment>/xtc]")
    add("--files", nargs="+", type=Path, metavar="FILE", help="the files of one run")
    add_log_level(options)
    return options


@run_command
def main(argv: list[str]) -> int:
    """Run the command and return its exit code."""
    from smalldata_ana.opening import open_run

    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    experiment, number, xtc_dir = _which(options)
    run = open_run(experiment, number, xtc_dir=xtc_dir, files=options.files)
    try:
        print(contents(run))
    finally:
        run.close()
    return 0


def contents(run: Run) -> str:
    """Return what there is in a run as text: a table for each kind."""
    sections: dict[str, list[ScalarInfo]] = {}
    for name, scalar in sorted(run.scalars.items()):
        section = _SECTIONS.get(name.partition("/")[0], "scalars")
        sections.setdefault(section, []).append(scalar)
    parts = [
        f"{run.experiment} run {run.number}: {len(run)} events",
        _titled("area detectors", _detectors(run.detectors.values())),
        *(
            _titled(section, _scalars(sections[section]))
            for section in ("scalars", *_SECTIONS.values())
            if section in sections
        ),
    ]
    return "\n\n".join(parts)


def _titled(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"


def _detectors(detectors: Iterable[DetectorInfo]) -> str:
    rows = [(d.name, d.dettype, d.shape, len(d.panels)) for d in detectors]
    return table(("name", "type", "shape", "panels"), rows) if rows else "none"


def _scalars(scalars: Iterable[ScalarInfo]) -> str:
    rows = [(s.name, s.dtype, s.shape or "", s.unit) for s in scalars]
    return table(("name", "dtype", "shape", "unit"), rows)


def _which(
    options: argparse.Namespace,
) -> tuple[str | None, int | None, Path | None]:
    """Return experiment, run and folder, from the options or psana's way to say it."""
    given = _parse(options.datasource) if options.datasource else {}
    experiment = given.get("exp", options.experiment)
    text = given.get("run", options.run)
    if options.files is None:
        experiment = find_experiment(experiment)
        if text is None:
            raise UsageError("which run? Give -r RUN, or exp=EXP:run=RUN")
    if text is not None and not str(text).isdecimal():
        raise UsageError(f"run={text} is not the number of a run")
    folder = given.get("dir", options.xtc_dir)
    return (
        experiment,
        None if text is None else int(text),
        None if folder is None else Path(folder),
    )


def _parse(datasource: str) -> dict[str, str]:
    given = {}
    for part in datasource.split(":"):
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value:
            raise UsageError(
                f"{datasource!r} is not understood at {part!r}; a run is given as "
                "exp=xppl1001021:run=12, with :dir=FOLDER where it is elsewhere"
            )
        given[key] = value
    return given
