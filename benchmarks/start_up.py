"""The time from the command to the prompt, against a bare IPython."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from functools import partial

import pexpect

from benchmarks.report import Row, Topic, at_most, in_turn, ratio
from smalldata_ana.places import SIMULATED
from smalldata_ana.simulation.experiment import ensure

ROUNDS = 5

_COMMANDS = {
    "session": ["-m", "smalldata_ana", "-r", "1", "-e", SIMULATED],
    "bare": ["-m", "IPython", "--matplotlib=auto"],
}
_PROMPT = r"In .*\[.*1.*\]: "
_HOW = f"""\
From the start of the process to the first prompt, in a terminal, {ROUNDS} rounds: the
session on run 1 of the simulated experiment, which exists already, and
`ipython --matplotlib=auto`. One start of each before is not counted."""


def run() -> Topic:
    """Measure, with a temporary profile of IPython."""
    ensure(1)
    with tempfile.TemporaryDirectory() as folder:
        starts = {name: partial(_start, name, folder) for name in _COMMANDS}
        in_turn(starts, 1)
        times = in_turn(starts, ROUNDS)
    rows = [
        Row(what, f"{statistics.median(times[name]):.2f} s")
        for name, what in {"session": "session", "bare": "bare IPython"}.items()
    ]
    rows.append(at_most("session / bare", ratio(times["session"], times["bare"]), 1.5))
    return Topic("Start-up", _HOW, rows)


def _start(name: str, profile: str) -> None:
    """Start a shell, wait for its prompt, and end it at once."""
    shell = pexpect.spawn(
        sys.executable,
        _COMMANDS[name],
        env=os.environ | {"IPYTHONDIR": profile},
        encoding="utf8",
        timeout=120,
        dimensions=(60, 200),
    )
    shell.expect(_PROMPT)
    shell.close(force=True)
