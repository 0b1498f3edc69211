"""Runs that are not finished: their data acquisition pauses, dies, or comes back."""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest
from producing_run import (
    BATCH,
    ENVIRONMENT,
    EVENTS,
    Site,
    assert_equal,
    ended,
    ending,
    output,
    parts,
    until,
)
from replay import Replay
from simulated import ours

from smalldata_ana import opening
from smalldata_ana.commands import beginning, producer_reports
from smalldata_ana.opening import open_run
from smalldata_ana.producing import view
from smalldata_ana.simulation.run_writer import SimulatedRun
from smalldata_ana.sources import first_events
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.psana2 import scanned_run

AtFirstLook = Callable[[Callable[[], None]], None]

pytest_plugins = ["producing_fixtures"]

THERE = 20
"""Events that are there while the run is not finished; no whole number of batches."""

FIRST = 8
"""Events that decide what there is in the run, here."""

LIVE = f"""
import sys
from smalldata_ana.commands.producer import main
from smalldata_ana.producing import view
from smalldata_ana.sources import first_events
first_events.MOST = {FIRST}
view.INTERVAL = 0
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def replay(made: SimulatedRun, tmp_path: Path) -> Replay:
    return Replay(made, tmp_path / "xtc")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the work begin after a few events, and be told at each look."""
    monkeypatch.setattr(first_events, "MOST", FIRST)
    monkeypatch.setattr(view, "INTERVAL", 0.0)
    monkeypatch.setattr(beginning, "POLL", 0.1)
    monkeypatch.setattr(beginning, "_LINE", 0.0)
    monkeypatch.setattr(producer_reports, "_LINE", 0.0)


def words(replay: Replay, *options: object) -> list[object]:
    return ["--xtc-dir", replay.folder, "--nproc", 1, *options]


@contextmanager
def meanwhile(*steps: Callable[[], None], after: float = 1.0) -> Iterator[None]:
    """Do something in the background, each step a while after the one before."""

    def work() -> None:
        for step in steps:
            time.sleep(after)
            step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let seconds pass with each look at how long nothing was new, and only then."""
    seconds = itertools.count(0.0, 4.0)
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr(scanned_run, "time", clock)


@pytest.fixture
def at_first_look(monkeypatch: pytest.MonkeyPatch) -> AtFirstLook:
    """Return what says what happens when a job has told what it waits for."""

    def set_up(happens: Callable[[], None]) -> None:
        steps = iter([happens])

        def late_streams(run: Run) -> list[str]:
            for step in steps:
                step()
            return opening.late_streams(run)

        monkeypatch.setattr(beginning, "late_streams", late_streams)

    return set_up


def live(site: Site, out: Path, replay: Replay) -> subprocess.Popen[str]:
    """Begin a job that follows the run, as a process group of its own."""
    given = site.arguments(out, *words(replay, "--live"))
    return subprocess.Popen(
        [sys.executable, "-c", LIVE, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )


def shown(out: Path) -> int:
    """Return how many events a view shows."""
    try:
        with h5py.File(output(out)) as file:
            assert "unfinished" in file.attrs
            return len(file["timestamp"])
    except FileNotFoundError:
        return 0


def length(out: Path) -> int:
    with h5py.File(output(out)) as file:
        assert "unfinished" not in file.attrs
        return len(file["timestamp"])


def reused(said: str) -> int:
    return int(said.partition(" of them by an earlier job")[0].split()[-1])


class TestWithoutLive:
    def test_takes_the_whole_events_and_is_gone_on_with(
        self,
        site: Site,
        replay: Replay,
        reference: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        replay.until(THERE)
        replay.until(THERE + 2, "s000-c000")
        replay.until(THERE, "s001-c000.xtc2", begun=100)
        assert site.produce(tmp_path, *words(replay)) == 3
        said = capsys.readouterr().out
        assert f"{THERE} of {THERE} events written" in said
        assert (
            "incomplete: the run was not finished when it had 20 events: its last "
            "files are 'xppsim01-r0001-s000-c000.xtc2.inprogress', "
            "'xppsim01-r0001-s001-c000.xtc2.inprogress', "
            "'xppsim01-r0001-s002-c000.xtc2.inprogress', and no end of the run was "
            "seen; left out, as not whole: 2 events\n"
        ) in said
        assert length(tmp_path) == THERE
        replay.end()
        assert site.produce(tmp_path, *words(replay)) == 0
        assert reused(capsys.readouterr().out) == THERE // BATCH * BATCH
        assert_equal(output(tmp_path), reference)
        assert not parts(tmp_path)

    def test_of_a_run_whose_end_was_seen(
        self, site: Site, replay: Replay, tmp_path: Path, capsys
    ) -> None:
        replay.end("s000")
        replay.until(THERE)
        assert site.produce(tmp_path, *words(replay)) == 3
        said = capsys.readouterr().out
        assert "inprogress'; left out, as not whole: 4 events\n" in said
        assert length(tmp_path) == THERE


class TestSilence:
    def test_ends_a_live_job_that_is_gone_on_with(
        self,
        site: Site,
        replay: Replay,
        reference: Path,
        tmp_path: Path,
        quick: None,
        slow_clock: None,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        replay.until(THERE)
        assert site.produce(tmp_path, *words(replay, "--live", 90)) == 3
        told = capsys.readouterr()
        assert re.search(r"run 1: 18 events, .*/s; nothing new for \d\d s\n", told.err)
        silent = "  incomplete: nothing new came for 90 s; more was not waited for\n"
        assert silent in told.out
        assert "no end of the run was seen\n" in told.out
        assert length(tmp_path) == THERE
        monkeypatch.setattr(scanned_run, "time", time)
        with meanwhile(lambda: replay.until(THERE + 1), replay.end):
            assert site.produce(tmp_path, *words(replay, "--live")) == 0
        assert reused(capsys.readouterr().out) == THERE // BATCH * BATCH
        assert_equal(output(tmp_path), reference)
        assert not parts(tmp_path)

    def test_before_the_work_begins(
        self,
        site: Site,
        replay: Replay,
        tmp_path: Path,
        quick: None,
        slow_clock: None,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        replay.until(FIRST - 2)
        assert site.produce(tmp_path, *words(replay, "--live", 30)) == 3
        assert re.search(
            f"xppsim01 run 1: {FIRST - 2} of {FIRST} events, or 0 of 30 s, that must "
            r"be seen before the work begins; nothing new for \d\d s\n",
            capsys.readouterr().err,
        )
        assert length(tmp_path) == FIRST - 2

    def test_of_a_run_without_the_detector(
        self, site: Site, replay: Replay, tmp_path: Path, quick: None, capsys
    ) -> None:
        replay.until(THERE, "s000")
        assert site.produce(tmp_path, *words(replay, "--live", 1)) == 2
        assert "no area detector 'epix100'" in capsys.readouterr().err

    def test_counts_from_the_last_byte(self, replay: Replay) -> None:
        replay.until(THERE)
        run = open_run("xppsim01", 1, xtc_dir=replay.folder, live=True, patience=0.3)
        for event in (THERE + 1, THERE + 2):
            time.sleep(0.4)
            replay.until(event)
            assert run.refresh() == 1
            assert run.growing
        time.sleep(0.4)
        assert run.refresh() == 0
        assert not run.growing
        assert run.problems[0].startswith("nothing new came for 0.3 s")
        run.close()


def test_live_job_that_is_killed_is_gone_on_with(
    site: Site,
    replay: Replay,
    reference: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    quick: None,
) -> None:
    followed, later = tmp_path / "followed", tmp_path / "later"
    replay.until(THERE)
    with ending(live(site, followed, replay)) as job:
        until(lambda: shown(followed) == THERE // BATCH * BATCH)
        job.kill()
        assert ended(job)[0] == -signal.SIGKILL
    shutil.copytree(followed, later)
    replay.until(THERE + 2)
    with meanwhile(replay.end):
        assert site.produce(followed, *words(replay, "--live")) == 0
    assert site.produce(later, *words(replay)) == 0
    for out, said in zip(
        (followed, later), capsys.readouterr().out.split("output: ")[:2], strict=True
    ):
        assert reused(said) == THERE // BATCH * BATCH
        assert_equal(output(out), reference)
        assert not parts(out)


def test_live_job_that_fails_keeps_the_file_of_an_earlier_one(
    site: Site, replay: Replay, tmp_path: Path, quick: None, capsys, caplog
) -> None:
    replay.until(THERE - BATCH)
    assert site.produce(tmp_path, *words(replay)) == 3
    before = output(tmp_path).read_bytes()
    replay.until(THERE)
    site.order(**{"raise": [THERE - 3]})
    again = ("--live", 20, "--no-resume", "--strict")
    assert site.produce(tmp_path, *words(replay, *again)) == 1
    assert len(parts(tmp_path)) > 2
    assert output(tmp_path).read_bytes() == before
    assert caplog.text.count("is complete, and stays until the new one is") == 1


def test_stream_that_appears_after_the_others_have_ended(
    site: Site,
    replay: Replay,
    reference: Path,
    tmp_path: Path,
    quick: None,
    at_first_look: AtFirstLook,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replay.end("s000")
    replay.end("s002")
    at_first_look(lambda: replay.end("s001"))
    assert site.produce(tmp_path, *words(replay, "--live")) == 0
    assert "run 1: no data of epix100 yet, for 60 s\n" in capsys.readouterr().err
    assert_equal(output(tmp_path), reference)


def test_parameters_that_do_not_fit_are_told_before_the_work_begins(
    site: Site,
    replay: Replay,
    tmp_path: Path,
    quick: None,
    at_first_look: AtFirstLook,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.rewrite("[20, 40]", "[20, 4000]")
    replay.until(2)
    at_first_look(lambda: replay.until(FIRST + 1))
    assert site.produce(tmp_path, *words(replay, "--live")) == 2
    early, _, late = capsys.readouterr().err.partition("as far as it is there, it will")
    assert "error" not in early
    assert late.count("4000") == 2


class TestOpening:
    def test_by_default_a_run_is_followed_if_its_files_are_in_progress(
        self, made: SimulatedRun, replay: Replay
    ) -> None:
        replay.until(THERE)
        for live, growing in ((None, True), (True, True), (False, False)):
            run = open_run("xppsim01", 1, xtc_dir=replay.folder, live=live)
            assert run.growing is growing
            assert bool(run.problems) is not growing
            assert len(run) == THERE
            run.close()
        run = ours(made, live=False)
        assert not run.growing
        assert not run.problems
        assert len(run) == EVENTS
        run.close()
