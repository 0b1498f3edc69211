"""Ctrl-C, SIGTERM or SIGUSR1 during a job: it ends, and what is finished is kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from smalldata_ana.errors import SmallDataError

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143}
"""Of a job, by the signal that ended it.

To its processes ``mpirun`` hands on SIGUSR1; at the others it kills them.
"""

_Handler = Callable[[int, FrameType | None], None]


class StoppedError(SmallDataError):
    """The job was asked to end; its finished parts are kept.

    Attributes
    ----------
    exit_code : of the process
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(
            "stopped; finished parts are kept, and the same command goes on with them"
        )
        self.exit_code = exit_code


class Interruption:
    """Whether the job was asked to end; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self._exit_code: int | None = None

    def check(self) -> None:
        """Raise `StoppedError` if the job was asked to end."""
        if self._exit_code is not None:
            raise StoppedError(self._exit_code)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Note that a signal asked for the end; it is a signal's handler."""
        if self._exit_code is not None:
            raise KeyboardInterrupt
        self._exit_code = EXIT_CODES[signal.Signals(number)]


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Collect signals instead of dying of them, in the main thread of a process."""
    asked = Interruption()
    with _handled_by(asked.ask):
        yield asked


@contextlib.contextmanager
def stopping_at_once() -> Iterator[None]:
    """Raise `StoppedError` at a signal: for work that the next job does anew."""
    with _handled_by(_stop):
        yield


def leave_signals_to_parent() -> None:
    """Ignore signals, which go to all processes of a job: its parent answers."""
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError(EXIT_CODES[signal.Signals(number)])


@contextlib.contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, handler) for n in EXIT_CODES}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
