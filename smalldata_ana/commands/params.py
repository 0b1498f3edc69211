"""``smalldata-ana params``: check a parameter file, show it, to and from Python."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smalldata_ana.commands import add_action, run_command, set_log_level
from smalldata_ana.detector.mask_entries import unused_files
from smalldata_ana.errors import FileError, ParameterError, UsageError, counted
from smalldata_ana.own_functions import load_functions
from smalldata_ana.parameters import resolved
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.checking import (
    file_problems,
    lacking_problems,
    together_problems,
)
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, file_text, problems_of_file
from smalldata_ana.parameters.prod_config.config import contents_of
from smalldata_ana.parameters.prod_config.evaluating import evaluate
from smalldata_ana.parameters.prod_config.forms import Flavour
from smalldata_ana.parameters.prod_config.writing import python_text
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.tables import EVENT, Table
from smalldata_ana.pipeline import with_geometry  # it knows all kinds of entries
from smalldata_ana.places import places
from smalldata_ana.safe_files import replacing
from smalldata_ana.session.experiment import find_experiment

Parts = list[tuple[RunRange, Mapping[str, Sequence[Entry]]]]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="smalldata-ana params",
        description="Check the parameters of an experiment's producer, show what "
        "applies to a run, and bring them to and from smalldata_tools' Python.",
    )
    actions = options.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = add_action(actions, "check", _check, "tell everything that is wrong")
    _add_file(add)
    _add_functions(add)
    add = add_action(actions, "show", _show, "show what applies to a run, and why")
    _add_file(add)
    _add_functions(add)
    add.add_argument("-r", "--run", type=int, required=True, help="the run")
    _add_to_python(actions)
    _add_from_python(actions)
    return options


@run_command
def main(argv: list[str]) -> int:
    """Run the command and return its exit code: 0, or 2 where something is wrong."""
    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    options.act(options)
    return 0


def _add_file(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "file",
        nargs="?",
        type=Path,
        help="parameter file [that of the experiment]",
    )


def _add_to_python(actions: Any) -> None:
    action = add_action(
        actions,
        "to-prod-config",
        _to_python,
        "write the parameters as a prod_config_<hutch>.py of smalldata_tools",
    )
    _add_file(action)
    action.add_argument(
        "--flavour",
        choices=[flavour.value for flavour in Flavour],
        default=Flavour.LCLS2.value,
        help="which producer it is for [%(default)s]",
    )
    _add_output(action, "Python file to write [stdout]")


def _add_from_python(actions: Any) -> None:
    action = add_action(
        actions,
        "from-prod-config",
        _from_python,
        "read the parameters of a prod_config_<hutch>.py, whose code is executed in a "
        "process of its own",
    )
    action.add_argument("module", type=Path, help="the Python file")
    action.add_argument(
        "--runs",
        required=True,
        metavar="RUNS",
        help="runs to ask it for, for instance 1-40",
    )
    action.add_argument(
        "--go-on",
        action="store_true",
        help="let what holds for the last run hold for all later ones",
    )
    _add_output(action, "parameter file to append to, or to make [stdout]")


def _add_functions(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--functions",
        type=Path,
        metavar="FILE",
        help="Python file with own functions, which is executed; without it, their "
        "parameters are not checked",
    )


def _add_output(action: argparse.ArgumentParser, text: str) -> None:
    action.add_argument("-o", "--output", type=Path, metavar="FILE", help=text)


def _path(options: argparse.Namespace) -> Path:
    if options.file is not None:
        given: Path = options.file
        return given
    return places(find_experiment(options.experiment)).params


# -- check, show -----------------------------------------------------------------------


def _check(options: argparse.Namespace) -> None:
    path = _path(options)
    _load_functions(options)
    problems = problems_of_file(path, options.experiment)
    if problems:
        listed = "\n".join(f"{path}: {problem}" for problem in problems)
        raise ParameterError(f"{counted(len(problems), 'problem')}\n{listed}")
    file = ParameterFile.load(path)
    number = counted(len(file.entries), "entry", "entries")
    print(f"{path}: {number} for {file.experiment}, nothing is wrong")
    unchecked = sum(entry.model.is_open for entry in file.entries)
    if unchecked:
        calls = counted(unchecked, "entry", "entries")
        print(f"  but {calls} of own functions: not checked without --functions FILE")
    for unused in unused_files(path.parent):
        print(f"  note: no parameter file beside it names {unused}")


def _load_functions(options: argparse.Namespace) -> None:
    if options.functions is not None:
        load_functions(options.functions)


def _show(options: argparse.Namespace) -> None:
    path = _path(options)
    _load_functions(options)
    file = ParameterFile.load(path, options.experiment)
    print(f"{path}: {file.experiment} run {options.run}")
    for table in file.tables:
        print("\n".join(_described_table(table, options.run)))
    for group in resolved.groups(file.entries):
        print("\n".join(_described(group, options.run)))
    chosen = resolved.applying(file.entries, options.run)
    for problem in (
        *file_problems(chosen, path.parent),
        *together_problems(chosen),
        *lacking_problems(chosen),
    ):
        print(f"! {problem}")


def _described_table(table: Table, run: int) -> Iterator[str]:
    """Say whether a table applies to a run, and what it says."""
    if not table.applies_to(run):
        why = "is switched off" if run in table.runs else f"is for runs {table.runs}"
        yield f"- {table}: not for this run: it {why}"
        return
    yield f"+ {table}{f': line {table.line}' if table.line else ''}"
    yield from (f"    {key} = {value}" for key, value in table.values.items())


def _described(group: Sequence[Entry], run: int) -> Iterator[str]:
    """Say which entry of a group applies to a run, why, and what it says."""
    best = resolved.winner(group, run)
    why = resolved.reason(group, run)
    if best is None or not best.enabled:
        off = "" if best is None else f"switched off by {_place(best)}: "
        yield f"- {_title(group[0])}: not for this run: {off}{why}"
    else:
        yield f"+ {_title(best)}: {_place(best)}: {why}"
        yield from (f"    {key} = {value}" for key, value in best.values.items())
        if best.of is not None:
            yield f"    of = {best.of}"
        if best.made:
            yield f"    made {', '.join(f'{k} {v}' for k, v in best.made.items())}"
    for other in group:
        if other is not best:
            against = resolved.reason_against(other, best, run)
            yield f"    not {_place(other)}: it {against}"


def _title(entry: Entry) -> str:
    return f"{entry.detector} {entry.kind}{f' {entry.name}' if entry.name else ''}"


def _place(entry: Entry) -> str:
    return f"line {entry.line}, runs {entry.runs}"


# -- Python ----------------------------------------------------------------------------


def _to_python(options: argparse.Namespace) -> None:
    path = _path(options)
    file = ParameterFile.load(path, options.experiment)
    event = next((t.values for t in file.tables if t.kind == EVENT), {})
    flavour = Flavour(options.flavour)
    text, left_out = python_text(_parts(file), flavour, str(path), event)
    others = [f"[{table}]" for table in file.tables if table.kind != EVENT]
    for sentence in (*left_out, *others):
        print(f"not written: {sentence}", file=sys.stderr)
    _write(text, options.output)


def _parts(file: ParameterFile) -> Parts:
    """Return the ranges of runs for which the same applies, with the entries."""
    begins = {e.runs.begin for e in file.entries}
    begins |= {e.runs.end + 1 for e in file.entries if e.runs.end is not None}
    starts = sorted(begins)
    parts: Parts = []
    for number, start in enumerate(starts, 1):
        end = starts[number] - 1 if number < len(starts) else None
        by_detector = {
            detector: with_geometry(entries)
            for detector, entries in file.resolve(start).detectors.items()
            if all(e.values["use"] for e in entries if e.kind == "use")
        }
        parts.append((RunRange(start, end), by_detector))
    return parts


def _write(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
        return
    if output.exists():
        raise FileError(f"{output} is there already; give another name")
    with replacing(output) as aside:
        aside.write_text(text, encoding="utf-8")
    print(f"written: {output}")


def _from_python(options: argparse.Namespace) -> None:
    experiment = find_experiment(options.experiment)
    runs = RunRange.parse(options.runs)
    if runs.end is None:
        raise UsageError(
            f"--runs {runs}: the functions are called for each run; give the last one, "
            f"for instance --runs {runs.begin}-{runs.begin + 40} --go-on"
        )
    print(
        f"executing {options.module} in a process of its own, for runs {runs}",
        file=sys.stderr,
    )
    entries, event, notes = contents_of(evaluate(options.module, runs), runs)
    tables = [event] if event.values else []
    if options.go_on:
        entries = [_going_on(entry, runs) for entry in entries]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if options.output is not None:
        done = append(options.output, entries, experiment, tables=tables)
        number = counted(len(done.entries), "entry", "entries")
        print(f"{number} added to {options.output}")
        return
    print(file_text(experiment, entries, tables), end="")


def _going_on(entry: Entry, runs: RunRange) -> Entry:
    last = entry.runs.end == runs.end
    return replace(entry, runs=RunRange(entry.runs.begin)) if last else entry
