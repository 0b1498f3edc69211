"""`exportParams`: what was accepted in the session goes to the parameter file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import smalldata_ana.pipeline  # noqa: F401 (it knows all kinds of entries)
from smalldata_ana.detector.mask_entries import stored
from smalldata_ana.errors import NameNotFound, UsageError, counted, unknown
from smalldata_ana.parameters.appending import Appended, append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import rivals, takes_effect, winners
from smalldata_ana.parameters.run_range import RunRange


@dataclass(frozen=True, repr=False)
class Exported:
    """One entry that was written.

    Attributes
    ----------
    entry : as it stands in the file
    effective : the runs in which it takes effect: fewer than its range, where another
        entry of the same name begins with a later run
    replaced : what applied to these runs before: ranges, each with its entry
    """

    entry: Entry
    effective: tuple[RunRange, ...]
    replaced: tuple[tuple[RunRange, Entry], ...]

    @classmethod
    def of(cls, entry: Entry, done: Appended) -> Exported:
        """Return what came of an entry of a file that was appended to."""
        effective = tuple(takes_effect(done.after.entries, entry))
        older = rivals(done.before.entries, entry)
        parts = [part for runs in effective for part in winners(older, runs)]
        replaced = [(runs, one) for runs, one in parts if one is not None]
        return cls(entry, effective, tuple(replaced))

    def __str__(self) -> str:
        entry = self.entry
        lines = [f"  {entry}"]
        lines += [f"    {key} = {value}" for key, value in entry.values.items()]
        for runs, older in self.replaced:
            lines.append(f"    instead of line {older.line} for runs {runs}:")
            lines += [f"      {text}" for text in _differences(older, entry)]
        return "\n".join([*lines, f"    {self._effect()}"])

    def _effect(self) -> str:
        if not self.effective:
            return "takes effect for no run: entries of this name begin later; " + _HINT
        text = f"takes effect for runs {', '.join(map(str, self.effective))}"
        if self.effective != (self.entry.runs,):
            text += "; elsewhere an entry of this name that begins later applies"
            text += f"; {_HINT}"
        return text


_HINT = "exportParams(…, replace=True) lets the new one apply there, too"


def _differences(older: Entry, newer: Entry) -> list[str]:
    """Say what differs between two entries, value by value."""
    old, new = _shown(older), _shown(newer)
    changed = [key for key in old | new if old.get(key) != new.get(key)]
    if not changed:
        return ["the same values"]
    texts = []
    for key in changed:
        before, after = (str(v[key]) if key in v else "not given" for v in (old, new))
        texts.append(f"{key}: {before} -> {after}")
    return texts


def _shown(entry: Entry) -> dict[str, Any]:
    """Return what an entry says, but for its name, its range and who made it."""
    return {**entry.values, "enabled": entry.enabled, "of": entry.of}


@dataclass(frozen=True, repr=False)
class ExportReport:
    """What was written to a parameter file; printed, it says so in full.

    Attributes
    ----------
    path : the parameter file
    exported : the new entries, with what they replace and where they take effect
    """

    path: Path
    exported: tuple[Exported, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The new entries."""
        return tuple(one.entry for one in self.exported)

    @property
    def effective(self) -> tuple[tuple[RunRange, ...], ...]:
        """For each of them the runs in which it takes effect."""
        return tuple(one.effective for one in self.exported)

    def __repr__(self) -> str:
        written = counted(len(self.exported), "entry", "entries")
        return f"<ExportReport: {written} in {self.path}>"

    def __str__(self) -> str:
        return "\n".join([f"{self.path}:", *map(str, self.exported)])


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
    """
    range_ = RunRange(session.run.number) if runs is None else RunRange.parse(runs)
    chosen = _chosen(session.pending, what)
    new = [dataclasses.replace(entry, runs=range_) for entry in chosen]
    target = session.places.params if path is None else Path(path).expanduser()
    with _in_files(new, target) as written:
        done = append(
            target, written, session.places.experiment, replacing_older=replace
        )
    session.pending[:] = [e for e in session.pending if not _among(e, chosen)]
    exported = tuple(Exported.of(entry, done) for entry in done.entries)
    return ExportReport(target, exported)


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
