"""Kernels of the streaming statistics: one pass over one image each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Image = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

_IMAGE = types.Array(types.float32, 1, "C", readonly=True)
_FILLED = types.Array(types.float32, 1, "C")
_SUMS = types.Array(types.float64, 1, "C")
_GOOD = types.Array(types.boolean, 1, "C", readonly=True)
_TOTALS = types.Array(types.int64, 1, "C")
_COUNTS = (types.Array(types.uint16, 2, "C"), types.Array(types.uint32, 2, "C"))


@njit(types.void(_SUMS, _IMAGE, types.int64))
def add_to_mean(mean: Sums, image: Image, count: int) -> None:
    """Add an image to the mean of the images before; (pixels,) each.

    Parameters
    ----------
    mean : of the images before; it is changed
    image : the new one
    count : number of images, with this one
    """
    weight = 1.0 / count
    for i in range(image.size):
        mean[i] += (image[i] - mean[i]) * weight


@njit(types.void(_SUMS, _SUMS, _IMAGE, types.int64))
def add_to_moments(mean: Sums, squares: Sums, image: Image, count: int) -> None:
    """Add an image to the mean and to the sum of squares about it.

    Welford's update (Technometrics 4 (1962) 419): it stays exact where the mean is
    many times larger than the deviation.

    Parameters
    ----------
    mean, squares : (pixels,), of the images before; both are changed
    image : (pixels,)
    count : number of images, with this one
    """
    weight = 1.0 / count
    for i in range(image.size):
        value = np.float64(image[i])
        before = value - mean[i]
        mean[i] += before * weight
        squares[i] += before * (value - mean[i])


@njit([types.void(counts, _IMAGE, _IMAGE, _IMAGE) for counts in _COUNTS])
def add_to_histograms(counts: Counts, low: Image, width: Image, image: Image) -> None:
    """Count the value of each pixel in the pixel's own histogram.

    Parameters
    ----------
    counts : (pixels, bins + 2); the first and the last column count what is below and
        above the range
    low, width : (pixels,), begin of the first bin, and width of a bin
    image : (pixels,)
    """
    bins = counts.shape[1] - 2
    for i in range(image.size):
        place = (np.float64(image[i]) - low[i]) / width[i]
        if place < 0:
            counts[i, 0] += 1
        elif place < bins:
            counts[i, 1 + np.int64(place)] += 1
        else:
            counts[i, bins + 1] += 1


@njit(
    [
        types.void(counts, _IMAGE, _IMAGE, types.int64, _FILLED, _FILLED)
        for counts in _COUNTS
    ]
)
def medians_of_histograms(
    counts: Counts,
    low: Image,
    width: Image,
    total: int,
    median: Image,
    error: Image,
) -> None:
    """Find the median of each pixel in its histogram.

    Parameters
    ----------
    counts, low, width : see `add_to_histograms`
    total : number of values of each pixel
    median, error : (pixels,), filled: the mean of the centres of the bins of the two
        middle values, and half a bin, or infinity where one of them is out of range
    """
    bins = counts.shape[1] - 2
    for i in range(median.size):
        seen = 0
        lower = -1
        upper = -1
        for k in range(bins + 2):
            seen += counts[i, k]
            if lower < 0 and seen > (total - 1) // 2:
                lower = k
            if seen > total // 2:
                upper = k
                break
        half = np.float64(width[i]) / 2
        median[i] = low[i] + half * (lower + upper - 1)
        error[i] = half if lower > 0 and upper <= bins else np.inf


@njit(types.void(_TOTALS, types.float64, types.float64, _IMAGE, _GOOD))
def count_values(
    totals: npt.NDArray[np.int64],
    low: float,
    width: float,
    image: Image,
    good: npt.NDArray[np.bool_],
) -> None:
    """Count the values of an image's good pixels in one histogram; NaN in none.

    Parameters
    ----------
    totals : (bins + 2,); the first and the last count what is below and above
    low, width : begin of the first bin, and width of a bin
    image, good : (pixels,)
    """
    bins = totals.size - 2
    for i in range(image.size):
        if not good[i]:
            continue
        place = (np.float64(image[i]) - low) / width
        if place < 0:
            totals[0] += 1
        elif place < bins:
            totals[1 + np.int64(place)] += 1
        elif place >= bins:
            totals[bins + 1] += 1
