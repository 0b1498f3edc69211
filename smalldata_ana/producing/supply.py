"""Which batches are to be worked on next: of a whole run, or of one that grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import Protocol

from smalldata_ana.producing.batches import Batch
from smalldata_ana.sources.base import Run


class Supply(Protocol):
    """Gives batches, as far as they are there already."""

    @property
    def over(self) -> bool:
        """True when there will be no more."""

    def take(self) -> Batch | None:
        """Return the next batch, or None if there is none at the moment."""


class Whole:
    """Batches that are known."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._left = deque(batches)

    @property
    def over(self) -> bool:
        """True when all were taken."""
        return not self._left

    def take(self) -> Batch | None:
        """Return the next batch, or None after the last."""
        return self._left.popleft() if self._left else None


class Live:
    """Batches of a run that is being taken, until its end has been seen.

    Parameters
    ----------
    run : the run, which is looked at again when a batch is asked for
    size : of a batch
    limit : number of events after which it ends, or None
    finished : batches that are done already
    look : is called whenever the run is looked at again
    """

    def __init__(
        self,
        run: Run,
        size: int,
        limit: int | None,
        finished: Container[Batch],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run
        self._size = size
        self._limit = limit
        self._finished = finished
        self._look = look
        self._number = 0
        self._end = 0

    @property
    def over(self) -> bool:
        """True when the run has ended, and all of its events were taken."""
        ended = self._full or not self._run.growing
        return ended and self._end == self._events

    def take(self) -> Batch | None:
        """Return the next batch: a whole one, or the last."""
        if self._run.growing:
            self._run.refresh()
            self._look()
        last = self._full or not self._run.growing
        while not self.over:
            end = min(self._end + self._size, self._events)
            batch = Batch(self._number, self._end, end)
            if len(batch) < self._size and not (last and batch):
                return None
            self._number, self._end = self._number + 1, end
            if batch not in self._finished:
                return batch
        return None

    @property
    def _events(self) -> int:
        return len(range(len(self._run))[: self._limit])

    @property
    def _full(self) -> bool:
        return self._limit is not None and len(self._run) >= self._limit
