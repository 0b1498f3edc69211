"""The values of a batch of events, as the arrays that its datasets hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import h5py
import numpy as np

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.errors import ParameterError, counted, unknown

Column: TypeAlias = Array | Sequence[Array]
"""Values of several events: an array, or one for each event."""

Row: TypeAlias = Mapping[str, Array]
"""Values of one event, by path."""

COUNT = Field(np.dtype(np.int64), long_name="number of values in the event")
"""What is beside datasets of which an event may have any number of values."""

_BY_PREFIX = {"var_": Length.VARIABLE, "ragged_": Length.RAGGED}


def length_of(path: str) -> Length:
    """Return what the name of a dataset says of the number of its values."""
    for part in path.split("/"):
        for prefix, length in _BY_PREFIX.items():
            if part.startswith(prefix):
                return length
    return Length.FIXED


def length_path(path: str) -> str:
    """Return where the number of values in each event is, for a `VARIABLE` dataset.

    That is beside the first part of the path that begins with ``var_``.
    """
    parts = path.split("/")
    last = next(n for n, part in enumerate(parts) if part.startswith("var_"))
    return "/".join(parts[: last + 1]) + "_len"


def stacked(
    fields: Mapping[str, Field],
    rows: Sequence[Row],
    columns: Mapping[str, Column] | None = None,
) -> dict[str, Column]:
    """Return rows as columns; what a row lacks is missing.

    Parameters
    ----------
    fields : what is stored, by path
    rows : the values of each event
    columns : values of other paths, which come as they are
    """
    found = dict(columns or {})
    for path, field in fields.items():
        if path not in found:
            missing = field.missing()
            values = [row.get(path, missing) for row in rows]
            fixed = field.length is Length.FIXED
            found[path] = np.array(values, field.dtype) if fixed else values
    return found


def arrays_of(
    fields: Mapping[str, Field], columns: Mapping[str, Column], count: int
) -> dict[str, Array]:
    """Return what a batch adds to each dataset, by its path.

    Parameters
    ----------
    fields : what is stored, by path
    columns : by path ``(count, *shape)``, or, of results of which an event may have any
        number, an array for each event; what is not given is missing
    count : the number of events

    Raises
    ------
    ParameterError
        if a path is unknown, or the values are not for so many events, or results of
        one function differ in their number
    """
    for path in columns:
        if path not in fields:
            raise ParameterError(unknown("dataset", path, fields))
    arrays: dict[str, Array] = {}
    for path, field in fields.items():
        values = columns.get(path)
        if values is None:
            values = [field.missing()] * count
        arrays |= _BY_LENGTH[field.length](path, field, values, count)
        if field.length is Length.VARIABLE:
            _add_lengths(arrays, path, values)
    return arrays


def _fixed(path: str, field: Field, values: Column, count: int) -> dict[str, Array]:
    array = np.asarray(values, field.dtype)
    if count == 0:
        array = array.reshape(0, *field.shape)
    _check_shape(path, array.shape, (count, *field.shape))
    return {path: array}


def _joined(path: str, field: Field, values: Column, count: int) -> dict[str, Array]:
    _check_shape(path, (len(values),), (count,))
    empty = np.empty((0, *field.shape), field.dtype)
    return {path: np.concatenate([empty, *values]).astype(field.dtype, copy=False)}


def _ragged(path: str, field: Field, values: Column, count: int) -> dict[str, Array]:
    _check_shape(path, (len(values),), (count,))
    arrays = np.empty(count, h5py.vlen_dtype(field.dtype))
    for number, value in enumerate(values):
        arrays[number] = np.asarray(value, field.dtype)
    return {path: arrays}


_BY_LENGTH = {Length.FIXED: _fixed, Length.VARIABLE: _joined, Length.RAGGED: _ragged}


def _check_shape(path: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ParameterError(
            f"{path!r} has the shape {shape}; {counted(expected[0], 'event')} need "
            f"{expected}"
        )


def _add_lengths(arrays: dict[str, Array], path: str, values: Column) -> None:
    """Add the numbers of values, or check them against others of the function."""
    beside = length_path(path)
    found = np.fromiter(map(len, values), np.int64, len(values))
    if not np.array_equal(arrays.setdefault(beside, found), found):
        raise ParameterError(
            f"{path!r} has not as many values in each event as the results beside it, "
            f"whose number is in {beside!r}"
        )
