"""Make the small data of a run: hand out its batches, and merge what comes back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from smalldata_ana.errors import UserCodeError
from smalldata_ana.opening import broken_off, late_streams
from smalldata_ana.producing import provenance
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.finished import Finished
from smalldata_ana.producing.handing_out import hand_out
from smalldata_ana.producing.inputs import NO_INPUTS, Inputs
from smalldata_ana.producing.interruption import stopping_at_once
from smalldata_ana.producing.lock import locked
from smalldata_ana.producing.merging import merge
from smalldata_ana.producing.planning import Plan
from smalldata_ana.producing.record import Record
from smalldata_ana.producing.reports import Done, Outcome
from smalldata_ana.producing.space import check_space, check_space_to_merge
from smalldata_ana.producing.station import Station
from smalldata_ana.producing.supply import Live, Supply, Whole
from smalldata_ana.producing.view import View
from smalldata_ana.producing.worker import Worker
from smalldata_ana.safe_files import ANY_AGE, remove_asides
from smalldata_ana.smalldata.configuration import write_configuration
from smalldata_ana.smalldata.layout import CONFIGURATION

logger = logging.getLogger(__name__)

EPICS_ONCE = "epicsOnce"
"""Group of the EPICS values that are stored once."""

Progress = Callable[[int, int | None], None]
"""(events done, all events or None where the run is still growing)."""


@dataclass(kw_only=True)
class Result(Outcome):
    """What came of the work on a run.

    Attributes
    ----------
    target : the file
    events : of the run, as far as they were asked for
    """

    target: Path
    events: int = 0


class Production:
    """The work on one run.

    Parameters
    ----------
    plan : what is to be done
    target : the file to make
    limit : how many events, the first ones, or None for all
    resume : True to go on with the parts of a job like this that was ended
    compression : of the file, or None
    inputs : files and folders that options gave
    progress : is told what is done
    """

    def __init__(
        self,
        plan: Plan,
        target: Path,
        *,
        limit: int | None = None,
        resume: bool = True,
        compression: str | None = None,
        inputs: Inputs = NO_INPUTS,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self.plan = plan
        self.job = plan.job
        self.target = target
        self.limit = limit
        self.resume = resume
        self.compression = compression
        self.inputs = inputs
        self._progress = progress
        self._finished = Finished(plan.job)
        live = plan.run.growing
        self._view = View(plan.job, target, self._configure) if live else None

    def run(self, workers: Workers) -> Result:
        """Make the file.

        Parameters
        ----------
        workers : the processes

        Raises
        ------
        FileError
            if something cannot be written, or another producer works on the run
        StoppedError
            after Ctrl-C, SIGTERM or SIGUSR1; finished parts are kept
        FunctionError
            if a function failed, and the job is strict
        """
        check_space(self.plan, self.target, self.limit)
        with stopping_at_once(), locked(self.job.parts):
            self._take_over()
            result = Result(target=self.target, reused=self._finished.events)
            self._tell()
            handed = hand_out(
                self.job,
                self._supply(),
                workers,
                hire=Worker.of,
                here=self._worker,
                task_of=self.plan.task_of,
                done=self._take,
            )
            result.seconds = handed.seconds
            result.report = self._finished.report()
            result.given_up = handed.given_up
            if result.given_up and not self._finished.batches:
                raise UserCodeError(
                    f"every batch killed its workers, so {self.target} is not written; "
                    "with --nproc 1 and few events, -n 10, the error can be seen"
                )
            result.events = len(range(len(self.plan.run))[: self.limit])
            check_space_to_merge(self.plan, self._finished.batches, self.target)
            merge(
                self.job,
                self._finished.batches,
                self.plan.detectors,
                self.target,
                lambda lacks: self._record(result, lacks),
                self._beside(),
                self.compression,
            )
            if not broken_off(self.plan.run):
                self._finished.remove()
        return result

    def _configure(self, file: h5py.File) -> None:
        """Write what does not depend on the events."""
        resolved, detectors = self.job.resolved, self.plan.detectors
        write_configuration(file, resolved, detectors, provenance.made_by())

    def _supply(self) -> Supply:
        if self.plan.run.growing:
            run, size = self.plan.run, self.plan.size
            return Live(run, size, self.limit, self._finished, self._look)
        batches = self.plan.batches(self.limit)
        return Whole(b for b in batches if b not in self._finished)

    def _take_over(self) -> None:
        """Take the parts that an earlier job has left, if that is wanted.

        What it left of a file that it was about to write is removed.
        """
        remove_asides(self.target, older_than=ANY_AGE)
        batches = self.plan.batches(self.limit) if self.resume else []
        if self.plan.run.growing:
            # the last one may have more events when its turn comes
            batches = [batch for batch in batches if len(batch) == self.plan.size]
        self._finished.take_over(batches, lambda batch: self.plan.task_of(batch).events)

    def _worker(self) -> Worker:
        """Return a worker with what the plan has set up already."""
        return Worker(self.job, Station(self.plan.run, self.plan.detectors))

    def _take(self, done: Done) -> None:
        self._finished.take(done)
        self._look()

    def _look(self) -> None:
        """Show how far it is; also when nothing new has come."""
        self._publish()
        self._tell()

    def _publish(self) -> None:
        if self._view is not None:
            self._view.publish(self._finished.batches)

    def _tell(self) -> None:
        run = self.plan.run
        total = None if run.growing else len(range(len(run))[: self.limit])
        self._progress(self._finished.events, total)

    def _problems(self, result: Result) -> list[str]:
        return [
            *self._lost(result),
            *sorted(result.report.problems),
            *(f"{b} killed every worker" for b in result.given_up),
        ]

    def _lost(self, result: Result) -> list[str]:
        """Say what is missing of the files, as can be seen without reading them."""
        run = self.plan.run
        return [
            *(p for p in run.problems if p not in result.report.problems),
            *(
                f"{name} appeared later, and nothing of this stream is in the file; "
                "run the producer again, without --live"
                for name in late_streams(run)
            ),
        ]

    def _record(self, result: Result, lacks: Sequence[str]) -> Mapping[str, Any]:
        """Return how the file was made; tell the result what is wrong with it."""
        result.problems = [*self._problems(result), *lacks]
        return {
            **provenance.made_by(),
            **Record.of(
                self.plan,
                inputs=self.inputs,
                lost=self._lost(result),
                nevents=self.limit,
                compression=self.compression,
            ).texts(),
            "versions": json.dumps(provenance.versions()),
            "digest": self.job.digest,
            "problems": json.dumps(result.problems),
        }

    def _beside(self) -> dict[str, Mapping[str, Any]]:
        """Return what the event data store once, by group."""
        told = self.job.event_data.configuration()
        groups: dict[str, Mapping[str, Any]] = {
            f"{CONFIGURATION}/{group}": values for group, values in told.items()
        }
        once = self.job.event_data.once(self.plan.run)
        return groups | ({EPICS_ONCE: once} if once else {})
