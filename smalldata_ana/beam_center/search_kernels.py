"""Kernels of the search for a centre: how sharp the rings are, and where edges point.

The sharpness is a sum over pairs of azimuthal sectors, so that what stands in a single
sector only, as a spot or a corner of the detector, does not count as a ring.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]

SECTORS = 32
"""Azimuthal sectors; they are equal in the angle of a square, not of a circle."""

_PIXELS = types.Array(types.float32, 1, "C", readonly=True)
_CENTERS = types.Array(types.float64, 2, "C", readonly=True)
_RESULT = types.Array(types.float64, 1, "C")


@njit(types.int64(types.float64, types.float64))
def sector(dy: float, dx: float) -> int:
    """Return the azimuthal sector of a direction, 0 to `SECTORS` - 1."""
    around = abs(dy) + abs(dx)
    if around == 0.0:
        return 0
    part = dy / around
    turned = part + 1.0 if dx >= 0.0 else 3.0 - part
    return min(int(turned * (SECTORS / 4)), SECTORS - 1)


@njit(
    types.void(_PIXELS, _PIXELS, _PIXELS, _CENTERS, types.float64, types.int64, _RESULT)
)
def sharpness(
    values: Pixels,
    y: Pixels,
    x: Pixels,
    centers: Floats,
    width: float,
    n_bins: int,
    result: Floats,
) -> None:
    """Compute how far pixels at the same distance from a centre agree.

    The sum over bins of radius and pairs of sectors i != j of S_i S_j / N, where S_i
    is the sum of the values in a sector and N the number in the bin.  Its expectation
    is 0 for any centre if there are no rings.

    Parameters
    ----------
    values, y, x : (pixels,), values with mean 0, and their places
    centers : (centres, 2), row and column
    width : of the bins
    n_bins : number of bins; what is farther out does not count
    result : (centres,), is filled
    """
    sums = np.empty((n_bins, SECTORS))
    counts = np.empty(n_bins)
    inverse = 1.0 / width
    for c in range(centers.shape[0]):
        sums[:] = 0.0
        counts[:] = 0.0
        for i in range(values.size):
            dy = y[i] - centers[c, 0]
            dx = x[i] - centers[c, 1]
            place = math.sqrt(dy * dy + dx * dx) * inverse
            k = int(place)
            if k + 1 >= n_bins:
                continue
            upper = place - k
            s = sector(dy, dx)
            counts[k] += 1.0 - upper
            counts[k + 1] += upper
            sums[k, s] += (1.0 - upper) * values[i]
            sums[k + 1, s] += upper * values[i]
        total = 0.0
        for k in range(n_bins):
            if counts[k] < 1.0:
                continue
            whole = 0.0
            own = 0.0
            for s in range(SECTORS):
                whole += sums[k, s]
                own += sums[k, s] * sums[k, s]
            total += (whole * whole - own) / counts[k]
        result[c] = total


@njit(
    types.void(
        _PIXELS, _PIXELS, _PIXELS, _PIXELS, _PIXELS, _CENTERS, types.float64, _RESULT
    )
)
def votes(
    weights: Pixels,
    y: Pixels,
    x: Pixels,
    normal_y: Pixels,
    normal_x: Pixels,
    centers: Floats,
    tolerance: float,
    result: Floats,
) -> None:
    """Sum the weights of the edges whose normals point to, or away from, a centre.

    Parameters
    ----------
    weights, y, x : (edges,), and their places
    normal_y, normal_x : (edges,), unit vectors across the edges
    centers : (centres, 2), row and column
    tolerance : angle at which an edge counts half [rad]
    result : (centres,), is filled
    """
    inverse = 1.0 / (tolerance * tolerance)
    for c in range(centers.shape[0]):
        total = 0.0
        for i in range(weights.size):
            dy = y[i] - centers[c, 0]
            dx = x[i] - centers[c, 1]
            across = dy * normal_x[i] - dx * normal_y[i]
            distance = dy * dy + dx * dx + 1e-6
            total += weights[i] / (1.0 + across * across / distance * inverse)
        result[c] = total
