"""Kernel of the sums over events: all sums of a detector in one pass of an image.

The image goes through in blocks that stay in the cache with their intermediate
values, and each loop over a block is without branches, so that it is vectorized.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Image = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

PLAIN, SQUARE, HITS = 0, 1, 2
"""What is made of a pixel's value before it is accumulated."""

_BLOCK = 1024

_IMAGE = types.Array(types.float32, 1, "C", readonly=True)
_LIMITS = types.Array(types.float32, 1, "C", readonly=True)
_INTEGERS = types.Array(types.int64, 1, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
_VALUES = types.Array(types.float64, 1, "C")
_TOTALS = types.Array(types.float64, 2, "C")


@njit(types.void(_IMAGE, types.float32, types.int64, _VALUES))
def _values_of(image: Image, limit: np.float32, what: int, out: Values) -> None:
    """Fill `out` with what is accumulated of a block; below `limit` that is 0."""
    if what == HITS:
        for i in range(image.size):
            value = np.float32(0) if image[i] < limit else image[i]
            out[i] = 1.0 if value > 0 else 0.0
    elif what == SQUARE:
        for i in range(image.size):
            value = np.float64(0) if image[i] < limit else np.float64(image[i])
            out[i] = value * value
    else:
        for i in range(image.size):
            out[i] = np.float64(0) if image[i] < limit else np.float64(image[i])


@njit(types.void(_VALUES, types.boolean, _VALUES))
def _accumulate(values: Values, maximum: bool, total: Values) -> None:
    if maximum:
        for i in range(total.size):
            total[i] = values[i] if values[i] > total[i] else total[i]
    else:
        for i in range(total.size):
            total[i] += values[i]


@njit(types.void(_IMAGE, _VALUES))
def _add(image: Image, total: Values) -> None:
    """Add a block as it is, which is what most sums are: one pass less."""
    for i in range(total.size):
        total[i] += image[i]


@njit(types.void(_IMAGE, _INTEGERS, _LIMITS, _INTEGERS, _FLAGS, _TOTALS))
def add_image(
    image: Image,
    rows: npt.NDArray[np.int64],
    limits: Image,
    what: npt.NDArray[np.int64],
    maximum: npt.NDArray[np.bool_],
    totals: Values,
) -> None:
    """Add an image to several sums, or take its pixels' maxima.

    Parameters
    ----------
    image : (pixels,)
    rows : the sums of `totals` that it belongs to
    limits : (sums,), values below count as 0; minus infinity for no limit
    what : (sums,), `PLAIN`, `SQUARE` or `HITS` (1 where the value is above 0)
    maximum : (sums,), True for the largest value instead of the sum
    totals : (sums, pixels); the rows are changed
    """
    values = np.empty(_BLOCK, np.float64)
    for begin in range(0, image.size, _BLOCK):
        end = min(begin + _BLOCK, image.size)
        part = values[: end - begin]
        for row in rows:
            total = totals[row, begin:end]
            if what[row] == PLAIN and limits[row] == -np.inf and not maximum[row]:
                _add(image[begin:end], total)
                continue
            _values_of(image[begin:end], limits[row], what[row], part)
            _accumulate(part, maximum[row], total)
