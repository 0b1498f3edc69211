"""What the command lines that work on whole runs share: which runs, and processes."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalldata_ana.commands import tell_error
from smalldata_ana.errors import (
    ParameterError,
    RunNotFound,
    SmallDataError,
    UsageError,
    listing,
)
from smalldata_ana.parameters.run_range import run_list
from smalldata_ana.producing.interruption import StoppedError

if TYPE_CHECKING:
    from smalldata_ana.producing.executors import Workers
    from smalldata_ana.sources.base import Run

EXIT_INCOMPLETE = 3
"""Written, but the data of the run are incomplete."""

FOLDER: dict[str, Any] = {"type": Path, "metavar": "DIR"}
FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
FLAG: dict[str, Any] = {"action": "store_true"}
"""Kinds of options."""

POLL = 1.0
"""Between two looks for files and events of a run [s]."""

_QUIET = 5.0
"""For how long nothing has to be new until it is told [s]."""


def add_run(add: Callable[..., Any]) -> None:
    """Add the options that say which run; `numbers_of` and `opened` obey them.

    Parameters
    ----------
    add : the method ``add_argument`` of a parser or a group
    """
    add(
        "-r",
        "--run",
        metavar="RUNS",
        help="a run, a range or a list: 12, 10-14, 3,7-9; one file each [$RUN_NUM]",
    )
    add("-e", "--experiment", metavar="EXP", help="experiment [$EXPERIMENT]")
    add("--xtc-dir", **FOLDER, help="xtc2 files [<experiment>/xtc]")
    add("--files", nargs="+", **FILE, help="the xtc2 files of one run, one by one")
    add("--calib-dir", **FOLDER, help="constants [$SMALLDATA_ANA_CALIB]")


def add_resume(add: Callable[..., Any]) -> None:
    """Add the options ``--nproc`` and ``--resume``; as `add_run`."""
    add("--nproc", type=int, metavar="N", help="worker processes [all cores]")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on with what a job that was ended has left [yes]",
    )


def numbers_of(
    options: argparse.Namespace, among: Sequence[int] | None = None
) -> list[int | None]:
    """Return the runs to work on; None for that of the files.

    Parameters
    ----------
    options : ``run``, ``files`` and ``experiment``
    among : only these, which are all that are meant if no run is given

    Raises
    ------
    UsageError
        if it is not said which, or not so that it can be read, or if none are among
        these
    """
    if options.files is not None:
        numbers = _run_list("--run", options.run) if options.run else (None,)
        if len(numbers) > 1:
            raise UsageError(f"--run {options.run}: files are those of one run")
        return list(numbers)
    experiment_of(options)
    text = options.run or os.environ.get("RUN_NUM")
    if text is None and among is None:
        raise UsageError("which run? Give -r RUN, or set RUN_NUM")
    if text is None:
        return list(among or ())
    source = "--run" if options.run else "RUN_NUM"
    wanted = _run_list(source, text)
    found = [n for n in wanted if among is None or n in among]
    if not found:
        there = listing(map(str, among or ()))
        raise UsageError(f"{source} {text}: there are files of the runs {there}")
    return list(found)


def for_each(numbers: Sequence[int | None], work: Callable[[int | None], int]) -> int:
    """Work on one run after the other; one that fails does not end the others.

    Parameters
    ----------
    numbers : of the runs
    work : works on a run, and returns its exit code

    Returns
    -------
    The largest exit code.  Errors are told, and at the end which runs they were of.

    Raises
    ------
    StoppedError
        when all is to end
    """
    several = len(numbers) > 1
    codes, failed = [], []
    for number in numbers:
        try:
            codes.append(work(number))
        except StoppedError:
            raise
        except SmallDataError as error:
            codes.append(tell_error(error, f"run {number}: " if several else ""))
            failed.append(str(number))
    if several and failed:
        runs = f"{len(failed)} of {len(numbers)} runs failed: {', '.join(failed)}"
        print(runs, file=sys.stderr)
    return max(codes)


def _run_list(source: str, text: str) -> tuple[int, ...]:
    try:
        return run_list(text)
    except ParameterError as error:
        raise UsageError(f"{source} = {text!r}: {error}") from error


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
    patience: float | None = None,
    recorders: bool = True,
    needed: Callable[[Run], Collection[str]] = lambda run: (),
    check: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Open a run; one that is followed, as soon as it is known what there is in it.

    Parameters
    ----------
    options : ``experiment``, ``xtc_dir``, ``files``, ``calib_dir`` and ``wait``
    number : of the run, or None for that of the files
    patience : to follow a run that is being taken, how long nothing may be new [s];
        None to take what is there
    recorders : as `smalldata_ana.opening.open_run` takes them
    needed : names, for a run that is followed, the detectors that must have data
    check : is called when they have, before it is sure what else there is; what it
        raises is told, but decides nothing
    """
    from smalldata_ana.commands.beginning import Beginning
    from smalldata_ana.opening import open_run

    open_now = partial(
        open_run,
        options.experiment if options.files else experiment_of(options),
        number,
        xtc_dir=options.xtc_dir,
        files=options.files,
        calib_dir=options.calib_dir,
        live=patience is not None,
        patience=math.inf if patience is None else patience,
        recorders=recorders,
    )
    run = _opened_within(open_now, options.wait)
    if patience is None:
        return run
    return Beginning(run, open_now, needed(run), check).wait()


def quiet(run: Run) -> str:
    """Return for how long nothing was new of a run that is being taken, if it was long.

    Parameters
    ----------
    run : the run

    Returns
    -------
    The end of a line; an empty text as long as there is news now and then.
    """
    from smalldata_ana.opening import silence

    seconds = silence(run)
    return f"; nothing new for {seconds:.0f} s" if seconds >= _QUIET else ""


def _opened_within(open_now: Callable[[], Run], seconds: float) -> Run:
    """Open a run whose files may not be there yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            return open_now()
        except RunNotFound:
            if time.monotonic() > end:
                raise
            time.sleep(min(POLL, seconds))
