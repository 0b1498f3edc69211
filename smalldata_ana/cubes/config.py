"""A ``cube_config_<hutch>.py`` of smalldata_tools, read as values and never changed.

It says ``binBoundaries(run)`` (None: the steps of the scan), ``get_addBinVars(run)``
(further dimensions), ``filters`` or ``get_filters(run)`` as
``[variable, low, high, name]``, ``laser``, ``use_tt``, and in ``varList`` what is
summed: variables, and detectors as dicts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_ana.cube_parameters import CubeParameters
from smalldata_ana.errors import FileError, ParameterError, listing
from smalldata_ana.parameters.prod_config.evaluating import Evaluated, evaluate, no_data
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.tables import CUBE, Table

logger = logging.getLogger(__name__)

_FILE = "cube_config_{}.py"

_BINS, _MORE_BINS, _FILTERS = "binBoundaries", "get_addBinVars", "get_filters"
_VARIABLES = "varList"
_FILTER_LISTS = ("filters", "filterList")
_IGNORED = ("hist_list", "save_tiff")
_SETTINGS = ("laser", "use_tt")

_NAME = "cube"
_FIRST = "filter1"
"""The name of the filter whose cube is called only ``cube``."""

_DETECTOR = ("common_mode", "thresADU", "thresRms")
_NOT_READ = ("det_proc",)
_LENGTH = 4
"""Of a filter: variable, low, high, name."""
_SHORT = 3
"""Length of bins that are given as begin, end and their number or width."""


def config_file(given: str, folders: list[Path]) -> Path:
    """Return the file of a configuration that was given by its path or its hutch.

    Raises
    ------
    FileError
        if there is none
    """
    names = [Path(given).expanduser()]
    for folder in folders:
        names += [folder / f"{given.removesuffix('.py')}.py"]
        names += [folder / _FILE.format(given)]
    for path in names:
        if path.is_file():
            return path
    raise FileError(
        f"--config {given}: there is no such file, nor {_FILE.format(given)} in "
        f"{listing(map(str, folders))}"
    )


def cubes_of_config(path: Path, run: int) -> tuple[Table, ...]:
    """Return the cubes that a file describes for a run, one for each name of a filter.

    Parameters
    ----------
    path : the file; it is executed in a process of its own
    run : the run

    Raises
    ------
    FileError
        if there is no such file
    ParameterError
        if the code fails, or says what is no cube
    """
    functions = (_BINS, _MORE_BINS, _FILTERS)
    evaluated = evaluate(path, RunRange(run, run), functions)
    if evaluated.lacks:
        logger.warning("%s: %s", path, evaluated.lacks)
    for name in (*_IGNORED, "get_hist_list"):
        if name in {*evaluated.lists, *evaluated.settings, *evaluated.defined}:
            logger.warning("%s: %s is not read", path, name)
    try:
        common = dict(_common(evaluated))
        tables = [
            Table(CUBE, {**common, "selections": cuts}, name)
            for name, cuts in _selections(evaluated).items()
        ]
        for table in tables:
            CubeParameters(**table.values)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error
    return tuple(tables)


def _common(evaluated: Evaluated) -> Iterator[tuple[str, Any]]:
    """Yield the parameters that all cubes of a file share."""
    yield "bins", [_axis("", _value(evaluated, _BINS)), *_more_axes(evaluated)]
    for name in _SETTINGS:
        if name in evaluated.settings:
            yield name, bool(evaluated.settings[name])
    listed = evaluated.lists.get(_VARIABLES, [])
    yield "add", [one for one in listed if isinstance(one, str)]
    yield "may_lack", True
    yield (
        "detectors",
        dict(
            _detector(one, evaluated.path) for one in listed if not isinstance(one, str)
        ),
    )


def _value(evaluated: Evaluated, function: str) -> Any:
    """Return what a function says for the run, or None if there is none."""
    value = next(iter(evaluated.functions.get(function, [])), None)
    if strange := no_data(value):
        raise ParameterError(f"{function}: {strange} is no parameter")
    return value


def _more_axes(evaluated: Evaluated) -> Iterator[dict[str, Any]]:
    """Yield further dimensions: ``{variable: bins}``, or ``[variable, *bins]``."""
    value = _value(evaluated, _MORE_BINS) or {}
    if isinstance(value, list) and isinstance(value[0], str):
        value = [value]
    pairs = (
        value.items() if isinstance(value, Mapping) else [(v[0], v[1:]) for v in value]
    )
    for name, bins in pairs:
        yield _axis(name, bins)


def _axis(name: str, bins: Any) -> dict[str, Any]:
    """Return the bins of a variable in the form of the parameter file.

    Three numbers are begin, end, and the number of bins if that is a whole number,
    else their width; other lists are edges.
    """
    axis: dict[str, Any] = {"var": name} if name else {}
    if bins is None or (isinstance(bins, list) and not bins):
        return axis
    if not isinstance(bins, list) or len(bins) != _SHORT:
        return axis | {"edges": bins}
    begin, end, last = bins
    if isinstance(last, int):
        return axis | {"from": min(begin, end), "to": max(begin, end), "n": last}
    if last <= 0:
        raise ParameterError(f"{_BINS}: the width {last!r} of bins is not above 0")
    low, high = min(begin, end), max(begin, end)
    count = max(1, math.floor((high - low) / last + 1e-9))
    return axis | {"edges": (low + last * np.arange(count + 1)).tolist()}


def _selections(evaluated: Evaluated) -> dict[str, list[Any]]:
    """Return the selections by the name of the cube."""
    lists = [evaluated.lists[n] for n in _FILTER_LISTS if n in evaluated.lists]
    filters = _value(evaluated, _FILTERS) or (lists[0] if lists else [])
    found: dict[str, list[Any]] = {}
    for one in filters:
        if not isinstance(one, list) or len(one) != _LENGTH:
            raise ParameterError(
                f"the filter {one!r} is not [variable, low, high, name]"
            )
        *cut, name = one
        cube = _NAME if name == _FIRST else f"{_NAME}_{name}"
        found.setdefault(cube, []).append(cut)
    return found or {_NAME: []}


def _detector(value: Any, path: Path) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of a detector in ``varList``."""
    if not isinstance(value, Mapping) or "source" not in value:
        raise ParameterError(
            f"{_VARIABLES}: {value!r} is neither the name of a variable nor a dict "
            "with 'source'"
        )
    for key in _NOT_READ:
        if key in value:
            logger.warning(
                "%s: %s of %s is not read; name functions of the parameter file in "
                "[cube.<name>.detectors.%s] instead",
                path,
                key,
                value["source"],
                value["source"],
            )
    known = {"source", "full", "image", *_DETECTOR, *_NOT_READ}
    for key in sorted(set(value) - known):
        raise ParameterError(f"{_VARIABLES}: {key!r} of {value['source']} is unknown")
    found = {k: value[k] for k in _DETECTOR if value.get(k) is not None}
    if value.get("image"):
        found["image"] = True
    return str(value["source"]), found
