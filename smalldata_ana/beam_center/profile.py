"""The radial profile about a centre, and how far it can be smoothed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.preparation import Pixels, outlier_limits
from smalldata_ana.beam_center.results import Center

Floats = npt.NDArray[np.float64]

SECTORS = 32
"""Azimuthal sectors of a profile."""
ENOUGH = 16
"""Fewer pixels in a bin of radius say nothing."""

_SMOOTHINGS = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""Standard deviations of the Gaussians that are tried [bins]."""
_LEAST_SMOOTHING = 0.7
"""That of the slope between neighbours [bins]."""
_NEAR = 2.0
"""Over how many bins the variance of pixels is the same, at least."""
_TINY = 1e-30
_GAINS = 0.5, 2.0


@dataclass(frozen=True, eq=False)
class Profile:
    """The radial profile about a centre.

    Attributes
    ----------
    width : of a bin; bin k is at k times the width [px]
    sums : (sectors, bins, 3), weights, values and squares of the pixels
    smoothing : with which the slopes of one half of the sectors are most like those of
        the other [bins]
    gain : by how much slopes are larger than those of the smoothed profile
    """

    width: float
    sums: Floats
    smoothing: float
    gain: float

    @classmethod
    def about(
        cls, pixels: Pixels, center: Center, n_bins: int, table: Floats | None = None
    ) -> Self:
        """Return the profile about a centre.

        Parameters
        ----------
        pixels : of the image
        center : row and column [px]
        n_bins : each as wide as a pixel
        table : of the profile before; pixels that are far from it are left out
        """
        from smalldata_ana.beam_center.polish_kernels import radial_sums

        if table is None:
            table = np.zeros((n_bins, 4))
            table[:, 2] = np.inf
        sums = np.zeros((SECTORS, n_bins, 3))
        width = float(pixels.width)
        radial_sums(pixels.values, pixels.y, pixels.x, *center, width, table, sums)
        return cls(width, sums, *_best_smoothing(sums))

    @cached_property
    def whole(self) -> Floats:
        """Sums over all sectors, (bins, 3)."""
        whole: Floats = self.sums.sum(axis=0)
        return whole

    @property
    def counts(self) -> Floats:
        """Number of pixels in each bin."""
        return self.whole[:, 0]

    @cached_property
    def intensity(self) -> Floats:
        """Mean of the pixels in each bin, 0 where there are none."""
        return mean(self.whole)

    @cached_property
    def variance(self) -> Floats:
        """Variance of the pixels in each bin."""
        return _variance(self.whole, self.smoothing)

    @cached_property
    def smooth(self) -> Floats:
        """The intensity, smoothed."""
        return smoothed(self.whole, self.smoothing)

    @cached_property
    def error(self) -> Floats:
        """Standard error of the smoothed intensity in each bin."""
        averaged = max(2 * math.sqrt(math.pi) * self.smoothing, 1.0)
        variance = self.variance / np.maximum(self.counts, _TINY) / averaged
        return np.sqrt(variance)

    def table(self) -> Floats:
        """Return what the kernels need; see `polish_kernels.normal_sums`."""
        enough = self.counts >= ENOUGH
        limits = np.full(len(enough), np.inf)
        weights = np.zeros(len(enough))
        if enough.any():
            variance = self.variance[enough]
            floor = 1e-3 * float(np.median(variance)) + _TINY
            limits[enough] = outlier_limits(variance, self.intensity[enough])
            weights[enough] = 1 / np.maximum(variance, floor)
        slope = _slope(self.whole, self.smoothing) / self.width
        return np.stack([self.intensity, slope, limits, weights], axis=1)


def mean(sums: Floats) -> Floats:
    """Return the mean of the pixels in each bin of sums (bins, 3)."""
    means: Floats = sums[:, 1] / np.maximum(sums[:, 0], 1e-9)
    return means


def smoothed(sums: Floats, smoothing: float) -> Floats:
    """Return the profile of sums (bins, 3), smoothed by a Gaussian [bins].

    A line is fitted under the Gaussian, so that the slope is kept at the ends.
    """
    if not smoothing:
        return mean(sums)
    place = np.arange(len(sums), dtype=float)
    density = sums[:, 0] / np.maximum(sums[:, 0].max(), 1e-9)
    value = mean(sums)
    m0, m1, m2, v0, v1 = (
        _gaussian(density * factor, smoothing)
        for factor in (1, place, place**2, value, value * place)
    )
    m0 = np.maximum(m0, 1e-12)
    middle = m1 / m0
    spread = m2 / m0 - middle**2
    slope = (v1 / m0 - middle * v0 / m0) / np.maximum(spread, 0.25)
    smooth: Floats = v0 / m0 + slope * (place - middle)
    return smooth


def _gaussian(values: Floats, sigma: float) -> Floats:
    from scipy import ndimage

    smooth: Floats = ndimage.gaussian_filter1d(
        values, sigma, mode="constant", truncate=3
    )
    return smooth


def _variance(sums: Floats, smoothing: float) -> Floats:
    """Return the variance of the pixels in each bin and its neighbours."""
    near = max(smoothing, _NEAR)
    counts = np.maximum(sums[:, 0], 1e-9)
    spread = np.maximum(sums[:, 2] / counts - mean(sums) ** 2, 0)
    variance: Floats = _gaussian(spread * counts, near) / np.maximum(
        _gaussian(counts, near), _TINY
    )
    return variance


def _slope(sums: Floats, smoothing: float) -> Floats:
    """Return the slope of a profile, less where it may be noise [1/bin].

    It is multiplied by the share of signal in its mean square nearby (Wiener's
    filter).
    """
    slope: Floats = np.gradient(smoothed(sums, smoothing))
    width = max(smoothing, _LEAST_SMOOTHING)
    noise = _variance(sums, smoothing) / np.maximum(sums[:, 0], 1e-9)
    noise /= 4 * math.sqrt(math.pi) * width**3
    seen = np.maximum(_gaussian(slope**2, 2 * width), _TINY)
    share = 1 - np.minimum(_gaussian(noise, 2 * width) / seen, 1)
    shrunk: Floats = slope * share
    return shrunk


def _best_smoothing(sums: Floats) -> tuple[float, float]:
    """Return the smoothing by which the slopes of half the sectors tell the others'.

    The slopes weight the pixels in the fit of the centre, whose error is least where
    they are most like the true ones.

    Returns
    -------
    smoothing : standard deviation of the Gaussian [bins]
    gain : true slope by smoothed one, as the halves tell
    """
    halves = sums[0::2].sum(axis=0), sums[1::2].sum(axis=0)
    a, b = halves[0][:, 0], halves[1][:, 0]
    weight = a * b / np.maximum(a + b, 1e-9) * ((a > ENOUGH) & (b > ENOUGH))
    if not weight.any():
        return 0.0, 1.0
    variance = _variance(sums.sum(axis=0), 0)
    floor = 1e-3 * float(np.median(variance[weight > 0])) + _TINY
    weight /= np.maximum(variance, floor)
    raw = [np.gradient(mean(half)) for half in halves]

    def products(smoothing: float) -> tuple[float, float]:
        slopes = [_slope(half, smoothing) for half in halves]
        own = sum(float(np.sum(weight * slope**2)) for slope in slopes)
        pairs = zip(slopes, raw[::-1], strict=True)
        both = sum(float(np.sum(weight * slope * other)) for slope, other in pairs)
        return both, own or 1.0

    found = {smoothing: products(smoothing) for smoothing in _SMOOTHINGS}
    best = max(found, key=lambda s: found[s][0] / math.sqrt(found[s][1]))
    both, own = found[best]
    return best, min(max(both / own, _GAINS[0]), _GAINS[1])
