"""Hand batches to workers, and see that each of them is done, whoever dies."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.reports import Done
from smalldata_ana.producing.supply import Supply

logger = logging.getLogger(__name__)

TRIES = 3
"""How often a batch may take its worker with it."""

_MOMENT = 0.5
"""Between two looks at what has happened [s]."""


class Dispatcher:
    """Work on batches with the processes of a job.

    A batch whose process died is tried again alone, so that it takes no other with it,
    and given up when it has killed its worker `TRIES` times.

    Parameters
    ----------
    workers : the processes
    call_of : makes what a worker calls to do a batch, when its turn comes; it can be
        pickled
    done : called with each batch that is finished, in any order
    check : raises something when the job is to end

    Attributes
    ----------
    given_up : the batches that killed their workers
    """

    def __init__(
        self,
        workers: Workers,
        call_of: Callable[[Batch], Callable[[], Done]],
        done: Callable[[Done], None],
        check: Callable[[], None],
    ) -> None:
        self.given_up: list[Batch] = []
        self._workers = workers
        self._call_of = call_of
        self._done = done
        self._check = check
        self._running: dict[Future[Done], Batch] = {}
        self._suspects: deque[Batch] = deque()
        self._deaths: Counter[Batch] = Counter()

    def run(self, supply: Supply) -> None:
        """Work until all batches are done or given up.

        Parameters
        ----------
        supply : of batches, which are taken as workers are free

        Raises
        ------
        StoppedError, SmallDataError
            when the job is to end, or what a worker raised; what was begun is finished
        KeyboardInterrupt
            when the job is to end at once; what was begun is lost
        """
        try:
            self._work(supply)
        except KeyboardInterrupt:
            self._workers.kill()
            raise

    def _work(self, supply: Supply) -> None:
        """Work until nothing is left; if it is to end, what is running is finished."""
        try:
            while self._running or self._suspects or not supply.over:
                self._begin_some(supply)
                self._collect()
                self._check()
        except Exception:
            self._finish()
            raise

    def _begin_some(self, supply: Supply) -> None:
        """Begin batches until all workers have enough to do."""
        if self._suspects:
            if not self._running:
                self._begin(self._suspects.popleft())
            return
        while len(self._running) < self._enough and not supply.over:
            batch = supply.take()
            if batch is None:
                return
            self._begin(batch)

    @property
    def _enough(self) -> int:
        """Batches to have begun: none of the suspects has company."""
        alone = any(batch in self._deaths for batch in self._running.values())
        number = self._workers.number
        return 0 if alone else number if number == 1 else 2 * number

    def _begin(self, batch: Batch) -> None:
        try:
            future = self._workers.executor.submit(self._call_of(batch))
        except BrokenExecutor:
            self._suspects.append(batch)
            self._recover([])
            return
        self._running[future] = batch

    def _collect(self) -> None:
        """Take in what is finished; where nothing is, wait a moment for it."""
        if not self._running:
            time.sleep(0 if self._suspects else _MOMENT)
            return
        ended, _ = wait(self._running, timeout=_MOMENT, return_when=FIRST_COMPLETED)
        lost: list[Batch] = []
        for future in ended:
            batch = self._running.pop(future)
            try:
                self._done(future.result())
            except BrokenExecutor:
                lost.append(batch)
        if lost:
            self._recover(lost)

    def _recover(self, lost: list[Batch]) -> None:
        """Begin with new processes, and with suspicion against what was running."""
        lost += self._running.values()
        self._running.clear()
        self._workers.restart()
        for batch in sorted(lost):
            # In company it may have been another that killed the worker.
            self._deaths[batch] += 1 if len(lost) == 1 else 0
            if self._deaths[batch] == TRIES:
                logger.error("%s killed %d workers and is given up", batch, TRIES)
                self.given_up.append(batch)
            else:
                logger.warning("a worker died in %s; it is tried again", batch)
                self._suspects.append(batch)

    def _finish(self) -> None:
        """Wait for what is running; whatever happens to it does not matter now."""
        for future in self._running:
            future.cancel()
        for future, batch in self._running.items():
            try:
                self._done(future.result())
            except Exception as error:
                logger.debug("%s was not finished: %r", batch, error)
        self._running.clear()
