"""Ctrl-C and SIGTERM during a job: what is in hand is finished, then it ends."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from smalldata_ana.errors import SmallDataError

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


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
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {n: signal.signal(n, asked.ask) for n in EXIT_CODES}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
