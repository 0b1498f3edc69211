"""The batches of a job whose parts are complete, of this job or of one before."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from smalldata_ana.producing import part_file
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Parts
from smalldata_ana.producing.reports import Done, Report
from smalldata_ana.sources.base import RunPart

logger = logging.getLogger(__name__)


class Finished:
    """The parts that are complete, with what was said of them.

    Parameters
    ----------
    job : whose parts they are

    Attributes
    ----------
    reports : by batch
    """

    def __init__(self, job: Parts) -> None:
        self._job = job
        self._told: set[str] = set()
        self.reports: dict[Batch, Report] = {}

    def __contains__(self, batch: object) -> bool:
        return batch in self.reports

    @property
    def batches(self) -> list[Batch]:
        """The batches in the order of the events."""
        return sorted(self.reports)

    @property
    def events(self) -> int:
        """How many events they have."""
        return sum(map(len, self.reports))

    def take_over(
        self, batches: Iterable[Batch], events_of: Callable[[Batch], RunPart]
    ) -> None:
        """Take the parts that an earlier job has left, and remove all others.

        Parameters
        ----------
        batches : those to look for
        events_of : gives what a batch is to be made of
        """
        for batch in batches:
            done = part_file.finished(self._job, batch, partial(events_of, batch))
            if done is not None:
                self.reports[batch] = done.report
        known = {self._job.part_path(batch) for batch in self.reports}
        for path in self._job.parts.glob("part_*"):
            if path not in known:
                path.unlink()

    def take(self, done: Done) -> None:
        """Take a batch that was just finished; tell what failed for the first time."""
        self.reports[done.batch] = done.report
        for kind, text in done.report.failures.first.items():
            if kind not in self._told:
                self._told.add(kind)
                logger.warning("%s", text)

    def report(self) -> Report:
        """Return what was said of all of them."""
        whole = Report()
        for batch in self.batches:
            whole.update(self.reports[batch])
        return whole

    def remove(self) -> None:
        """Remove the parts and their folder."""
        for path in self._job.parts.glob("part_*"):
            path.unlink()
        with suppress(OSError):
            shutil.rmtree(self._job.parts)
