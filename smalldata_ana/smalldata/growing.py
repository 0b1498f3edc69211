"""One dataset that grows along its first axis, by the low-level functions of h5py.

A small-data file has hundreds of datasets, and many batches of events are appended to
each: the time goes into the calls, not into the bytes, and the calls of h5py's datasets
and attributes take several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t, h5z

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.smalldata.compression import Filters

CHUNK_BYTES = 1 << 20
"""Size of a chunk of a dataset, about."""

BLOCK_BYTES = 1 << 21
"""How much of a dataset is read at once: what stays in the cache of a processor."""

RAGGED_BLOCK = 256
"""How many arrays of any length are read at once."""

_UNKNOWN = 4096
"""Rows of a chunk at most, where it is not known how many there will be."""

_VALUES_PER_EVENT = 16
"""What is reckoned with where an event may have any number of values."""

_ADDRESS_BYTES = 16
"""What an array of any length takes in its dataset; its values lie elsewhere."""


class Growing:
    """A dataset of a file that is open for writing.

    Parameters
    ----------
    file : the file, or a group of it
    path : where the dataset is made
    field : what is in it
    rows : how many it has from the beginning
    fill : what these hold; None: HDF5's default
    filters : how it is compressed
    expected : number of events of the whole file, if it is known

    Attributes
    ----------
    rows : how many it has

    Raises
    ------
    ValueError
        from h5py, if the path is taken, or leads through a dataset
    """

    def __init__(
        self,
        file: h5py.Group,
        path: str,
        field: Field,
        *,
        rows: int,
        fill: float | None,
        filters: Filters,
        expected: int | None,
    ) -> None:
        self._dtype = _stored(field)
        self._type = h5t.py_create(self._dtype, logical=True)
        self._memory_type = h5t.py_create(self._dtype)
        ragged = field.length is Length.RAGGED
        self._shape = () if ragged else field.shape
        self.rows = rows
        properties = h5p.create(h5p.DATASET_CREATE)
        chunk = _chunk_rows(field, expected), *_at_least_one(self._shape)
        properties.set_chunk(chunk)
        if fill is not None:
            properties.set_fill_value(np.array(fill, self._dtype))
        if not ragged:  # no filter reaches values that lie elsewhere
            _set_filters(properties, filters)
            if not rows:  # all rows will be written: nothing is to be filled before
                properties.set_fill_time(h5d.FILL_TIME_NEVER)
        self._id = _create(file, path, self._type, (rows, *self._shape), properties)
        _label(self._id, field.texts())

    def append(self, values: Array) -> None:
        """Append rows.

        Parameters
        ----------
        values : ``(n, *shape)``, of a type that can be stored as that of the field; if
            each has any length, an array of n arrays
        """
        begin, count = self.rows, len(values)
        if not count:
            return
        self.rows += count
        self._id.set_extent((self.rows, *self._shape))
        if 0 in self._shape:
            return
        block = np.ascontiguousarray(values, self._dtype)
        space = self._id.get_space()
        space.select_hyperslab((begin, *(0 for _ in self._shape)), block.shape)
        self._id.write(h5s.create_simple(block.shape), space, block, self._memory_type)


class Stored:
    """A dataset of a finished file, to be read in blocks.

    Parameters
    ----------
    group : where it is
    path : its name there

    Attributes
    ----------
    shape : of all of it

    Raises
    ------
    KeyError
        if there is no such dataset
    """

    def __init__(self, group: h5py.Group, path: str) -> None:
        self._id = h5d.open(group.id, path.encode())
        self._dtype = self._id.dtype
        self.shape: tuple[int, ...] = self._id.shape

    def holds(self, dtype: np.dtype[Any], shape: tuple[int, ...], ragged: bool) -> bool:
        """Tell whether it is of a type and shape, or of arrays of that type."""
        values = h5py.check_vlen_dtype(self._dtype) if ragged else self._dtype
        return bool(values == dtype and self.shape == shape)

    @property
    def what(self) -> str:
        """Type and shape, for messages."""
        return f"{self._dtype} of shape {self.shape}"

    def blocks(self) -> Iterator[Array]:
        """Yield the rows, about `BLOCK_BYTES` at a time."""
        step = RAGGED_BLOCK
        if self._dtype.kind != "O":
            row = math.prod(self.shape[1:]) * self._dtype.itemsize
            step = max(1, BLOCK_BYTES // max(1, row))
        memory_type = h5t.py_create(self._dtype)
        for begin in range(0, self.shape[0], step):
            count = min(step, self.shape[0] - begin)
            block = np.empty((count, *self.shape[1:]), self._dtype)
            if block.size:
                space = self._id.get_space()
                start = (begin, *(0 for _ in self.shape[1:]))
                space.select_hyperslab(start, block.shape)
                memory = h5s.create_simple(block.shape)
                self._id.read(memory, space, block, memory_type)
            yield block


def _stored(field: Field) -> np.dtype[Any]:
    if field.length is Length.RAGGED:
        vlen: np.dtype[Any] = h5py.vlen_dtype(field.dtype)
        return vlen
    return field.dtype


def _create(
    file: h5py.Group, path: str, data_type: Any, shape: tuple[int, ...], properties: Any
) -> Any:
    """Create a dataset that can grow, and the groups above it."""
    links = h5p.create(h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space = h5s.create_simple(shape, (h5s.UNLIMITED, *shape[1:]))
    access = h5p.create(h5p.DATASET_ACCESS)
    # A file has hundreds of datasets: none keeps more than the chunk it compresses.
    cache = CHUNK_BYTES if properties.get_nfilters() else 0
    access.set_chunk_cache(1, cache, 1.0)
    return h5d.create(
        file.id, path.encode(), data_type, space, properties, links, access
    )


def _at_least_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(1, length) for length in shape)


def _chunk_rows(field: Field, expected: int | None) -> int:
    """Return the rows of a chunk: not much more than the file will have."""
    row = max(1, math.prod(field.shape) * field.dtype.itemsize)
    most = _UNKNOWN if expected is None else expected
    if field.length is Length.RAGGED:
        row = _ADDRESS_BYTES
    if field.length is Length.VARIABLE:
        most *= _VALUES_PER_EVENT
    return max(1, min(CHUNK_BYTES // row, most))


def _set_filters(properties: Any, filters: Filters) -> None:
    """Set what keywords of `h5py.Group.create_dataset` say."""
    if filters:
        options = tuple(filters["compression_opts"])
        properties.set_filter(filters["compression"], h5z.FLAG_OPTIONAL, options)


def _label(dataset: Any, texts: dict[str, str]) -> None:
    """Give a dataset attributes with text."""
    text_type = h5t.py_create(h5py.string_dtype(), logical=True)
    for name, text in texts.items():
        place = h5s.create(h5s.SCALAR)
        attribute = h5a.create(dataset, name.encode(), text_type, place)
        attribute.write(np.array(text, h5py.string_dtype()))
