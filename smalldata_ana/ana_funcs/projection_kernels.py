"""Kernels of projections: sums along one axis over the pixels that count."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Sums = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_SUMS = types.Array(types.float64, 2, "C")
_COUNTS = types.Array(types.int64, 2, "C")


def _signatures(axes: int) -> list[Any]:
    good = types.Array(types.boolean, axes, "C", readonly=True)
    images = (
        types.Array(value, axes, "C", readonly=True)
        for value in (types.float32, types.float64)
    )
    return [types.void(image, good, _SUMS, _COUNTS) for image in images]


@njit(_signatures(3), fastmath={"reassoc", "nsz"})
def sum_middle(
    image: npt.NDArray[Any], good: npt.NDArray[np.bool_], sums: Sums, counts: Counts
) -> None:
    """Add an image up along its middle axis.

    Parameters
    ----------
    image : (before, n, after)
    good : the same shape; True = use
    sums, counts : (before, after); to them are added the sum and the number of the
        pixels that are good and finite
    """
    before, n, after = image.shape
    for i in range(before):
        for j in range(n):
            for k in range(after):
                value = image[i, j, k]
                use = good[i, j, k] and abs(value) < np.inf
                sums[i, k] += np.float64(value) if use else 0.0
                counts[i, k] += use


@njit(_signatures(2), fastmath={"reassoc", "nsz"})
def sum_last(
    image: npt.NDArray[Any], good: npt.NDArray[np.bool_], sums: Sums, counts: Counts
) -> None:
    """Do the same along the last axis of two.

    Parameters
    ----------
    image, good : (before, n)
    sums, counts : (before, 1)
    """
    before, n = image.shape
    for i in range(before):
        total, count = 0.0, 0
        for k in range(n):
            value = image[i, k]
            use = good[i, k] and abs(value) < np.inf
            total += np.float64(value) if use else 0.0
            count += use
        sums[i, 0] += total
        counts[i, 0] += count
