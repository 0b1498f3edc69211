"""A ``prod_config`` in the place of a parameter file: ``--config``.

Its functions are asked for one run, and say then what the parameter file would.  The
file is never changed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from smalldata_ana.errors import FileError, ParameterError, did_you_mean, listing
from smalldata_ana.parameters.entry import SUMS as ENTRY
from smalldata_ana.parameters.entry import USUAL_SUMS, Entry
from smalldata_ana.parameters.file import file_text
from smalldata_ana.parameters.prod_config.evaluating import Evaluated, evaluate
from smalldata_ana.parameters.prod_config.event_lists import INTEGRATED, event_of
from smalldata_ana.parameters.prod_config.forms import SUMS
from smalldata_ana.parameters.prod_config.reading import entries_of, listed
from smalldata_ana.parameters.provenance import made
from smalldata_ana.parameters.resolved import Definition, Resolved, by_detector
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.tables import EVENT, Table
from smalldata_ana.parameters.user_code import DEFINE_DETS, CodeFile

logger = logging.getLogger(__name__)

_FILE = "prod_config_{}.py"


def config_file(name: str, folders: Sequence[Path]) -> Path:
    """Return the file that ``--config`` means.

    Parameters
    ----------
    name : a file, or the part of its name after ``prod_config_``
    folders : where to look for the latter, one after the other

    Raises
    ------
    FileError
        if there is none
    """
    candidates = [Path(name), *(folder / _FILE.format(name) for folder in folders)]
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None:
        return found
    pattern = _FILE.format("*")
    there = [path for folder in folders for path in sorted(folder.glob(pattern))]
    names = [path.stem.removeprefix("prod_config_") for path in there]
    raise FileError(
        f"--config {name}: there is no such file, nor {_FILE.format(name)} in "
        f"{listing(map(str, folders))}; there are {listing(names)}."
        f"{did_you_mean(name, names)}"
    )


def resolved_of_config(
    path: Path, run: int, experiment: str, present: Collection[str] | None = None
) -> Resolved:
    """Return what a ``prod_config`` says for a run.

    As in smalldata_tools, every detector of its lists takes part, a detector or EPICS
    value that the run does not have is left out, and if it has no function of sums, the
    calibrated images of all detectors are summed.  A function ``define_dets`` is called
    when the detectors are made; those that it returns are as it made them, but for the
    options of the command line.

    Parameters
    ----------
    path : the file; it is executed in a process of its own
    run : the run
    experiment : its experiment
    present : the detectors that it has, or None if that is not known; what is wrong for
        others is a warning

    Raises
    ------
    FileError
        if there is no such file
    ParameterError
        if the code fails, or a parameter is unknown or has a value that is not allowed:
        everything at once
    """
    code = CodeFile.of(path)
    runs = RunRange(run, run)
    evaluated = evaluate(code.path, runs)
    entries, table, notes = contents_of(evaluated, runs, present)
    defines = DEFINE_DETS in evaluated.defined
    if defines and evaluated.absent:
        raise ParameterError(
            f"{path}: no module {listing(evaluated.absent)}, which it imports, and "
            f"{DEFINE_DETS} is executed here: install it, put it beside the file, or "
            "leave out its import, or write that within try and except ImportError"
        )
    for note in notes:
        if note.split()[0] != DEFINE_DETS:
            logger.warning("%s: %s", path, note)
    # Of those that are slow and absent, the event data tell.
    slow = set(table.values.get(INTEGRATED, ()))
    left_out = set() if present is None else slow - {*present}
    entries += _of_listed(evaluated, entries, runs, left_out)
    tables = (table,) if table.values else ()
    return Resolved(
        run=run,
        detectors=by_detector(entries),
        path=code.path,
        sha256=code.sha256,
        text=file_text(experiment, entries, tables),
        tables=tables,
        define_dets=Definition(code) if defines else None,
        may_lack=True,
    )


def contents_of(
    evaluated: Evaluated, runs: RunRange, present: Collection[str] | None = None
) -> tuple[list[Entry], Table, list[str]]:
    """Return the entries and the table of the event data that say the same.

    Parameters
    ----------
    evaluated : what a module says
    runs : the runs that it was asked for
    present : the detectors that there are, if that is known

    Returns
    -------
    The entries, the table, and a sentence for each thing that is not in them.

    Raises
    ------
    ParameterError
        if a parameter is unknown or has a value that is not allowed: everything at once
    """
    entries: list[Entry] = []
    notes: list[str] = []
    table = Table(EVENT, {})
    problems = []
    try:
        entries, notes = entries_of(evaluated, runs, present)
    except ParameterError as error:
        problems.append(str(error))
    try:
        table = event_of(evaluated)
    except ParameterError as error:
        problems.append(str(error))
    if problems:
        raise ParameterError("\n".join(problems))
    return entries, table, notes


def _of_listed(
    evaluated: Evaluated,
    entries: Sequence[Entry],
    runs: RunRange,
    left_out: Collection[str],
) -> Iterator[Entry]:
    """Return the entries that a detector has because the file lists it."""
    how = made("--config", file=str(evaluated.path))
    has_function = any(name in evaluated.functions for name in SUMS.values())
    said = {(entry.detector, entry.kind) for entry in entries}
    names = (listed(evaluated) or set()) - {*left_out}
    for name in sorted(names | {entry.detector for entry in entries}):
        yield Entry(name, "use", runs, {"use": True}, made=how)
        if (name, ENTRY) not in said:
            sums = {ENTRY: []} if has_function else USUAL_SUMS
            yield Entry(name, ENTRY, runs, sums, made=how)
