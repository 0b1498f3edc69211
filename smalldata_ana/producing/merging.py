"""From the parts of a run to one plain file, sorted by time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array, Field
from smalldata_ana.errors import FileError
from smalldata_ana.producing import part_file
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Job
from smalldata_ana.producing.windows import RunWindows
from smalldata_ana.safe_files import reason, replacing
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.compression import READABLE
from smalldata_ana.smalldata.configuration import (
    ConfigurationWriter,
    write_configuration,
)
from smalldata_ana.smalldata.layout import SUMS
from smalldata_ana.smalldata.nexus import mark


def merge(
    job: Job,
    batches: Sequence[Batch],
    detectors: Sequence[DetObject],
    target: Path,
    record: Callable[[Sequence[str]], Mapping[str, Any]],
    beside: Mapping[str, Mapping[str, Any]],
    compression: str | None = None,
) -> None:
    """Write the file of a run from its parts, which are kept.

    Parameters
    ----------
    job : the job
    batches : those whose parts are complete, in the order of the events
    detectors : with the same functions and sums as in the workers
    target : the file; it is written aside, and replaces one that is there
    record : returns how it was made, for ``UserDataCfg/producer``; it is told what the
        file lacks, a sentence each
    beside : what else is stored once, by group
    compression : of the datasets, or None

    Raises
    ------
    FileError
        if it cannot be written, or a part cannot be read
    """
    with replacing(target) as aside:
        try:
            with h5py.File(aside, "w") as file:
                lacks = _fill(file, job, batches, detectors, compression)
                write_configuration(file, job.resolved, detectors, record(lacks))
                for group, values in beside.items():
                    ConfigurationWriter(file).write(group, values)
                mark(file)
        except (OSError, RuntimeError) as error:  # h5py raises both
            what = reason(error) if isinstance(error, OSError) else str(error)
            raise FileError(f"cannot write {target}: {what}") from error


def _fill(
    file: h5py.File,
    job: Job,
    batches: Sequence[Batch],
    detectors: Sequence[DetObject],
    compression: str | None,
) -> list[str]:
    """Write what the parts hold; return what it lacks, a sentence each."""
    expected = sum(map(len, batches))
    layouts = part_file.tables_of(job)
    tables = {table: Columns(file, compression, expected) for table in layouts}
    for table, layout in layouts.items():
        for path, field in layout.items():
            tables[table].add(path, field)
    windows = [
        RunWindows(file, name, layouts[""], compression, expected)
        for name in job.event_data.integrating
    ]
    sums = {d.name: d.sums for d in detectors if len(d.sums)}
    for of_detector in sums.values():
        of_detector.clear()
    for batch in batches:
        with h5py.File(job.part_path(batch)) as part:
            for table, columns in tables.items():
                part_file.append_rows(columns, table, part)
            for of_run in windows:
                of_run.append(batch, part)
            part_file.add_sums(part, sums)
    _write_sums(file, detectors)
    return [problem for of_run in windows for problem in of_run.problems()]


def _write_sums(file: h5py.File, detectors: Sequence[DetObject]) -> None:
    for detector in detectors:
        for key, total in detector.sums.items():
            field = detector.sums.field(key, detector.unit)
            _write_sum(file, f"{SUMS}/{detector.name}_{key}", total, field)


def _write_sum(file: h5py.File, path: str, total: Array, field: Field) -> None:
    """Write a sum or its number of events; images compressed, panel by panel."""
    chunks = (1,) * (total.ndim - 2) + total.shape[-2:]
    images = {"chunks": chunks, **READABLE} if total.shape else {}
    dataset = file.create_dataset(path, data=total, **images)
    dataset.attrs.update(field.texts())
