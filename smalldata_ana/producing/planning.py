"""Before the first event: what a run and its parameters come to.

Everything that can be wrong is found here, when nothing has been written yet, and all
that the result depends on is fixed: what is stored, in which form, and where batches
begin.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_ana.ana_funcs.followed_values import followed
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.detector.sums import COUNT
from smalldata_ana.detector.user_data import environment_scalars
from smalldata_ana.errors import ParameterError, SmallDataError, UserCodeError
from smalldata_ana.event_data import EventData
from smalldata_ana.parameters.record import is_used
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing import provenance
from smalldata_ana.producing.batches import Batch, batch_size, cut, most_events
from smalldata_ana.producing.choices import ALL, Choices
from smalldata_ana.producing.first_look import see_first
from smalldata_ana.producing.job import Job, Task
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.first_events import first_events

logger = logging.getLogger(__name__)

_SLOW = 0.5
"""Share of events with data below which a detector has rows of its own."""


@dataclass(frozen=True)
class Plan:
    """A job, with what the parent process needs to hand it out.

    Attributes
    ----------
    run : the run
    job : what the workers know
    choices : options that changed the parameters
    detectors : as the workers have them
    size : events of a batch
    replayed : how many events before a batch its functions need to have seen
    before : how many events before a batch it may read
    constants : checksum of each calibration constant, by detector
    """

    run: Run
    job: Job
    choices: Choices
    detectors: tuple[DetObject, ...]
    size: int
    replayed: int
    before: int
    constants: Mapping[str, Mapping[str, str]]

    def batches(self, limit: int | None = None) -> list[Batch]:
        """Return the batches of the run, or of its first events."""
        return cut(len(range(len(self.run))[:limit]), self.size)

    def text(self, limit: int | None = None) -> str:
        """Return what is to be done, for people."""
        batches = self.batches(limit)
        events = sum(map(len, batches))
        lines = [
            f"{self.run.experiment} run {self.run.number}: {events} events in "
            f"{len(batches)} batches of {self.size}",
            f"  parameters: {self.job.resolved.path}",
        ]
        for detector in self.detectors:
            own = " (rows of its own)" if detector.name in self.job.slow else ""
            lines += [f"  {detector.name}{own}: {', '.join(detector.funcs) or 'sums'}"]
            lines += [f"    {path} {_form(f)}" for path, f in detector.fields.items()]
            lines += [f"    sum {key}" for key in detector.sums if COUNT not in key]
        lines += [f"  beside: {len(self.job.event_data.fields)} values of each event"]
        return "\n".join(lines)

    def task_of(self, batch: Batch) -> Task:
        """Return a batch with what it takes to read it."""
        begin = max(0, batch.begin - self.before)
        events = self.run.part(begin, batch.end)
        return Task(batch, events, min(self.replayed, batch.begin))


def _form(field: Field) -> str:
    shape = " x ".join(map(str, field.shape)) or "number"
    any_number = "" if field.length is Length.FIXED else ", any number"
    unit = f" [{field.unit}]" if field.unit else ""
    return f"({shape}{any_number}){unit}"


def plan(
    run: Run,
    resolved: Resolved,
    parts: Path,
    choices: Choices = ALL,
    *,
    size: int | None = None,
    strict: bool = False,
) -> Plan:
    """Find out what is to be done, and that it can be done.

    Parameters
    ----------
    run : the run
    resolved : the parameters for it
    parts : folder for the parts
    choices : options that change them
    size : events of a batch, as far as their results fit into memory; default: by the
        size of their data
    strict : True if a function that fails on an event is to end the job

    Raises
    ------
    ParameterError
        if the parameters do not fit the run: all problems at once, one a line
    """
    resolved = choices.applied(run, resolved)
    event_data, detectors = _built(run, resolved, choices)
    resolved = in_numbers(run, resolved)
    own_code = any((resolved.functions, resolved.define_dets))
    for detector in detectors:
        see_first(run, detector, own_code=own_code)
        detector.freeze()
    slow = tuple(
        d.name
        for d in detectors
        if d.detname in event_data.integrating or _share(run, d.detname) < _SLOW
    )
    size = _size(run, detectors, size)
    replayed = max((d.lookback for d in detectors), default=0)
    constants = provenance.constants(detectors)
    job = Job(
        digest=_digest(run, resolved, event_data, detectors, constants, size),
        head=run.head(),
        resolved=resolved,
        event_data=event_data,
        fields={d.name: d.fields_of for d in detectors},
        environment={
            f"{d.name}_env/{name}": info
            for d in detectors
            for name, info in environment_scalars(d).items()
        },
        slow=slow,
        origins=provenance.origins(detectors),
        parts=parts,
        strict=strict,
    )
    before = max([replayed, *(_gap(run, d) for d in detectors)])
    return Plan(run, job, choices, tuple(detectors), size, replayed, before, constants)


def _built(
    run: Run, resolved: Resolved, choices: Choices
) -> tuple[EventData, list[DetObject]]:
    """Return event data and detectors, or all that is wrong with both."""
    problems: list[str] = []
    event_data, detectors = None, None
    try:
        event_data = EventData.of(
            run,
            resolved.event,
            epics_all=choices.epics_all,
            may_lack=resolved.may_lack,
        )
    except ParameterError as error:
        problems.append(f"{resolved.path}: {error}")
    wanted = not choices.default
    try:
        detectors = build_detectors(run, resolved) if wanted else []
    except ParameterError as error:
        problems.append(str(error))
    if event_data is None or detectors is None:
        raise ParameterError("\n".join(problems))
    return event_data, detectors


def problems_of(run: Run, resolved: Resolved, choices: Choices) -> list[str]:
    """Return what of the parameters does not fit a run, one sentence each.

    Parameters
    ----------
    run : the run
    resolved : the parameters for it, as far as they can be read
    choices : options that change them
    """
    used = any(map(is_used, resolved.detectors.values()))
    choices = choices if used else replace(choices, default=True)
    try:
        _built(run, choices.applied(run, resolved), choices)
    except UserCodeError:
        return []  # it is told when the parameters are right
    except SmallDataError as error:
        return str(error).splitlines()
    return []


def in_numbers(run: Run, resolved: Resolved) -> Resolved:
    """Return parameters with the values that process variables have in the run.

    A worker that sees only a part of the run would find others.
    """
    detectors = {
        name: tuple(
            replace(e, values=followed(e.values, run)) if e.kind == "geometry" else e
            for e in entries
        )
        for name, entries in resolved.detectors.items()
    }
    return replace(resolved, detectors=detectors)


def _share(run: Run, detector: str) -> float:
    """Return in which part of the first events a detector has data."""
    return float(run.contributed(detector)[: first_events(run)].mean())


def _gap(run: Run, detector: DetObject) -> int:
    """Return how many events back the frame before may be, where that is needed."""
    if not detector.calibration.looks_back:
        return 0
    there = np.flatnonzero(run.contributed(detector.detname))
    return int(np.diff(there).max(initial=1))


def _size(run: Run, detectors: Sequence[DetObject], asked: int | None) -> int:
    """Return how many events a batch has: those asked for, or by their data."""
    infos = [run.detectors[d.detname] for d in detectors]
    event_bytes = sum(int(np.prod(i.shape)) * i.dtype.itemsize for i in infos)
    fields = [field for d in detectors for field in d.fields.values()]
    row_bytes = sum(int(np.prod(f.shape)) * f.dtype.itemsize for f in fields)
    sums_bytes = sum(d.sums.nbytes for d in detectors)
    if asked is None:
        return batch_size(event_bytes, sums_bytes, row_bytes)
    most = most_events(row_bytes)
    if asked > most:
        logger.warning(
            "batches of %d events are too large for the memory of a worker, as the "
            "results of an event have %.3g MB; they have %d events",
            asked,
            row_bytes / 1e6,
            most,
        )
    return min(asked, most)


def _digest(
    run: Run,
    resolved: Resolved,
    event_data: EventData,
    detectors: Sequence[DetObject],
    constants: Mapping[str, Mapping[str, str]],
    size: int,
) -> str:
    """Return a checksum of all that the content of a part depends on."""
    content: dict[str, Any] = {
        "run": [run.experiment, run.number],
        "parameters": resolved.digest(),
        "event": {path: repr(field) for path, field in event_data.fields.items()},
        "detectors": {d.name: repr(run.detectors[d.detname]) for d in detectors},
        "results": {d.name: repr(d.fields) for d in detectors},
        "sums": {d.name: list(d.sums) for d in detectors},
        "constants": constants,
        "versions": provenance.versions(),
        "size": size,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
