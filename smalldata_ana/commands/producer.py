"""The producer's command line: from a run and its parameters to small data."""

from __future__ import annotations

import argparse
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalldata_ana.commands import add_log_level, run_command, set_log_level
from smalldata_ana.errors import UsageError

if TYPE_CHECKING:
    from smalldata_ana.detector.det_object import DetObject
    from smalldata_ana.parameters.resolved import Resolved
    from smalldata_ana.places import Places
    from smalldata_ana.sources.base import Run

logger = logging.getLogger(__name__)

EXIT_INCOMPLETE = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="smd_producer.py",
        description="Reduce the events of a run to small data, as the experiment's "
        "parameter file says.  Defaults are in brackets; <results> is "
        "<experiment>/results/smalldata_ana.",
    )
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR"}
    file: dict[str, Any] = {"type": Path, "metavar": "FILE"}
    add = options.add_argument
    add("-r", "--run", type=int, help="run number [$RUN_NUM]")
    add("-e", "--experiment", metavar="EXP", help="experiment [$EXPERIMENT]")
    add("-d", "--directory", **folder, help="output [<experiment>/hdf5/smalldata]")
    add("--params", **file, help="parameters [<results>/params/<EXP>.toml]")
    add("--xtc-dir", **folder, help="xtc2 files [<experiment>/xtc]")
    add("--files", nargs="+", **file, help="the xtc2 files of one run, one by one")
    add(
        "--calib-dir",
        **folder,
        help="constants [$SMALLDATA_ANA_CALIB]",
    )
    add("-n", "--nevents", type=int, metavar="N", help="only the first N events [all]")
    add_log_level(options)
    return options


@run_command
def main(argv: list[str]) -> int:
    """Run the producer and return its exit code.

    0: done; 2: wrong input, nothing was written; 3: written, but the data of the run
    are incomplete; 130: interrupted, nothing was written.
    """
    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    return _produce(options)


def _produce(options: argparse.Namespace) -> int:
    from smalldata_ana.parameters.file import ParameterFile
    from smalldata_ana.pipeline import build_detectors
    from smalldata_ana.places import places

    if options.nevents is not None and options.nevents < 1:
        raise UsageError(f"--nevents {options.nevents} is not a number of events")
    run = _open(options)
    try:
        where = places(
            run.experiment,
            params=options.params,
            directory=options.directory,
            loose_files=options.files is not None,
        )
        parameters = ParameterFile.load(where.params, run.experiment)
        resolved = parameters.resolve(run.number)
        detectors = build_detectors(run, resolved)
        missing = _write(run, resolved, detectors, where, options.nevents)
        _summary(run, options.nevents, missing, where.smalldata_file(run.number))
        return EXIT_INCOMPLETE if run.problems else 0
    finally:
        run.close()


def _open(options: argparse.Namespace) -> Run:
    from smalldata_ana.opening import open_run

    experiment, number = options.experiment, options.run
    if options.files is None:
        experiment = experiment or os.environ.get("EXPERIMENT")
        if experiment is None:
            raise UsageError("which experiment? Give -e EXP, or set EXPERIMENT")
        number = _number_from_environment() if number is None else number
    return open_run(
        experiment,
        number,
        xtc_dir=options.xtc_dir,
        files=options.files,
        calib_dir=options.calib_dir,
    )


def _number_from_environment() -> int:
    text = os.environ.get("RUN_NUM")
    if text is None:
        raise UsageError("which run? Give -r RUN, or set RUN_NUM")
    if not text.isdecimal():
        raise UsageError(f"RUN_NUM = {text!r} is not the number of a run")
    return int(text)


def _write(
    run: Run,
    resolved: Resolved,
    detectors: Sequence[DetObject],
    where: Places,
    limit: int | None,
) -> Counter[str]:
    """Write the small data; return the events without data, by detector."""
    from smalldata_ana.pipeline import process_events
    from smalldata_ana.smalldata.layout import layout_of
    from smalldata_ana.smalldata.writer import SmallDataWriter

    missing = Counter({detector.name: 0 for detector in detectors})
    events = _progress(range(len(run))[:limit])
    path = where.smalldata_file(run.number)
    with SmallDataWriter(path, layout_of(detectors)) as writer:
        writer.write_configuration(resolved, detectors)
        for row in process_events(run, detectors, events):
            writer.write(row)
            missing.update(d.name for d in detectors if d.evt.dat is None)
    return missing


def _progress(events: Sequence[int]) -> Iterator[int]:
    from tqdm import tqdm

    shown: Iterable[int] = tqdm(events, unit=" events", delay=0.2, disable=None)
    yield from shown


def _summary(run: Run, limit: int | None, missing: Counter[str], path: Path) -> None:
    written = len(range(len(run))[:limit])
    print(f"{run.experiment} run {run.number}: {written} of {len(run)} events written")
    for detector, count in missing.items():
        print(f"  {detector}: {count} events without data")
    for problem in run.problems:
        print(f"  incomplete: {problem}")
    print(f"  output: {path}")
