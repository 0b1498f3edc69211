"""From parameters and a run to detectors, and from events to rows of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from smalldata_ana.ana_funcs import DetObjectFunc
from smalldata_ana.ana_funcs.beam_parameters import BeamParameters, completed
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import stored_names
from smalldata_ana.errors import ParameterError, SmallDataError, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event

Row = dict[str, Any]
"""The results of one event: ``timestamp`` and ``<detector>/<function>_<key>``."""


def build_detectors(run: Run, resolved: Resolved) -> list[DetObject]:
    """Return the detectors of a run with the functions that the parameters say.

    Parameters
    ----------
    run : the run
    resolved : what the parameter file says for it

    Raises
    ------
    ParameterError
        if the parameters do not fit the run: all problems at once, one a line
    """
    problems: list[str] = []
    detectors = []
    for name, entries in resolved.detectors.items():
        if not all(e.values["use"] for e in entries if e.kind == "use"):
            continue
        detector = _detector(run, name, entries, problems)
        if detector is not None:
            detectors.append(detector)
    if problems:
        raise ParameterError("\n".join(f"{resolved.path}: {p}" for p in problems))
    if not detectors:
        raise ParameterError(
            f"{resolved.path}: nothing is to be done for run {run.number}; add entries "
            f'whose range holds it, for instance runs = "{run.number}-"'
        )
    return detectors


def _detector(
    run: Run, name: str, entries: Sequence[Entry], problems: list[str]
) -> DetObject | None:
    modes = [e.values["common_mode"] for e in entries if e.kind == "common_mode"]
    functions = _functions(entries, problems)
    try:
        detector = DetObject(name, run, common_mode=modes[0] if modes else None)
    except SmallDataError as error:
        problems.append(str(error))
        return None
    for entry, func in functions:
        try:
            detector.addFunc(func)
        except SmallDataError as error:
            problems.append(f"{_place(entry)}: {error}")
    return detector


def _functions(
    entries: Sequence[Entry], problems: list[str]
) -> list[tuple[Entry, DetObjectFunc]]:
    """Make the functions of the entries, chain them, and return the first of each."""
    geometry = next((e.values for e in entries if e.kind == "geometry"), {})
    made = [(entry, _with_geometry(entry, geometry).make()) for entry in entries]
    functions = [(e, f) for e, f in made if isinstance(f, DetObjectFunc)]
    by_name = {entry.name: (entry, func) for entry, func in functions}
    for entry, func in functions:
        if entry.of is None:
            continue
        try:
            _chain(entry, func, by_name)
        except SmallDataError as error:
            problems.append(f"{_place(entry)}: {error}")
    return [(entry, func) for entry, func in functions if entry.of is None]


def _with_geometry(entry: Entry, geometry: Mapping[str, Any]) -> Entry:
    """Return the entry of a function with what it lacks of the beam's geometry."""
    takes = entry.kind != "geometry" and issubclass(entry.model, BeamParameters)
    values = completed(entry.values, geometry) if takes else entry.values
    return replace(entry, values=values)


def _chain(
    entry: Entry, func: DetObjectFunc, by_name: dict[str, tuple[Entry, DetObjectFunc]]
) -> None:
    above: str | None = entry.of
    seen = [entry.name]
    while above is not None:
        if above not in by_name:
            raise ParameterError(unknown("function", above, by_name, entry.detector))
        if above in seen:
            raise ParameterError(f"of = {entry.of!r} goes round in a circle")
        seen.append(above)
        above = by_name[above][0].of
    by_name[seen[1]][1].addFunc(func)


def _place(entry: Entry) -> str:
    return f"line {entry.line}: {entry}" if entry.line else str(entry)


def process_events(
    run: Run, detectors: Sequence[DetObject], events: Iterable[int]
) -> Iterator[Row]:
    """Let the detectors work on events, one after the other.

    Parameters
    ----------
    run : the run
    detectors : as `build_detectors` makes them
    events : numbers of events of the run

    Yields
    ------
    A row for each event, whether the detectors have data in it or not.
    """
    for number in events:
        event = Event(run, number)
        row: Row = {"timestamp": event.timestamp}
        for detector in detectors:
            detector.getData(event)
            detector.processFuncs()
            row |= stored_names(detector.name, detector.evt.results, detector.fields)
        yield row
