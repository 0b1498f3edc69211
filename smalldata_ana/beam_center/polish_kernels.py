"""Kernels that polish a centre: sums over the pixels for a fit by least squares.

The model of a pixel is the radial profile at its distance from the centre, changed by
a few terms that are smooth over the detector.  The profile is free: within each bin of
radius, all columns of the fit are taken relative to their mean.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]

COLUMNS = 9
"""The shift of the centre (2), slopes of the intensity (6), and the residual.  For
rings that are ellipses there are more: the shift of their centre with the square of
the radius (2), and the ellipticity (2)."""

_PIXELS = types.Array(types.float32, 1, "C", readonly=True)
_TABLE = types.Array(types.float64, 2, "C", readonly=True)
_VECTOR = types.Array(types.float64, 1, "C")
_SLOPES = types.Array(types.float64, 1, "C", readonly=True)
_FILLED = types.Array(types.float32, 1, "C")
_MATRIX = types.Array(types.float64, 2, "C")
_CUBE = types.Array(types.float64, 3, "C")
_PLACE = (types.float64, types.float64, types.float64)


@njit(types.void(_PIXELS, _PIXELS, _PIXELS, *_PLACE, _SLOPES, _FILLED))
def without_slopes(
    values: Pixels,
    y: Pixels,
    x: Pixels,
    row: float,
    col: float,
    reach: float,
    slopes: Floats,
    result: Pixels,
) -> None:
    """Take the slopes of the intensity out of pixels.

    Parameters
    ----------
    values, y, x : (pixels,), and their places
    row, col : the centre
    reach : length by which places are divided
    slopes : (6,), of y, x, y^2 - x^2 and y x as factors, and of y and x as summands
    result : (pixels,), is filled
    """
    for i in range(values.size):
        v = (y[i] - row) / reach
        u = (x[i] - col) / reach
        factor = 1.0 + slopes[0] * v + slopes[1] * u
        factor += slopes[2] * (v * v - u * u) + slopes[3] * v * u
        rest = values[i] - slopes[4] * v - slopes[5] * u
        result[i] = rest / min(max(factor, 0.2), 5.0)


@njit(types.void(_PIXELS, _PIXELS, *_PLACE, _SLOPES, _FILLED, _FILLED))
def straightened(
    y: Pixels,
    x: Pixels,
    row: float,
    col: float,
    reach: float,
    bends: Floats,
    new_y: Pixels,
    new_x: Pixels,
) -> None:
    """Move pixels to where they would be if the rings were circles about the centre.

    Parameters
    ----------
    y, x : places, (pixels,)
    row, col : the centre
    reach : length by which places are divided
    bends : (4,), see `polishing`
    new_y, new_x : (pixels,), are filled
    """
    for i in range(y.size):
        dy = y[i] - row
        dx = x[i] - col
        square = max(dy * dy + dx * dx, 1e-12)
        factor = 1.0 + bends[2] * (dy * dy - dx * dx) / square
        factor += bends[3] * 2.0 * dy * dx / square
        factor /= max(1.0 + (bends[0] * dy + bends[1] * dx) / reach, 0.2)
        new_y[i] = row + factor * dy
        new_x[i] = col + factor * dx


@njit(types.void(_PIXELS, _PIXELS, _PIXELS, *_PLACE, _TABLE, _CUBE))
def radial_sums(
    values: Pixels,
    y: Pixels,
    x: Pixels,
    row: float,
    col: float,
    width: float,
    profile: Floats,
    sums: Floats,
) -> None:
    """Sum pixels by sector of azimuth and bin of radius, split between two bins.

    Parameters
    ----------
    values, y, x : (pixels,), and their places
    row, col : the centre
    width : of the bins
    profile : (bins, 4); pixels that are farther from it than its limit do not count,
        see `normal_sums`
    sums : (sectors, bins, 3), gets the weights, and the sums of values and squares;
        the sectors are equal in angle and begin at -180 deg
    """
    sectors, n_bins = sums.shape[0], sums.shape[1]
    per_angle = sectors / (2 * math.pi)
    for i in range(values.size):
        dy = y[i] - row
        dx = x[i] - col
        place = math.sqrt(dy * dy + dx * dx) / width
        k = int(place)
        if k + 1 >= n_bins:
            continue
        upper = place - k
        value = np.float64(values[i])
        expected = profile[k, 0] * (1.0 - upper) + profile[k + 1, 0] * upper
        if abs(value - expected) > profile[k, 2]:
            continue
        s = min(int((math.atan2(dy, dx) + math.pi) * per_angle), sectors - 1)
        sums[s, k, 0] += 1.0 - upper
        sums[s, k, 1] += (1.0 - upper) * value
        sums[s, k, 2] += (1.0 - upper) * value * value
        sums[s, k + 1, 0] += upper
        sums[s, k + 1, 1] += upper * value
        sums[s, k + 1, 2] += upper * value * value


@njit(
    types.int64(
        types.float32, types.float64, types.float64, *_PLACE[:2], _TABLE, _VECTOR
    )
)
def _columns(
    value: float,
    dy: float,
    dx: float,
    width: float,
    reach: float,
    profile: Floats,
    g: Floats,
) -> int:
    """Fill the columns of a pixel; return its bin, or -1 if it does not count."""
    r = max(math.sqrt(dy * dy + dx * dx), 1e-6)
    place = r / width
    k = int(place)
    if k + 1 >= profile.shape[0]:
        return -1
    upper = place - k
    f = profile[k, 0] * (1.0 - upper) + profile[k + 1, 0] * upper
    slope = profile[k, 1] * (1.0 - upper) + profile[k + 1, 1] * upper
    if abs(value - f) > profile[k, 2] or profile[k, 3] == 0.0:
        return -1
    y = dy / reach
    x = dx / reach
    g[0] = -slope * dy / r
    g[1] = -slope * dx / r
    g[2] = f * y
    g[3] = f * x
    g[4] = f * (y * y - x * x)
    g[5] = f * y * x
    g[6] = y
    g[7] = x
    g[8] = value - f
    if g.size > COLUMNS:
        g[9] = -slope * r * y
        g[10] = -slope * r * x
        g[11] = slope * (dy * dy - dx * dx) / r
        g[12] = slope * 2.0 * dy * dx / r
    return k


@njit(
    types.void(
        _PIXELS, _PIXELS, _PIXELS, *_PLACE, types.float64, _TABLE, _MATRIX, _MATRIX
    )
)
def normal_sums(
    values: Pixels,
    y: Pixels,
    x: Pixels,
    row: float,
    col: float,
    width: float,
    reach: float,
    profile: Floats,
    bins: Floats,
    matrix: Floats,
) -> None:
    """Sum the columns of the fit, by bin, and their products.

    Parameters
    ----------
    values, y, x : (pixels,), and their places
    row, col : the centre
    width : of the bins
    reach : length by which places are divided
    profile : (bins, 4): intensity, its slope by radius, how far a pixel may be from
        it, and the weight of the pixels
    bins : (bins, 1 + columns), gets the number of pixels and the sums of columns
    matrix : (columns, columns), gets the weighted products in its lower triangle; its
        size tells whether there are more than `COLUMNS`
    """
    columns = matrix.shape[0]
    g = np.empty(columns)
    for i in range(values.size):
        k = _columns(values[i], y[i] - row, x[i] - col, width, reach, profile, g)
        if k < 0:
            continue
        weight = profile[k, 3]
        bins[k, 0] += 1.0
        for a in range(columns):
            bins[k, 1 + a] += g[a]
            weighted = weight * g[a]
            for b in range(a + 1):
                matrix[a, b] += weighted * g[b]


@njit(
    types.void(
        _PIXELS,
        _PIXELS,
        _PIXELS,
        *_PLACE,
        types.float64,
        _TABLE,
        _TABLE,
        _TABLE,
        types.int64,
        types.int64,
        _MATRIX,
    )
)
def tile_scores(
    values: Pixels,
    y: Pixels,
    x: Pixels,
    row: float,
    col: float,
    width: float,
    reach: float,
    profile: Floats,
    means: Floats,
    mixing: Floats,
    tile: int,
    tiles_across: int,
    scores: Floats,
) -> None:
    """Sum, over each tile of the detector, what its pixels say of the centre.

    Parameters
    ----------
    values, y, x, row, col, width, reach, profile : as in `normal_sums`
    means : (bins, columns) of the columns
    mixing : (motions + 1, columns), what of the columns is the shift of the row, of the
        column, what else moves the rings, and the residual
    tile : edge of a tile
    tiles_across : number of tiles in a row of the detector
    scores : (tiles, motions), gets the sums of weight, residual and motion
    """
    motions, columns = scores.shape[1], mixing.shape[1]
    tiles_down = scores.shape[0] // tiles_across
    g = np.empty(columns)
    mixed = np.empty(motions + 1)
    for i in range(values.size):
        k = _columns(values[i], y[i] - row, x[i] - col, width, reach, profile, g)
        if k < 0:
            continue
        for a in range(motions + 1):
            mixed[a] = 0.0
            for b in range(columns):
                mixed[a] += mixing[a, b] * (g[b] - means[k, b])
        # Places that were straightened may lie beyond the edge.
        down = min(max(int(y[i]) // tile, 0), tiles_down - 1)
        across = min(max(int(x[i]) // tile, 0), tiles_across - 1)
        t = down * tiles_across + across
        for a in range(motions):
            scores[t, a] += profile[k, 3] * mixed[motions] * mixed[a]
