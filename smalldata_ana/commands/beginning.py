"""A run that is being taken: waiting until so much is there that it is known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection

from smalldata_ana.commands.runs import POLL, quiet
from smalldata_ana.errors import (
    DetectorNotFound,
    RunNotFound,
    SmallDataError,
    unknown,
)
from smalldata_ana.opening import broken_off, late_streams
from smalldata_ana.sources import first_events
from smalldata_ana.sources.base import Run

PATIENCE = 60.0
"""How long detectors may be missing after the first events, or after the run [s]."""

_LINE = 10.0
"""Between two lines that tell what is waited for [s]."""


class Beginning:
    """Waits for the begin of a run.

    The streams of a run that is being taken do not appear all at once: it is opened
    anew when there are more.

    Parameters
    ----------
    run : as it was opened first
    reopen : opens it once more
    needed : names of detectors without which the work cannot begin
    check : is called once when they are there; what it raises is told, but may be
        otherwise when more is there

    Attributes
    ----------
    run : as it was opened last; a run that is not the last one is closed
    """

    def __init__(
        self,
        run: Run,
        reopen: Callable[[], Run],
        needed: Collection[str],
        check: Callable[[Run], None] = lambda run: None,
    ) -> None:
        self.run = run
        self._reopen = reopen
        self._needed = needed
        self._check: Callable[[Run], None] | None = check
        self._next_line = time.monotonic()
        self._last_call: float | None = None

    def wait(self) -> Run:
        """Return the run when its first events and the detectors are there.

        Raises
        ------
        DetectorNotFound
            if the first events are there for a while, and a detector is still missing
        """
        try:
            while what := self._missing():
                self._check_early()
                self._tell(what)
                time.sleep(POLL)
                self._look()
        except BaseException:
            self.run.close()
            raise
        return self.run

    def _missing(self) -> str:
        """Return what has to be waited for; an empty text if there is nothing."""
        if not first_events.complete(self.run):
            return (
                f"{len(self.run)} of {first_events.MOST} events, or {self._span():.0f} "
                f"of {first_events.SECONDS} s, that must be seen before the work begins"
            )
        absent = [] if broken_off(self.run) else self._absent
        if not absent:
            return ""
        now = time.monotonic()
        self._last_call = self._last_call or now + PATIENCE
        if now > self._last_call:
            name = f"{self.run.experiment} run {self.run.number}"
            told = unknown("area detector", absent[0], self.run.detectors, name)
            raise DetectorNotFound(
                f"{told} {PATIENCE:.0f} s were waited for its data; if they come "
                "later, run the producer when the run has ended"
            )
        return f"no data of {', '.join(absent)} yet, for {self._last_call - now:.0f} s"

    @property
    def _absent(self) -> list[str]:
        return [name for name in self._needed if name not in self.run.detectors]

    def _check_early(self) -> None:
        """Check once what there is, when there is something of everything."""
        if self._check is None or not len(self.run) or self._absent:
            return
        check, self._check = self._check, None
        try:
            check(self.run)
        except SmallDataError as error:
            self._print(f"as far as it is there, it will fail: {error}")

    def _span(self) -> float:
        """Return the time between the first and the last event [s]."""
        times = self.run.timestamps
        if not len(times):
            return 0.0
        # seconds are the high half of a timestamp
        return float((int(times[-1]) >> 32) - (int(times[0]) >> 32))

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + _LINE
            self._print(what + quiet(self.run))

    def _print(self, text: str) -> None:
        name = f"{self.run.experiment} run {self.run.number}"
        print(f"{name}: {text}", file=sys.stderr, flush=True)

    def _look(self) -> None:
        """Look for more events, and for more streams."""
        self.run.refresh()
        if not late_streams(self.run):
            return
        try:
            again = self._reopen()
        except RunNotFound:
            # a file that was just made has no content yet
            return
        self.run.close()
        self.run = again
