"""Kernels of the dark frames: one pass over one frame each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Values = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint32]

_VALUES = types.Array(types.float32, 1, "C", readonly=True)
_SUMS = types.Array(types.float64, 1, "C")
_COUNTS = types.Array(types.uint32, 1, "C")


@njit(types.void(_VALUES, _VALUES, _VALUES, _SUMS))
def compare(values: Values, centre: Values, width: Values, found: Sums) -> None:
    """Compare a frame with the usual values of its pixels.

    Parameters
    ----------
    values : (pixels,), NaN where a pixel does not count
    centre, width : (pixels,), the usual value, and how far from it a value may be
    found : (3,), filled: the number of pixels that count, how many of them are too far
        away, and the sum of the differences, each cut at the width
    """
    seen = 0
    outside = 0
    shift = 0.0
    for i in range(values.size):
        difference = np.float64(values[i]) - centre[i]
        if np.isnan(difference):
            continue
        seen += 1
        if difference > width[i]:
            outside += 1
            shift += width[i]
        elif difference < -width[i]:
            outside += 1
            shift -= width[i]
        else:
            shift += difference
    found[0] = seen
    found[1] = outside
    found[2] = shift


@njit(types.void(_VALUES, _VALUES, _VALUES, _COUNTS, _COUNTS, _COUNTS, _SUMS, _SUMS))
def add(
    values: Values,
    centre: Values,
    width: Values,
    count: Counts,
    above: Counts,
    below: Counts,
    sums: Sums,
    squares: Sums,
) -> None:
    """Add a frame to the statistics of its pixels, without the values far away.

    Parameters
    ----------
    values, centre, width : see `compare`
    count, above, below : (pixels,), changed: values used, and those too high, too low
    sums, squares : (pixels,), changed: of the differences to the centre
    """
    for i in range(values.size):
        difference = np.float64(values[i]) - centre[i]
        if np.isnan(difference):
            continue
        if difference > width[i]:
            above[i] += 1
        elif difference < -width[i]:
            below[i] += 1
        else:
            count[i] += 1
            sums[i] += difference
            squares[i] += difference * difference
