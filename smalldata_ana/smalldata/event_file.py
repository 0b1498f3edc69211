"""A small-data file of scripts that hand over a dictionary for each event.

Other than in the producer's file, what it will hold is not known beforehand: a dataset
begins with the first event that has a value for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.safe_files import make_folder, replacing
from smalldata_ana.smalldata.batch import length_of
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.layout import TIMESTAMP

Row = dict[str, Any]

_COLUMN_TYPES = {
    "b": np.dtype(np.int64),
    "i": np.dtype(np.int64),
    "u": np.dtype(np.int64),
    "f": np.dtype(np.float64),
}
"""Type of a dataset by the kind of its numbers; arrays of numbers keep float32."""


class EventFile:
    """A small-data file in the making, row by row.

    It is written aside, and takes its place when it is closed.

    Parameters
    ----------
    path : the file
    batch : rows that are collected before they are written

    Raises
    ------
    FileError
        if the file cannot be written
    """

    def __init__(self, path: Path, batch: int) -> None:
        self.path = path
        self._batch = batch
        self._rows: list[Row] = []
        with ExitStack() as stack:
            make_folder(path.parent)
            try:
                self._aside = stack.enter_context(replacing(path))
                self._file = stack.enter_context(h5py.File(self._aside, "w"))
            except OSError as error:
                raise FileError(f"cannot write {path}: {error}") from error
            self._columns = Columns(self._file)
            self._columns.add(TIMESTAMP, Field(np.dtype(np.int64)))
            self._stack = stack.pop_all()

    def write(self, timestamp: int, values: Mapping[str, Any]) -> None:
        """Add values to the row of an event, which begins if it is not the last one.

        What a row is not given is NaN or `MISSING_INTEGER` there.  An array below a
        name that begins with ``var_`` or ``ragged_`` may have any length.

        Parameters
        ----------
        timestamp : of the event
        values : numbers and arrays; mappings within are groups of the file

        Raises
        ------
        ParameterError
            if a value is not numbers, or not of the shape and type that it had before
        """
        # A copy: scripts fill the same arrays again for the next event.
        given = {name: np.array(value) for name, value in _flat(values)}
        for name, value in given.items():
            self._check(name, value)
        if not self._rows or self._rows[-1][TIMESTAMP] != timestamp:
            if len(self._rows) >= self._batch:
                self._flush()
            self._rows.append({TIMESTAMP: timestamp})
        self._rows[-1] |= given

    def close(self) -> None:
        """Complete the file, and put it in its place."""
        with self._stack:
            self._flush()

    def abandon(self) -> Path:
        """Keep what there is under another name, and return that name.

        A file that was there under the final name before stays as it is.
        """
        kept = self.path.with_suffix(f".incomplete{self.path.suffix}")
        self._flush()
        self._file.close()
        os.replace(self._aside, kept)
        error = FileError(f"{self.path} was not completed")
        self._stack.__exit__(type(error), error, None)
        return kept

    def _check(self, name: str, value: np.ndarray[Any, Any]) -> None:
        kind = value.dtype.kind
        any_length = length_of(name) is not Length.FIXED
        if kind not in _COLUMN_TYPES or not (value.size or any_length):
            raise ParameterError(
                f"{name!r} is {value.dtype} of shape {value.shape}; numbers, and "
                "arrays of them that are not empty, can be stored"
            )
        if any_length and value.ndim != 1:
            raise ParameterError(
                f"{name!r} has the shape {value.shape}; what may have any length is a "
                "list of numbers"
            )
        if name not in self._columns.fields:
            self._begin(name, value)
        known = self._columns.fields[name]
        shape = () if any_length else value.shape
        if known.shape != shape or known.dtype.kind != _COLUMN_TYPES[kind].kind:
            raise ParameterError(
                f"{name!r} was {known.dtype} of shape {known.shape} in the events "
                f"before, and is {value.dtype} of shape {value.shape} now; give it "
                "the same type and shape in all events"
            )

    def _begin(self, name: str, value: np.ndarray[Any, Any]) -> None:
        """Create a dataset, with fill values for the rows that are written."""
        length = length_of(name)
        images = value.dtype == np.float32 and value.ndim
        dtype = value.dtype if images else _COLUMN_TYPES[value.dtype.kind]
        shape = value.shape if length is Length.FIXED else ()
        try:
            self._columns.add(name, Field(dtype, shape, length=length))
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{name!r} cannot be stored: it is a group of the file, or below a "
                "dataset"
            ) from error

    def _flush(self) -> None:
        self._columns.extend(self._rows)
        self._rows.clear()


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings with their paths."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value
