"""`exportParams`: what was accepted in the session goes to the parameter file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import smalldata_ana.pipeline  # noqa: F401 (it knows all kinds of entries)
from smalldata_ana.detector.mask_entries import stored
from smalldata_ana.errors import (
    FileError,
    NameNotFound,
    ParameterError,
    UsageError,
    listing,
    unknown,
)
from smalldata_ana.parameters.appending import Appended, append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.export_report import Exported, ExportReport, written_by

_WAYS_OUT = (
    "nothing was exported, and what was accepted is kept. Mend the file, or withdraw "
    "what does not fit: anaps.forget(name); or write to another file: "
    "anaps.exportParams(path='…')"
)


def export_params(
    session: Any,
    runs: str | int | None = None,
    path: str | os.PathLike[str] | None = None,
    what: str | Iterable[str] | None = None,
    *,
    replace: bool = False,
) -> ExportReport:
    """Append the accepted entries to the parameter file.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    runs : the runs that they are for: "12" or 12, "12-" or "12-40"; by default from
        the session's run on
    path : the file, by default the experiment's
    what : names or kinds of the entries to write, by default all
    replace : let them apply to all of these runs, also where an older entry begins
        later; nothing in the file is edited

    Raises
    ------
    UsageError
        if nothing was accepted
    NameNotFound
        if nothing of such a name was accepted
    ParameterError
        if the range is wrong, or the file is; nothing is written then
    FileError
        if the file cannot be read or written
    """
    range_ = RunRange(session.run.number) if runs is None else RunRange.parse(runs)
    chosen = _chosen(session, what)
    new = [dataclasses.replace(entry, runs=range_) for entry in chosen]
    own: Path = session.places.params
    target = own if path is None else Path(path).expanduser()
    done = _appended(new, target, session.places.experiment, replace)
    session.pending[:] = [e for e in session.pending if not _among(e, chosen)]
    is_own = os.path.realpath(target) == os.path.realpath(own)
    unseen = session.accepted.unseen if is_own else _never
    exported = tuple(Exported.of(entry, done, unseen) for entry in done.entries)
    notes = [*_renamed(session, chosen, done), *_runs_left_out(session, range_)]
    return ExportReport(target, exported, (*notes, *not_accepted(session)))


def _never(entry: Entry, there: Entry) -> bool:
    return False


def _appended(
    entries: Sequence[Entry], target: Path, experiment: str, replace: bool
) -> Appended:
    """Append entries with their arrays, or say what can be done about it."""
    try:
        with _in_files(entries, target) as written:
            return append(target, written, experiment, replacing_older=replace)
    except ParameterError as error:
        raise ParameterError(f"{error}\n{_WAYS_OUT}") from error
    except FileError as error:
        raise FileError(f"nothing was exported to {target}: {error}") from error


def _renamed(session: Any, chosen: Sequence[Entry], done: Appended) -> Iterator[str]:
    """Say, and remember, which names have become others."""
    for entry, name in zip(chosen, done.names, strict=True):
        if name == entry.name:
            continue
        session.accepted.rename(entry, name)
        session.record.renamed(entry, name)
        taken = next(
            e
            for e in reversed(done.before.entries)
            if (e.detector, e.name) == (entry.detector, entry.name)
        )
        yield (
            f"{entry.name!r} of {entry.detector!r} is exported as {name!r}, because "
            f"{entry.name!r} was {written_by(taken)} meanwhile"
        )


def _runs_left_out(session: Any, runs: RunRange) -> Iterator[str]:
    """Say that entries are not for the run of the session."""
    number = session.run.number
    if number not in runs:
        yield f"runs {runs} are without the run of this session, {number}"


def not_accepted(session: Any) -> list[str]:
    """Say what was chosen in tools and is not accepted.

    Parameters
    ----------
    session : the session: its tools
    """
    return [f"not accepted: {tool!r}; .accept() takes it" for tool in session.tools]


def _among(entry: Entry, entries: Sequence[Entry]) -> bool:
    return any(entry is other for other in entries)


@contextlib.contextmanager
def _in_files(entries: Sequence[Entry], target: Path) -> Iterator[list[Entry]]:
    """Write the arrays of entries beside a parameter file; take them back if it fails.

    Yields
    ------
    The entries, with the names of the files.
    """
    folder = Path(os.path.realpath(target)).parent
    written: list[Entry] = []
    try:
        for entry in entries:
            written.append(stored(entry, folder))
        yield written
    except BaseException:
        # After a failure behind the renaming the entries are in the file all the same.
        text = target.read_text(encoding="utf-8") if target.exists() else ""
        for entry, new in zip(entries, written, strict=False):
            if new is not entry and new.values["sha256"] not in text:
                (folder / new.values["file"]).unlink(missing_ok=True)
        raise


def _chosen(session: Any, what: str | Iterable[str] | None) -> list[Entry]:
    pending: list[Entry] = session.pending
    if not pending:
        drawn = "".join(f"\n{note}" for note in not_accepted(session))
        hint = drawn or (
            "; choose something and accept it first, for instance "
            "anaps.SelectRegion(…).accept()"
        )
        raise UsageError(f"there is nothing to export{hint}")
    if what is None:
        return list(pending)
    wanted = {what} if isinstance(what, str) else set(what)
    known = _names(pending)
    for name in sorted(wanted.difference(known)):
        raise NameNotFound(unknown("accepted entry", name, known))
    return [e for e in pending if e.name in wanted or e.kind in wanted]


def accepted_as(
    pending: Sequence[Entry], name: str, detector: str | None = None
) -> list[Entry]:
    """Return the accepted entries of a name, or else of a kind, of one detector.

    Parameters
    ----------
    pending : what was accepted
    name : name or kind
    detector : of which detector, or None for the only one that has it

    Raises
    ------
    NameNotFound
        if nothing of such a name was accepted
    UsageError
        if several detectors have it
    """
    ours = [e for e in pending if detector in (None, e.detector)]
    found = [e for e in ours if e.name == name] or [e for e in ours if e.kind == name]
    if not found:
        text = unknown("accepted entry", name, _names(ours), detector or "")
        raise NameNotFound(text)
    detectors = dict.fromkeys(entry.detector for entry in found)
    if len(detectors) > 1:
        raise UsageError(
            f"which {name!r}? {listing(detectors)} have one; give detname=…"
        )
    return found


def _names(entries: Iterable[Entry]) -> list[str]:
    """Return by what names and kinds entries can be chosen."""
    return sorted({word for e in entries for word in (e.name, e.kind) if word})
