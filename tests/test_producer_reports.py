"""How far the work is: on a terminal, in a log, and for the job system."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from producing_run import EVENTS

from smalldata_ana.commands import producer_reports
from smalldata_ana.commands.producer_reports import COUNTERS, progress_of

pytest_plugins = ["producing_fixtures"]


class Terminal(io.StringIO):
    """Stands in for stderr."""

    def isatty(self) -> bool:
        return True

    def drawn(self) -> list[str]:
        """Return how the bar looked, each time that it was drawn."""
        return [line.strip() for line in self.getvalue().split("\r") if line.strip()]


@pytest.fixture
def clock(monkeypatch):
    """Return a function that lets seconds pass."""
    now = [100.0]
    monkeypatch.setattr(producer_reports.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture
def job_system(monkeypatch):
    """A server in the place of the job system's; return what it was told."""
    told = []

    class Counters(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.headers["Content-Type"] == "application/json"
            content = self.rfile.read(int(self.headers["Content-Length"]))
            told.append(json.loads(content))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Counters) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        monkeypatch.setenv(COUNTERS, f"http://127.0.0.1:{port}/counters")
        yield told
        server.shutdown()
        thread.join()


def counted(text):
    """Return what the job system is told."""
    return [{"key": "<b>Events</b>", "value": text}]


def work(wait, total=100):
    """Tell the progress of a job that begins with 20 events of an earlier one."""
    with progress_of("run 1") as progress:
        for done in range(20, 101, 10):
            progress(done, total)
            wait(4)


class TestLines:
    def test_the_first_and_the_last_state_are_told(self, clock):
        with redirect_stderr(io.StringIO()) as log:
            work(clock)
        assert log.getvalue().splitlines() == [
            "run 1: 20 of 100 events, 0.0/s",
            "run 1: 50 of 100 events, 2.5/s",
            "run 1: 80 of 100 events, 2.5/s",
            "run 1: 100 of 100 events, 2.2/s",
        ]

    def test_nobody_knows_how_long_a_run_is_that_is_taken(self, clock):
        with redirect_stderr(io.StringIO()) as log:
            work(clock, total=None)
        assert log.getvalue().splitlines()[-1] == "run 1: 100 events, 2.2/s"

    def test_a_job_that_fails_tells_how_far_it_came(self, clock):
        def work_until_it_fails():
            with progress_of("run 1") as progress:
                progress(0, 9)
                clock(1)
                progress(3, 9)
                raise FileNotFoundError

        with redirect_stderr(io.StringIO()) as log, pytest.raises(FileNotFoundError):
            work_until_it_fails()
        assert log.getvalue().endswith("run 1: 3 of 9 events, 3.0/s\n")

    def test_nothing_is_told_twice(self, clock):
        with redirect_stderr(io.StringIO()) as log, progress_of("run 1") as progress:
            progress(9, 9)
        assert log.getvalue() == "run 1: 9 of 9 events, 0.0/s\n"

    def test_nothing_is_told_of_nothing(self):
        with redirect_stderr(io.StringIO()) as log, progress_of("run 1"):
            pass
        assert log.getvalue() == ""


class TestJobSystem:
    def test_it_is_told_the_first_and_the_last_state(self, job_system, clock):
        with redirect_stderr(io.StringIO()):
            work(clock)
        assert job_system == [counted(f"{n} of 100") for n in (20, 50, 80, 100)]

    def test_it_is_told_beside_a_terminal(self, job_system):
        with redirect_stderr(Terminal()):
            work(lambda seconds: None)
        assert job_system == [counted("20 of 100"), counted("100 of 100")]

    def test_it_does_not_matter_whether_it_hears(self, monkeypatch, clock):
        monkeypatch.setenv(COUNTERS, "http://127.0.0.1:9/nobody")
        with redirect_stderr(io.StringIO()) as log:
            work(clock)
        assert log.getvalue().endswith("100 of 100 events, 2.2/s\n")

    def test_a_producer_tells_it(self, job_system, site, tmp_path):
        assert site.produce(tmp_path, "--nproc", 1) == 0
        assert job_system[0] == counted(f"0 of {EVENTS}")
        assert job_system[-1] == counted(f"{EVENTS} of {EVENTS}")


class TestBar:
    def test_the_producer_draws_it(self, site, tmp_path):
        with redirect_stderr(Terminal()) as terminal:
            assert site.produce(tmp_path, "--nproc", 1) == 0
        bar = terminal.drawn()[-1]
        assert bar.startswith("xppsim01 run 1: 100%")
        assert f"{EVENTS}/{EVENTS}" in bar
        assert "events/s" in bar

    def test_the_work_of_an_earlier_job_does_not_count_for_the_rate(self):
        earlier = 1_000_000
        with redirect_stderr(Terminal()) as terminal, progress_of("run 1") as progress:
            progress(earlier, earlier + 2)
            for done in (1, 2):
                time.sleep(0.25)
                progress(earlier + done, earlier + 2)
        bar = terminal.drawn()[-1]
        assert "1000002/1000002 [" in bar
        assert float(re.search(r"([\d.]+) events/s", bar)[1]) < earlier / 100
