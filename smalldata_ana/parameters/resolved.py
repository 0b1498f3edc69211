"""Which entries of a parameter file apply to a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.model import Parameters
from smalldata_ana.parameters.record import digest, record_of
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.tables import CUBE, EVENT, Table
from smalldata_ana.parameters.user_code import CodeFile

if TYPE_CHECKING:
    from smalldata_ana.event_data.parameters import EventParameters


@dataclass(frozen=True)
class Definition:
    """Detectors that a user's code makes, and what options change of them.

    Attributes
    ----------
    code : the file whose function ``define_dets`` makes them
    only : the names of those that are kept, or None for all
    sums : False to leave out their sums
    added : entries that they have beside, by the detector in the run
    """

    code: CodeFile
    only: tuple[str, ...] | None = None
    sums: bool = True
    added: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Tell whether a detector of this name is kept."""
        return self.only is None or name in self.only


@dataclass(frozen=True)
class Resolved:
    """What a parameter file, or a ``prod_config``, says for one run.

    It is picklable, and holds all that the detectors are made of.

    Attributes
    ----------
    run : the run
    detectors : the entries that apply, by detector, in the order of the file
    path : the parameter file
    sha256 : checksum of the whole file
    text : what applies alone, as TOML
    tables : what the file says beside the detectors
    functions : the file with the user's own functions, or None
    define_dets : the detectors that the user's code makes, or None
    may_lack : True if detectors that the run does not have are left out
    """

    run: int
    detectors: Mapping[str, tuple[Entry, ...]]
    path: Path
    sha256: str
    text: str
    tables: tuple[Table, ...] = ()
    functions: CodeFile | None = None
    define_dets: Definition | None = None
    may_lack: bool = False

    @property
    def event(self) -> EventParameters:
        """The parameters of the event data: the table ``[event]``."""
        given = next((t.values for t in self.tables if t.kind == EVENT), {})
        return cast("EventParameters", Table(EVENT, given).make())

    @property
    def cubes(self) -> dict[str, Parameters]:
        """The parameters of the cubes by name: the tables ``[cube.<name>]``."""
        return {t.name: t.make() for t in self.tables if t.kind == CUBE}

    def record(self) -> str:
        """Return all that determines the results of the run, as JSON."""
        return record_of(self)

    def digests(self) -> dict[str, str]:
        """Return a checksum for each detector, and for the event data as ``event``.

        They depend on what determines the results, and on nothing else; see
        `smalldata_ana.parameters.record`.
        """
        return {key: digest(part) for key, part in json.loads(self.record()).items()}

    def digest(self) -> str:
        """Return the checksum of all `digests`."""
        return digest(self.digests())


def by_detector(entries: Iterable[Entry]) -> dict[str, tuple[Entry, ...]]:
    """Return entries by their detector."""
    found: dict[str, tuple[Entry, ...]] = {}
    for entry in entries:
        found[entry.detector] = (*found.get(entry.detector, ()), entry)
    return found


def rivals(entries: Iterable[Entry], entry: Entry) -> list[Entry]:
    """Return the entries of the detector, kind and name of one, in their order."""
    key = (entry.path, entry.name)
    return [e for e in entries if (e.path, e.name) == key]


def groups(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return the entries of each detector, kind and name, in the order of the file."""
    found: dict[tuple[tuple[str, str, str], str], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.path, entry.name), []).append(entry)
    return list(found.values())


def winner(group: Iterable[Entry], run: int) -> Entry | None:
    """Return the entry with the largest begin; of equal ones the later in the file.

    Parameters
    ----------
    group : entries of one detector, kind and name, in the order of the file
    run : the run; entries whose range does not hold it take no part
    """
    best = None
    for entry in group:
        if run in entry.runs and (best is None or entry.runs.begin >= best.runs.begin):
            best = entry
    return best


def reason(group: Iterable[Entry], run: int) -> str:
    """Say why `winner` chooses the one of a group that it does."""
    holding = [e for e in group if run in e.runs]
    if not holding:
        return f"none of its name is for run {run}"
    if len(holding) == 1:
        return f"the only one of its name for run {run}"
    begin = max(e.runs.begin for e in holding)
    equal = sum(e.runs.begin == begin for e in holding)
    if equal > 1:
        return f"the last in the file of {equal} that begin with run {begin}"
    return f"it begins with the largest run of {len(holding)} for run {run}"


def reason_against(other: Entry, best: Entry | None, run: int) -> str:
    """Say why an entry of a group is not the one that `winner` chooses."""
    if run not in other.runs:
        return f"is not for run {run}"
    if best is not None and other.runs.begin == best.runs.begin:
        return "stands before in the file"
    return "begins earlier"


def applying(entries: Iterable[Entry], run: int) -> list[Entry]:
    """Return the entries that apply to a run, in the order of the file.

    Parameters
    ----------
    entries : all entries of a file, in its order
    run : the run

    Notes
    -----
    Among the entries of one detector, kind and name whose range holds the run, the
    largest begin wins; of equal begins the later in the file.  A winner that is not
    enabled leaves nothing.
    """
    best = (winner(group, run) for group in groups(entries))
    return [entry for entry in best if entry is not None and entry.enabled]


def winners(
    group: Sequence[Entry], runs: RunRange
) -> list[tuple[RunRange, Entry | None]]:
    """Return which entry applies to which of some runs.

    Parameters
    ----------
    group : entries of one detector, kind and name, in the order of the file
    runs : the runs to look at

    Returns
    -------
    Parts of these runs in their order, each with its winner, or None.
    """
    starts = {runs.begin, *(e.runs.begin for e in group)}
    starts |= {e.runs.end + 1 for e in group if e.runs.end is not None}
    inside = sorted(start for start in starts if start in runs)
    ends = [start - 1 for start in inside[1:]] + [runs.end]
    parts: list[tuple[RunRange, Entry | None]] = []
    for begin, end in zip(inside, ends, strict=True):
        best = winner(group, begin)
        same = bool(parts) and parts[-1][1] is best
        first = parts.pop()[0].begin if same else begin
        parts.append((RunRange(first, end), best))
    return parts


def takes_effect(entries: Iterable[Entry], entry: Entry) -> list[RunRange]:
    """Return the runs for which an entry wins against the others of its name.

    Parameters
    ----------
    entries : all entries of a file, in its order, with this one
    entry : one of them
    """
    parts = winners(rivals(entries, entry), entry.runs)
    return [runs for runs, best in parts if best is entry]
