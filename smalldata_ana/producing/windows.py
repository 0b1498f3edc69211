"""Integrating detectors: sums of the other data between their events.

A detector that integrates over several shots shows in one image what all events since
its image before have brought.  To normalise it, ``intg/<detector>/`` holds a row for
each of its images: the sums over the events after the image before, up to and with its
own event.  The first window begins with the run; events after the last image are in
none.  An event without a value adds nothing; where no event of a window has one, the
sum is NaN.

A window ends where there was an image, also if it cannot be read: the exposure was over
then.  It has no row, as nothing is to be normalised by it.  Nor has one with events
that were lost, as its sums would be too small.

A window may reach over the end of a batch: a part then holds what is open, and the
merge puts the pieces together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.errors import counted
from smalldata_ana.producing.batches import Batch
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.layout import Layout

PART_GROUP = ".windows"
GROUP = "intg"

_NOT_SUMMED = {
    *("timestamp", "timing", "lightStatus", "evr", "scan", "damage", "tt", "enc"),
    *("epics", "epicsAll", "epicsUser"),
}
"""Groups whose sum over events has no meaning."""

_WHOLE = "whole"
"""Dataset of a part that tells which of its windows can be used."""

_CHUNK = 1024
"""Windows of a chunk at most: they are fewer than events, but who knows how many."""

_ENVIRONMENT = "_env"
"""End of the groups of temperatures and the like, whose sum has none either."""

_TIMES = ("timestamp_min", "timestamp_max")
_FIELDS = {
    "count": Field(np.dtype(np.int64), long_name="number of events summed"),
    _TIMES[0]: Field(np.dtype(np.int64), long_name="first event summed"),
    _TIMES[1]: Field(np.dtype(np.int64), long_name="event of the image"),
}


def summed(layout: Layout) -> dict[str, str]:
    """Return which datasets are summed, by the name of their sum.

    Parameters
    ----------
    layout : the datasets with a row for each event of the run

    Returns
    -------
    Paths by ``<source>_sum_<key>``.
    """
    found = {}
    for path, field in layout.items():
        source, _, key = path.partition("/")
        if source.endswith(_ENVIRONMENT):
            continue
        if field.length is Length.FIXED and source not in _NOT_SUMMED:
            found[f"{source}_sum_{key.replace('/', '_')}"] = path
    return found


def fields_of(layout: Layout) -> dict[str, Field]:
    """Return what there is of each window, by name.

    Parameters
    ----------
    layout : the datasets with a row for each event of the run
    """
    sums = {name: _as_sum(layout[path]) for name, path in summed(layout).items()}
    return _FIELDS | sums


def _as_sum(field: Field) -> Field:
    """Return the sum of a field over a window."""
    # Of a mean or a position, too, it is the sum: not that of the summed images.
    what = "sum of the values of single events"
    name = f"{what}: {field.long_name}" if field.long_name else what
    return replace(field, dtype=np.dtype(np.float64), long_name=name)


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Windows:
    """Sums over consecutive events, one row for each window.

    Attributes
    ----------
    values : by name, (windows, ...); `_FIELDS` and the sums
    whole : (windows,) True if no event is lost, and the image at the end is there
    """

    values: Mapping[str, Array]
    whole: Mask

    @classmethod
    def of(
        cls, recorded: Mask, there: Mask, times: Array, data: Mapping[str, Array]
    ) -> Self:
        """Sum the events of a batch.

        Parameters
        ----------
        recorded : (events,) where there was an image
        there : (events,) where it could be used
        times : timestamp of each event
        data : by name (events, ...); NaN and missing integers are no values

        Returns
        -------
        A row for each image, and one for the events behind the last.
        """
        ends = np.flatnonzero(recorded)
        begins = np.concatenate([[0], ends + 1])
        count = np.diff(np.concatenate([begins, [len(times)]]))
        some = count > 0
        values: dict[str, Array] = {"count": count}
        for name, function in zip(_TIMES, (np.minimum, np.maximum), strict=True):
            # What a window without events holds does not matter.
            column = np.zeros(len(begins), np.int64)
            column[some] = function.reduceat(times, begins[some])
            values[name] = column
        for name, each in data.items():
            total = np.full((len(begins), *each.shape[1:]), np.nan)
            total[some] = _sums(each, begins[some])
            values[name] = total
        return cls(values, np.append(there[ends], True))

    def __getitem__(self, rows: slice | Mask) -> Self:
        """Return some of the windows."""
        values = {name: column[rows] for name, column in self.values.items()}
        return replace(self, values=values, whole=self.whole[rows])

    @property
    def events(self) -> int:
        """How many events they have."""
        return int(self.values["count"].sum())

    def without_begin(self) -> Self:
        """Return them for the case that the events just before them are lost."""
        return replace(self, whole=np.append(False, self.whole[1:]))

    def then(self, later: Self) -> Self:
        """Return them with those of later events; the first continues our last."""
        ours, theirs = self.values, later.values
        empty = ours["count"][-1] == 0, theirs["count"][0] == 0
        joined_values = {}
        for name, values in ours.items():
            last, first = values[-1:], theirs[name][:1]
            if name in _TIMES:
                extreme = np.minimum if name == _TIMES[0] else np.maximum
                both = extreme(last, first)
                joined = first if empty[0] else last if empty[1] else both
            else:
                joined = last + first if name == "count" else _added(last, first)
            joined_values[name] = np.concatenate(
                [values[:-1], joined, theirs[name][1:]]
            )
        whole = self.whole[-1:] & later.whole[:1]
        return replace(
            self,
            values=joined_values,
            whole=np.concatenate([self.whole[:-1], whole, later.whole[1:]]),
        )


def _sums(values: Array, begins: Array) -> Array:
    """Return the sums from each begin to the next; NaN where there is no value."""
    missing = Field(values.dtype).missing()
    known = ~np.isnan(values) if values.dtype.kind == "f" else values != missing
    total = np.add.reduceat(
        np.where(known, values, 0).astype(np.float64), begins, axis=0
    )
    return np.where(np.logical_or.reduceat(known, begins, axis=0), total, np.nan)


def _added(last: Array, first: Array) -> Array:
    """Add the sums of two pieces of a window; NaN is one without a value."""
    either = np.where(np.isnan(last), first, last)
    return np.where(np.isnan(last) | np.isnan(first), either, last + first)


def write_part(file: h5py.File, detector: str, windows: Windows) -> None:
    """Add to a part the windows of an integrating detector."""
    group = file.create_group(f"{PART_GROUP}/{detector}")
    for name, values in windows.values.items():
        group[name] = values
    group[_WHOLE] = windows.whole


def read_part(file: h5py.File, detector: str) -> Windows:
    """Return the windows of a part, the open one at its end included."""
    values = {k: dataset[()] for k, dataset in file[f"{PART_GROUP}/{detector}"].items()}
    return Windows(values, whole=values.pop(_WHOLE))


class RunWindows:
    """The windows of an integrating detector in the file of a run.

    Parameters
    ----------
    file : of the run
    detector : that integrates
    layout : the datasets with a row for each event of the run
    compression : of the datasets, or None
    expected : number of events of the run

    Attributes
    ----------
    left_out : number of events of windows that are not written
    """

    def __init__(
        self,
        file: h5py.File,
        detector: str,
        layout: Layout,
        compression: str | None,
        expected: int,
    ) -> None:
        self._detector = detector
        self._columns = Columns(file, compression, min(expected, _CHUNK))
        for name, field in fields_of(layout).items():
            self._columns.add(self._path(name), field)
        self._open: Windows | None = None
        self._end = 0
        self.left_out = 0

    def append(self, batch: Batch, part: h5py.File) -> None:
        """Write the windows that end in a batch.

        Parameters
        ----------
        batch : one after the other, in the order of the events; some may be missing
        part : its part
        """
        windows = read_part(part, self._detector)
        if batch.begin != self._end:
            windows = windows.without_begin()
            self.left_out += self._open.events if self._open else 0
        elif self._open:
            windows = self._open.then(windows)
        closed, self._open, self._end = windows[:-1], windows[-1:], batch.end
        self.left_out += closed[~closed.whole].events
        columns = {self._path(k): v for k, v in closed[closed.whole].values.items()}
        self._columns.extend_columns(columns, int(closed.whole.sum()))

    def problems(self) -> Iterator[str]:
        """Say what is left out, a sentence."""
        if self.left_out:
            yield (
                f"{GROUP}/{self._detector} is without {counted(self.left_out, 'event')}"
                f" whose image, or another event of it, could not be read"
            )

    def _path(self, name: str) -> str:
        return f"{GROUP}/{self._detector}/{name}"
