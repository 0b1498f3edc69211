"""The bar on stderr, as a terminal would show it."""

from __future__ import annotations

import io
import time
from contextlib import closing, redirect_stderr

import numpy as np
import pytest
from session_run import write

from smalldata_ana import averaging
from smalldata_ana.session import progress
from smalldata_ana.session.progress import Progress
from smalldata_ana.sources.hdf5_run import Hdf5Run
from smalldata_ana.statistics import RunningStatistics


class Terminal(io.StringIO):
    """Stands in for stderr."""

    def isatty(self) -> bool:
        return True

    def drawn(self) -> list[str]:
        """Return how the bar looked, each time that it was drawn."""
        return [line.strip() for line in self.getvalue().split("\r") if line.strip()]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Let bars come without delay."""
    monkeypatch.setattr(progress, "DELAY", 0)


def test_bar_is_drawn_again_when_told_the_same():
    with redirect_stderr(Terminal()) as terminal, Progress("average") as bar:
        bar(1, 3)
        bar(3, 3)
        before = len(terminal.drawn())
        for _ in range(4):
            bar(3, 3)
        finishing = terminal.drawn()[before:]
    assert len(finishing) >= 4
    assert all(line.startswith("average, finishing: 100%") for line in finishing)
    assert all("3/3" in line for line in finishing)


def test_bar_moves_while_statistics_are_finished(tmp_path, monkeypatch):
    median = RunningStatistics.median

    def patient(statistics):
        """Take as long as the bar needs to be drawn a few times."""
        end = time.monotonic() + 20
        while finishing() < 3 and time.monotonic() < end:
            time.sleep(0.01)
        return median(statistics)

    def finishing():
        return sum("average, finishing" in line for line in terminal.drawn())

    monkeypatch.setattr(averaging, "_TICK", 0.02)
    monkeypatch.setattr(RunningStatistics, "median", patient)
    terminal = Terminal()
    with (
        closing(Hdf5Run(write(tmp_path))) as run,
        redirect_stderr(terminal),
        Progress("average") as bar,
    ):
        averaging.average(run, "opal", events=np.arange(5), median=True, progress=bar)
        assert finishing() >= 3


def test_no_bar_where_stderr_is_no_terminal():
    with redirect_stderr(io.StringIO()) as stderr, Progress("average") as bar:
        bar(1, 1)
    assert stderr.getvalue() == ""
