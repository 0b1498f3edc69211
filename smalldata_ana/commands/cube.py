"""The command line of cubes: full images of runs, summed in bins."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.commands import add_log_level, run_command, say, set_log_level
from smalldata_ana.commands.option_checks import (
    check_above_0,
    check_files,
    check_nproc,
)
from smalldata_ana.commands.producer_reports import progress_of
from smalldata_ana.commands.runs import (
    EXIT_INCOMPLETE,
    FILE,
    FLAG,
    FOLDER,
    add_resume,
    add_run,
    for_each,
    numbers_of,
    opened,
    workers_of,
)
from smalldata_ana.errors import ParameterError

if TYPE_CHECKING:
    from smalldata_ana.cubes.making import CubeResult
    from smalldata_ana.cubes.planning import CubePlan
    from smalldata_ana.parameters.resolved import Resolved
    from smalldata_ana.parameters.tables import Table
    from smalldata_ana.places import Places
    from smalldata_ana.producing.executors import Workers
    from smalldata_ana.sources.base import Run


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="lets_cube.py",
        description="Sum full images of a run in bins of a delay, a scan or any other "
        "variable, as the tables [cube.<name>] of the experiment's parameter file "
        "say.  Defaults are in brackets; <results> is "
        "<experiment>/results/smalldata_ana.",
    )
    _add_run(options)
    _add_cube(options)
    _add_work(options)
    add_log_level(options)
    return options


def _add_run(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("which run").add_argument
    add_run(add)
    options.set_defaults(wait=0)


def _add_cube(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("what to compute").add_argument
    add("--cube", metavar="NAME", help="only this cube [all of the parameter file]")
    add("--params", **FILE, help="parameters [<results>/params/<EXP>.toml]")
    add(
        "--config",
        metavar="CONFIG",
        help="a cube_config_*.py that says what the cubes are, instead of the "
        "parameter file: its path, or the hutch; masks and geometry are still those "
        "of the parameter file, if there is one",
    )
    add("--functions", **FILE, help="a Python file with functions of one's own")
    add("-n", "--nevents", type=int, metavar="N", help="events of a bin at most [all]")
    add(
        "--indirectory",
        **FOLDER,
        help="small data, for variables that are results of functions "
        "[<experiment>/hdf5/smalldata]",
    )


def _add_work(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("how to work").add_argument
    add(
        "-d",
        "--directory",
        "--outdirectory",
        **FOLDER,
        help="output [<experiment>/hdf5/smalldata/cube]",
    )
    add_resume(add)
    add("--strict", **FLAG, help="stop when an image cannot be read")
    add("--compression", choices=["bitshuffle-lz4"], help="compress the images [none]")
    add("--dry-run", **FLAG, help="check everything, and say what would be done")


@run_command
def main(argv: list[str]) -> int:
    """Make cubes and return the exit code, as the producer's.

    0: done; 1: an error in the user's code; 2: wrong input, nothing was written; 3:
    written, but the data of the run are incomplete; 130, 143: interrupted, finished
    parts are kept.
    """
    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    check_above_0(options, "nevents")
    check_nproc(options)
    check_files(options)
    numbers = numbers_of(options)
    with workers_of(options.nproc) as workers:
        return for_each(numbers, lambda number: _make(options, number, workers))


def _make(
    options: argparse.Namespace, number: int | None, workers: Callable[[], Workers]
) -> int:
    """Make the cubes of one run; return the exit code."""
    run = opened(options, number)
    try:
        where = _places(options, run)
        resolved = _resolved(options, run, where)
        plans = _plans(options, run, resolved, where)
        if options.dry_run:
            say("\n".join(plan.text() for plan in plans))
            return 0
        results = [_result(options, plan, where, workers) for plan in plans]
    finally:
        run.close()
    return EXIT_INCOMPLETE if any(result.problems for result in results) else 0


def _places(options: argparse.Namespace, run: Run) -> Places:
    from smalldata_ana.places import places

    return places(
        run.experiment,
        params=options.params,
        directory=options.indirectory,
        loose_files=options.files is not None,
    )


def _target(options: argparse.Namespace, plan: CubePlan, where: Places) -> Path:
    """Return the file of a cube."""
    path = where.cube_file(plan.run.number, plan.name)
    return path if options.directory is None else options.directory / path.name


def _plans(
    options: argparse.Namespace, run: Run, resolved: Resolved, where: Places
) -> list[CubePlan]:
    """Return what is to be done; everything that is wrong is found here."""
    from smalldata_ana.cubes.planning import plan
    from smalldata_ana.cubes.variables import Variables

    variables = Variables.of(run, resolved, where.smalldata_file(run.number))
    files = {name: where.cube_file(run.number, name) for name in resolved.cubes}
    return [
        plan(
            run,
            resolved,
            name,
            (options.directory or file.parent) / f".{file.stem}.parts",
            variables,
            strict=options.strict,
        )
        for name, file in files.items()
    ]


def _result(
    options: argparse.Namespace,
    plan: CubePlan,
    where: Places,
    workers: Callable[[], Workers],
) -> CubeResult:
    """Make one cube, and say what came of it."""
    from smalldata_ana.cubes.making import Making

    title = f"{plan.run.experiment} run {plan.run.number}, cube {plan.name}"
    with progress_of(title) as progress:
        making = Making(
            plan,
            _target(options, plan, where),
            resume=options.resume,
            compression=options.compression,
            progress=progress,
        )
        result = making.run(workers())
    say("\n".join(_summary(title, plan, result)))
    return result


def _summary(title: str, plan: CubePlan, result: CubeResult) -> Iterator[str]:
    """Yield what came of a cube, line by line."""
    report = result.report
    reused = f", {result.reused} of them by an earlier job" if result.reused else ""
    yield (
        f"{title}: {report.events} of {len(plan.run)} events in {plan.binning.bins} "
        f"bins{reused}"
    )
    for detector, count in sorted(report.without_data.items()):
        yield f"  {detector}: {count} events without data"
    for kind, count in sorted(report.failures.counts.items()):
        yield f"  {kind} on {count} events"
    for problem in result.problems:
        yield f"  incomplete: {problem}"
    for target in result.targets:
        yield f"  output: {target}"


def _resolved(options: argparse.Namespace, run: Run, where: Places) -> Resolved:
    """Return the parameters of a run with the cubes that are wanted."""
    from smalldata_ana.cubes.config import config_file, cubes_of_config
    from smalldata_ana.errors import unknown
    from smalldata_ana.own_functions import load_functions
    from smalldata_ana.parameters.file import ParameterFile
    from smalldata_ana.parameters.tables import CUBE
    from smalldata_ana.producing.choices import no_parameters

    functions = load_functions(options.functions) if options.functions else None
    if options.config and not where.params.exists():
        found = no_parameters(run, where.params)
    else:
        found = ParameterFile.load(where.params, run.experiment).resolve(run.number)
    others = tuple(t for t in found.tables if t.kind != CUBE)
    cubes = tuple(t for t in found.tables if t.kind == CUBE)
    if options.config:
        folders = [Path(sys.argv[0]).parent, where.params.parent]
        path = config_file(options.config, folders)
        cubes = cubes_of_config(path, run.number)
    names = [table.name for table in cubes]
    if not cubes or (options.cube and options.cube not in names):
        what = unknown("cube", options.cube or "of any name", names, str(found.path))
        raise ParameterError(f"{what} Add a table [cube.<name>]")
    wanted = [t for t in cubes if options.cube in {None, t.name}]
    limited = tuple(_limited(table, options.nevents) for table in wanted)
    return replace(found, tables=(*others, *limited), functions=functions)


def _limited(table: Table, nevents: int | None) -> Table:
    """Return a cube with the number of events in a bin that an option gives."""
    if nevents is None:
        return table
    return replace(table, values={**table.values, "nevents": nevents})
