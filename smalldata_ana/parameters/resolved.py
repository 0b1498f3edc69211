"""Which entries of a parameter file apply to a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange


@dataclass(frozen=True)
class Resolved:
    """What a parameter file says for one run.

    Attributes
    ----------
    run : the run
    detectors : the entries that apply, by detector, in the order of the file
    path : the parameter file
    sha256 : checksum of the whole file
    text : these entries alone, as TOML
    """

    run: int
    detectors: Mapping[str, tuple[Entry, ...]]
    path: Path
    sha256: str
    text: str


def _rivals(entries: Iterable[Entry], entry: Entry) -> list[Entry]:
    key = (entry.path, entry.name)
    return [e for e in entries if (e.path, e.name) == key]


def _winner(rivals: Iterable[Entry], run: int) -> Entry | None:
    """Return the entry with the largest begin; of equal ones the later in the file."""
    best = None
    for entry in rivals:
        if run in entry.runs and (best is None or entry.runs.begin >= best.runs.begin):
            best = entry
    return best


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
    groups: dict[tuple[tuple[str, str, str], str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.path, entry.name), []).append(entry)
    winners = (_winner(group, run) for group in groups.values())
    return [entry for entry in winners if entry is not None and entry.enabled]


def takes_effect(entries: Iterable[Entry], entry: Entry) -> list[RunRange]:
    """Return the runs for which an entry wins against the others of its name.

    Parameters
    ----------
    entries : all entries of a file, in its order, with this one
    entry : one of them
    """
    rivals = _rivals(entries, entry)
    starts = {e.runs.begin for e in rivals}
    starts |= {e.runs.end + 1 for e in rivals if e.runs.end is not None}
    inside = sorted(start for start in starts if start in entry.runs)
    ends = [start - 1 for start in inside[1:]] + [entry.runs.end]
    ranges: list[RunRange] = []
    for begin, end in zip(inside, ends, strict=True):
        if _winner(rivals, begin) is not entry:
            continue
        touching = ranges and ranges[-1].end == begin - 1
        first = ranges.pop().begin if touching else begin
        ranges.append(RunRange(first, end))
    return ranges
