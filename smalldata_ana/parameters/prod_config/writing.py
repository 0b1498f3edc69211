"""Parameters written as a ``prod_config`` of smalldata_tools."""

from __future__ import annotations

import pprint
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.prod_config.forms import (
    DROPLET,
    EVENT_LISTS,
    FORMS,
    INTEGRATING,
    N_DATA,
    PHOTONS,
    ROIS,
    SUMS,
    Flavour,
)
from smalldata_ana.parameters.prod_config.vocabulary import words_of
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.toml_text import plain

_OF_BEAM = ("azav", "azav_pyfai")
"""Kinds that hold what the ``geometry`` says."""


@dataclass
class _Part:
    """What is said for one detector and some runs.

    Attributes
    ----------
    functions : the detector's value of each function
    left_out : what cannot be said, a sentence each
    """

    flavour: Flavour
    functions: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, what: object, why: str = "it") -> None:
        """Tell what is not said, and what there is no place for."""
        self.left_out.append(f"{what}: {self.flavour.value} has no place for {why}")

    def add(self, function: str, value: Any) -> None:
        """Add to a function that has a list."""
        self.functions.setdefault(function, []).append(value)

    def set_once(self, function: str, value: Any, entry: Entry) -> None:
        """Give a function of LCLS-II, which has one value for a detector, its value."""
        if self.flavour is Flavour.LCLS1:
            self.add(function, value)
        elif function in self.functions:
            self.leave_out(entry)
        else:
            self.functions[function] = value


def python_text(
    parts: Sequence[tuple[RunRange, Mapping[str, Sequence[Entry]]]],
    flavour: Flavour,
    source: str,
    event: Mapping[str, Any],
) -> tuple[str, list[str]]:
    """Return the parameters as Python, and what it cannot say.

    Parameters
    ----------
    parts : ranges of runs that do not overlap, each with the entries that apply to
        them, by detector
    flavour : which producer it is for
    source : where the parameters are from
    event : what the table ``[event]`` says

    Returns
    -------
    The text of a module, and a sentence for each thing that is not in it.
    """
    values: dict[str, dict[str, list[tuple[RunRange, Any]]]] = {}
    left_out: dict[str, list[tuple[RunRange, Any]]] = {}
    detectors: dict[str, None] = {}
    for runs, by_detector in parts:
        for detector, entries in by_detector.items():
            detectors[detector] = None
            part = _said(entries, flavour)
            for sentence in part.left_out:
                _extend(left_out.setdefault(sentence, []), runs, None)
            for function, value in part.functions.items():
                rows = values.setdefault(function, {}).setdefault(detector, [])
                _extend(rows, runs, value)
    told = [_with_runs(text, rows) for text, rows in left_out.items()]
    lists, unsaid = _of_events(event, flavour)
    told += unsaid
    head = [f"# Written from {source}: change that, and write this anew."]
    head += [f"# Not in here: {text}" for text in told]
    head += ["", f"{flavour.detectors} = {list(detectors)!r}", *lists]
    bodies = ["\n".join(_function(name, values[name])) for name in values]
    return "\n\n\n".join(["\n".join(head), *bodies]) + "\n", told


def _with_runs(sentence: str, rows: Sequence[tuple[RunRange, Any]]) -> str:
    return f"{sentence} (for runs {', '.join(str(runs) for runs, _ in rows)})"


def _of_events(
    event: Mapping[str, Any], flavour: Flavour
) -> tuple[list[str], list[str]]:
    """Return the lines that say what ``[event]`` does, and what they do not say."""
    values: dict[str, Any] = plain(event)
    lines = [
        f"{theirs} = {_with_tuples(values.pop(EVENT_LISTS[theirs], []))!r}"
        for theirs in flavour.event_lists
    ]
    if flavour is Flavour.LCLS2 and values.get("integrating"):
        slowest, *others = values.pop("integrating")
        value = f"    return {slowest!r}, {others!r}"
        lines += ["", "", f"def {INTEGRATING}(run):", value]
    return lines, [f"[event]: {flavour.value} has no place for its {k}" for k in values]


def _with_tuples(values: list[Any]) -> list[Any]:
    """Return a list in which pairs of names are tuples, as smalldata_tools has them."""
    return [tuple(value) if isinstance(value, list) else value for value in values]


def _extend(rows: list[tuple[RunRange, Any]], runs: RunRange, value: Any) -> None:
    """Add a value for some runs, or lengthen the range before, if it is the same."""
    if rows and rows[-1][1] == value and rows[-1][0].end == runs.begin - 1:
        runs = RunRange(rows.pop()[0].begin, runs.end)
    rows.append((runs, value))


def _function(name: str, values: dict[str, list[tuple[RunRange, Any]]]) -> list[str]:
    lines = [f"def {name}(run):", "    ret_dict = {}"]
    for detector, rows in values.items():
        for runs, value in rows:
            text = pprint.pformat(value, width=80, sort_dicts=False)
            indented = text.replace("\n", "\n" + " " * 8)
            lines.append(f"    if {_condition(runs)}:")
            lines.append(f"        ret_dict[{detector!r}] = {indented}")
    return [*lines, "    return ret_dict"]


def _condition(runs: RunRange) -> str:
    if runs.end is None:
        return f"run >= {runs.begin}"
    if runs.end == runs.begin:
        return f"run == {runs.begin}"
    return f"{runs.begin} <= run <= {runs.end}"


def _said(entries: Sequence[Entry], flavour: Flavour) -> _Part:
    part = _Part(flavour)
    entries = [sayable for entry in entries for sayable in _sayable(entry, part)]
    done: set[str] = set()
    for entry in entries:
        if entry.of is None:
            done |= set(_add(part, entry, entries))
    for entry in entries:
        if entry.of is not None and entry.name not in done:
            part.leave_out(entry)
    return part


def _sayable(entry: Entry, part: _Part) -> Iterator[Entry]:
    """Return an entry in smalldata_tools' words; tell what there are none for."""
    if entry.kind in _OF_BEAM and _follows(entry):
        part.leave_out(entry, "a variable of the run")
        return
    words = words_of(entry, part.flavour)
    if words.lacking:
        part.leave_out(entry, " and ".join(words.lacking))
        return
    for key in words.additions:
        part.leave_out(f"{key} of {entry}")
    yield words.entry


def _add(part: _Part, entry: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    """Add an entry; yield the names of those chained to it that are in it."""
    form = FORMS[part.flavour].get(entry.kind)
    if entry.kind == "roi":
        yield from _add_region(part, entry, entries)
    elif entry.kind == "droplet":
        yield from _add_droplet(part, entry, entries)
    elif entry.kind == "sums":
        part.functions[SUMS[part.flavour]] = plain(entry.values["sums"])
    elif form is None:
        if not _is_elsewhere(entry, entries):
            part.leave_out(entry)
    elif form.several:
        part.add(form.function, _parameters(entry))
    elif form.function in part.functions:
        part.leave_out(entry)
    else:
        part.functions[form.function] = _parameters(entry)


def _is_elsewhere(entry: Entry, entries: Sequence[Entry]) -> bool:
    """Tell whether other entries, or the list of detectors, say what this one says."""
    taken = any(other.kind in _OF_BEAM for other in entries)
    return entry.kind == "use" or (entry.kind == "geometry" and taken)


def _parameters(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, **entry.values}


def _follows(entry: Entry) -> bool:
    """Tell whether a parameter follows a variable of the run."""
    return any(
        isinstance(value, Mapping) and "pv" in value for value in entry.values.values()
    )


def _chained(name: str, kind: str, entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.of == name and e.kind == kind]


def _add_region(part: _Part, entry: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    region = _parameters(entry)
    projections = _chained(entry.name, "projection", entries)
    if projections:
        region[part.flavour.projections] = [_parameters(e) for e in projections]
    part.add(ROIS, region)
    yield from (e.name for e in projections)


def _add_droplet(part: _Part, entry: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    photons = _chained(entry.name, "photons", entries)[:1]
    for one in photons:
        lists = _chained(one.name, "sparsify", entries)[:1]
        value = {"droplet": _parameters(entry), "d2p": _parameters(one)}
        part.set_once(PHOTONS, value | _length(lists), entry)
        yield from (e.name for e in (one, *lists))
    lists = _chained(entry.name, "sparsify", entries)[:1]
    if lists or not photons:
        part.set_once(DROPLET, _parameters(entry) | _length(lists), entry)
        yield from (e.name for e in lists)


def _length(lists: Sequence[Entry]) -> dict[str, Any]:
    """Return how many are stored, as these modules have it."""
    return {N_DATA: lists[0].values.get(N_DATA)} if lists else {}
