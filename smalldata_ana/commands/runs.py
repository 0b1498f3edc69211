"""What the command lines that work on whole runs share: which run, and processes."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from smalldata_ana.errors import RunNotFound, UsageError

if TYPE_CHECKING:
    from smalldata_ana.producing.executors import Workers
    from smalldata_ana.sources.base import Run

_POLL = 1.0
"""Between two looks for the files of a run [s]."""


@contextmanager
def workers_of(number: int | None) -> Iterator[Callable[[], Workers]]:
    """Give what begins the processes when they are needed, and ends them.

    Parameters
    ----------
    number : how many, or None for all cores
    """
    begun: list[Workers] = []

    def begin() -> Workers:
        from smalldata_ana.producing import executors

        if not begun:
            begun.append(executors.Workers(number))
        return begun[0]

    try:
        yield begin
    finally:
        for workers in begun:
            workers.close()


def experiment_of(options: argparse.Namespace) -> str:
    """Return the experiment of a command line.

    Raises
    ------
    UsageError
        if neither it nor the environment names one
    """
    name: str | None = options.experiment or os.environ.get("EXPERIMENT")
    if name is None:
        raise UsageError("which experiment? Give -e EXP, or set EXPERIMENT")
    return name


def opened(
    options: argparse.Namespace,
    number: int | None,
    *,
    live: bool = False,
    recorders: bool = True,
) -> Run:
    """Open a run, as soon as its files are there.

    Parameters
    ----------
    options : ``experiment``, ``xtc_dir``, ``files``, ``calib_dir`` and ``wait``
    number : of the run, or None for that of the files
    live, recorders : as `smalldata_ana.opening.open_run` takes them
    """
    from smalldata_ana.opening import open_run

    experiment = options.experiment if options.files else experiment_of(options)
    end = time.monotonic() + options.wait
    while True:
        try:
            run = open_run(
                experiment,
                number,
                xtc_dir=options.xtc_dir,
                files=options.files,
                calib_dir=options.calib_dir,
                live=live,
                recorders=recorders,
            )
        except RunNotFound:
            if time.monotonic() > end:
                raise
            time.sleep(min(_POLL, options.wait))
        else:
            _wait_for_begin(run)
            return run


def _wait_for_begin(run: Run) -> None:
    """Wait until there is so much of a run that is being taken that it is known."""
    from smalldata_ana.producing.planning import FIRST

    while run.growing and len(run) < FIRST:
        time.sleep(_POLL)
        run.refresh()
