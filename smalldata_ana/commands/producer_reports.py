"""What the producer says: progress while it works, and a summary at the end."""

from __future__ import annotations

import datetime
import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
def progress_of(what: str) -> Iterator[Progress]:
    """Give a function that shows how far the work is: a bar, or lines in a log.

    Parameters
    ----------
    what : is worked on
    """
    counters = os.environ.get(COUNTERS)
    with _bar(what) if sys.stderr.isatty() else _lines(what) as show:
        if counters is None:
            yield show
            return
        tell = _now_and_then(lambda done, total: _post(counters, done, total))

        def both(done: int, total: int | None) -> None:
            show(done, total)
            tell(done, total)

        yield both


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=what, unit=" events", delay=0.2) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextmanager
def _lines(what: str) -> Iterator[Progress]:
    begin = time.monotonic()

    def show(done: int, total: int | None) -> None:
        rate = done / max(time.monotonic() - begin, 1e-3)
        of = "" if total is None else f" of {total}"
        print(f"{what}: {done}{of} events, {rate:.1f}/s", file=sys.stderr, flush=True)

    yield _now_and_then(show)


def _now_and_then(show: Progress) -> Progress:
    """Return what passes on at most one call in a while."""
    last = time.monotonic()

    def sometimes(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE:
            last = time.monotonic()
            show(done, total)

    return sometimes


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
