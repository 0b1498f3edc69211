"""`exportParams`: what was accepted in the session goes to the parameter file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import smalldata_ana.ana_funcs  # noqa: F401 (registers the kinds of entries)
from smalldata_ana.errors import NameNotFound, UsageError, counted, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, append
from smalldata_ana.parameters.resolved import takes_effect
from smalldata_ana.parameters.run_range import RunRange


@dataclass(frozen=True, repr=False)
class ExportReport:
    """What was written to a parameter file; printed, it says so in full.

    Attributes
    ----------
    path : the parameter file
    entries : the new entries
    effective : for each of them the runs in which it takes effect: fewer than its
        range, where another entry of the same name begins with a later run
    """

    path: Path
    entries: tuple[Entry, ...]
    effective: tuple[tuple[RunRange, ...], ...]

    def __repr__(self) -> str:
        written = counted(len(self.entries), "entry", "entries")
        return f"<ExportReport: {written} in {self.path}>"

    def __str__(self) -> str:
        lines = [f"{self.path}:"]
        for entry, ranges in zip(self.entries, self.effective, strict=True):
            lines.append(f"  {entry}")
            lines += [f"    {key} = {value}" for key, value in entry.values.items()]
            lines.append(f"    {_effect(entry, ranges)}")
        return "\n".join(lines)


def _effect(entry: Entry, ranges: Sequence[RunRange]) -> str:
    text = f"takes effect for runs {', '.join(map(str, ranges))}"
    if list(ranges) != [entry.runs]:
        text += "; elsewhere an entry of this name that begins later applies"
    return text


def export_params(
    session: Any,
    runs: str | int | None = None,
    path: str | os.PathLike[str] | None = None,
    what: str | Iterable[str] | None = None,
) -> ExportReport:
    """Append the accepted entries to the parameter file.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    runs : the runs that they are for: "12" or 12, "12-" or "12-40"; by default from
        the session's run on
    path : the file, by default the experiment's
    what : names or kinds of the entries to write, by default all

    Raises
    ------
    UsageError
        if nothing was accepted
    NameNotFound
        if nothing of such a name was accepted
    ParameterError
        if the range is wrong, or the file is; nothing is written then
    """
    range_ = RunRange(session.run.number) if runs is None else RunRange.parse(runs)
    chosen = _chosen(session.pending, what)
    new = [dataclasses.replace(entry, runs=range_) for entry in chosen]
    target = session.places.params if path is None else Path(path).expanduser()
    file = append(target, new, session.places.experiment)
    session.pending[:] = [e for e in session.pending if e not in chosen]
    written = [_last(file, entry) for entry in new]
    effective = [tuple(takes_effect(file.entries, entry)) for entry in written]
    return ExportReport(target, tuple(written), tuple(effective))


def _chosen(pending: Sequence[Entry], what: str | Iterable[str] | None) -> list[Entry]:
    if not pending:
        raise UsageError(
            "there is nothing to export; choose something and accept it first, for "
            "instance anaps.SelectRegion(…).accept()"
        )
    if what is None:
        return list(pending)
    wanted = {what} if isinstance(what, str) else set(what)
    known = {e.name for e in pending if e.name} | {e.kind for e in pending}
    for name in sorted(wanted - known):
        raise NameNotFound(unknown("accepted entry", name, sorted(known)))
    return [e for e in pending if e.name in wanted or e.kind in wanted]


def _last(file: ParameterFile, entry: Entry) -> Entry:
    """Return the last entry of a file with the name of another one."""
    key = (entry.path, entry.name)
    return next(e for e in reversed(file.entries) if (e.path, e.name) == key)
