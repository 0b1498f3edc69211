"""Kernels of exact medians, many side by side.

A median is found by bisection on counts: how many values are at or below a threshold
is a loop without branches, which is vectorized; sorting is not.  As soon as half of
the values are at or below the threshold, the two values next to it are the middle
ones, and the median is exact, that of `numpy.median`.  The thresholds of many medians
are chosen side by side, in lanes; a median that does not come to an end there is found
on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]
Number = Any
"""A float32 or int32; to numba, which of them is in the signature of the kernel."""

LANES = 128
"""How many medians are found side by side; their values stay in the cache."""

_LOW, _MIDDLE, _HIGH = 0, LANES, 2 * LANES
"""Where, in the array of thresholds, those of the lanes begin."""
_BELOW, _UP_TO, _HALF, _FOUND = 0, LANES, 2 * LANES, 3 * LANES
"""Where, in the array of counts, those of the lanes begin."""
_STEPS = 16
_CLOSE = 2
"""With as many values between two thresholds, those next to them are the middle."""
_FEW = 2
"""So few open columns are done faster on their own."""
_CHECK_EVERY = 8
_LARGEST = np.float32(np.finfo(np.float32).max)
_INFINITY = np.float32(np.inf)
_ORDERED = {"nnan", "nsz"}
"""Values are numbers: the smallest and the largest of them can be vectorized."""

_LIST = types.Array(types.float32, 1, "C")
_COUNTS = types.Array(types.int32, 1, "C")
_PANEL = types.Array(types.float32, 2, "C")


# -- one median ------------------------------------------------------------------------


@njit(types.int32(_LIST, types.float32))
def _count_up_to(values: Values, threshold: Number) -> Number:
    count = np.int32(0)
    for i in range(values.size):
        count += np.int32(values[i] <= threshold)
    return count


@njit("UniTuple(float32, 2)(float32[::1], float32)", fastmath=_ORDERED)
def _neighbours(values: Values, threshold: Number) -> tuple[Number, Number]:
    """Return the largest value up to a threshold, and the next one, in one pass."""
    largest, smallest = -_INFINITY, _INFINITY
    for i in range(values.size):
        up_to = values[i] <= threshold
        largest = max(largest, values[i] if up_to else -_INFINITY)
        smallest = min(smallest, _INFINITY if up_to else values[i])
    return largest, smallest


@njit(types.float32(types.boolean, types.int32, types.int32, types.int32))
def _part(even: bool, half: Number, below: Number, up_to: Number) -> Number:
    """Return where between two thresholds, as a fraction, half of the values may be.

    Where the count grows evenly, it is here; with `even`, it is plain bisection.
    """
    part = np.float32(half - below) / np.float32(max(up_to - below, np.int32(1)))
    part = min(max(part, np.float32(0.02)), np.float32(0.98))
    return np.float32(0.5) if even else part


@njit(types.boolean(_LIST, types.float32, types.float32))
def _one_value(values: Values, low: Number, high: Number) -> bool:
    """Tell if all values above `low`, up to `high`, are equal."""
    return bool(_neighbours(values, low)[1] == _neighbours(values, high)[0])


@njit(types.float32(_LIST, types.int64, types.float32))
def median(values: Values, count: Number, guess: Number) -> Number:
    """Return the median of some finite values, the mean of the middle two if even.

    Parameters
    ----------
    values : the values, and infinity in place of those that do not take part
    count : how many take part, at least one
    guess : the median is probably between ``-guess`` and ``guess``; a bad guess costs
        time, not truth
    """
    half = np.int32((count + 1) // 2)
    low, high = -guess, guess
    below, up_to = _count_up_to(values, low), _count_up_to(values, high)
    if below >= half or up_to < half:
        low = _neighbours(values, -_LARGEST)[1]
        high = _neighbours(values, _LARGEST)[0]
        below, up_to = _count_up_to(values, low), np.int32(count)
        if below >= half:
            high, up_to = low, below
    middle = low + np.float32(0.5) * (high - low)
    step = 0
    while up_to != half and low < middle < high:
        found = _count_up_to(values, middle)
        less = found < half
        low = middle if less else low
        below = found if less else below
        high = high if less else middle
        up_to = up_to if less else found
        step += 1
        if step % _CHECK_EVERY == 0 and _one_value(values, low, high):
            break
        middle = low + _part(step % 3 == 0, half, below, up_to) * (high - low)
    lower, upper = _neighbours(values, high)
    if count % 2 == 0 and up_to == half:
        return np.float32(0.5) * (lower + upper)
    return lower


# -- many, side by side ----------------------------------------------------------------


@njit(types.void(_COUNTS, types.float32, _LIST, _COUNTS))
def _start(used: Counts, guess: Number, bounds: Values, counts: Counts) -> None:
    """Set the first thresholds; lanes that are not needed are done: 0 of 0 values.

    The first thresholds are not counted, but taken to have a few values more outside
    than there are, so that no lane is done before its own counts say so.
    """
    counts[:] = 0
    for i in range(LANES):
        bounds[i + _LOW], bounds[i + _HIGH] = -guess, guess
        bounds[i + _MIDDLE] = 0
    for i in range(used.size):
        counts[i + _HALF] = (used[i] + 1) // 2
        counts[i + _BELOW] = -_CLOSE if used[i] else 0
        counts[i + _UP_TO] = used[i] + _CLOSE if used[i] else 0


@njit(types.boolean(types.int32, types.int32, types.int32))
def _is_open(half: Number, below: Number, up_to: Number) -> bool:
    """Tell if the values next to the thresholds do not tell the median yet."""
    return bool((half < up_to) & (up_to - below > _CLOSE))


@njit(types.int64(types.int64, _LIST, _COUNTS))
def _narrow(step: int, bounds: Values, counts: Counts) -> int:
    """Choose new thresholds from the counts; return how many lanes are open.

    The loop has no branches, and its arrays a fixed size, so that it is vectorized.
    """
    open_lanes = np.int32(0)
    even = step % 3 == 0
    for i in range(LANES):
        low, middle = bounds[i + _LOW], bounds[i + _MIDDLE]
        high, half = bounds[i + _HIGH], counts[i + _HALF]
        found, below = counts[i + _FOUND], counts[i + _BELOW]
        up_to = counts[i + _UP_TO]
        going = _is_open(half, below, up_to) & (low < middle) & (middle < high)
        less = going & (found < half)
        more = going & (found >= half)
        low = middle if less else low
        below = found if less else below
        high = middle if more else high
        up_to = found if more else up_to
        bounds[i + _LOW], counts[i + _BELOW] = low, below
        bounds[i + _HIGH], counts[i + _UP_TO] = high, up_to
        part = _part(even, half, below, up_to)
        bounds[i + _MIDDLE] = low + part * (high - low) if going else middle
        open_lanes += np.int32(going & _is_open(half, below, up_to))
    return int(open_lanes)


@njit("float32(int32, int32, int32, float32, float32, float32)")
def _middle_value(
    used: Number,
    half: Number,
    up_to: Number,
    first: Number,
    last: Number,
    next_: Number,
) -> Number:
    """Return the median of a lane that is not open.

    Parameters
    ----------
    used, half, up_to : how many values there are, half of it, and those up to the
        highest threshold
    first, last : smallest and largest value between the thresholds; where `half` is
        not `up_to`, there are no others
    next_ : the value above
    """
    lower, upper = (last, next_) if up_to == half else (first, last)
    return np.float32(0.5) * (lower + upper) if used % 2 == 0 else lower


@njit(types.void(_PANEL, _LIST, _COUNTS))
def _count_in_rows(values: Values, bounds: Values, counts: Counts) -> None:
    """Count the values of each row up to its middle threshold, for open lanes."""
    rows, columns = values.shape
    for i in range(rows):
        if _is_open(counts[i + _HALF], counts[i + _BELOW], counts[i + _UP_TO]):
            middle, found = bounds[i + _MIDDLE], np.int32(0)
            for c in range(columns):
                found += np.int32(values[i, c] <= middle)
            counts[i + _FOUND] = found


@njit(types.void(_PANEL, _LIST, _COUNTS))
def _count_in_columns(values: Values, bounds: Values, counts: Counts) -> None:
    """Count the values of each column up to its middle threshold."""
    rows, columns = values.shape
    limit = bounds[_MIDDLE : _MIDDLE + columns]
    total = counts[_FOUND : _FOUND + columns]
    total[:] = 0
    fours = rows - rows % 4
    for r in range(0, fours, 4):  # four at once: the counts are loaded less often
        first, second = values[r], values[r + 1]
        third, fourth = values[r + 2], values[r + 3]
        for c in range(columns):
            total[c] += (
                np.int32(first[c] <= limit[c])
                + np.int32(second[c] <= limit[c])
                + np.int32(third[c] <= limit[c])
                + np.int32(fourth[c] <= limit[c])
            )
    for r in range(fours, rows):
        row = values[r]
        for c in range(columns):
            total[c] += np.int32(row[c] <= limit[c])


@njit(
    "UniTuple(float32, 3)(float32[:, ::1], int64, float32, float32)", fastmath=_ORDERED
)
def _row_neighbours(
    values: Values, row: int, low: Number, high: Number
) -> tuple[Number, Number, Number]:
    """Return the next value above `low`, the largest up to `high`, and the next."""
    first, last, next_ = _INFINITY, -_INFINITY, _INFINITY
    for c in range(values.shape[1]):
        value = values[row, c]
        first = min(first, value if value > low else _INFINITY)
        last = max(last, value if value <= high else -_INFINITY)
        next_ = min(next_, value if value > high else _INFINITY)
    return first, last, next_


@njit(types.void(_PANEL, _LIST, _PANEL), fastmath=_ORDERED)
def _column_neighbours(values: Values, bounds: Values, near: Values) -> None:
    """Fill the rows of `near` with what `_row_neighbours` returns, for each column."""
    rows, columns = values.shape
    first, last, next_ = near[0], near[1], near[2]
    first[:], last[:], next_[:] = _INFINITY, -_INFINITY, _INFINITY
    low, high = bounds[_LOW : _LOW + columns], bounds[_HIGH : _HIGH + columns]
    for r in range(rows):
        row = values[r]
        for c in range(columns):
            value = row[c]
            first[c] = min(first[c], value if value > low[c] else _INFINITY)
            last[c] = max(last[c], value if value <= high[c] else -_INFINITY)
            next_[c] = min(next_[c], value if value > high[c] else _INFINITY)


@njit(types.void(_PANEL, _COUNTS, types.float32, _LIST))
def row_medians(values: Values, used: Counts, guess: Number, out: Values) -> None:
    """Fill `out` with the median of each row, at most `LANES` of them.

    Parameters
    ----------
    values : (rows, columns), with infinity in place of what does not take part
    used : how many values of each row take part; where none does, `out` is 0
    guess : as for `median`
    out : (rows,)
    """
    bounds = np.empty(3 * LANES, np.float32)
    counts = np.empty(4 * LANES, np.int32)
    _start(used, guess, bounds, counts)
    for step in range(1, _STEPS):
        _count_in_rows(values, bounds, counts)
        if not _narrow(step, bounds, counts):
            break
    for i in range(used.size):
        half, up_to = counts[i + _HALF], counts[i + _UP_TO]
        if used[i] == 0:
            out[i] = 0
        elif _is_open(half, counts[i + _BELOW], up_to):
            out[i] = median(values[i], used[i], guess)
        else:
            low, high = bounds[i + _LOW], bounds[i + _HIGH]
            first, last, next_ = _row_neighbours(values, i, low, high)
            out[i] = _middle_value(used[i], half, up_to, first, last, next_)


@njit(types.void(_PANEL, _COUNTS, types.float32, _LIST, _LIST))
def column_medians(
    values: Values, used: Counts, guess: Number, one: Values, out: Values
) -> None:
    """Fill `out` with the median of each column, at most `LANES` of them.

    Parameters
    ----------
    values, guess : as for `row_medians`
    used, out : (columns,), as there
    one : (rows,), room for a column that does not come to an end in its lane
    """
    bounds = np.empty(3 * LANES, np.float32)
    counts = np.empty(4 * LANES, np.int32)
    near = np.empty((3, used.size), np.float32)
    _start(used, guess, bounds, counts)
    for step in range(1, _STEPS):
        _count_in_columns(values, bounds, counts)
        if _narrow(step, bounds, counts) <= _FEW:
            break
    _column_neighbours(values, bounds, near)
    for c in range(used.size):
        half, up_to = counts[c + _HALF], counts[c + _UP_TO]
        if used[c] == 0:
            out[c] = 0
        elif _is_open(half, counts[c + _BELOW], up_to):
            one[:] = values[:, c]
            out[c] = median(one, used[c], guess)
        else:
            first, last, next_ = near[0, c], near[1, c], near[2, c]
            out[c] = _middle_value(used[c], half, up_to, first, last, next_)
