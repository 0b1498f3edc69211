"""Which events of a run to take: the first ones, some spread over it, a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import NameNotFound, NoDataError, ParameterError, unknown
from smalldata_ana.sources.base import Indices, Run

Mask = npt.NDArray[np.bool_]

ALL = -1
"""A count that stands for all events, as users know it."""


@dataclass(frozen=True)
class Event:
    """One event of a run, by its number among those that the run has now."""

    run: Run
    number: int

    @property
    def timestamp(self) -> int:
        """Seconds since 1990 in the high half, nanoseconds in the low half."""
        return int(self.run.timestamps[self.number])

    @property
    def number_in_run(self) -> int:
        """Its number in the whole run, also where the run is turned to a part."""
        return self.run.begin + self.number


def choose(
    run: Run,
    count: int | None = None,
    *,
    skip: int = 0,
    uniform: bool = False,
    selection: Mask | None = None,
) -> Indices:
    """Choose events of a run.

    Parameters
    ----------
    run : the run
    count : how many events at most; None or -1: all
    skip : how many events of the run to leave out at its begin, counted before the
        selection is applied
    uniform : spread the events over what is left of the run, from its first to its
        last event, instead of taking the first ones
    selection : (events of the run,), True where an event may be taken; default: all

    Returns
    -------
    Numbers of the events, growing.

    Raises
    ------
    ParameterError
        if a number is out of range, or the selection is for another number of events
    NoDataError
        if no event is left
    """
    if count is not None and count != ALL and count <= 0:
        raise ParameterError(
            f"the number of events must be above 0, or {ALL} for all, not {count}"
        )
    if skip < 0:
        raise ParameterError(f"events to skip must not be below 0, but are {skip}")
    allowed = selection_mask(run, selection)
    left = skip + np.flatnonzero(allowed[skip:])
    if not left.size:
        raise NoDataError(_nothing_left(run, allowed, skip))
    if count is None or count == ALL or count >= left.size:
        return left
    if not uniform:
        return left[:count]
    # Integer arithmetic: exact ends, and never the same event twice.
    steps = np.arange(count) * (left.size - 1) // max(count - 1, 1)
    return left[steps]


def selection_mask(
    run: Run,
    what: str | npt.ArrayLike | None,
    named: Mapping[str, Mask] | None = None,
) -> Mask:
    """Return which events of a run a selection has.

    Parameters
    ----------
    run : the run
    what : a name, a boolean array over the run's events, timestamps of events in any
        order, or None for all
    named : the selections that have a name

    Returns
    -------
    (events,), True where the event is selected.

    Raises
    ------
    ParameterError
        if the array is no boolean array of the run's length and no timestamps
    NameNotFound
        if there is no selection of that name, or no event with such a timestamp
    """
    if what is None:
        return np.ones(len(run), bool)
    if isinstance(what, str):
        return _boolean(run, _by_name(run, what, named or {}), f"selection {what!r}")
    array = np.asarray(what)
    if array.dtype.kind == "b":
        return _boolean(run, array, "the selection")
    # An empty list has no type that could tell; it selects no event either way.
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ParameterError(
            "a selection is a name, a boolean array over the run's events, or a list "
            f"of timestamps, not {array.dtype} of shape {array.shape}"
        )
    return _at_timestamps(run, array)


def _by_name(run: Run, name: str, named: Mapping[str, Mask]) -> Mask:
    if name not in named:
        where = f"{run.experiment} run {run.number}"
        raise NameNotFound(unknown("selection", name, named, where))
    return named[name]


def _boolean(run: Run, mask: Mask, called: str) -> Mask:
    if mask.shape != (len(run),):
        raise ParameterError(
            f"{called} is for {_extent(mask.shape)}, {run.experiment} run "
            f"{run.number} has {len(run)} events"
        )
    return mask.copy()


def _extent(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} events" if len(shape) == 1 else f"an array of shape {shape}"


def _at_timestamps(run: Run, timestamps: npt.NDArray[np.integer]) -> Mask:
    asked = timestamps.astype(np.uint64)
    absent = asked[~np.isin(asked, run.timestamps)]
    if absent.size:
        raise NameNotFound(
            f"{absent.size} of {asked.size} timestamps are not in {run.experiment} "
            f"run {run.number}, the first of them {absent[0]}"
        )
    return np.isin(run.timestamps, asked)


def _nothing_left(run: Run, allowed: Mask, skip: int) -> str:
    return (
        f"no event of {run.experiment} run {run.number} is left: it has {len(run)} "
        f"events, the selection has {np.count_nonzero(allowed)} of them, and the "
        f"first {skip} events of the run are skipped"
    )
