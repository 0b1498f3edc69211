"""Integrating detectors: sums of the other data between their events.

A detector that integrates over several shots shows in one image what all events since
its image before have brought.  To normalise it, ``intg/<detector>/`` holds a row for
each of its images: the sums over the events after the image before, up to and with its
own event.  The first window begins with the run; events after the last image are in
none.  An event without a value adds nothing; where no event of a window has one, the
sum is NaN.

A window may reach over the end of a batch: a part then holds what is open, and the
merge puts the pieces together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import Array, Field, Length
from smalldata_ana.smalldata.layout import Layout

PART_GROUP = ".windows"
GROUP = "intg"

_NOT_SUMMED = {
    *("timestamp", "timing", "lightStatus", "evr", "scan", "damage", "tt", "enc"),
    *("epics", "epicsAll", "epicsUser"),
}
"""Groups whose sum over events has no meaning."""

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
    name = f"sum over the window: {field.long_name}" if field.long_name else ""
    return replace(field, dtype=np.dtype(np.float64), long_name=name)


@dataclass
class Windows:
    """Sums over consecutive events, one row for each window.

    Attributes
    ----------
    values : by name, (windows, ...); `_FIELDS` and the sums
    """

    values: dict[str, Array]

    @classmethod
    def of(
        cls, ends: npt.NDArray[np.int64], times: Array, data: Mapping[str, Array]
    ) -> Self:
        """Sum the events of a batch.

        Parameters
        ----------
        ends : the events that end a window, growing
        times : timestamp of each event
        data : by name (events, ...); NaN and missing integers are no values

        Returns
        -------
        A row for each end, and one for the events behind the last.
        """
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
        return cls(values)

    def append(self, later: Self) -> None:
        """Append the windows of later events; the first of them continues our last."""
        ours, theirs = self.values, later.values
        empty = ours["count"][-1] == 0, theirs["count"][0] == 0
        for name, values in ours.items():
            last, first = values[-1:], theirs[name][:1]
            if name in _TIMES:
                extreme = np.minimum if name == _TIMES[0] else np.maximum
                both = extreme(last, first)
                joined = first if empty[0] else last if empty[1] else both
            else:
                joined = last + first if name == "count" else _added(last, first)
            ours[name] = np.concatenate([values[:-1], joined, theirs[name][1:]])


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


def write_part(
    file: h5py.File,
    ends: Mapping[str, Array],
    times: Array,
    data: Mapping[str, Array],
) -> None:
    """Add to a part the windows of its events.

    Parameters
    ----------
    file : the part
    ends : by integrating detector (events,), True where it has data
    times : timestamps of all events
    data : by name of the sum (events, ...)
    """
    for detector, own in ends.items():
        windows = Windows.of(np.flatnonzero(own), times, data)
        group = file.create_group(f"{PART_GROUP}/{detector}")
        for name, values in windows.values.items():
            group[name] = values


def read_part(file: h5py.File, detector: str) -> Windows:
    """Return the windows of a part, the open one at its end included."""
    group = file[f"{PART_GROUP}/{detector}"]
    return Windows({name: dataset[()] for name, dataset in group.items()})


def write(
    file: h5py.File, detector: str, windows: Windows, fields: Mapping[str, Field]
) -> None:
    """Write the windows of a run, without the one that is open at its end.

    Parameters
    ----------
    file : the file of the run
    detector : that integrates
    windows : of all batches
    fields : what is summed, by name of the sum
    """
    described = _FIELDS | {name: _as_sum(field) for name, field in fields.items()}
    for name, values in windows.values.items():
        dataset = file.create_dataset(f"{GROUP}/{detector}/{name}", data=values[:-1])
        dataset.attrs.update(described[name].texts())
