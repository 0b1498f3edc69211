"""Waiting for an answer at a terminal, with windows that go on working."""

from __future__ import annotations

import os
import pty
import signal
import sys

import pytest

from smalldata_ana.session.tools import waiting


class Canvas:
    """A window in whose time something happens."""

    def __init__(self, *happenings) -> None:
        self._happenings = iter(happenings)
        self.slices = 0

    def start_event_loop(self, timeout: float) -> None:
        assert 0 < timeout < 1
        self.slices += 1
        next(self._happenings)()


@pytest.fixture
def keyboard(monkeypatch):
    """Return what types at the terminal that is the standard input."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda text: os.write(ours, text.encode())
    os.close(ours)


def nothing() -> None:
    pass


def test_windows_work_until_there_is_an_answer(keyboard, monkeypatch, capsys):
    canvas = Canvas(nothing, nothing, lambda: keyboard("4 10\n"))
    monkeypatch.setattr(waiting, "_canvas", lambda: canvas)
    assert waiting.read_line("where? ") == "4 10"
    assert canvas.slices == 3
    assert capsys.readouterr().out == "where? "


def test_ctrl_c_in_a_window_gets_through(keyboard, monkeypatch):
    def interrupt() -> None:
        raise KeyboardInterrupt

    canvas = Canvas(nothing, interrupt)
    monkeypatch.setattr(waiting, "_canvas", lambda: canvas)
    with pytest.raises(KeyboardInterrupt):
        waiting.read_line("where? ")


def test_the_end_of_the_input(keyboard, monkeypatch):
    canvas = Canvas(lambda: keyboard("\x04"))
    monkeypatch.setattr(waiting, "_canvas", lambda: canvas)
    with pytest.raises(EOFError):
        waiting.read_line("where? ")


def test_the_last_window_is_closed_meanwhile(keyboard, monkeypatch):
    canvas = Canvas(nothing)
    windows = iter([canvas])

    def left():
        window = next(windows, None)
        if window is None:
            keyboard("y\n")
        return window

    monkeypatch.setattr(waiting, "_canvas", left)
    assert waiting.read_line("happy? ") == "y"
    assert canvas.slices == 1


@pytest.fixture
def no_window(monkeypatch):
    """Show a figure that has no window."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    plt.figure()
    yield
    plt.close("all")


def test_figures_without_windows_are_not_waited_for(keyboard, no_window):
    keyboard("yes\n")
    assert waiting.read_line("happy? ") == "yes"


def test_a_ctrl_c_is_looked_for_again_and_again(keyboard, no_window, monkeypatch):
    """A wait without end would not see one that comes just before it."""
    waits = []

    def look(read, write, failed, timeout):
        waits.append(timeout)
        if len(waits) == 3:
            signal.raise_signal(signal.SIGINT)
        return [], [], []

    monkeypatch.setattr(waiting.select, "select", look)
    with pytest.raises(KeyboardInterrupt):
        waiting.read_line("happy? ")
    assert max(waits) < 1


def test_without_a_terminal_it_is_an_ordinary_question(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt: f"{prompt}yes")
    assert waiting.read_line("happy? ") == "happy? yes"
