"""Which experiment: as given, from the environment, the folder, or SLAC's logbook."""

from __future__ import annotations

import itertools
import json
import os
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from smalldata_ana.errors import ExperimentNotFound, UsageError
from smalldata_ana.places import SIMULATED, at_slac, hutch_of

LOGBOOK = "https://pswww.slac.stanford.edu/ws/lgbk/lgbk/ws/activeexperiments"
LOGBOOK_TIMEOUT = 5.0
"""Longest wait for the logbook [s]."""

_HOW = (
    f"give it with -e, e.g. -e {SIMULATED} (simulated, needs no data), or set "
    "$EXPERIMENT, or work in a folder .../<hutch>/<experiment>/"
)


def find_experiment(
    given: str | None = None, *, environment: Mapping[str, str] | None = None
) -> str:
    """Return the experiment to work on.

    In this order: what was given; ``$EXPERIMENT``; the experiment in the path of the
    working directory, ``.../<hutch>/<exp>/...``; and on a host that sees SLAC's data
    the active experiment of the logbook.

    Raises
    ------
    ExperimentNotFound
        if none of these gives one, or the text cannot be the name of an experiment
    """
    environment = os.environ if environment is None else environment
    name = given or environment.get("EXPERIMENT") or from_folder(Path.cwd())
    if not name and at_slac():
        name = active_experiment(environment.get("HUTCH", ""))
    if not name:
        raise ExperimentNotFound(f"no experiment: {_HOW}")
    hutch_of(name)
    return name


def from_folder(folder: Path) -> str | None:
    """Return the experiment in a path ``.../<hutch>/<exp>/...``, or None.

    Examples
    --------
    >>> from_folder(Path("/sdf/data/lcls/ds/xpp/xppl1001021/results"))
    'xppl1001021'
    """
    parts = folder.parts
    for hutch, name in reversed(list(itertools.pairwise(parts))):
        if re.fullmatch(r"[a-z]{3}", hutch) and re.fullmatch(
            rf"{hutch}[a-z]*\d+", name
        ):
            return name
    return None


def active_experiment(hutch: str) -> str | None:
    """Ask SLAC's logbook for the experiment that takes data, or None.

    Parameters
    ----------
    hutch : three letters, of which there is one active experiment; if empty, the
        answer is used only where a single experiment is active

    Raises
    ------
    ExperimentNotFound
        if the logbook does not answer in time
    """
    try:
        with urllib.request.urlopen(LOGBOOK, timeout=LOGBOOK_TIMEOUT) as reply:
            rows = json.load(reply)["value"]
    except (OSError, ValueError, KeyError) as error:
        raise ExperimentNotFound(
            f"the logbook did not name the active experiment ({error}); {_HOW}"
        ) from error
    names = {
        row["name"]
        for row in rows
        if row.get("name") and row["name"].startswith(hutch.lower())
    }
    return names.pop() if len(names) == 1 else None


def find_run(
    given: int | None = None, *, environment: Mapping[str, str] | None = None
) -> int | None:
    """Return the run that was given, or else ``$RUN_NUM``, or None.

    Raises
    ------
    UsageError
        if ``$RUN_NUM`` is not a number
    """
    environment = os.environ if environment is None else environment
    text = environment.get("RUN_NUM")
    if given is not None or not text:
        return given
    if not text.isdigit():
        raise UsageError(f"$RUN_NUM is {text!r}, which is not the number of a run")
    return int(text)
