"""A process that turns batches into parts, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import h5py
import numpy as np

from smalldata_ana.detector.protocol import Array
from smalldata_ana.event_data.damage import GROUP as DAMAGE
from smalldata_ana.producing import part_file, windows
from smalldata_ana.producing.job import Job, Task
from smalldata_ana.producing.reports import Done
from smalldata_ana.producing.rows import Found, Rows, of_all_events
from smalldata_ana.producing.station import Station
from smalldata_ana.producing.windows import Windows
from smalldata_ana.smalldata.batch import Column, stacked
from smalldata_ana.smalldata.layout import TIMESTAMP
from smalldata_ana.sources.base import Indices


class Worker:
    """The detectors of a job at work on one batch after the other.

    Parameters
    ----------
    job : the job
    station : the run and the detectors
    """

    def __init__(self, job: Job, station: Station) -> None:
        self.job = job
        self.run = station.run
        self._station = station
        self._tables = part_file.tables_of(job)
        self._summed = windows.summed(self._tables[""])
        self._rows = Rows(station.run, job, station.detectors)

    @classmethod
    def of(cls, job: Job) -> Self:
        """Set up everything in a process that knows nothing but the job; `Station`."""
        station = Station.of(job, job.fields)
        for detector in station.detectors:
            detector.freeze(job.fields[detector.name])
        return cls(job, station)

    def close(self) -> None:
        """Release the files of the run."""
        self.run.close()

    def process(self, task: Task) -> Done:
        """Turn a batch into its part."""
        self._station.turn_to(task.events)
        first = task.batch.begin - self.run.begin
        self._rows.forget()
        self._rows.replay(range(first - task.replayed, first))
        numbers = np.arange(first, first + len(task.batch))
        beside = self._rows.beside(numbers)
        found = list(self._rows.of(numbers, beside))
        report = self._rows.report
        report.problems |= self._station.new_problems()
        with part_file.writing_part(self.job, task.batch, task.events, report) as file:
            columns = self._write_rows(file, found, beside)
            self._write_windows(file, numbers, columns, beside)
            part_file.write_sums(file, self._rows.detectors)
        return Done(task.batch, report)

    def _write_rows(
        self, file: h5py.File, found: Sequence[Found], beside: Mapping[str, Array]
    ) -> Mapping[str, Column]:
        """Write the rows of events, and return those of all events."""
        shared = [of_all_events(self.job, each) for each in found]
        columns = stacked(self._tables[""], shared, beside)
        part_file.write_rows(file, "", self._tables[""], [{}] * len(found), columns)
        times = beside[TIMESTAMP]
        for name in self.job.slow:
            there = np.array([each[name] is not None for each in found], bool)
            rows = [row for each in found if (row := each[name]) is not None]
            part_file.write_rows(
                file,
                name,
                self._tables[name],
                rows,
                {f"{name}/{TIMESTAMP}": times[there]},
            )
        return columns

    def _write_windows(
        self,
        file: h5py.File,
        numbers: Indices,
        columns: Mapping[str, Column],
        beside: Mapping[str, Array],
    ) -> None:
        data = {n: np.asarray(columns[path]) for n, path in self._summed.items()}
        for name in self.job.event_data.integrating:
            there = beside[f"{DAMAGE}/{name}"] == 1
            recorded = there.copy()
            recorded[~there] = self.run.recorded(name, numbers[~there])
            of_batch = Windows.of(recorded, there, beside[TIMESTAMP], data)
            windows.write_part(file, name, of_batch)
