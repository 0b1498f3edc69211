"""The producer's command line: from runs and their parameters to small data."""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.commands import run_command, set_log_level
from smalldata_ana.commands.producer_options import parser
from smalldata_ana.commands.producer_reports import progress_of, summary, tell_run_table
from smalldata_ana.commands.runs import (
    EXIT_INCOMPLETE,
    check_above_0,
    experiment_of,
    numbers_of,
    opened,
    workers_of,
)
from smalldata_ana.errors import ParameterError, UsageError, listing

if TYPE_CHECKING:
    from smalldata_ana.parameters.resolved import Resolved
    from smalldata_ana.places import Places
    from smalldata_ana.producing.choices import Choices
    from smalldata_ana.producing.executors import Workers
    from smalldata_ana.producing.planning import Plan
    from smalldata_ana.producing.record import Record
    from smalldata_ana.sources.base import Run


@run_command
def main(argv: list[str]) -> int:
    """Run the producer and return its exit code.

    0: done; 1: an error in the user's code; 2: wrong input, nothing was written; 3:
    written, but the data of the run are incomplete; 130, 143: interrupted, finished
    parts are kept.
    """
    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    _check(options)
    codes = []
    made = _made(options) if options.stale and not options.files else None
    numbers = numbers_of(options, made)
    if not numbers:
        there = listing(map(str, made or ()))
        raise UsageError(f"--run {options.run}: there are files of the runs {there}")
    with workers_of(options.nproc) as workers:
        for number in numbers:
            codes.append(_produce(options, number, workers))
    return max(codes)


def _check(options: argparse.Namespace) -> None:
    check_above_0(options, "nevents", "nproc", "gather_interval")
    if options.params and options.config:
        raise UsageError("--params and --config cannot both be given")


def _made(options: argparse.Namespace) -> list[int]:
    """Return the runs of which there are files."""
    from smalldata_ana.places import places

    experiment = experiment_of(options)
    folder = places(experiment, directory=options.directory).smalldata
    names = [re.fullmatch(rf"{experiment}_Run(\d+)\.h5", p.name) for p in _in(folder)]
    made = sorted(int(name[1]) for name in names if name)
    if not made:
        raise UsageError(f"there are no files of {experiment} in {folder}")
    return made


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _produce(
    options: argparse.Namespace, number: int | None, workers: Callable[[], Workers]
) -> int:
    """Make the file of one run; return the exit code."""
    from smalldata_ana.producing.production import Production

    run = opened(
        options,
        number,
        live=options.live,
        recorders=not options.norecorder,
        needed=lambda run: _needed(options, run),
    )
    try:
        where = _places(options, run)
        file = where.smalldata_file(run.number)
        choices = _choices(options)
        limit, compression = options.nevents, options.compression
        if options.stale:
            before = _stale(options, run, where, file)
            if before is None or options.dry_run:
                return 0
            choices = before.choices
            limit, compression = before.nevents, before.compression
        if not options.dry_run:
            # Their set-up goes on while the plan is made.
            workers()
        plan = _plan(options, run, where, choices)
        if options.dry_run:
            print(plan.text(limit))
            return 0
        begin = datetime.datetime.now()
        with progress_of(f"{run.experiment} run {run.number}") as progress:
            result = Production(
                plan,
                file,
                limit=limit,
                resume=options.resume,
                compression=compression,
                progress=progress,
            ).run(workers())
    finally:
        run.close()
    print("\n".join(summary(run, result)))
    if options.postRuntable:
        tell_run_table(run, begin, workers().number, choices.default, options.url)
    return EXIT_INCOMPLETE if result.problems else 0


def _places(options: argparse.Namespace, run: Run) -> Places:
    from smalldata_ana.places import places

    return places(
        run.experiment,
        params=options.params,
        directory=options.directory,
        loose_files=options.files is not None,
    )


def _needed(options: argparse.Namespace, run: Run) -> list[str]:
    """Return the area detectors without which the work cannot begin."""
    from smalldata_ana.parameters.record import is_used

    choices = _choices(options)
    if choices.default:
        return []
    resolved = _resolved(options, run, _places(options, run), choices)
    if resolved.may_lack:
        return []
    if choices.detectors is not None:
        return choices.detectors
    return [name for name, entries in resolved.detectors.items() if is_used(entries)]


def _plan(
    options: argparse.Namespace, run: Run, where: Places, choices: Choices
) -> Plan:
    """Return what is to be done; everything that is wrong is found here."""
    from smalldata_ana.producing.planning import plan

    return plan(
        run,
        _resolved(options, run, where, choices),
        where.parts(run.number),
        choices,
        size=options.gather_interval,
        strict=options.strict,
    )


def _choices(options: argparse.Namespace) -> Choices:
    from smalldata_ana.producing import choices

    return choices.Choices(
        detectors=options.detectors,
        default=options.default,
        full=options.full,
        image=options.image,
        epics_all=options.epicsAll,
        sums=not options.nosum,
    )


def _stale(
    options: argparse.Namespace, run: Run, where: Places, file: Path
) -> Record | None:
    """Return how a file was made, if it would be another one now."""
    from smalldata_ana.producing import record as records

    record = records.Record.read(file)
    resolved = _resolved(options, run, where, record.choices)
    changes = record.changes(run, resolved)
    title = f"{run.experiment} run {run.number}"
    print(f"{title}: " + ("as it would be made now" if not changes else "stale"))
    for change in changes:
        print(f"  {change}")
    return record if changes else None


def _resolved(
    options: argparse.Namespace, run: Run, where: Places, choices: Choices
) -> Resolved:
    """Return the parameters of a run, from wherever the user wants them."""
    from smalldata_ana.own_functions import load_functions
    from smalldata_ana.producing.choices import no_parameters

    functions = load_functions(options.functions) if options.functions else None
    if options.config:
        from smalldata_ana.parameters.prod_config import config_file, resolved_of_config

        folders = [Path(sys.argv[0]).parent, where.params.parent]
        path = config_file(options.config, folders)
        present = run.detectors
        found = resolved_of_config(path, run.number, run.experiment, present)
    elif not where.params.exists() and choices.need_no_parameters:
        found = no_parameters(run, where.params)
    else:
        found = _of_file(where.params, run, choices)
    return replace(found, functions=functions)


def _of_file(path: Path, run: Run, choices: Choices) -> Resolved:
    """Return what a parameter file says; what is wrong with it is told all at once."""
    from smalldata_ana.parameters.file import ParameterFile
    from smalldata_ana.producing.planning import problems_of

    try:
        return ParameterFile.load(path, run.experiment).resolve(run.number)
    except ParameterError as error:
        right = ParameterFile.right_part(path, run.experiment)
        told = problems_of(run, right.resolve(run.number), choices) if right else []
        raise ParameterError("\n".join([str(error), *told])) from error
