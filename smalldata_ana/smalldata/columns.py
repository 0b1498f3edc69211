"""The datasets of a small-data file that grow with the events.

A result of fixed length is one dataset with a row for each event.  Results of which an
event may have any number are stored end to end, beside ``<group>_len`` with the number
in each event; or, if they are `RAGGED`, as an array of HDF5's variable length for each
event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import h5py
import numpy as np

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.errors import ParameterError

CHUNK_BYTES = 1 << 20
"""Size of a chunk of a dataset, about."""

_COUNT = Field(np.dtype(np.int64), long_name="number of values in the event")


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


class Columns:
    """The growing datasets of a file.

    Parameters
    ----------
    file : open for writing; it stays open

    Attributes
    ----------
    fields : what is stored, by path
    events : number of events that were written
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self.fields: dict[str, Field] = {}
        self.events = 0

    def add(self, path: str, field: Field) -> None:
        """Begin a dataset; the events that were written before lack it.

        Raises
        ------
        ValueError, TypeError
            from h5py, if the path is taken, or leads through a dataset
        """
        self._create(path, field)
        self.fields[path] = field
        if field.length is Length.VARIABLE and length_path(path) not in self._file:
            self._create(length_path(path), _COUNT, fill=0)

    def extend(self, rows: Sequence[Mapping[str, Array]]) -> None:
        """Append some events, each with values by path; what it lacks is missing."""
        for path, field in self.fields.items():
            missing = field.missing()
            values = [row.get(path, missing) for row in rows]
            append = {
                Length.FIXED: self._append_fixed,
                Length.VARIABLE: self._append_joined,
                Length.RAGGED: self._append_ragged,
            }[field.length]
            append(path, field, values)
        self.events += len(rows)

    def _create(self, path: str, field: Field, fill: float | None = None) -> None:
        fixed, ragged = (field.length is x for x in (Length.FIXED, Length.RAGGED))
        shape = () if ragged else field.shape
        row = max(1, math.prod(shape) * field.dtype.itemsize)
        if fixed and fill is None:
            fill = field.missing().flat[0] if row else None
        dataset = self._file.create_dataset(
            path,
            shape=(0 if field.length is Length.VARIABLE else self.events, *shape),
            maxshape=(None, *shape),
            chunks=(max(1, CHUNK_BYTES // row), *shape),
            dtype=h5py.vlen_dtype(field.dtype) if ragged else field.dtype,
            fillvalue=fill,
        )
        texts = {"units": field.unit, "long_name": field.long_name}
        dataset.attrs.update({key: text for key, text in texts.items() if text})

    def _append_fixed(
        self, path: str, field: Field, values: Sequence[Array | np.int64]
    ) -> None:
        dataset = self._file[path]
        dataset.resize(self.events + len(values), axis=0)
        if values:
            dataset[self.events :] = np.array(values, field.dtype)

    def _append_joined(self, path: str, field: Field, values: Sequence[Array]) -> None:
        dataset = self._file[path]
        begin = len(dataset)
        dataset.resize(begin + sum(map(len, values)), axis=0)
        if len(dataset) > begin:
            dataset[begin:] = np.concatenate(values)
        self._count(path, [np.int64(len(value)) for value in values])

    def _count(self, path: str, lengths: Sequence[np.int64]) -> None:
        """Append lengths, or check them against those of another of the function."""
        counts = self._file[length_path(path)]
        if len(counts) == self.events:
            self._append_fixed(length_path(path), _COUNT, lengths)
        elif not np.array_equal(counts[self.events :], lengths):
            raise ParameterError(
                f"{path!r} has not as many values in each event as the results beside "
                f"it, whose number is in {length_path(path)!r}"
            )

    def _append_ragged(self, path: str, field: Field, values: Sequence[Array]) -> None:
        dataset = self._file[path]
        dataset.resize(self.events + len(values), axis=0)
        for row, value in enumerate(values, start=self.events):
            dataset[row] = np.asarray(value, field.dtype)
