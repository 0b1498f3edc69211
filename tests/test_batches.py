"""What a producer's job is made of: batches, signals, lock, supply, space."""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.detector.protocol import Field
from smalldata_ana.errors import FileError, SmallDataError
from smalldata_ana.producing import lock, space
from smalldata_ana.producing.batches import (
    MOST_EVENTS,
    RAW_BYTES,
    ROW_BYTES,
    SUMS_FACTOR,
    Batch,
    batch_size,
    cut,
)
from smalldata_ana.producing.executors import SerialExecutor, Workers, under_mpi
from smalldata_ana.producing.failures import Failures, FunctionError
from smalldata_ana.producing.interruption import (
    StoppedError,
    interruptible,
)
from smalldata_ana.producing.lock import locked
from smalldata_ana.producing.reports import Report
from smalldata_ana.producing.supply import Live, Whole


class TestBatches:
    @given(st.integers(0, 500), st.integers(1, 60))
    def test_each_event_is_in_one(self, events, size):
        batches = cut(events, size)
        held = [k for batch in batches for k in range(batch.begin, batch.end)]
        assert held == list(range(events))
        assert [batch.number for batch in batches] == list(range(len(batches)))
        assert {len(batch) for batch in batches[:-1]} <= {size}

    def test_more_events_only_change_the_last(self):
        assert cut(35, 10)[:3] == cut(30, 10)
        assert cut(35, 10)[3] == Batch(3, 30, 35)

    def test_size_follows_from_the_data(self):
        assert batch_size(RAW_BYTES // 10, 0) == 10
        assert batch_size(1, 0) == MOST_EVENTS
        assert batch_size(2 * RAW_BYTES, 0) == 1

    def test_large_sums_make_larger_batches(self):
        sums = RAW_BYTES
        assert batch_size(1 << 20, sums) == SUMS_FACTOR * sums >> 20

    def test_results_fit_into_memory(self):
        assert batch_size(1 << 20, 0, ROW_BYTES // 4) == 4
        assert batch_size(1 << 20, 0, 2 * ROW_BYTES) == 1

    def test_text(self):
        assert str(Batch(4, 12, 15)) == "batch 4 (events 12 to 14)"


class TestInterruption:
    @pytest.mark.parametrize(
        ("sent", "expected"),
        [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)],
    )
    def test_signals(self, sent, expected):
        before = signal.getsignal(sent)
        with interruptible() as asked:
            asked.check()
            os.kill(os.getpid(), sent)
            with pytest.raises(StoppedError, match="finished parts are kept") as error:
                asked.check()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), sent)
        assert error.value.exit_code == expected
        assert signal.getsignal(sent) is before

    def test_not_in_another_thread(self):
        before = signal.getsignal(signal.SIGINT)
        seen = []

        def run():
            with interruptible() as asked:
                asked.check()
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert seen == [before]


class TestLock:
    def test_one_at_a_time(self, tmp_path):
        folder = tmp_path / "parts"
        with locked(folder):
            told = f"another producer works on this run: .*process {os.getpid()}, since"
            with pytest.raises(FileError, match=told), locked(folder):
                pass
        with locked(folder):
            pass

    def test_of_a_folder_that_its_holder_removes(self, tmp_path, monkeypatch):
        """Who has opened the file before the folder was removed makes a new one."""
        folder = tmp_path / "parts"
        flock, calls = lock.fcntl.flock, []

        def after_removal(descriptor, operation):
            if not calls:
                (folder / "lock").unlink()
                folder.rmdir()
            calls.append(descriptor)
            flock(descriptor, operation)

        monkeypatch.setattr(lock.fcntl, "flock", after_removal)
        with locked(folder):
            assert (folder / "lock").exists()
            told = "another producer works"
            with pytest.raises(FileError, match=told), locked(folder):
                pass
        assert len(calls) == 3

    def test_nobody_says_who_holds_it(self, tmp_path):
        with locked(tmp_path):
            (tmp_path / "lock").write_text("")
            told = f"another producer works on this run: it holds {tmp_path}/lock"
            with pytest.raises(FileError, match=told), locked(tmp_path):
                pass

    def test_a_folder_in_its_place(self, tmp_path):
        (tmp_path / "lock").mkdir()
        told = "cannot write .*lock: it is a folder"
        with pytest.raises(FileError, match=told), locked(tmp_path):
            pass


class GrowingRun:
    """A run that has some more events at each look, and then ends."""

    def __init__(self, lengths):
        self.lengths = list(lengths)
        self.growing = True
        self.length = 0

    def __len__(self):
        return self.length

    def refresh(self):
        self.length = self.lengths.pop(0)
        self.growing = bool(self.lengths)


def taken(supply, looks=100):
    """Return what a supply gives."""
    found = []
    for _ in range(looks):
        if supply.over:
            return found
        batch = supply.take()
        if batch is not None:
            found.append(batch)
    raise AssertionError("it never ends")


class TestSupply:
    def test_whole(self):
        batches = cut(25, 10)
        assert taken(Whole(iter(batches))) == batches
        assert Whole([]).over
        assert Whole([]).take() is None

    @given(st.lists(st.integers(0, 40), min_size=1, max_size=6).map(sorted))
    def test_live_gives_the_batches_of_the_whole_run(self, lengths):
        assert taken(Live(GrowingRun(lengths), 10, None, ())) == cut(lengths[-1], 10)

    @given(
        st.lists(st.integers(0, 40), min_size=1, max_size=6).map(sorted),
        st.integers(1, 40),
    )
    def test_live_with_a_limit(self, lengths, limit):
        expected = cut(min(limit, lengths[-1]), 10)
        assert taken(Live(GrowingRun(lengths), 10, limit, ())) == expected

    def test_live_tells_when_it_looks_again(self):
        looks = []
        supply = Live(GrowingRun([9, 9, 12]), 10, None, (), lambda: looks.append(1))
        assert taken(supply) == cut(12, 10)
        assert len(looks) == 3

    def test_live_waits_for_a_whole_batch(self):
        supply = Live(GrowingRun([9, 10, 12, 15]), 10, None, ())
        assert supply.take() is None
        assert supply.take() == Batch(0, 0, 10)
        assert supply.take() is None
        assert not supply.over
        assert supply.take() == Batch(1, 10, 15)
        assert supply.over

    def test_live_leaves_out_what_is_finished(self):
        batches = cut(35, 10)
        supply = Live(GrowingRun([20, 35]), 10, None, {batches[0], batches[3]})
        assert taken(supply) == batches[1:3]


class TestWorkers:
    def test_serial(self):
        executor = SerialExecutor()
        assert executor.submit(math.sqrt, 4.0).result() == 2
        with pytest.raises(ValueError, match="math"):
            executor.submit(math.sqrt, -1.0).result()

    def test_one_is_this_process(self):
        workers = Workers(1)
        assert workers.here
        assert not workers.mpi
        workers.close()

    def test_no_mpi_by_chance(self, monkeypatch):
        monkeypatch.setenv("SLURM_NTASKS", "16")
        assert not under_mpi()


class TestReports:
    def test_text_and_back(self):
        report = self.report(2)
        found = Report.from_json(report.to_json())
        assert found == report

    def test_together(self):
        total = Report()
        for number in (2, 3):
            total.update(self.report(number))
        assert total.events == 5
        assert total.without_data == {"opal": 2}
        assert total.failures.counts == {"opal/roi: ValueError": 5}
        assert list(total.failures.first) == ["opal/roi: ValueError"]
        assert "event 20:" in total.failures.first["opal/roi: ValueError"]
        assert total.problems == {"a file is cut"}

    def report(self, number):
        failures = Failures()
        for k in range(number):
            failures.add("opal/roi", 10 * number + k, ValueError("no"))
        return Report(number, Counter(opal=1), failures, {"a file is cut"})


def test_errors_reach_the_parent():
    """Those with arguments of their own too."""
    for error in (FunctionError("it failed"), FileError("the disk is full")):
        found = pickle.loads(pickle.dumps(error))
        assert isinstance(found, SmallDataError)
        assert str(found) == str(error)
        assert found.exit_code == error.exit_code


class TestSpace:
    PIXELS, EVENTS = 1000, 50

    @pytest.fixture
    def plan(self, tmp_path, monkeypatch):
        """Return what space depends on; there is room for one byte too few."""
        row = {
            "timestamp": Field(np.dtype(np.int64)),
            "opal/image": Field(np.dtype(np.float32), (self.PIXELS,)),
        }
        sums = SimpleNamespace(nbytes=8 * self.PIXELS)
        plan = SimpleNamespace(
            job=SimpleNamespace(parts=tmp_path / "parts"),
            detectors=[SimpleNamespace(sums=sums, shape=(self.PIXELS,))],
            batches=lambda limit: cut(limit or self.EVENTS, 10),
        )
        monkeypatch.setattr(space, "tables_of", lambda job: {"": row})
        usage = SimpleNamespace(free=space.needed_bytes(plan, None) - 1)
        monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: usage)
        return plan

    def test_parts_and_file(self, plan):
        row, sums = 4 * self.PIXELS + 8, 8 * self.PIXELS
        assert space.needed_bytes(plan, None) == 2 * row * self.EVENTS + sums * 6
        assert space.needed_bytes(plan, 10) == 2 * row * 10 + sums * 2

    def test_too_little(self, plan, tmp_path):
        told = "about 0.000449 GB are needed, 0.000449 GB are free; free some space"
        with pytest.raises(FileError, match=told):
            space.check_space(plan, tmp_path / "a.h5", None)
        space.check_space(plan, tmp_path / "a.h5", self.EVENTS - 1)

    def test_parts_that_are_there_need_no_room(self, plan, tmp_path):
        plan.job.parts.mkdir()
        (plan.job.parts / "part_000000.h5").write_bytes(b"x")
        space.check_space(plan, tmp_path / "a.h5", None)

    def test_a_folder_in_the_place_of_the_file(self, plan, tmp_path):
        with pytest.raises(FileError, match="it is a folder"):
            space.check_space(plan, tmp_path, None)
