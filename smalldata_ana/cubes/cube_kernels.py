"""Kernel of the sums in a bin: sum, squares and count of each pixel in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Image = npt.NDArray[np.float32]
Totals = npt.NDArray[np.float64]

_IMAGE = types.Array(types.float32, 1, "C", readonly=True)
_TOTALS = types.Array(types.float64, 1, "C")
_COUNTS = types.Array(types.int32, 1, "C")


@njit(types.void(_IMAGE, _IMAGE, types.float32, _TOTALS, _TOTALS, _COUNTS))
def add_image(
    image: Image,
    low: Image,
    high: np.float32,
    totals: Totals,
    squares: Totals,
    counts: npt.NDArray[np.int32],
) -> None:
    """Add an image to the sums of its bin.

    A pixel that is not finite is left out; one outside of the limits counts as 0.

    Parameters
    ----------
    image : (pixels,)
    low : (pixels,) or (1,), the lowest values that stay
    high : the highest value that stays
    totals : (pixels,), changed
    squares : (pixels,), changed; or (0,): there are none
    counts : (pixels,), changed
    """
    step = 0 if low.size == 1 else 1
    for i in range(image.size):
        value = image[i]
        if not np.isfinite(value):
            continue
        counts[i] += 1
        if value >= low[i * step] and value <= high:
            totals[i] += np.float64(value)
            if squares.size:
                squares[i] += np.float64(value) * np.float64(value)
