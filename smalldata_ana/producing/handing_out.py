"""Hand out the batches of a job, until all are done or it is asked to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.dispatch import Dispatcher
from smalldata_ana.producing.employment import JobT, WorksOn, employ, work
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.interruption import interruptible
from smalldata_ana.producing.reports import Done
from smalldata_ana.producing.supply import Supply


@dataclass(frozen=True)
class HandedOut:
    """What came of it, beside the parts.

    Attributes
    ----------
    given_up : batches that killed every worker
    seconds : that it took [s]
    """

    given_up: list[Batch]
    seconds: float


def hand_out(
    job: JobT,
    supply: Supply,
    workers: Workers,
    *,
    hire: Callable[[JobT], WorksOn],
    here: Callable[[], WorksOn],
    task_of: Callable[[Batch], Any],
    done: Callable[[Done], None],
) -> HandedOut:
    """Let workers turn batches into parts.

    Parameters
    ----------
    job : what is worked on
    supply : its batches
    workers : the processes
    hire : makes a worker in a process that knows nothing but the job
    here : makes one in this process, of what is set up in it already
    task_of : makes the task of a batch
    done : is told of each batch that is finished

    Raises
    ------
    StoppedError, SmallDataError
        when the job is to end, or what a worker raised
    """

    def call_of(batch: Batch) -> Callable[[], Done]:
        return partial(work, hire, job, task_of(batch))

    begin = time.monotonic()
    with interruptible() as asked:
        dispatcher = Dispatcher(workers, call_of, done, asked.check)
        if workers.here:
            employ(job, here())
        dispatcher.run(supply)
        asked.check()
    return HandedOut(dispatcher.given_up, time.monotonic() - begin)
