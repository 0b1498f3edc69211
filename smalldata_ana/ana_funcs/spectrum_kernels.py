"""Kernel of histograms with bins of one width."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

_GOOD = types.Array(types.boolean, 1, "C", readonly=True)
_EDGES = types.Array(types.float64, 1, "C", readonly=True)
_COUNTS = types.Array(types.int64, 1, "C")

_SIGNATURES = [
    types.void(types.Array(value, 1, "C", readonly=True), _GOOD, _EDGES, _COUNTS)
    for value in (types.float32, types.float64)
]


@njit(_SIGNATURES)
def count_values(
    image: npt.NDArray[Any],
    good: npt.NDArray[np.bool_],
    edges: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
) -> None:
    """Count the good pixels whose value is in each bin.

    Parameters
    ----------
    image : (pixels,); what is not finite is in no bin
    good : (pixels,), True = use
    edges : (bins + 1,), in equal steps
    counts : (bins,); to it is added the number of pixels with
        ``edges[i] <= value < edges[i + 1]``, and in the last bin also of its upper edge
    """
    last = counts.size - 1
    low, high = edges[0], edges[-1]
    scale = counts.size / (high - low)
    for i in range(image.size):
        value = np.float64(image[i])
        if good[i] and low <= value <= high:
            n = min(int((value - low) * scale), last)
            # The product is rounded, so that it may be beside the bin.
            if value < edges[n]:
                n -= 1
            elif n < last and value >= edges[n + 1]:
                n += 1
            counts[n] += 1
