"""The datasets of a small-data file that grow with the events.

A result of fixed length is one dataset with a row for each event.  Results of which an
event may have any number are stored end to end, beside ``<group>_len`` with the number
in each event; or, if they are `RAGGED`, as an array of HDF5's variable length for each
event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py

from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.smalldata.batch import (
    COUNT,
    Column,
    Row,
    arrays_of,
    length_path,
    stacked,
)
from smalldata_ana.smalldata.compression import filters
from smalldata_ana.smalldata.growing import Growing
from smalldata_ana.smalldata.parts import Part


class Columns:
    """The growing datasets of a file.

    Parameters
    ----------
    file : open for writing, or a group of it; it stays open
    compression : of the datasets, one of `smalldata_ana.smalldata.compression.NAMES`;
        None: they are not compressed
    expected : number of events that there will be, where it is known: the chunks of a
        file of few events are smaller then; there may be more or less

    Attributes
    ----------
    fields : what is stored, by path
    events : number of events that were written

    Raises
    ------
    ParameterError
        if there is no such compression
    MissingSoftwareError
        if its package is not installed
    """

    def __init__(
        self,
        file: h5py.Group,
        compression: str | None = None,
        expected: int | None = None,
    ) -> None:
        self._file = file
        self._filters = filters(compression)
        self._expected = expected
        self._datasets: dict[str, Growing] = {}
        self.fields: dict[str, Field] = {}
        self.events = 0

    def add(self, path: str, field: Field) -> None:
        """Begin a dataset; the events that were written before lack it.

        Raises
        ------
        ValueError
            from h5py, if the path is taken, or leads through a dataset
        """
        self._create(path, field)
        self.fields[path] = field
        if field.length is Length.VARIABLE and length_path(path) not in self._datasets:
            self._create(length_path(path), COUNT, fill=0)

    def extend(self, rows: Sequence[Row]) -> None:
        """Append some events, each with values by path; what it lacks is missing.

        Parameters
        ----------
        rows : the values of each event

        Raises
        ------
        ParameterError
            as `extend_columns`
        """
        self.extend_columns(stacked(self.fields, rows), len(rows))

    def extend_columns(self, columns: Mapping[str, Column], count: int) -> None:
        """Append some events, of each path all values at once.

        Parameters
        ----------
        columns : by path ``(count, *shape)``, or, of results of which an event may have
            any number, an array for each event; what is not given is missing
        count : the number of events

        Raises
        ------
        ParameterError
            if a path is unknown, or the values are not for so many events, or results
            of one function differ in their number; nothing is written then
        """
        for path, array in arrays_of(self.fields, columns, count).items():
            self._datasets[path].append(array)
        self.events += count

    def append_file(self, part: h5py.Group) -> None:
        """Append the events of a part, a limited number in memory at a time.

        Parameters
        ----------
        part : as `smalldata_ana.smalldata.parts.write_part` made it, of these `fields`

        Raises
        ------
        FileError
            if it is not a part of these fields; nothing is written then
        """
        read = Part(part, self.fields)
        for path, block in read.blocks():
            self._datasets[path].append(block)
        self.events += read.events

    def _create(self, path: str, field: Field, fill: float | None = None) -> None:
        if field.length is Length.FIXED and fill is None and 0 not in field.shape:
            fill = field.missing().flat[0]
        self._datasets[path] = Growing(
            self._file,
            path,
            field,
            rows=0 if field.length is Length.VARIABLE else self.events,
            fill=fill,
            filters=self._filters,
            expected=self._expected,
        )
