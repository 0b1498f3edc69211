"""Values of single events, put together as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smalldata_ana.sources.base import Array, ScalarInfo
from smalldata_ana.sources.psana2.detectors import UNITS


def scalar_info(name: str, field: str, value: Any) -> ScalarInfo:
    """Describe a scalar by its name, its field in the DAQ, and a value of it."""
    if isinstance(value, str):
        return ScalarInfo(name, (), np.dtype(object))
    array = np.asarray(value)
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    return ScalarInfo(name, array.shape, np.dtype(kind), UNITS.get(field, ""))


def owned(value: Any) -> Any:
    """Return a value that is no view into its event, whose memory is used again."""
    return np.array(value) if isinstance(value, np.ndarray) else value


def table(values: Sequence[Any], info: ScalarInfo) -> Array:
    """Put the values of events below each other, with NaN where there is none."""
    if info.dtype == object:
        return np.array(["" if v is None else str(v) for v in values], object)
    complete = all(v is not None for v in values)
    dtype = info.dtype if complete else np.dtype(np.float64)
    table = np.full((len(values), *info.shape), 0 if complete else np.nan, dtype)
    for row, value in zip(table, values, strict=True) if info.shape else ():
        if value is not None:
            row[...] = _fitted(np.asarray(value), info.shape)
    if not info.shape:
        table[:] = [np.nan if v is None else v for v in values]
    return table


def _fitted(value: Array, shape: tuple[int, ...]) -> Array:
    """Return a value of a length that varies as one of the first event's shape."""
    if value.shape == shape:
        return value
    filled = np.full(shape, np.nan if value.dtype.kind == "f" else 0, value.dtype)
    common = tuple(slice(0, min(a, b)) for a, b in zip(shape, value.shape, strict=True))
    filled[common] = value[common]
    return filled
