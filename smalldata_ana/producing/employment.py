"""What a process keeps between two batches of a job: its worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from smalldata_ana.producing.job import Parts
from smalldata_ana.producing.reports import Done

JobT = TypeVar("JobT", bound=Parts)


class WorksOn(Protocol):
    """Turns the tasks of one job into parts, one after the other."""

    def process(self, task: Any) -> Done:
        """Turn a task into its part."""

    def close(self) -> None:
        """Release the files of the run."""


_workers: dict[str, WorksOn] = {}
"""The worker of this process, by the digest of its job: the last one only."""


def employ(job: Parts, worker: WorksOn) -> None:
    """Let a worker do what this process gets of its job."""
    _workers.clear()
    _workers[job.digest] = worker


def work(hire: Callable[[JobT], WorksOn], job: JobT, task: Any) -> Done:
    """Turn a task into its part, in whatever process this is.

    Parameters
    ----------
    hire : makes a worker, where this process has none for the job
    job : what is worked on
    task : a piece of it
    """
    if job.digest not in _workers:
        for other in _workers.values():
            other.close()
        employ(job, hire(job))
    return _workers[job.digest].process(task)
