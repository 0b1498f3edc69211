"""A process that sums the images of one batch of a cube after the other."""

from __future__ import annotations

from typing import Self

import h5py
import numpy as np

from smalldata_ana.cube_parameters import CubeDetector
from smalldata_ana.cubes.bin_sums import Summing
from smalldata_ana.cubes.job import CubeJob, CubeTask
from smalldata_ana.cubes.pieces import Piece, write_piece
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import SmallDataError
from smalldata_ana.producing import part_file
from smalldata_ana.producing.failures import FunctionError
from smalldata_ana.producing.reports import Done, Report
from smalldata_ana.producing.station import Station
from smalldata_ana.sources.events import Event


class CubeWorker:
    """The detectors of a cube at work.

    Parameters
    ----------
    job : the job
    station : the run and the detectors
    """

    def __init__(self, job: CubeJob, station: Station) -> None:
        self.job = job
        self.run = station.run
        self._station = station
        self._summing = [
            Summing(d, CubeDetector(**job.detectors[d.name])) for d in station.detectors
        ]

    @classmethod
    def of(cls, job: CubeJob) -> Self:
        """Set up everything in a process that knows nothing but the job; `Station`."""
        return cls(job, Station.of(job))

    def close(self) -> None:
        """Release the files of the run."""
        self.run.close()

    def process(self, task: CubeTask) -> Done:
        """Sum the images of a batch, and write its part."""
        self._station.turn_to(task.events)
        turned = self._station.turns
        local = np.searchsorted(task.read, task.numbers) if turned else task.numbers
        report = Report(events=len(task.numbers))
        with part_file.writing_part(self.job, task.batch, task.events, report) as file:
            for slot, begin, end in task.pieces:
                self._sum(task, local, range(begin, end), report)
                self._write(file, slot)
            report.problems |= self._station.new_problems()
        return Done(task.batch, report)

    def _sum(
        self, task: CubeTask, local: np.ndarray, which: range, report: Report
    ) -> None:
        for summing in self._summing:
            summing.sums.clear()
        for k in which:
            event = Event(self.run, int(local[k]))
            for summing in self._summing:
                image = self._image(summing.detector, event, task.numbers[k], report)
                if image is None:
                    report.without_data[summing.detector.name] += 1
                else:
                    summing.add(image)

    def _image(
        self, detector: DetObject, event: Event, number: int, report: Report
    ) -> np.ndarray | None:
        try:
            detector.getData(event)
        except (OSError, SmallDataError) as error:
            report.failures.add(f"{detector.name}/reading", int(number), error)
            if self.job.strict:
                raise FunctionError(
                    next(iter(report.failures.first.values()))
                ) from error
        return detector.evt.dat

    def _write(self, file: h5py.File, slot: int) -> None:
        sums = {s.detector.name: s.sums for s in self._summing}
        write_piece(file, Piece(slot, sums))
