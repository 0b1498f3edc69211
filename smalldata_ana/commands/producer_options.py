"""The options of the producer's command line."""

from __future__ import annotations

import argparse

from smalldata_ana.commands import add_log_level
from smalldata_ana.commands.option_checks import (
    check_above_0,
    check_effects,
    check_files,
    check_nproc,
)
from smalldata_ana.commands.runs import (
    FILE,
    FLAG,
    FOLDER,
    add_resume,
    add_run,
)
from smalldata_ana.errors import UsageError

_USELESS = (
    ("--config", ("--params",), "the one stands for the other"),
    (
        "--default",
        ("--detectors", "--full", "--image", "--nosum"),
        "it is for data without area detectors",
    ),
    (
        "--stale",
        (
            *("--detectors", "--default", "--full", "--image", "--epicsAll"),
            *("--nosum", "--nevents", "--compression"),
        ),
        "what is stale is made anew with the options of before",
    ),
)
"""Options with those that have no effect beside them, and why."""

SILENCE = 600
"""How long nothing may be new of a run that is followed, by default [s]."""

WAIT = 200
"""How long to wait for the files of a run that has just begun, by default [s]."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="smd_producer.py",
        description="Reduce the events of a run to small data, as the experiment's "
        "parameter file says.  Defaults are in brackets; <results> is "
        "<experiment>/results/smalldata_ana.",
    )
    _add_run(options)
    _add_parameters(options)
    _add_content(options)
    _add_work(options)
    add_log_level(options)
    return options


def check(options: argparse.Namespace) -> None:
    """Check the options as far as the command line alone tells what is wrong.

    Raises
    ------
    UsageError
        if a number makes no sense, or if an option would have no effect
    """
    check_above_0(options, "nevents", "gather_interval")
    check_nproc(options)
    for name in ("wait", "live"):
        seconds = getattr(options, name)
        if seconds is not None and not seconds >= 0:
            raise UsageError(f"--{name} {seconds:g} is not a time in seconds")
    check_files(options)
    check_effects(options, _USELESS)
    if options.url and not options.postRuntable:
        raise UsageError(f"--url {options.url} is for --postRuntable; give that, too")


def _add_run(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("which run").add_argument
    add_run(add)
    add("-n", "--nevents", type=int, metavar="N", help="only the first N events [all]")
    add(
        "--norecorder",
        **FLAG,
        help="leave out the streams of recorders, numbers 80 and above",
    )
    add(
        "--live",
        type=float,
        nargs="?",
        const=SILENCE,
        metavar="SECONDS",
        help="follow a run that is being taken, to its end, or until nothing new has "
        f"come for so long [not; {SILENCE} without a number]",
    )
    add(
        "--wait",
        type=float,
        nargs="?",
        const=WAIT,
        default=0,
        metavar="SECONDS",
        help=f"wait for the files of the run [0; {WAIT} without a number]",
    )


def _add_parameters(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("what to compute").add_argument
    add("--params", **FILE, help="parameters [<results>/params/<EXP>.toml]")
    add(
        "--config",
        metavar="CONFIG",
        help="a prod_config_*.py instead of the parameter file: its path, or its name "
        "in the folder of the producer",
    )
    add("--functions", **FILE, help="a Python file with functions of one's own")
    add("--detectors", nargs="+", metavar="DET", help="only these area detectors [all]")
    add("--default", **FLAG, help="no area detectors, only the data beside them")


def _add_content(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("what to store beside").add_argument
    add("--full", **FLAG, help="each calibrated image, as <det>/full_area")
    add("--image", **FLAG, help="each assembled image, as <det>/image_img")
    add("--epicsAll", **FLAG, help="all EPICS values of each event, as epicsAll/…")
    add("--nosum", **FLAG, help="no sums of images")
    add(
        "--compression",
        choices=["bitshuffle-lz4"],
        help="compress; readers then need the hdf5plugin package [none]",
    )


def _add_work(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("how to work").add_argument
    add("-d", "--directory", **FOLDER, help="output [<experiment>/hdf5/smalldata]")
    add(
        "--gather_interval",
        type=int,
        metavar="N",
        help="events of a batch, the unit of work [by the size of their data]",
    )
    add_resume(add)
    add(
        "--strict",
        **FLAG,
        help="stop when a function fails on an event, instead of counting it",
    )
    add("--dry-run", **FLAG, help="check everything, and say what would be done")
    add(
        "--stale",
        **FLAG,
        help="only runs whose parameters or constants have changed since their files "
        "were made [all runs with a file]",
    )
    add("--postRuntable", **FLAG, help="tell the run table of the electronic logbook")
    add(
        "--url",
        help="address of the logbook's web service, for --postRuntable [SLAC's]",
    )
