"""Kernels of azimuthal averages: sums over the pixels of each bin.

Pixels are scattered into their bins.  Neighbours often belong to the same bin, and an
addition would wait for the one before it; so there are several accumulators for every
bin, used in turn.  Pixels that do not count have a bin of their own after the others,
which is cheaper than to leave them out.  Values that are not finite are looked for in
a whole block at once, and only a block that holds one is gone through pixel by pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Image = npt.NDArray[Any]
Index = npt.NDArray[Any]
Response = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]

LANES = 4
"""Accumulators for the sum of a bin."""

MOMENT_LANES = 2
"""Accumulators for the moments of a bin."""

_BLOCK = 512

_RESPONSE = types.Array(types.float32, 1, "C", readonly=True)
_SUMS = types.Array(types.float64, 2, "C")
_MOMENTS = types.Array(types.float64, 3, "C")
_PIXELS = [
    (types.Array(v, 1, "C", readonly=True), types.Array(bins, 1, "C", readonly=True))
    for v in (types.float32, types.float64)
    for bins in (types.uint16, types.uint32)
]


@njit()
def _all_finite(values: Image) -> bool:
    wrong = 0
    for i in range(values.size):  # over values themselves, it is not vectorized
        wrong += values[i] - values[i] != 0
    return wrong == 0


@njit()
def _take_out(
    values: Image, bins: Index, response: Response, clean: Image, lost: Sums
) -> None:
    """Copy a block with 0 for what is not finite, and count that as lost."""
    for i in range(values.size):
        if np.isfinite(values[i]):
            clean[i] = values[i]
            continue
        factor = np.float64(response[i])
        clean[i] = 0
        lost[0, bins[i]] += 1
        lost[1, bins[i]] += factor
        lost[2, bins[i]] += factor * factor


@njit()
def _scatter(values: Image, bins: Index, sums: Sums) -> None:
    first, second, third, fourth = sums[0], sums[1], sums[2], sums[3]
    whole = values.size // 4 * 4
    for i in range(0, whole, 4):
        first[bins[i]] += values[i]
        second[bins[i + 1]] += values[i + 1]
        third[bins[i + 2]] += values[i + 2]
        fourth[bins[i + 3]] += values[i + 3]
    for i in range(whole, values.size):
        first[bins[i]] += values[i]


@njit()
def _scatter_moments(
    values: Image, bins: Index, response: Response, moments: Sums
) -> None:
    even, odd = moments[0], moments[1]
    for i in range(0, values.size // 2 * 2, 2):
        value, place = np.float64(values[i]), bins[i]
        even[place, 0] += value
        even[place, 1] += value * value
        even[place, 2] += value * response[i]
        value, place = np.float64(values[i + 1]), bins[i + 1]
        odd[place, 0] += value
        odd[place, 1] += value * value
        odd[place, 2] += value * response[i + 1]
    if values.size % 2:
        value, place = np.float64(values[-1]), bins[-1]
        even[place, 0] += value
        even[place, 1] += value * value
        even[place, 2] += value * response[-1]


@njit([types.void(*pixels, _RESPONSE, _SUMS, _SUMS) for pixels in _PIXELS])
def add_values(
    image: Image, index: Index, response: Response, sums: Sums, lost: Sums
) -> None:
    """Sum the values of the pixels of each bin.

    Parameters
    ----------
    image : float32 or float64, (pixels,)
    index : bin of each pixel, uint16 or uint32, (pixels,)
    response : float32, (pixels,)
    sums : filled, (LANES, bins); the sum of a bin is that over its lanes
    lost : filled with number, response and squared response of the pixels of each bin
        that are not finite and were left out, (3, bins)
    """
    sums[:] = 0
    lost[:] = 0
    clean = np.empty(_BLOCK, image.dtype)
    for begin in range(0, image.size, _BLOCK):
        values = image[begin : begin + _BLOCK]
        bins = index[begin : begin + _BLOCK]
        if _all_finite(values):
            _scatter(values, bins, sums)
        else:
            part = clean[: values.size]
            _take_out(values, bins, response[begin : begin + _BLOCK], part, lost)
            _scatter(part, bins, sums)


@njit([types.void(*pixels, _RESPONSE, _MOMENTS, _SUMS) for pixels in _PIXELS])
def add_moments(
    image: Image, index: Index, response: Response, moments: Sums, lost: Sums
) -> None:
    """Sum values, their squares, and their products with the response, of each bin.

    Parameters
    ----------
    image, index, response, lost : as in `add_values`
    moments : filled, (MOMENT_LANES, bins, 3): value, square and product in the last
        axis; the sum of a bin is that over its lanes
    """
    moments[:] = 0
    lost[:] = 0
    clean = np.empty(_BLOCK, image.dtype)
    for begin in range(0, image.size, _BLOCK):
        values = image[begin : begin + _BLOCK]
        bins = index[begin : begin + _BLOCK]
        factors = response[begin : begin + _BLOCK]
        if _all_finite(values):
            _scatter_moments(values, bins, factors, moments)
        else:
            part = clean[: values.size]
            _take_out(values, bins, factors, part, lost)
            _scatter_moments(part, bins, factors, moments)
