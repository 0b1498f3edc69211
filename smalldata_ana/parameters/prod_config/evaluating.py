"""What the functions of a ``prod_config`` return: it is code, and is executed.

The code runs only when somebody asks for it, in a Python of its own.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters.prod_config import runner
from smalldata_ana.parameters.prod_config.forms import FUNCTIONS, INTEGRATING
from smalldata_ana.parameters.run_range import RunRange

logger = logging.getLogger(__name__)

TIMEOUT = 120.0
"""Longest time that the code may take [s]."""


@dataclass(frozen=True)
class Evaluated:
    """What a module says.

    Attributes
    ----------
    path : the module
    functions : for each function what it returns for each of the runs
    lists : its lists by name, e.g. ``detnames``
    defined : the names of its functions and classes
    settings : its numbers and texts by name
    absent : the modules that it imports, and that are not there
    """

    path: Path
    functions: dict[str, list[Any]]
    lists: dict[str, list[Any]]
    defined: frozenset[str]
    settings: dict[str, Any]
    absent: tuple[str, ...] = ()

    @property
    def lacks(self) -> str:
        """A sentence about the modules that are not there, or nothing."""
        if not self.absent:
            return ""
        return (
            f"no module {' and '.join(self.absent)}: it is imported, and what is said "
            "here does not need it"
        )


def evaluate(
    path: Path,
    runs: RunRange,
    functions: Sequence[str] = (*FUNCTIONS, INTEGRATING),
) -> Evaluated:
    """Execute a module in a process of its own, and call its functions for each run.

    Parameters
    ----------
    path : the module
    runs : with an end
    functions : those to call

    Raises
    ------
    FileError
        if there is no such file
    ParameterError
        if the range has no end, or the code fails or does not end
    """
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    if runs.end is None:
        raise ParameterError(
            f"runs {runs}: the functions are called for each run; give the last one"
        )
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "values.json"
        _execute(path, output, runs, functions)
        found = json.loads(output.read_text(encoding="utf-8"))
    return Evaluated(
        path,
        found["functions"],
        found["lists"],
        frozenset(found["defined"]),
        found["settings"],
        tuple(found["absent"]),
    )


def no_data(value: Any) -> str:
    """Return the first thing in a value that is no data, or an empty text.

    Parameters
    ----------
    value : what a function of a module has returned
    """
    if isinstance(value, dict):
        told = value.get(runner.NO_DATA)
        return told or next(filter(None, map(no_data, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(no_data, value)), "")
    return ""


def _execute(
    path: Path, output: Path, runs: RunRange, functions: Sequence[str]
) -> None:
    arguments = [path.absolute(), output, runs.begin, runs.end, *functions]
    logger.info("%s is executed for runs %s", path, runs)
    try:
        done = subprocess.run(
            [sys.executable, "-I", runner.__file__, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ParameterError(f"{path} did not end within {TIMEOUT:g} s") from error
    if done.returncode or not output.exists():
        said = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise ParameterError(f"{path} failed: {said[-1]}{_line(path, said)}")


def _line(path: Path, said: list[str]) -> str:
    """Return the last line of the module in a traceback."""
    ours = [text.strip() for text in said if f'"{path.absolute()}"' in text]
    return f" ({ours[-1]})" if ours else ""
