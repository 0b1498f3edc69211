"""The producer's command line: from runs and their parameters to small data."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.commands import run_command, say, set_log_level
from smalldata_ana.commands.producer_options import check, parser
from smalldata_ana.commands.producer_reports import progress_of, summary, tell_run_table
from smalldata_ana.commands.producer_stale import made_before, runs_made
from smalldata_ana.commands.runs import (
    EXIT_INCOMPLETE,
    for_each,
    numbers_of,
    opened,
    quiet,
    workers_of,
)
from smalldata_ana.errors import ParameterError

if TYPE_CHECKING:
    from smalldata_ana.parameters.resolved import Resolved
    from smalldata_ana.places import Places
    from smalldata_ana.producing.choices import Choices
    from smalldata_ana.producing.executors import Workers
    from smalldata_ana.producing.inputs import Inputs
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
    check(options)
    made = runs_made(options) if options.stale and not options.files else None
    numbers = numbers_of(options, made)
    with workers_of(options.nproc) as workers:
        return for_each(numbers, lambda number: _produce(options, number, workers))


def _produce(
    options: argparse.Namespace, number: int | None, workers: Callable[[], Workers]
) -> int:
    """Make the file of one run, if that is to be; return the exit code."""
    before: Record | None = None
    if options.stale:
        options, before = made_before(options, number)
    run = opened(
        options,
        number,
        patience=options.live,
        recorders=not options.norecorder,
        needed=lambda run: _needed(options, run),
        check=lambda run: _check_detectors(options, run),
    )
    with closing(run):
        if before is not None and (
            not _is_stale(options, run, before) or options.dry_run
        ):
            return 0
        if options.dry_run:
            say(_plan(options, run).text(options.nevents))
            return 0
        # Their set-up goes on while the plan is made.
        workers()
        return _written(options, _plan(options, run), workers())


def _written(options: argparse.Namespace, plan: Plan, workers: Workers) -> int:
    """Write the file of one run; return the exit code."""
    from smalldata_ana.producing.production import Production

    run = plan.run
    begin = datetime.datetime.now()
    title = f"{run.experiment} run {run.number}"
    with progress_of(title, lambda: quiet(run)) as progress:
        result = Production(
            plan,
            _places(options, run).smalldata_file(run.number),
            limit=options.nevents,
            resume=options.resume,
            compression=options.compression,
            inputs=_inputs(options, plan),
            progress=progress,
        ).run(workers)
    say("\n".join(summary(run, result)))
    if options.postRuntable:
        tell_run_table(run, begin, workers.number, options.default, options.url)
    return EXIT_INCOMPLETE if result.problems else 0


def _inputs(options: argparse.Namespace, plan: Plan) -> Inputs:
    from smalldata_ana.producing.inputs import Inputs

    inputs = Inputs.of(vars(options))
    # A name was looked for in some folders.
    return replace(inputs, config=plan.job.resolved.path) if options.config else inputs


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


def _check_detectors(options: argparse.Namespace, run: Run) -> None:
    """Raise what is wrong with the parameters of the area detectors."""
    from smalldata_ana.pipeline import build_detectors

    choices = _choices(options)
    resolved = _resolved(options, run, _places(options, run), choices)
    build_detectors(run, choices.applied(run, resolved))


def _plan(options: argparse.Namespace, run: Run) -> Plan:
    """Return what is to be done; everything that is wrong is found here."""
    from smalldata_ana.producing.planning import plan

    where, choices = _places(options, run), _choices(options)
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


def _is_stale(options: argparse.Namespace, run: Run, before: Record) -> bool:
    """Tell whether a file would be another one now; say what would differ."""
    resolved = _resolved(options, run, _places(options, run), before.choices)
    changes = before.changes(run, resolved)
    state = "stale" if changes else "as it would be made now"
    title = f"{run.experiment} run {run.number}: {state}"
    say("\n".join([title, *(f"  {change}" for change in changes)]))
    return bool(changes)


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
        path = config_file(str(options.config), folders)
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
