"""The file of one batch: its rows, its sums, and what was said of it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import h5py
import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Field, stored_names
from smalldata_ana.detector.sums import Sums
from smalldata_ana.errors import FileError
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Job, Parts
from smalldata_ana.producing.reports import Done, Report
from smalldata_ana.safe_files import reason
from smalldata_ana.smalldata.batch import Column, Row
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.layout import TIMESTAMP, Layout
from smalldata_ana.smalldata.parts import write_part
from smalldata_ana.sources.base import RunPart

_ROWS, _MAIN = "rows", "run"
_SUMS = "sums"

_TIME = Field(
    np.dtype(np.int64),
    long_name="time of the event: seconds since 1990 << 32 | nanoseconds",
)

_DIGEST, _BATCH, _DATA, _REPORT = "digest", "batch", "data", "report"


def tables_of(job: Job) -> dict[str, Layout]:
    """Return the datasets of a job, by the detector whose events they have rows for.

    The empty name stands for all events of the run.
    """
    everything: Layout = {TIMESTAMP: _TIME, **job.event_data.fields}
    for path, info in job.environment.items():
        everything[path] = Field(info.dtype, info.shape, info.unit, info.name)
    tables = {"": everything}
    for name, functions in job.fields.items():
        fields = {key: f for of in functions.values() for key, f in of.items()}
        layout = stored_names(name, fields, fields)
        if name in job.slow:
            own = {f"{name}/{TIMESTAMP}": _TIME}
            tables[name] = own | layout
        else:
            everything |= layout
    return tables


@contextlib.contextmanager
def writing_part(
    job: Parts, batch: Batch, events: RunPart, report: Report
) -> Iterator[h5py.File]:
    """Write the part of a batch aside; it takes its place when it is complete.

    Parameters
    ----------
    job, batch : which part
    events : what it is made of, by which `finished` knows it again
    report : what is said of it

    Raises
    ------
    FileError
        if it cannot be written
    """
    path = job.part_path(batch)
    aside = path.with_suffix(f".{os.getpid()}")
    # HDF5 can crash when a disk is full; a part is small enough to be made in memory.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        yield file
        file.attrs[_DIGEST] = job.digest
        file.attrs[_BATCH] = (batch.number, batch.begin, batch.end)
        file.attrs[_DATA] = events.checksum()
        file.attrs[_REPORT] = report.to_json()
    try:
        aside.write_bytes(content.getbuffer())
        os.replace(aside, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
    finally:
        aside.unlink(missing_ok=True)


def write_rows(
    file: h5py.File,
    table: str,
    layout: Layout,
    rows: Sequence[Row],
    columns: Mapping[str, Column],
) -> None:
    """Put rows into a part; see `smalldata_ana.smalldata.parts.write_part`.

    Parameters
    ----------
    file : the part
    table : one of `tables_of`
    layout : its datasets
    rows, columns : what is in them
    """
    write_part(file.create_group(group_of(table)), layout, rows, columns)


def append_rows(columns: Columns, table: str, file: h5py.File) -> None:
    """Append the rows of a part to the datasets of a file.

    Parameters
    ----------
    columns : the datasets of a table
    table : its name, one of `tables_of`
    file : the part
    """
    columns.append_file(file[group_of(table)])


def group_of(table: str) -> str:
    """Return the group of a part that holds the rows of a table."""
    return f"{_ROWS}/{table or _MAIN}"


def write_sums(file: h5py.File, detectors: Sequence[DetObject]) -> None:
    """Put the sums of a batch into its part."""
    for detector in detectors:
        if len(detector.sums):
            totals, events = detector.sums.stored()
            group = file.create_group(f"{_SUMS}/{detector.name}")
            group["totals"], group["events"] = totals, events


def add_sums(file: h5py.File, sums: Mapping[str, Sums]) -> None:
    """Add the sums of a part to those of the batches before it."""
    for name, of_detector in sums.items():
        group = file[f"{_SUMS}/{name}"]
        of_detector.add_stored(group["totals"][()], group["events"][()])


def finished(job: Parts, batch: Batch, events: Callable[[], RunPart]) -> Done | None:
    """Return what was said of a part that can be used, or None if there is none.

    One is of no use if data were missing that are there now; nor if some could not be
    read, as this can be seen by reading them only.

    Parameters
    ----------
    job, batch : what is wanted
    events : gives what it is to be made of
    """
    try:
        with h5py.File(job.part_path(batch)) as file:
            report = Report.from_json(file.attrs[_REPORT])
            same = (
                file.attrs[_DIGEST] == job.digest
                and tuple(file.attrs[_BATCH]) == (batch.number, batch.begin, batch.end)
                and file.attrs[_DATA] == events().checksum()
            )
    except (OSError, KeyError):
        return None
    return Done(batch, report) if same and not report.problems else None
