"""What `exportParams` says of what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalldata_ana.errors import counted
from smalldata_ana.parameters.appending import Appended
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
    meanwhile : those of them that were written after this one was accepted
    """

    entry: Entry
    effective: tuple[RunRange, ...]
    replaced: tuple[tuple[RunRange, Entry], ...]
    meanwhile: tuple[Entry, ...]

    @classmethod
    def of(
        cls, entry: Entry, done: Appended, unseen: Callable[[Entry, Entry], bool]
    ) -> Exported:
        """Return what came of an entry of a file that was appended to.

        Parameters
        ----------
        entry : as it stands in the file
        done : how the file was appended to
        unseen : tells whether an older entry was written after this one was accepted
        """
        effective = tuple(takes_effect(done.after.entries, entry))
        older = rivals(done.before.entries, entry)
        parts = [part for runs in effective for part in winners(older, runs)]
        replaced = [(runs, one) for runs, one in parts if one is not None]
        meanwhile = [one for _, one in replaced if unseen(entry, one)]
        return cls(entry, effective, tuple(replaced), tuple(meanwhile))

    def __str__(self) -> str:
        entry = self.entry
        lines = [f"  {entry}"]
        if entry.enabled:
            lines += [f"    {key} = {value}" for key, value in entry.values.items()]
        else:
            lines.append("    switched off")
        for runs, older in self.replaced:
            lines.append(f"    instead of line {older.line} for runs {runs}:")
            lines += [f"      {text}" for text in _differences(older, entry)]
            if older in self.meanwhile:
                who = written_by(older)
                lines.append(f"      warning: it was {who} after you accepted yours")
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


def written_by(entry: Entry) -> str:
    """Say who wrote an entry into the file."""
    by = entry.made.get("by")
    return f"exported by {by}" if by else "written by hand"


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
    notes : what else is to be known
    """

    path: Path
    exported: tuple[Exported, ...]
    notes: tuple[str, ...] = ()

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
        notes = [f"  note: {note}" for note in self.notes]
        return "\n".join([f"{self.path}:", *map(str, self.exported), *notes])
