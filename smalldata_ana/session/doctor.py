"""`anaps.doctor()` tells whether all is in order for a long production."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smalldata_ana.errors import SmallDataError, counted, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import Resolved, applying
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.session.doctor_checks import (
    Finding,
    check_constants,
    check_data,
    check_energy,
    check_geometry,
    check_masks,
    check_regions,
    check_units,
    error,
    ok,
    warning,
)
from smalldata_ana.session.known_entries import right_or_wrong

_CHECKS = (
    check_data,
    check_constants,
    check_geometry,
    check_masks,
    check_regions,
    check_energy,
    check_units,
)


class Diagnosis(tuple[Finding, ...]):
    """What the doctor found, one line each with what to do."""

    __slots__ = ()

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is not in order: errors first, then warnings."""
        levels = ("error", "warning")
        return tuple(f for level in levels for f in self if f.level == level)

    def __repr__(self) -> str:
        width = max((len(finding.what) for finding in self), default=0)
        lines = [finding.line(width) for finding in self]
        errors = sum(finding.level == "error" for finding in self)
        warnings = sum(finding.level == "warning" for finding in self)
        total = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        return "\n".join([*lines, total])


def diagnose(session: Any) -> Diagnosis:
    """Check what was accepted, and what the parameter file says of this run.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    """
    findings = list(_run(session))
    right, wrong = right_or_wrong(session)
    there = applying(right, session.run.number)
    findings += _parameters(session, there, wrong)
    entries = _merged(there, session.pending)
    by_detector: dict[str, list[Entry]] = {}
    for entry in entries:
        by_detector.setdefault(entry.detector, []).append(entry)
    for name in by_detector or session.run.detectors:
        findings += _detector(session, name, by_detector.get(name, []))
    if entries:
        findings += _production(session, by_detector)
    return Diagnosis(findings)


def _run(session: Any) -> Iterator[Finding]:
    run = session.run
    yield ok("run", f"{session.title()}, {counted(len(run), 'event')}")
    for problem in run.problems:
        yield warning("run", problem, "the producer counts what is lost; exit code 3")


def _parameters(session: Any, there: Sequence[Entry], wrong: str) -> Iterator[Finding]:
    """Tell whether what was accepted, and what the file has, reaches the producer."""
    what = "parameters"
    if wrong:
        yield error(
            what, wrong, "mend it; `smalldata-ana params check` names every line"
        )
    if session.pending:
        number = counted(len(session.pending), "entry", "entries")
        remedy = "anaps.exportParams() hands them to the producer"
        yield warning(what, f"{number} not exported", remedy)
    if wrong or session.pending:
        return
    if there:
        number = counted(len(there), "entry", "entries")
        yield ok(what, f"{number} of {session.places.params}")
    else:
        remedy = "choose something, .accept() it, and anaps.exportParams()"
        yield warning(what, "nothing is to be done", remedy)


def _merged(there: Sequence[Entry], pending: Sequence[Entry]) -> list[Entry]:
    """Return entries of the file, or what was accepted in their places."""
    by_key = {(entry.path, entry.name): entry for entry in (*there, *pending)}
    return [entry for entry in by_key.values() if entry.enabled]


def _detector(session: Any, name: str, entries: list[Entry]) -> Iterator[Finding]:
    run = session.run
    if name not in run.detectors:
        text = unknown("area detector", name, run.detectors, session.title())
        yield error(name, text, "mend the name, or switch it off with use = false")
        return
    for check in _CHECKS:
        try:
            yield from check(session, name, entries)
        except SmallDataError as problem:
            what = check.__name__.removeprefix("check_")
            yield error(f"{name} {what}", str(problem), "")


def _production(
    session: Any, by_detector: Mapping[str, list[Entry]]
) -> Iterator[Finding]:
    """Set the functions up as the producer does, and tell what it would refuse."""
    run, path = session.run, Path(session.places.params)
    kept = {
        name: tuple(e for e in entries if e.array is None)
        for name, entries in by_detector.items()
        if name in run.detectors
    }
    kept = {name: entries for name, entries in kept.items() if entries}
    if not kept:
        return
    try:
        detectors = build_detectors(run, Resolved(run.number, kept, path, "", ""))
    except SmallDataError as problem:
        for line in str(problem).removeprefix(f"{path}: ").split(f"\n{path}: "):
            yield error("production", line, "mend the entry")
        return
    functions = sum(len(detector.funcs) for detector in detectors)
    yield ok("production", f"{counted(functions, 'function')} can be set up")
