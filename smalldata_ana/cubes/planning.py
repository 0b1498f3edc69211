"""Before the first image: what a cube of a run comes to.

All that can be wrong is found here, when nothing has been written yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smalldata_ana.cube_parameters import CubeDetector, CubeParameters
from smalldata_ana.cubes.bin_sums import Summing, piece_bytes
from smalldata_ana.cubes.binning import Binning
from smalldata_ana.cubes.job import CubeJob, CubeTask
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.errors import (
    DetectorNotFound,
    ParameterError,
    unknown,
)
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.toml_text import plain
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing import provenance
from smalldata_ana.producing.batches import Batch, batch_size
from smalldata_ana.sources.base import Indices, Run

_KEPT = ("geometry", "mask", "common_mode")
"""Kinds of entries that say what an image is."""


@dataclass(frozen=True, eq=False)
class CubePlan:
    """A cube of a run, with what the parent process needs to hand it out.

    Attributes
    ----------
    run : the run
    name : of the cube
    parameters : of the cube
    job : what the workers know
    detectors : with the functions for the mean images
    binning : which event is in which bin
    fields : what is known of the summed variables, by name
    size : events of a batch at most
    """

    run: Run
    name: str
    parameters: CubeParameters
    job: CubeJob
    detectors: tuple[DetObject, ...]
    binning: Binning
    fields: Mapping[str, Field]
    size: int

    @property
    def batches(self) -> list[Batch]:
        """The work, cut into pieces."""
        return list(self.binning.cut(self.size))

    def task_of(self, batch: Batch) -> CubeTask:
        """Return a batch with what it takes to read it."""
        numbers = self.binning.numbers[batch.begin : batch.end]
        read = np.unique(np.concatenate([numbers, *self._before(numbers)]))
        pieces = [
            (slot, begin - batch.begin, end - batch.begin)
            for slot, begin, end in self.binning.slots(batch)
        ]
        return CubeTask(
            batch,
            self.run.part_at(read),
            read,
            numbers,
            tuple(pieces),
        )

    def _before(self, numbers: Indices) -> Iterator[Indices]:
        """Yield the events that images look back to."""
        for detector in self.detectors:
            if detector.calibration.looks_back:
                there = np.flatnonzero(self.run.contributed(detector.detname))
                found = np.searchsorted(there, numbers) - 1
                yield there[found[found >= 0]]

    def text(self) -> str:
        """Return what is to be done, for people."""
        binning = self.binning
        lines = [
            f"{self.run.experiment} run {self.run.number}, cube {self.name}: "
            f"{len(binning.numbers)} of {len(self.run)} events in "
            f"{len(self.batches)} batches",
            f"  parameters: {self.job.resolved.path}",
        ]
        for axis in binning.axes:
            what = "values" if axis.exact else "bins"
            unit = f" {axis.unit}" if axis.unit else ""
            lines.append(
                f"  {axis.name}: {len(axis)} {what} from {axis.edges[0]:g} to "
                f"{axis.edges[-1]:g}{unit}"
            )
        counts = np.diff(binning.ends, prepend=0).reshape(len(binning.outputs), -1)
        for suffix, events in zip(binning.outputs, counts, strict=True):
            lines.append(
                f"  {suffix or 'all'}: {events.sum()} events, {events.min()} to "
                f"{events.max()} in a bin"
            )
        for detector in self.detectors:
            of = ", ".join(detector.funcs) or "no functions"
            lines.append(f"  {detector.name}: {detector.unit}; {of}")
        return "\n".join(lines)


def plan(
    run: Run,
    resolved: Resolved,
    name: str,
    parts: Path,
    variables: Variables,
    *,
    strict: bool = False,
) -> CubePlan:
    """Find out what a cube comes to, and that it can be made.

    Parameters
    ----------
    run : the run
    resolved : the parameters for it
    name : one of the cubes that these have
    parts : folder for the parts
    variables : what there is of each event of the run
    strict : True if an image that cannot be read is to end the job

    Raises
    ------
    ParameterError
        if the parameters do not fit the run
    NameNotFound
        if there is no such variable
    FileError
        if a variable is a result of a function, and there is no small data
    NoDataError
        if no event is in any bin
    """
    parameters = _cube(resolved, name)
    _check_detectors(run, resolved, parameters)
    chosen = _chosen(resolved, parameters)
    detectors = tuple(build_detectors(run, chosen)) if parameters.detectors else ()
    for detector in detectors:
        _check_fields(detector)
        Summing(detector, parameters.of_detector(detector.name))
    variables = replace(variables, use_tt=parameters.use_tt)
    if parameters.may_lack:
        parameters.add = list(variables.available(parameters.add))
    binning = Binning.of(parameters, variables)
    _check_names(binning)
    size = _size(run, detectors)
    job = CubeJob(
        digest=_digest(run, chosen, parameters, detectors, binning, size),
        parts=parts,
        head=run.head(),
        resolved=_without_functions(chosen),
        detectors={n: dict(plain(v)) for n, v in parameters.detectors.items()},
        origins=provenance.origins(detectors),
        strict=strict,
    )
    fields = {name: variables.field(name) for name in parameters.add}
    return CubePlan(run, name, parameters, job, detectors, binning, fields, size)


def _cube(resolved: Resolved, name: str) -> CubeParameters:
    cubes = resolved.cubes
    if name not in cubes:
        where = f"{resolved.path}, run {resolved.run}"
        raise ParameterError(
            unknown("cube", name, cubes, where) + f" Add a table [cube.{name}]"
        )
    found = cubes[name]
    assert isinstance(found, CubeParameters)
    return found


def _check_detectors(run: Run, resolved: Resolved, parameters: CubeParameters) -> None:
    where = f"{run.experiment} run {run.number}"
    for name in parameters.detectors:
        if name not in run.detectors:
            raise DetectorNotFound(unknown("area detector", name, run.detectors, where))
        known = [e.name for e in resolved.detectors.get(name, ()) if e.name]
        for function in parameters.of_detector(name).functions:
            if function not in known:
                raise ParameterError(
                    unknown("entry", function, known, f"detector.{name}")
                )


def _chosen(resolved: Resolved, parameters: CubeParameters) -> Resolved:
    """Return what the cube's detectors are made of."""
    detectors = {
        name: tuple(_entries(name, resolved, parameters.of_detector(name)))
        for name in parameters.detectors
    }
    return replace(resolved, detectors=detectors, define_dets=None, may_lack=False)


def _entries(
    detector: str, resolved: Resolved, wanted: CubeDetector
) -> Iterator[Entry]:
    runs = RunRange(resolved.run, resolved.run)
    yield Entry(detector, "use", runs, {"use": True})
    given = wanted.common_mode
    if given is not None:
        yield Entry(detector, "common_mode", runs, {"common_mode": given})
    entries = resolved.detectors.get(detector, ())
    named = _with_related(wanted.functions, entries)
    for entry in entries:
        replaced = entry.kind == "common_mode" and given is not None
        if (entry.kind in _KEPT and not replaced) or entry.name in named:
            yield entry


def _with_related(names: Sequence[str], entries: Sequence[Entry]) -> set[str]:
    """Return entries with those that they work on, and those that work on them."""
    above = {entry.name: entry.of for entry in entries if entry.name}
    found = set()
    for name in names:
        up: str | None = name
        while up is not None and up not in found:
            found.add(up)
            up = above.get(up)
    below = set(names)
    while more := {n for n, of in above.items() if of in below} - below:
        below |= more
    return found | below


def _without_functions(resolved: Resolved) -> Resolved:
    kinds = (*_KEPT, "use")
    return replace(
        resolved,
        detectors={
            name: tuple(e for e in entries if e.kind in kinds)
            for name, entries in resolved.detectors.items()
        },
    )


def _check_fields(detector: DetObject) -> None:
    for key, field in detector.fields.items():
        if field.length is not Length.FIXED:
            raise ParameterError(
                f"{key!r} of {detector.name!r} has any number of values; on the mean "
                "images of a cube, functions with a fixed number work: projections, "
                "azimuthal averages"
            )


def _check_names(binning: Binning) -> None:
    names = [axis.name for axis in binning.axes]
    if len(set(names)) < len(names):
        raise ParameterError(f"the cube is binned in the same variable twice: {names}")


def _size(run: Run, detectors: Sequence[DetObject]) -> int:
    infos = [run.detectors[d.detname] for d in detectors]
    event_bytes = sum(int(np.prod(i.shape)) * i.dtype.itemsize for i in infos)
    return batch_size(event_bytes, sum(piece_bytes(d.shape) for d in detectors))


def _digest(
    run: Run,
    resolved: Resolved,
    parameters: CubeParameters,
    detectors: Sequence[DetObject],
    binning: Binning,
    size: int,
) -> str:
    """Return a checksum of all that the content of a part depends on."""
    order = hashlib.sha256(binning.numbers.tobytes())
    order.update(binning.ends.tobytes())
    content = {
        "run": [run.experiment, run.number],
        "detectors": plain(parameters.detectors),
        "entries": _without_functions(resolved).digests(),
        "order": order.hexdigest(),
        "constants": provenance.constants(detectors),
        "versions": provenance.versions(),
        "size": size,
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
