"""What the producer says: progress while it works, and a summary at the end."""

from __future__ import annotations

import datetime
import json
import logging
import math
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smalldata_ana.producing.production import Result
    from smalldata_ana.sources.base import Run

logger = logging.getLogger(__name__)

COUNTERS = "JID_UPDATE_COUNTERS"
"""Environment variable with the address where the job system wants to be told."""

_LINE = 10.0
"""Between two lines in a log, or two messages to the job system [s]."""

_TIME_OUT = 2.0

_JOB_BEGIN = datetime.datetime.now()
"""When this process began, but for what it takes to come here."""

Progress = Callable[[int, int | None], None]


@contextmanager
def progress_of(what: str, note: Callable[[], str] = str) -> Iterator[Progress]:
    """Give a function that shows how far the work is: a bar, or lines in a log.

    Parameters
    ----------
    what : is worked on
    note : returns what is to be said beside
    """
    counters = os.environ.get(COUNTERS)
    with (_bar if sys.stderr.isatty() else _lines)(what, note) as show:
        if counters is None:
            yield show
            return
        with _now_and_then(partial(_post, counters)) as tell:

            def both(done: int, total: int | None) -> None:
                show(done, total)
                tell(done, total)

            yield both


@contextmanager
def _bar(what: str, note: Callable[[], str]) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=what, unit=" events", delay=0.2) as bar:
        begun = False

        def show(done: int, total: int | None) -> None:
            nonlocal begun
            if not begun:
                # what an earlier job has done does not count for the rate
                bar.initial = bar.n = done
                begun = True
            bar.total = total
            text = note().removeprefix("; ")
            bar.set_postfix_str(text, refresh=bool(text))
            bar.update(done - bar.n)

        yield show


@contextmanager
def _lines(what: str, note: Callable[[], str]) -> Iterator[Progress]:
    begin = time.monotonic()
    before: int | None = None

    def show(done: int, total: int | None) -> None:
        nonlocal before
        before = done if before is None else before
        rate = (done - before) / max(time.monotonic() - begin, 1e-3)
        of = "" if total is None else f" of {total}"
        text = f"{what}: {done}{of} events, {rate:.1f}/s{note()}"
        print(text, file=sys.stderr, flush=True)

    with _now_and_then(show) as sometimes:
        yield sometimes


@contextmanager
def _now_and_then(show: Progress) -> Iterator[Progress]:
    """Give what passes on the first call and the last, and between them a few."""
    held: tuple[int, int | None] | None = None
    due = -math.inf

    def sometimes(done: int, total: int | None) -> None:
        nonlocal held, due
        held = (done, total)
        if time.monotonic() >= due:
            pass_on()

    def pass_on() -> None:
        nonlocal held, due
        if held is not None:
            show(*held)
            held, due = None, time.monotonic() + _LINE

    try:
        yield sometimes
    finally:
        pass_on()


def _post(url: str, done: int, total: int | None) -> None:
    """Tell the job system how far the work is; whether it hears does not matter."""
    of = "" if total is None else f" of {total}"
    content = json.dumps([{"key": "<b>Events</b>", "value": f"{done}{of}"}]).encode()
    kind = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, content, kind)
        urllib.request.urlopen(request, timeout=_TIME_OUT).close()
    except (OSError, ValueError, urllib.error.URLError) as error:
        logger.debug("the job system was not told: %s", error)


def summary(run: Run, result: Result) -> Iterator[str]:
    """Yield what came of a run, line by line."""
    report = result.report
    written = report.events
    yield (
        f"{run.experiment} run {run.number}: {written} of {len(run)} events written"
        + (f", {result.reused} of them by an earlier job" if result.reused else "")
        + f", {result.rate:.1f} events/s"
    )
    for detector, count in sorted(report.without_data.items()):
        yield f"  {detector}: {count} events without data"
    for kind, count in sorted(report.failures.counts.items()):
        yield f"  {kind} on {count} events, which have no such results"
    for code, count in sorted(report.other_codes.items()):
        yield (
            f"  event code {code} in {count} events: it has no dataset, as the run's "
            "first events do not have it"
        )
    for problem in result.problems:
        yield f"  incomplete: {problem}"
    yield f"  output: {result.target}"


def tell_run_table(
    run: Run, begin: datetime.datetime, cores: int, default: bool, url: str | None
) -> None:
    """Tell the run table that a run was produced; the job does not depend on it.

    Parameters
    ----------
    run : the run, whose file is complete now
    begin : when the work on it began
    cores : worker processes
    default : True if there are no area detectors in the file
    url : of the logbook's web service, or None for SLAC's
    """
    from smalldata_ana.producing.run_table import RunTableError, post, row

    end = datetime.datetime.now()
    values = row(_JOB_BEGIN, begin, end, cores=cores, default=default)
    try:
        post(run.experiment, run.number, values, url=url)
    except RunTableError as error:
        logger.warning("the run table was not told: %s", error)
