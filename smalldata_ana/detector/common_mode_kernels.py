"""Kernels of the common-mode corrections: what takes part, and the subtraction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.detector.median_kernels import LANES, column_medians, row_medians
from smalldata_ana.kernels import njit

Values = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]
Number = Any
"""A float32 or int32; to numba, which of them is in the signature of the kernel."""

HISTOGRAM_LOW = -1000
HISTOGRAM_HIGH = 2000
"""Range of the histogram in which a zero-photon peak is looked for [ADU]; psana's."""

_FAR = np.float32(100)
"""Medians are first looked for between plus and minus this [ADU]."""
_INFINITY = np.float32(np.inf)

_LIST = types.Array(types.float32, 1, "C")
_ROW_USE = types.Array(types.boolean, 1, "C", readonly=True)
_IMAGE = types.Array(types.float32, 3, "C")
_PANEL = types.Array(types.float32, 2, "C")
_COUNTS = types.Array(types.int32, 1, "C")
_USE = types.Array(types.boolean, 3, "C", readonly=True)
_PANEL_USE = types.Array(types.boolean, 2, "C", readonly=True)
_NOISE = types.Array(types.float32, 3, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 3, "C")


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


@njit(types.float64(_PANEL, _PANEL_USE), fastmath={"reassoc", "nsz"})
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


# -- the peak of the pixels without photons --------------------------------------------


@njit(types.void(_PANEL, _PANEL_USE, _COUNTS))
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


# -- subtraction of medians -----------------------------------------------------------


@njit(types.int32(_LIST, _ROW_USE, types.float32, _LIST))
def _copy_used(row: Values, use: Flags, reach: Number, copy: Values) -> Number:
    """Copy a row, with infinity for what does not take part; return how many do."""
    count = np.int32(0)
    for c in range(copy.size):
        taken = use[c] & (abs(row[c]) <= reach)
        copy[c] = row[c] if taken else _INFINITY
        count += np.int32(taken)
    return count


@njit(types.void(_LIST, _ROW_USE, types.boolean, types.float32))
def _subtract(row: Values, use: Flags, only_used: bool, amount: Number) -> None:
    for c in range(row.size):
        row[c] -= amount if use[c] | (not only_used) else np.float32(0)


@njit(types.void(_LIST, _ROW_USE, types.boolean, _LIST))
def _subtract_each(row: Values, use: Flags, only_used: bool, amount: Values) -> None:
    for c in range(row.size):
        row[c] -= amount[c] if use[c] | (not only_used) else np.float32(0)


_LIMITS = types.Tuple(  # type: ignore[no-untyped-call]
    (types.float32, types.float32, types.int64, types.boolean)
)
"""`reach`, `limit`, `least` and `only_used` of `subtract_medians`."""
Limits = tuple[Number, Number, int, bool]


@njit(types.void(_PANEL, _PANEL_USE, types.int64, types.int64, _LIMITS, _LIST))
def _subtract_from_blocks(
    panel: Values, use: Flags, rows: int, columns: int, limits: Limits, scratch: Values
) -> None:
    """Work on the blocks one below the other, `LANES` at once."""
    reach, limit, least, only_used = limits
    guess = min(reach, limit, _FAR)
    size = rows * columns
    used = np.empty(LANES, np.int32)
    amount = np.empty(LANES, np.float32)
    down = panel.shape[0] // rows
    for first in range(0, down, LANES):
        blocks = min(LANES, down - first)
        values = scratch[: blocks * size].reshape(blocks, size)
        for c in range(0, panel.shape[1], columns):
            used[:] = 0
            for k in range(blocks * rows):
                r, i, at = first * rows + k, k // rows, k % rows * columns
                row, row_use = panel[r, c : c + columns], use[r, c : c + columns]
                used[i] += _copy_used(row, row_use, reach, values[i, at : at + columns])
            row_medians(values, used[:blocks], guess, amount[:blocks])
            for k in range(blocks * rows):
                r, i = first * rows + k, k // rows
                if used[i] >= least and abs(amount[i]) <= limit:
                    row, row_use = panel[r, c : c + columns], use[r, c : c + columns]
                    _subtract(row, row_use, only_used, amount[i])


@njit(types.void(_PANEL, _PANEL_USE, types.int64, _LIMITS, _LIST))
def _subtract_from_columns(
    panel: Values, use: Flags, rows: int, limits: Limits, scratch: Values
) -> None:
    """Work on blocks of one column, side by side, which is faster."""
    reach, limit, least, only_used = limits
    guess = min(reach, limit, _FAR)
    lanes = math.gcd(panel.shape[1], LANES)
    values = scratch[: rows * lanes].reshape(rows, lanes)
    one = scratch[rows * lanes : rows * (lanes + 1)]
    used = np.empty(lanes, np.int32)
    amount = np.empty(lanes, np.float32)
    for r in range(0, panel.shape[0], rows):
        for c in range(0, panel.shape[1], lanes):
            used[:] = 0
            for k in range(rows):
                row, row_use = panel[r + k, c : c + lanes], use[r + k, c : c + lanes]
                _copy_used(row, row_use, reach, values[k])
                for i in range(lanes):
                    used[i] += np.int32(values[k, i] < _INFINITY)
            column_medians(values, used, guess, one, amount)
            for i in range(lanes):
                if used[i] < least or not abs(amount[i]) <= limit:
                    amount[i] = 0
            for k in range(rows):
                row, row_use = panel[r + k, c : c + lanes], use[r + k, c : c + lanes]
                _subtract_each(row, row_use, only_used, amount)


@njit(
    types.void(
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
)
def subtract_medians(
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
    scratch : room for `LANES` blocks, or as many as are side by side, and one more
    """
    limits = (reach, limit, least, only_used)
    for p in range(image.shape[0]):
        if columns == 1:
            _subtract_from_columns(image[p], use[p], rows, limits, scratch)
        else:
            _subtract_from_blocks(image[p], use[p], rows, columns, limits, scratch)
