"""Kernels of the common-mode corrections: exact medians of blocks of pixels.

The median of a block is found by bisection on counts: how many values are at or below
a threshold is a loop without branches, which is vectorized; sorting is not.  As soon
as half of the values are at or below the threshold, the two values next to it are the
middle ones, and the median is exact, that of `numpy.median`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Values = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]
Number = Any
"""A float32 or int32; to numba, which of them is in the signature of the kernel."""

COLUMNS_AT_ONCE = 128
"""Columns that are worked on at once, so that their copy stays in the cache."""
HISTOGRAM_LOW = -1000
HISTOGRAM_HIGH = 2000
"""Range of the histogram in which a zero-photon peak is looked for [ADU]; psana's."""

_CHECK_EVERY = 8
_BITS_SHIFT = 14
_BLOCK = 256

_LIST = types.Array(types.float32, 1, "C")
_IMAGE = types.Array(types.float32, 3, "C")
_ROW = types.Array(types.float32, 1, "C")
_ROW_USE = types.Array(types.boolean, 1, "C", readonly=True)
_PANEL_C = types.Array(types.float32, 2, "C")
_COUNTS = types.Array(types.int32, 1, "C")
_STATE = types.Array(types.float32, 2, "C")
_COUNT_STATE = types.Array(types.int32, 2, "C")
_USE = types.Array(types.boolean, 3, "C", readonly=True)
_WORDS = types.Array(types.uint16, 1, "C", readonly=True)
_TABLE = types.Array(types.int8, 1, "C", readonly=True)
_PLANES = types.Array(types.float32, 2, "C", readonly=True)
_PARTS = types.Array(types.boolean, 2, "C", readonly=True)
_PANEL_USE = _PARTS
_NOISE = types.Array(types.float32, 3, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 3, "C")

_SUBTRACT = types.void(
    _IMAGE,
    _USE,
    types.int64,
    types.int64,
    types.float32,
    types.float32,
    types.int64,
    types.boolean,
    _LIST,
)
_FAR = np.float32(100)
_LARGEST = np.float32(np.finfo(np.float32).max)
_COLUMN_STEPS = 16
_ORDERED = {"nnan", "nsz"}
"""Values are numbers: the smallest and the largest of them can be vectorized."""


# -- medians ---------------------------------------------------------------------------


@njit(types.int32(_LIST, types.float32))
def _count_up_to(values: Values, threshold: Number) -> Number:
    count = np.int32(0)
    for i in range(values.size):
        count += np.int32(values[i] <= threshold)
    return int(count)


@njit(types.float32(_LIST, types.float32), fastmath=_ORDERED)
def _largest_up_to(values: Values, threshold: Number) -> Number:
    largest = np.float32(-np.inf)
    for i in range(values.size):
        value = values[i] if values[i] <= threshold else np.float32(-np.inf)
        largest = max(largest, value)
    return largest


@njit(types.float32(_LIST, types.float32), fastmath=_ORDERED)
def _smallest_above(values: Values, threshold: Number) -> Number:
    smallest = np.float32(np.inf)
    for i in range(values.size):
        value = values[i] if values[i] > threshold else np.float32(np.inf)
        smallest = min(smallest, value)
    return smallest


@njit("UniTuple(int32, 2)(float32[::1], float32, float32)")
def _counts_up_to(
    values: Values, first: Number, second: Number
) -> tuple[Number, Number]:
    """Return the counts of two thresholds, in one pass."""
    count, other = np.int32(0), np.int32(0)
    for i in range(values.size):
        count += np.int32(values[i] <= first)
        other += np.int32(values[i] <= second)
    return count, other


@njit("UniTuple(float32, 2)(float32[::1], float32)", fastmath=_ORDERED)
def _neighbours(values: Values, threshold: Number) -> tuple[Number, Number]:
    """Return the largest value up to a threshold, and the next one, in one pass."""
    largest, smallest = np.float32(-np.inf), np.float32(np.inf)
    for i in range(values.size):
        up_to = values[i] <= threshold
        largest = max(largest, values[i] if up_to else np.float32(-np.inf))
        smallest = min(smallest, np.float32(np.inf) if up_to else values[i])
    return largest, smallest


@njit(types.float32(types.int64, types.int32, types.int32, types.int32))
def _part(step: int, half: Number, below: Number, up_to: Number) -> Number:
    """Return where between two thresholds, as a fraction, half of the values may be.

    Where the count grows evenly, it is here; every third step is plain bisection.
    """
    if step % 3 == 0:
        return np.float32(0.5)
    part = np.float32(half - below) / np.float32(max(up_to - below, 1))
    if part < np.float32(0.02):
        return np.float32(0.02)
    return part if part < np.float32(0.98) else np.float32(0.98)


@njit(types.boolean(_LIST, types.float32, types.float32))
def _one_value(values: Values, low: Number, high: Number) -> bool:
    """Tell if all values above `low`, up to `high`, are equal."""
    return bool(_smallest_above(values, low) == _largest_up_to(values, high))


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
    below, up_to = _counts_up_to(values, low, high)
    if below >= half or up_to < half:
        low = _smallest_above(values, -_LARGEST)
        high = _largest_up_to(values, _LARGEST)
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
        middle = low + _part(step, half, below, up_to) * (high - low)
    lower, upper = _neighbours(values, high)
    if count % 2 == 0 and up_to == half:
        return np.float32(0.5) * (lower + upper)
    return lower


@njit(types.int64(_ROW, _ROW_USE, types.float32, _LIST))
def _copy_used(row: Values, use: Flags, reach: Number, copy: Values) -> Number:
    """Copy a row, with infinity for what does not take part; return how many do."""
    count = np.int32(0)
    for c in range(copy.size):
        taken = use[c] & (abs(row[c]) <= reach)
        copy[c] = row[c] if taken else np.float32(np.inf)
        count += np.int32(taken)
    return int(count)


@njit(types.void(_ROW, _ROW_USE, types.boolean, types.float32))
def _subtract(row: Values, use: Flags, only_used: bool, amount: Number) -> None:
    for c in range(row.size):
        row[c] -= amount if use[c] | (not only_used) else np.float32(0)


@njit(_SUBTRACT)
def subtract_block_medians(
    image: Values,
    use: Flags,
    rows: int,
    columns: int,
    reach: Number,
    limit: Number,
    least: int,
    only_used: bool,
    scratch: Values,
) -> None:
    """Subtract its median from each block of an image, in place.

    Parameters
    ----------
    image : (panels, rows, columns)
    use : the same shape; pixels that take part in the median
    rows, columns : size of a block; they divide those of a panel
    reach : pixels beyond plus or minus this do not take part
    limit : a median beyond plus or minus this is not subtracted
    least : nor is one of fewer pixels
    only_used : subtract from the pixels of `use` only, not from all
    scratch : at least ``rows * columns``
    """
    values = scratch[: rows * columns]
    for p in range(image.shape[0]):
        for r in range(0, image.shape[1], rows):
            for c in range(0, image.shape[2], columns):
                count = 0
                for k in range(rows):
                    count += _copy_used(
                        image[p, r + k, c : c + columns],
                        use[p, r + k, c : c + columns],
                        reach,
                        values[k * columns : (k + 1) * columns],
                    )
                if count < max(least, 1):
                    continue
                amount = median(values, count, min(reach, limit, _FAR))
                if not abs(amount) <= limit:
                    continue
                for k in range(rows):
                    _subtract(
                        image[p, r + k, c : c + columns],
                        use[p, r + k, c : c + columns],
                        only_used,
                        amount,
                    )


# -- medians of columns, many side by side ---------------------------------------------


@njit(types.void(_PANEL_C, _LIST, _COUNTS))
def _column_counts(values: Values, threshold: Values, count: Counts) -> None:
    """Fill `count` with how many values of each column are up to its threshold."""
    rows, columns = values.shape
    count[:] = 0
    fours = rows - rows % 4
    for r in range(0, fours, 4):  # four at once: the counts are loaded less often
        first, second, third, fourth = (
            values[r],
            values[r + 1],
            values[r + 2],
            values[r + 3],
        )
        for c in range(columns):
            limit = threshold[c]
            count[c] += (
                np.int32(first[c] <= limit)
                + np.int32(second[c] <= limit)
                + np.int32(third[c] <= limit)
                + np.int32(fourth[c] <= limit)
            )
    for r in range(fours, rows):
        row = values[r]
        for c in range(columns):
            count[c] += np.int32(row[c] <= threshold[c])


@njit(types.void(_PANEL_C, _LIST, _LIST, _LIST), fastmath=_ORDERED)
def _column_neighbours(
    values: Values, threshold: Values, lower: Values, upper: Values
) -> None:
    """Fill in the largest value of each column up to a threshold, and the next one."""
    rows, columns = values.shape
    lower[:] = -np.inf
    upper[:] = np.inf
    for r in range(rows):
        row = values[r]
        for c in range(columns):
            up_to = row[c] <= threshold[c]
            lower[c] = max(lower[c], row[c] if up_to else np.float32(-np.inf))
            upper[c] = min(upper[c], np.float32(np.inf) if up_to else row[c])


@njit(types.boolean(_COUNTS, _STATE, _COUNT_STATE))
def _narrow(count: Counts, bounds: Values, counts: Counts) -> bool:
    """Choose new thresholds from the counts; return whether to go on.

    `bounds` are low, middle and high by column, `counts` those up to low, up to high,
    half of all, and steps.  A column that is done keeps its thresholds.
    """
    more = False
    for c in range(count.size):
        low, middle, high = bounds[0, c], bounds[1, c], bounds[2, c]
        half = counts[2, c]
        if counts[1, c] == half or not low < middle < high:
            continue
        less = count[c] < half
        low = middle if less else low
        high = high if less else middle
        bounds[0, c], bounds[2, c] = low, high
        counts[0, c] = count[c] if less else counts[0, c]
        counts[1, c] = counts[1, c] if less else count[c]
        counts[3, c] += 1
        part = _part(counts[3, c], half, counts[0, c], counts[1, c])
        bounds[1, c] = low + part * (high - low)
        more |= counts[1, c] != half
    return more


@njit(types.void(_PANEL_C, _COUNTS, types.float32, _LIST, _LIST))
def _column_medians(
    values: Values, used: Counts, guess: Number, one: Values, out: Values
) -> None:
    """Fill `out` with the median of each column; see `median` for its parameters.

    Parameters
    ----------
    values : (rows, columns), with infinity in place of what does not take part
    used : how many values of each column take part; where none does, `out` is 0
    guess : as for `median`
    one : (rows,), room for a column that does not come to an end beside the others
    """
    columns = values.shape[1]
    count = np.empty(columns, np.int32)
    upper = np.empty(columns, np.float32)
    bounds = np.empty((3, columns), np.float32)
    bounds[0], bounds[1], bounds[2] = -guess, 0, guess
    counts = np.empty((4, columns), np.int32)
    _column_counts(values, bounds[0], counts[0])
    _column_counts(values, bounds[2], counts[1])
    counts[2], counts[3] = (used + 1) // 2, 0
    for _ in range(_COLUMN_STEPS):
        _column_counts(values, bounds[1], count)
        if not _narrow(count, bounds, counts):
            break
    _column_neighbours(values, bounds[2], out, upper)
    for c in range(columns):
        half = counts[2, c]
        if used[c] == 0:
            out[c] = 0
        elif counts[1, c] != half or counts[0, c] >= half:
            one[:] = values[:, c]
            out[c] = median(one, used[c], guess)
        elif used[c] % 2 == 0:
            out[c] = np.float32(0.5) * (out[c] + upper[c])


@njit(_SUBTRACT)
def subtract_column_medians(
    image: Values,
    use: Flags,
    rows: int,
    columns: int,
    reach: Number,
    limit: Number,
    least: int,
    only_used: bool,
    scratch: Values,
) -> None:
    """Do what `subtract_block_medians` does for blocks of one column, faster.

    Parameters
    ----------
    image, use, rows, reach, limit, least, only_used : as there
    columns : how many columns are worked on side by side; it divides those of a panel
    scratch : at least ``rows * (columns + 1)``
    """
    values = scratch[: rows * columns].reshape(rows, columns)
    one = scratch[rows * columns : rows * (columns + 1)]
    used = np.empty(columns, np.int32)
    amount = np.empty(columns, np.float32)
    for p in range(image.shape[0]):
        for r in range(0, image.shape[1], rows):
            for c in range(0, image.shape[2], columns):
                block = image[p, r : r + rows]
                block_use = use[p, r : r + rows]
                for k in range(rows):
                    row = block[k, c : c + columns]
                    _copy_used(row, block_use[k, c : c + columns], reach, values[k])
                amount[:] = _LARGEST
                _column_counts(values, amount, used)
                _column_medians(values, used, min(reach, limit, _FAR), one, amount)
                for i in range(columns):
                    if used[i] < least or not abs(amount[i]) <= limit:
                        amount[i] = 0
                for k in range(rows):
                    row = block[k, c : c + columns]
                    row_use = block_use[k, c : c + columns]
                    for i in range(columns):
                        taken = row_use[i] | (not only_used)
                        row[i] -= amount[i] if taken else np.float32(0)


@njit(_SUBTRACT)
def subtract_row_medians(
    image: Values,
    use: Flags,
    rows: int,
    columns: int,
    reach: Number,
    limit: Number,
    least: int,
    only_used: bool,
    scratch: Values,
) -> None:
    """Do what `subtract_block_medians` does for blocks of one row, faster.

    Parameters
    ----------
    image, use, columns, reach, limit, least, only_used : as there
    rows : how many rows are worked on side by side; it divides those of a panel
    scratch : at least ``columns * (rows + 1)``
    """
    values = scratch[: rows * columns].reshape(columns, rows)
    one = scratch[rows * columns : columns * (rows + 1)]
    used = np.empty(rows, np.int32)
    amount = np.empty(rows, np.float32)
    for p in range(image.shape[0]):
        for r in range(0, image.shape[1], rows):
            for c in range(0, image.shape[2], columns):
                for k in range(rows):
                    used[k] = _copy_used(
                        image[p, r + k, c : c + columns],
                        use[p, r + k, c : c + columns],
                        reach,
                        one,
                    )
                    for i in range(columns):
                        values[i, k] = one[i]
                _column_medians(values, used, min(reach, limit, _FAR), one, amount)
                for k in range(rows):
                    if used[k] >= least and abs(amount[k]) <= limit:
                        row = image[p, r + k, c : c + columns]
                        row_use = use[p, r + k, c : c + columns]
                        _subtract(row, row_use, only_used, amount[k])


# -- which pixels take part ------------------------------------------------------------


@njit(
    types.void(
        _IMAGE,
        _USE,
        _NOISE,
        types.float32,
        types.float32,
        types.Array(types.boolean, 2, "C"),
        _FLAGS,
    )
)
def without_signal(
    image: Values,
    use: Flags,
    noise: Values,
    sigmas: Number,
    reach: Number,
    signal: Flags,
    out: Flags,
) -> None:
    """Fill `out` with the pixels of `use` that have no signal, nor a neighbour with it.

    Parameters
    ----------
    image, use, noise, out : (panels, rows, columns)
    sigmas : a pixel has signal from this many times its noise on
    reach : pixels beyond plus or minus this do not take part, either
    signal : (rows + 2, columns + 2), room for a panel and a rim around it
    """
    panels, rows, columns = image.shape
    signal[:] = False
    for p in range(panels):
        for r in range(rows):
            for c in range(columns):
                signal[r + 1, c + 1] = image[p, r, c] >= sigmas * noise[p, r, c]
        for r in range(rows):
            above, here, below = signal[r], signal[r + 1], signal[r + 2]
            row, row_use, row_out = image[p, r], use[p, r], out[p, r]
            for c in range(columns):
                near = above[c + 1] | below[c + 1] | here[c] | here[c + 1] | here[c + 2]
                row_out[c] = row_use[c] & (abs(row[c]) <= reach) & (not near)


@njit(types.float64(_PANEL_C, _PANEL_USE), fastmath={"reassoc", "nsz"})
def mean(panel: Values, use: Flags) -> Number:
    """Return the mean of the pixels of a panel that are in use, or 0 if none is."""
    rows, columns = panel.shape
    total = 0.0
    count: Number = 0
    for r in range(rows):
        row, row_use = panel[r], use[r]
        in_row = np.int32(0)
        for c in range(columns):
            total += np.float64(row[c] if row_use[c] else np.float32(0))
            in_row += np.int32(row_use[c])
        count += in_row
    return total / max(count, 1)


@njit(
    types.void(
        _WORDS,
        types.uint16,
        types.uint16,
        _TABLE,
        _PLANES,
        _PARTS,
        _LIST,
        types.Array(types.boolean, 1, "C"),
    )
)
def subtract_pedestals(
    words: npt.NDArray[np.uint16],
    data_mask: int,
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    pedestal: Values,
    part: Flags,
    out: Values,
    use: Flags,
) -> None:
    """Fill `out` with ``data - pedestal`` [ADU], and `use` with what takes part.

    Parameters
    ----------
    words, data_mask, gain_bits, plane_of_bits, pedestal, out : as in
        `calibration_kernels.calibrate`
    part : (planes, pixels); pixels that take part in the common mode, by plane
    use : (pixels,)
    """
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
        some, every = np.uint16(0), np.uint16(0xFFFF)
        for i in range(begin, end):
            some = np.uint16(some | words[i])
            every = np.uint16(every & words[i])
        first = plane_of_bits[np.uint16(every & gain_bits) >> _BITS_SHIFT]
        if np.uint16((some ^ every) & gain_bits) == 0 and first >= 0:
            plane, flags = pedestal[first], part[first]
            for i in range(begin, end):
                out[i] = np.float32(words[i] & data_mask) - plane[i]
                use[i] = flags[i]
            continue
        for i in range(begin, end):
            at = plane_of_bits[np.uint16(words[i] & gain_bits) >> _BITS_SHIFT]
            out[i] = 0
            use[i] = False
            if at >= 0:
                out[i] = np.float32(words[i] & data_mask) - pedestal[at, i]
                use[i] = part[at, i]


@njit(types.void(_WORDS, types.uint16, _TABLE, _PLANES, _LIST))
def apply_factors(
    words: npt.NDArray[np.uint16],
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    factor: Values,
    out: Values,
) -> None:
    """Multiply values with the factor of the plane of their word, in place.

    Parameters
    ----------
    words, gain_bits, plane_of_bits, factor, out : as in
        `calibration_kernels.calibrate`; invalid words give 0
    """
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
        some, every = np.uint16(0), np.uint16(0xFFFF)
        for i in range(begin, end):
            some = np.uint16(some | words[i])
            every = np.uint16(every & words[i])
        first = plane_of_bits[np.uint16(every & gain_bits) >> _BITS_SHIFT]
        if np.uint16((some ^ every) & gain_bits) == 0 and first >= 0:
            plane = factor[first]
            for i in range(begin, end):
                out[i] *= plane[i]
            continue
        for i in range(begin, end):
            at = plane_of_bits[np.uint16(words[i] & gain_bits) >> _BITS_SHIFT]
            out[i] = out[i] * factor[at, i] if at >= 0 else np.float32(0)


# -- the peak of the pixels without photons --------------------------------------------


@njit(types.void(_PANEL_C, _PANEL_USE, _COUNTS))
def fill_histogram(panel: Values, use: Flags, histogram: Counts) -> None:
    """Count the values of a panel in bins of 1 ADU, from `HISTOGRAM_LOW` on.

    Values are rounded to the nearest whole number, halves away from 0.
    """
    histogram[:] = 0
    rows, columns = panel.shape
    for r in range(rows):
        for c in range(columns):
            value = panel[r, c]
            if use[r, c] and HISTOGRAM_LOW - 1 < value < HISTOGRAM_HIGH + 1:
                rounded = int(value - 0.5) if value < 0 else int(value + 0.5)
                at = rounded - HISTOGRAM_LOW
                if 0 <= at < histogram.size:
                    histogram[at] += 1
