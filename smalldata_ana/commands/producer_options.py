"""The options of the producer's command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from smalldata_ana.commands import add_log_level

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


_FOLDER: dict[str, Any] = {"type": Path, "metavar": "DIR"}
_FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
_FLAG: dict[str, Any] = {"action": "store_true"}


def _add_run(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("which run").add_argument
    add(
        "-r",
        "--run",
        metavar="RUNS",
        help="a run, a range or a list: 12, 10-14, 3,7-9; one file each [$RUN_NUM]",
    )
    add("-e", "--experiment", metavar="EXP", help="experiment [$EXPERIMENT]")
    add("-n", "--nevents", type=int, metavar="N", help="only the first N events [all]")
    add("--xtc-dir", **_FOLDER, help="xtc2 files [<experiment>/xtc]")
    add("--files", nargs="+", **_FILE, help="the xtc2 files of one run, one by one")
    add("--calib-dir", **_FOLDER, help="constants [$SMALLDATA_ANA_CALIB]")
    add(
        "--norecorder",
        **_FLAG,
        help="leave out the streams of recorders, numbers 80 and above",
    )
    add("--live", **_FLAG, help="follow a run that is being taken, to its end")
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
    add("--params", **_FILE, help="parameters [<results>/params/<EXP>.toml]")
    add(
        "--config",
        metavar="CONFIG",
        help="a prod_config_*.py instead of the parameter file: its path, or its name "
        "in the folder of the producer",
    )
    add("--functions", **_FILE, help="a Python file with functions of one's own")
    add("--detectors", nargs="+", metavar="DET", help="only these area detectors [all]")
    add("--default", **_FLAG, help="no area detectors, only the data beside them")


def _add_content(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("what to store beside").add_argument
    add("--full", **_FLAG, help="each calibrated image, as <det>/full_area")
    add("--image", **_FLAG, help="each assembled image, as <det>/image_img")
    add("--epicsAll", **_FLAG, help="all EPICS values of each event, as epicsAll/…")
    add("--nosum", **_FLAG, help="no sums of images")
    add(
        "--compression",
        choices=["bitshuffle-lz4"],
        help="compress; readers then need the hdf5plugin package [none]",
    )


def _add_work(options: argparse.ArgumentParser) -> None:
    add = options.add_argument_group("how to work").add_argument
    add("-d", "--directory", **_FOLDER, help="output [<experiment>/hdf5/smalldata]")
    add("--nproc", type=int, metavar="N", help="worker processes [all cores]")
    add(
        "--gather_interval",
        type=int,
        metavar="N",
        help="events of a batch, the unit of work [by the size of their data]",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on with what a job that was ended has left [yes]",
    )
    add(
        "--strict",
        **_FLAG,
        help="stop when a function fails on an event, instead of counting it",
    )
    add("--dry-run", **_FLAG, help="check everything, and say what would be done")
    add(
        "--stale",
        **_FLAG,
        help="only runs whose parameters or constants have changed since their files "
        "were made [all runs with a file]",
    )
    add("--postRuntable", **_FLAG, help="tell the run table of the electronic logbook")
    add(
        "--url",
        help="address of the logbook's web service, for --postRuntable [SLAC's]",
    )
