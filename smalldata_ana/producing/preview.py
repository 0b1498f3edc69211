"""What a production will give, seen on a few events: its own code, in memory.

Nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array, Field, Length, stored_names
from smalldata_ana.errors import NoDataError
from smalldata_ana.event_data.damage import GROUP as DAMAGE
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing.choices import ALL, Choices
from smalldata_ana.producing.executors import cores as all_cores
from smalldata_ana.producing.part_file import tables_of
from smalldata_ana.producing.planning import Plan, plan
from smalldata_ana.producing.preview_table import Dataset, dataset_of, table_text
from smalldata_ana.producing.reports import Report
from smalldata_ana.producing.rows import Found, Rows, of_all_events
from smalldata_ana.producing.windows import GROUP, fields_of
from smalldata_ana.smalldata.batch import COUNT as LENGTHS
from smalldata_ana.smalldata.batch import arrays_of, stacked
from smalldata_ana.smalldata.configuration import AXIS_UNITS, write_configuration
from smalldata_ana.smalldata.layout import SUMS, TIMESTAMP, Layout
from smalldata_ana.sources.base import Indices, Run

_START = 4.0
"""What a process takes before it begins to set up, about [s]."""


@dataclass(frozen=True, repr=False)
class Preview:
    """What the producer will make of a run; printed, it is a table.

    Attributes
    ----------
    title : experiment and run
    parameters : the parameter file
    notes : what is to be known of the parameters, a sentence each
    events : numbers of the events that were looked at
    total : number of events of the run
    table : the datasets of the file, in order, with what they hold of these events
    values : by path what the file would hold, if it were of these events alone
    results : the results of detectors of which each event has the same number, by
        path, with the numbers of the events of their values
    axes : of curves among them: what is along their last dimension, with its unit, and
        the values there
    batch : events of a batch
    batches : how many there are
    size : of the file, about [bytes]
    setting_up : what it takes before the first event [s]
    per_event : what an event takes on one core [s]
    cores : worker processes that are reckoned with
    report : events without data, and errors of functions
    problems : what is wrong with the data of the run, a sentence each
    """

    title: str
    parameters: Path
    notes: tuple[str, ...]
    events: Indices
    total: int
    table: tuple[Dataset, ...]
    values: Mapping[str, Array]
    results: Mapping[str, Indices]
    axes: Mapping[str, tuple[str, Array]]
    batch: int
    batches: int
    size: int
    setting_up: float
    per_event: float
    cores: int
    report: Report
    problems: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """About how long it will take [s]."""
        busy = min(self.cores, self.batches)
        return _START + self.setting_up + self.per_event * self.total / max(1, busy)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that is not as one would wish, a sentence each."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        yield from self.problems
        looked_at = len(self.events)
        for detector, count in sorted(self.report.without_data.items()):
            yield f"{detector} has no data in {count} of {looked_at} events"
        for kind, count in sorted(self.report.failures.counts.items()):
            yield f"{kind} on {count} of {looked_at} events"
        yield from self.report.failures.first.values()

    def __repr__(self) -> str:
        head = [
            f"{self.title}: {len(self.events)} of {self.total} events",
            f"  parameters: {self.parameters}",
            *(f"  note: {note}" for note in self.notes),
        ]
        tail = [
            f"{self.batches} batches of {self.batch} events; the file: about "
            f"{_amount(self.size)}, in about {_duration(self.seconds)} on "
            f"{self.cores} cores ({1 / self.per_event:.3g} events/s on each)",
            *(f"warning: {text.rstrip()}" for text in self.warnings),
        ]
        return "\n".join([*head, table_text(self.table), *tail])


def preview(
    run: Run,
    resolved: Resolved,
    choices: Choices = ALL,
    *,
    events: int = 20,
    cores: int | None = None,
    notes: Sequence[str] = (),
) -> Preview:
    """Let the producer work on events spread over a run, without writing anything.

    Parameters
    ----------
    run : the run; what was set up on it for other purposes stays as it is
    resolved : the parameters for it
    choices : options that change them
    events : how many events, at most
    cores : worker processes of the production, for its time; by default those that
        this process may use
    notes : what is to be known of the parameters, a sentence each

    Raises
    ------
    ParameterError
        if the parameters do not fit the run: all problems at once, one a line
    NoDataError
        if the run has no events
    """
    if not len(run):
        raise NoDataError(f"{run.experiment} run {run.number} has no events yet")
    begin = time.perf_counter()
    planned = plan(run, resolved, Path(), choices)
    setting_up = time.perf_counter() - begin
    chosen = _spread(len(run), events)
    rows = Rows(run, planned.job, planned.detectors)
    rows.forget()
    begin = time.perf_counter()
    beside = rows.beside(chosen)
    per_event = (time.perf_counter() - begin) / len(chosen)
    found, seconds = _found(rows, planned, chosen, beside)
    values = _values(planned, found, beside)
    table = [*_tables(planned, values, len(found)), *_windows(planned, values)]
    sums = _sums(planned)
    return Preview(
        title=f"{run.experiment} run {run.number}",
        parameters=resolved.path,
        notes=tuple(notes),
        events=chosen,
        total=len(run),
        table=(
            *table,
            *(dataset_of(p, f, sums[p], f.shape) for p, f in _sum_fields(planned)),
        ),
        values=values | sums,
        results=_results(planned, found, chosen),
        axes=dict(_axes(planned.detectors)),
        batch=planned.size,
        batches=len(planned.batches()),
        size=_file_size(planned, table, sums),
        setting_up=setting_up,
        per_event=per_event + float(np.median(seconds)),
        cores=cores or all_cores(),
        report=rows.report,
        problems=tuple(run.problems),
    )


def _axes(detectors: Sequence[DetObject]) -> Iterator[tuple[str, tuple[str, Array]]]:
    """Yield paths of results that have an axis, with its name, unit and values."""
    for detector in detectors:
        for name, func in detector.funcs.items():
            known = func.params_as_dict()
            for key, field in detector.fields_of[name].items():
                for axis in AXIS_UNITS.keys() & known.keys():
                    values = np.asarray(known[axis])
                    if field.shape and values.shape == field.shape[-1:]:
                        label = f"{axis} [{AXIS_UNITS[axis]}]"
                        yield f"{detector.name}/{key}", (label, values)


def _spread(total: int, count: int) -> Indices:
    """Return numbers of events, from the first to the last."""
    numbers = np.linspace(0, total - 1, min(count, total))
    return np.unique(np.rint(numbers).astype(np.int64))


def _found(
    rows: Rows, planned: Plan, events: Indices, beside: Mapping[str, Array]
) -> tuple[list[Found], list[float]]:
    """Return what the detectors find, and how long each event takes [s]."""
    found: list[Found] = []
    seconds = []
    for k, event in enumerate(events):
        # Each event stands alone: what functions remember is of those just before it.
        for detector in planned.detectors:
            detector.forget()
        rows.replay(range(max(0, int(event) - planned.replayed), int(event)))
        one = {path: values[k : k + 1] for path, values in beside.items()}
        begin = time.perf_counter()
        found += rows.of(events[k : k + 1], one)
        seconds.append(time.perf_counter() - begin)
    return found, seconds


def _values(
    planned: Plan, found: Sequence[Found], beside: Mapping[str, Array]
) -> dict[str, Array]:
    """Return what the datasets of the events would hold, by path."""
    job = planned.job
    tables = tables_of(job)
    columns = stacked(tables[""], [of_all_events(job, each) for each in found], beside)
    values = arrays_of(tables[""], columns, len(found))
    for name in job.slow:
        there = _there(found, name)
        own = [row for each in found if (row := each[name]) is not None]
        times = {f"{name}/{TIMESTAMP}": beside[TIMESTAMP][there]}
        columns = stacked(tables[name], own, times)
        values |= arrays_of(tables[name], columns, len(own))
    return values


def _there(found: Sequence[Found], detector: str) -> npt.NDArray[np.bool_]:
    return np.array([each[detector] is not None for each in found], bool)


def _results(
    planned: Plan, found: Sequence[Found], events: Indices
) -> dict[str, Indices]:
    """Return the paths of results, with the events that their values are of."""
    return {
        path: events[_there(found, d.name)] if d.name in planned.job.slow else events
        for d in planned.detectors
        for path, field in stored_names(d.name, d.fields, d.fields).items()
        if field.length is Length.FIXED
    }


def _tables(
    planned: Plan, values: Mapping[str, Array], looked_at: int
) -> Iterator[Dataset]:
    """Yield the datasets with rows for events."""
    run = planned.run
    names = {detector.name: detector.detname for detector in planned.detectors}
    owned = {
        path: int(run.contributed(names[table]).sum()) if table else len(run)
        for table, layout in tables_of(planned.job).items()
        for path in layout
    }
    fields: Layout = {}
    for layout in tables_of(planned.job).values():
        fields |= layout
    for path, array in values.items():
        field = fields.get(path, LENGTHS)
        events = owned.get(path, len(run))
        if field.length is Length.VARIABLE:
            events = round(len(array) * events / max(1, looked_at))
        yield dataset_of(path, field, array, (events, *array.shape[1:]))


def _windows(planned: Plan, values: Mapping[str, Array]) -> Iterator[Dataset]:
    """Yield the datasets of integrating detectors, whose sums single events lack."""
    run = planned.run
    layout = tables_of(planned.job)[""]
    for name in planned.job.event_data.integrating:
        is_area = name in run.detectors
        # Only reading a run to its end would tell of the others.
        there = run.contributed(name) if is_area else values[f"{DAMAGE}/{name}"]
        images = round(there.mean() * len(run))
        for key, field in fields_of(layout).items():
            nothing = np.empty((0, *field.shape), field.dtype)
            shape = (images, *field.shape)
            path = f"{GROUP}/{name}/{key}"
            yield dataset_of(path, field, nothing, shape, estimated=not is_area)


def _sums(planned: Plan) -> dict[str, Array]:
    return {
        f"{SUMS}/{detector.name}_{key}": np.array(total)
        for detector in planned.detectors
        for key, total in detector.sums.items()
    }


def _sum_fields(planned: Plan) -> Iterator[tuple[str, Field]]:
    for detector in planned.detectors:
        for key in detector.sums:
            field = detector.sums.field(key, detector.unit)
            yield f"{SUMS}/{detector.name}_{key}", field


def _file_size(
    planned: Plan, table: Sequence[Dataset], sums: Mapping[str, Array]
) -> int:
    """Return about how large the file will be [bytes]."""
    rows = sum(dataset.nbytes for dataset in table)
    return rows + sum(a.nbytes for a in sums.values()) + _configuration_size(planned)


def _configuration_size(planned: Plan) -> int:
    """Return the size of what a file says of how it was made [bytes]."""
    with h5py.File("configuration", "w", driver="core", backing_store=False) as file:
        write_configuration(file, planned.job.resolved, planned.detectors, {})
        file.flush()
        return int(file.id.get_filesize())


def _amount(count: int) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    step = min(len(units) - 1, max(0, (len(str(count)) - 1) // 3))
    return f"{count / 1000**step:.3g} {units[step]}"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"
