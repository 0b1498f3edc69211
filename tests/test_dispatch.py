"""Batches are handed out until each is done, by executors that fail as told."""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.errors import FileError
from smalldata_ana.producing import dispatch, executors
from smalldata_ana.producing.batches import (
    cut,
)
from smalldata_ana.producing.dispatch import TRIES, Dispatcher
from smalldata_ana.producing.interruption import (
    Interruption,
    StoppedError,
)
from smalldata_ana.producing.reports import Done, Report
from smalldata_ana.producing.supply import Whole


class Killed(BaseException):
    """Takes a worker with it."""


class FakeExecutor(Executor):
    """Does the work when it is waited for; what kills takes along all behind it."""

    def __init__(self):
        self.begun = []
        self.broken = False

    def submit(self, call, /, *arguments, **keywords):
        if self.broken:
            raise BrokenExecutor
        future = Future()
        self.begun.append((future, call))
        return future

    def work(self):
        """Do what was submitted."""
        begun, self.begun = self.begun, []
        for future, call in begun:
            try:
                if not self.broken:
                    future.set_result(call())
            except Killed:
                self.broken = True
            except Exception as error:
                future.set_exception(error)
            if self.broken:
                future.set_exception(BrokenExecutor())


class FakeWorkers:
    """Workers that some batches kill, so many times each."""

    def __init__(self, kills=None, number=2):
        self.kills = Counter(kills or {})
        self.number = number
        self.restarts = 0
        self.killed = False
        self.done = []
        self.tried = Counter()
        self.restart()

    def restart(self):
        self.restarts += 1
        self.executor = FakeExecutor()

    def kill(self):
        self.killed = True

    def call_of(self, batch):
        def call():
            self.tried[batch.number] += 1
            if self.kills[batch.number]:
                self.kills[batch.number] -= 1
                raise Killed
            return Done(batch, Report(events=len(batch)))

        return call

    def dispatch(self, batches, check=lambda: None):
        """Hand out batches; return those that were given up."""

        def working(futures, **options):
            self.executor.work()
            return wait(futures, **options)

        dispatcher = Dispatcher(
            self, self.call_of, lambda done: self.done.append(done.batch), check
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "wait", working)
            dispatcher.run(Whole(batches))
        return dispatcher.given_up


class TestDispatcher:
    BATCHES = cut(60, 10)

    def test_all_is_done(self):
        workers = FakeWorkers()
        assert workers.dispatch(self.BATCHES) == []
        assert sorted(workers.done) == self.BATCHES
        assert workers.restarts == 1

    def test_an_executor_that_was_broken_before(self):
        workers = FakeWorkers()
        workers.executor.broken = True
        assert workers.dispatch(self.BATCHES) == []
        assert sorted(workers.done) == self.BATCHES

    def test_nothing_to_do(self):
        workers = FakeWorkers()
        assert workers.dispatch([]) == []
        assert workers.done == []

    @given(st.dictionaries(st.integers(0, 5), st.integers(0, 6)), st.integers(1, 3))
    def test_whoever_dies(self, kills, number):
        workers = FakeWorkers(kills, number)
        given_up = workers.dispatch(self.BATCHES)
        assert sorted(workers.done + given_up) == self.BATCHES
        assert all(kills.get(batch.number, 0) >= TRIES for batch in given_up)
        assert all(workers.tried[b.number] <= TRIES + 1 for b in given_up)

    def test_company_is_not_blamed(self):
        workers = FakeWorkers({0: 99})
        assert workers.dispatch(self.BATCHES) == [self.BATCHES[0]]
        assert sorted(workers.done) == self.BATCHES[1:]
        # In the first company it may have been another one.
        assert workers.tried[0] == TRIES + 1

    def test_the_end_is_asked_for(self):
        asked = Interruption()
        workers = FakeWorkers(number=2)

        def check():
            asked.ask(signal.SIGTERM, None)
            asked.check()

        with pytest.raises(StoppedError) as stopped:
            workers.dispatch(self.BATCHES, check)
        assert stopped.value.exit_code == 143
        assert sorted(workers.done) == self.BATCHES[: len(workers.done)]
        assert not workers.killed

    def test_the_end_is_asked_for_twice(self):
        workers = FakeWorkers()

        def check():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            workers.dispatch(self.BATCHES, check)
        assert workers.killed

    def test_what_a_worker_raises_ends_the_job(self):
        workers = FakeWorkers()

        def fails(batch):
            def call():
                raise FileError("the disk is full")

            return call if batch.number == 1 else FakeWorkers.call_of(workers, batch)

        workers.call_of = fails
        with pytest.raises(FileError, match="the disk is full"):
            workers.dispatch(self.BATCHES)
        assert self.BATCHES[0] in workers.done


def test_sockets_are_made_where_their_path_is_short(monkeypatch):
    """Batch systems have temporary folders whose names no socket can have."""
    long = "/" + 90 * "a"
    monkeypatch.setattr(tempfile, "tempdir", long)
    with executors._short_temporary_folder():
        assert len(tempfile.gettempdir()) < 64
    assert tempfile.gettempdir() == long
