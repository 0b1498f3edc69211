"""What the command lines that work on whole runs share: which runs, and processes."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalldata_ana.errors import ParameterError, RunNotFound, UsageError
from smalldata_ana.parameters.run_range import run_list

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


def check_above_0(options: argparse.Namespace, *names: str) -> None:
    """Check options that are numbers, as far as they are given.

    Raises
    ------
    UsageError
        if one is below 1
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value} is not a number above 0")


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
        if it is not said which, or not so that it can be read
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
    wanted = _run_list("--run" if options.run else "RUN_NUM", text)
    return [n for n in wanted if among is None or n in among]


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
    live: bool = False,
    recorders: bool = True,
    needed: Callable[[Run], Collection[str]] = lambda run: (),
) -> Run:
    """Open a run, as soon as so much of it is there that it is known.

    Parameters
    ----------
    options : ``experiment``, ``xtc_dir``, ``files``, ``calib_dir`` and ``wait``
    number : of the run, or None for that of the files
    live, recorders : as `smalldata_ana.opening.open_run` takes them
    needed : names, for a run that is being taken, the detectors that must have data
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
        live=live,
        recorders=recorders,
    )
    run = _opened_within(open_now, options.wait)
    if not run.growing:
        return run
    return Beginning(run, open_now, needed(run)).wait()


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
