"""Adding entries to a parameter file, by several people at once.

Nothing that stands in a file is ever edited: what is new is added at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import tomllib
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.file_rights import open_lock
from smalldata_ana.parameters import provenance
from smalldata_ana.parameters.checking import (
    Problem,
    all_together_problems,
    file_problems,
)
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, file_text, read_text
from smalldata_ana.parameters.resolved import rivals
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.tables import Table
from smalldata_ana.safe_files import make_folder, reason, remove_asides, replacing


@dataclass(frozen=True)
class Appended:
    """What was added to a parameter file.

    Attributes
    ----------
    before, after : the file as it was, and as it is
    entries : what was added, as it stands in the file
    names : of what was to be added, one each; where one was automatic and is taken in
        the file, it is another one
    """

    before: ParameterFile
    after: ParameterFile
    entries: tuple[Entry, ...]
    names: tuple[str, ...]


def append(
    path: str | os.PathLike[str],
    entries: Sequence[Entry],
    experiment: str,
    *,
    replacing_older: bool = False,
    tables: Sequence[Table] = (),
) -> Appended:
    """Add entries at the end of a file, which is made if there is none.

    What stands in the file is kept to the letter.  The file is read again under a
    lock, so that two sessions can append at once, and the result is checked before
    it takes the file's place; the file of before stays beside it as ``<name>.bak``.
    An automatic name that another session has taken meanwhile gives way to a free one.

    Parameters
    ----------
    path : the file
    entries : what to add, in this order
    experiment : the experiment that the file is for
    replacing_older : let each entry apply to all of its runs: where an older one would
        win, as it begins later, it is added once more from there on
    tables : what to add beside the detectors; what the file says already is not added

    Raises
    ------
    ParameterError
        if the file or one of the entries is wrong, or an entry does not go together
        with others; nothing is changed then
    FileError
        if the file cannot be read or written
    """
    path = Path(os.path.realpath(path))
    backup = path.with_name(path.name + ".bak")
    with _locked(path):
        remove_asides(path)
        remove_asides(backup)
        old = read_text(path) if path.exists() else None
        start = file_text(experiment, ()) if old is None else old
        before = ParameterFile.parse(start, path, experiment)
        entries = _with_free_names(entries, before.entries)
        names = tuple(entry.name for entry in entries)
        if replacing_older:
            entries = [e for one in entries for e in _everywhere(one, before.entries)]
        text = start + _addition(start, [*_new(tables, before), *entries])
        _check_tables(text, path)
        after = ParameterFile.parse(text, path, experiment)
        added = _added(before, after, entries)
        _check_additions(before, after, added)
        if old is not None:
            with replacing(backup, like=path) as aside:
                aside.write_bytes(old.encode())
        with replacing(path) as aside:
            aside.write_bytes(text.encode())
    return Appended(before, after, added, names)


def _with_free_names(entries: Sequence[Entry], there: Sequence[Entry]) -> list[Entry]:
    """Return entries with other names for those that are automatic and taken."""
    named = list(entries)
    for place, entry in enumerate(entries):
        taken = {e.name for e in there if e.detector == entry.detector}
        if entry.automatic and entry.name in taken:
            taken |= {e.name for e in named if e.detector == entry.detector}
            named[place] = replace(entry, name=free_name_like(entry.name, taken))
    return named


def free_name_like(name: str, taken: Container[str]) -> str:
    """Return a name like another one, with the first number that is free.

    Parameters
    ----------
    name : ``ROI_0``, ``mask``
    taken : names that there are

    Examples
    --------
    >>> free_name_like("ROI_0", {"ROI_0"}), free_name_like("mask", {"mask", "mask_1"})
    ('ROI_1', 'mask_2')
    """
    stem = re.sub(r"_[0-9]+$", "", name)
    names = (f"{stem}_{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _new(tables: Sequence[Table], before: ParameterFile) -> Iterator[Table]:
    """Return the tables that a file does not have; it must not have others for them."""
    for table in tables:
        there = next((t for t in before.tables if t.path == table.path), None)
        if there is None:
            yield table
        elif dict(there.values) != dict(table.values):
            raise ParameterError(
                f"{before.path} was not changed: it has a table [{table}] already, in "
                f"line {there.line}, and what stands there is never edited; to be "
                f"added was:\n{table.text()}"
            )


def _addition(start: str, entries: Sequence[Entry | Table]) -> str:
    stamp = f"# exported {provenance.now().isoformat()} by {provenance.author()}\n"
    end = "" if start.endswith("\n") else "\n"
    return end + "".join(f"\n{stamp}{entry.text()}" for entry in entries)


def _check_tables(text: str, path: Path) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(
            f"{path} was not changed: it has entries inside of braces or brackets, and "
            "none can be added to them; write them as [[detector.<name>.<kind>]] "
            f"({error})"
        ) from error


def _everywhere(entry: Entry, others: Sequence[Entry]) -> list[Entry]:
    """Return an entry, and again for the begins at which others of its name win."""
    widest: dict[int, RunRange] = {}
    for other in rivals(others, entry):
        runs = other.runs
        if runs.begin > entry.runs.begin and runs.begin in entry.runs:
            before = widest.get(runs.begin, runs)
            widest[runs.begin] = max(before, runs, key=lambda r: r.last)
    again = (widest[begin].within(entry.runs) for begin in sorted(widest))
    return [entry, *(replace(entry, runs=runs) for runs in again)]


def _added(
    before: ParameterFile, after: ParameterFile, new: Sequence[Entry]
) -> tuple[Entry, ...]:
    """Return the new entries as they stand in the file: the last ones of their path."""
    counts = Counter(entry.path for entry in before.entries)
    behind = {
        path: iter([e for e in after.entries if e.path == path][counts[path] :])
        for path in {entry.path for entry in new}
    }
    return tuple(next(behind[entry.path]) for entry in new)


def _check_additions(
    before: ParameterFile, after: ParameterFile, added: Sequence[Entry]
) -> None:
    # In a text that is not written, nobody can look up a line.
    unwritten = [replace(entry, line=None) for entry in added]
    problems = new_problems(before.entries, [*before.entries, *unwritten])
    problems += file_problems(unwritten, after.path.parent)
    if problems:
        raise ParameterError(
            f"{after.path} was not changed, as it would be wrong:\n"
            + "\n".join(map(str, problems))
        )


def new_problems(before: Sequence[Entry], after: Sequence[Entry]) -> list[Problem]:
    """Return what is wrong with entries together, because some were added.

    Parameters
    ----------
    before : entries
    after : the same, with others among or behind them
    """
    wrong = {_place(problem.entry) for problem, _ in all_together_problems(before)}
    problems = [problem for problem, _ in all_together_problems(after)]
    return [problem for problem in problems if _place(problem.entry) not in wrong]


def _place(entry: Entry) -> tuple[str, int | None]:
    return str(entry), entry.line


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that may be replaced: on a hidden file beside it."""
    lock = make_folder(path.parent) / f".{path.name}.lock"
    with contextlib.ExitStack() as held:
        try:
            descriptor = open_lock(lock, path if path.exists() else path.parent)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise FileError(f"cannot lock {lock}: {reason(error)}") from error
        yield
