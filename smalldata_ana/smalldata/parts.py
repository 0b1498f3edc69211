"""A part of a small-data file: the events of one batch, in few datasets.

Numbers of the same type are columns of one table; the other datasets have the names
that they have in the file of the run.  A part is only read by `Columns.append_file`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.errors import FileError
from smalldata_ana.smalldata.batch import (
    COUNT,
    Column,
    Row,
    arrays_of,
    length_path,
    stacked,
)
from smalldata_ana.smalldata.growing import Stored

_TABLES = "tables"
_EVENTS = "events"


def write_part(
    part: h5py.Group,
    fields: Mapping[str, Field],
    rows: Sequence[Row],
    columns: Mapping[str, Column] | None = None,
) -> None:
    """Write the events of a batch.

    Parameters
    ----------
    part : where; datasets of another kind may be there too
    fields : what is stored, by path
    rows : the values of each event by path; what it lacks is missing
    columns : the values of other paths: ``(events, *shape)``, or, of results of which
        an event may have any number, an array for each event

    Raises
    ------
    ParameterError
        as `smalldata_ana.smalldata.batch.arrays_of`
    """
    arrays = arrays_of(fields, stacked(fields, rows, columns), len(rows))
    part.attrs[_EVENTS] = len(rows)
    tables = _tables(fields)
    for table, paths in tables.items():
        part[table] = np.stack([arrays.pop(path) for path in paths])
    for path, array in arrays.items():
        vlen = array.dtype if array.dtype.kind == "O" else None
        part.create_dataset(path, data=array, dtype=vlen)


@dataclass(frozen=True)
class Location:
    """Where the rows of a dataset are in a part.

    Attributes
    ----------
    path : of the dataset in the part
    row : of the table that it is, or None if it is the dataset as a whole
    """

    path: str
    row: int | None = None


def locations(fields: Mapping[str, Field]) -> dict[str, Location]:
    """Return where each dataset of a file, and each list of lengths, is in its parts.

    Parameters
    ----------
    fields : what is stored, by path
    """
    found = {path: Location(path) for path in _others(fields)}
    for table, paths in _tables(fields).items():
        found |= {path: Location(table, row) for row, path in enumerate(paths)}
    return found


class Part:
    """The datasets of a part.

    Parameters
    ----------
    group : where it is
    fields : what is in it, by path

    Attributes
    ----------
    events : how many it has

    Raises
    ------
    FileError
        if a dataset is not there, or is not of these fields and as many events
    """

    def __init__(self, group: h5py.Group, fields: Mapping[str, Field]) -> None:
        self._file = group.file.filename
        self._group = group
        if _EVENTS not in group.attrs:
            raise FileError(f"{self._file} is not a part of a small-data file")
        self.events = int(group.attrs[_EVENTS])
        self._tables = _tables(fields)
        self._stored = {
            path: self._checked(path, field) for path, field in _others(fields).items()
        }
        self._in_tables = {
            table: self._checked(table, fields[paths[0]], len(paths))
            for table, paths in self._tables.items()
        }

    def blocks(self) -> Iterator[tuple[str, Array]]:
        """Yield paths of datasets and rows to append, a limited number at a time."""
        for path, stored in self._stored.items():
            for block in stored.blocks():
                yield path, block
        for table, paths in self._tables.items():
            numbers = (
                row for block in self._in_tables[table].blocks() for row in block
            )
            yield from zip(paths, numbers, strict=True)

    def _checked(self, path: str, field: Field, columns: int | None = None) -> Stored:
        try:
            stored = Stored(self._group, path)
        except KeyError as error:
            raise FileError(
                f"{self._file} has no dataset {path!r}; it was made with other "
                "parameters, or is damaged"
            ) from error
        shape = field.shape if field.length is not Length.RAGGED else ()
        rows = self._rows(path, field)
        expected = (rows, *shape) if columns is None else (columns, rows)
        if not stored.holds(field.dtype, expected, field.length is Length.RAGGED):
            raise FileError(
                f"{path!r} of {self._file} is {stored.what}; {field.dtype} of shape "
                f"{expected} is expected. It was made with other parameters, or is "
                "damaged"
            )
        return stored

    def _rows(self, path: str, field: Field) -> int:
        """Return how many rows a dataset must have."""
        if field.length is not Length.VARIABLE:
            return self.events
        lengths = self._checked(length_path(path), COUNT)
        return sum(int(block.sum()) for block in lengths.blocks())


def _tables(fields: Mapping[str, Field]) -> dict[str, list[str]]:
    """Return the tables of a part with the paths of their columns, in order."""
    tables: dict[str, list[str]] = {}
    for path, field in fields.items():
        if _is_number(field):
            tables.setdefault(f"{_TABLES}/{field.dtype.name}", []).append(path)
    return tables


def _others(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Return the fields that are in no table, with the lengths."""
    others: dict[str, Field] = {}
    for path, field in fields.items():
        if field.length is Length.VARIABLE:
            others[length_path(path)] = COUNT
        if not _is_number(field):
            others[path] = field
    return others


def _is_number(field: Field) -> bool:
    return field.length is Length.FIXED and field.shape == ()
