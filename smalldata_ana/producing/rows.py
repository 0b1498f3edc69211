"""From events to rows: what the detectors' functions find, event by event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import MISSING_INTEGER, Array, stored_names
from smalldata_ana.errors import SmallDataError
from smalldata_ana.producing.failures import Failures, FunctionError
from smalldata_ana.producing.job import Job
from smalldata_ana.producing.reports import Report
from smalldata_ana.smalldata.layout import TIMESTAMP
from smalldata_ana.sources.base import Indices, Run, ScalarInfo
from smalldata_ana.sources.events import Event

Row = dict[str, Any]
"""Results of an event, by their path in the file."""

Found = Mapping[str, Row | None]
"""By detector, its results in an event, or None if it has no data in it."""

_DROPPED = {0: True, 1: False}
_LASER = {0: False, 1: True}
"""Light by its status; a status of -1 is not known."""


class Rows:
    """The detectors of a run at work.

    Parameters
    ----------
    run : the run, or the part of it whose events are worked on
    job : what is stored of each event
    detectors : with their functions and sums
    """

    def __init__(
        self,
        run: Run,
        job: Job,
        detectors: Sequence[DetObject],
    ) -> None:
        self.run = run
        self.job = job
        self.detectors = detectors
        self.report = Report()

    def forget(self) -> None:
        """Begin anew: what functions remember, sums, and the report."""
        self.report = Report()
        for detector in self.detectors:
            detector.forget()
            detector.sums.clear()

    def replay(self, events: Iterable[int]) -> None:
        """Let the functions see events, for those that remember earlier ones."""
        ignored = Failures()
        for number in events:
            for detector in self.detectors:
                self._process(detector, Event(self.run, number), ignored)

    def beside(self, events: Indices) -> dict[str, Array]:
        """Return what is stored of events beside the detectors, by path.

        Event codes that have no dataset are added to the report.

        Parameters
        ----------
        events : numbers of events in `run`
        """
        times = self.run.timestamps[events].astype(np.int64)
        event_data = self.job.event_data
        seen = event_data.seen(self.run, events)
        self.report.other_codes.update(event_data.codes_left_out(seen))
        columns = {TIMESTAMP: times, **event_data.values_of(seen)}
        names = [info.name for info in self.job.environment.values()]
        found = self.run.scalar_columns(names, events)
        for path, info in self.job.environment.items():
            columns[path] = _of_type(found[info.name], info)
        return columns

    def of(self, events: Indices, beside: Mapping[str, Array]) -> Iterator[Found]:
        """Yield what the detectors find, event after event, and add to their sums.

        Parameters
        ----------
        events : numbers of events in `run`
        beside : as the method of this name returns it for them; the damage of the
            detectors is filled in
        """
        for k, number in enumerate(events):
            event = Event(self.run, int(number))
            for detector in self.detectors:
                self._process(detector, event, self.report.failures)
                detector.processSums(*_light(beside, k))
                there = detector.evt.dat is not None
                if not there:
                    self.report.without_data[detector.name] += 1
                # The index tells what should be there, only reading it what is.
                damage = beside.get(f"damage/{detector.detname}")
                if damage is not None:
                    damage[k] = there
            self.report.events += 1
            yield {d.name: _stored(d) for d in self.detectors}

    def _process(self, detector: DetObject, event: Event, failures: Failures) -> None:
        def failed(function: str, error: Exception) -> None:
            source = f"{detector.name}/{function}"
            failures.add(source, event.number_in_run, error)
            if self.job.strict:
                raise FunctionError(next(iter(failures.first.values()))) from error

        try:
            detector.getData(event)
        except (OSError, SmallDataError) as error:
            failed("reading", error)
        detector.processFuncs(failed)


def of_all_events(job: Job, found: Found) -> Row:
    """Return the results of the detectors that have a row for each event of the run."""
    rows = (row for name, row in found.items() if name not in job.slow and row)
    return {path: value for row in rows for path, value in row.items()}


def _stored(detector: DetObject) -> Row | None:
    if detector.evt.dat is None:
        return None
    return stored_names(detector.name, detector.evt.results, detector.fields)


def _of_type(values: Array, info: ScalarInfo) -> Array:
    """Return a scalar's values in its type, which it has only if none is missing."""
    if info.dtype.kind != "i" or values.dtype.kind == "i":
        return values.astype(info.dtype)
    missing = np.isnan(values)
    filled = np.where(missing, MISSING_INTEGER, values)
    return filled.astype(info.dtype)


def _light(beside: Mapping[str, Array], k: int) -> tuple[bool | None, bool | None]:
    """Return whether X-rays were dropped, and whether the laser was on."""
    xray, laser = (beside.get(f"lightStatus/{name}") for name in ("xray", "laser"))
    return (
        None if xray is None else _DROPPED.get(int(xray[k])),
        None if laser is None else _LASER.get(int(laser[k])),
    )
