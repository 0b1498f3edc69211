"""Whether all directions from a centre see the same rings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.profile import Profile, mean, smoothed

Floats = npt.NDArray[np.float64]

_ENOUGH = 4
"""Fewer pixels in a bin of radius of a sector say nothing."""
_FEWEST_BINS = 20
_FEWEST_SECTORS = 3
_SLOW = 12
"""A profile's part that is smooth over this share of its length is not rings."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """How the profile of each sector follows that of all others.

    Attributes
    ----------
    factor : (sectors,), the height of the rings in the sector, as part of that in the
        others; NaN in sectors without enough pixels
    error : (sectors,), its standard error
    """

    factor: Floats
    error: Floats

    @classmethod
    def of(cls, profile: Profile) -> Agreement:
        """Compare each sector with all others."""
        whole = profile.whole
        variance = np.maximum(profile.variance, 1e-30)
        pairs = [
            _compared(sector, whole - sector, variance, profile.smoothing)
            for sector in profile.sums
        ]
        factor, error = np.array(pairs).T
        return cls(factor, error)

    @property
    def quality(self) -> float:
        """1 minus the usual distance of the factors from 1, beyond their errors."""
        use = np.isfinite(self.factor)
        if np.count_nonzero(use) < _FEWEST_SECTORS:
            return 0.0
        # The median, as gaps that are not masked stand in single sectors.
        usual = 1.4826 * float(np.median(np.abs(self.factor[use] - 1)))
        noise = float(np.median(self.error[use]))
        return max(0.0, 1 - math.sqrt(max(usual**2 - noise**2, 0.0)))


def _compared(
    sector: Floats, others: Floats, variance: Floats, smoothing: float
) -> tuple[float, float]:
    from scipy import ndimage

    enough = (sector[:, 0] > _ENOUGH) & (others[:, 0] > _ENOUGH)
    if np.count_nonzero(enough) < _FEWEST_BINS:
        return np.nan, np.nan
    weight = sector[:, 0] / variance * enough
    width = len(sector) / _SLOW

    def fast(profile: Floats) -> Floats:
        slow = ndimage.gaussian_filter1d(weight * profile, width)
        slow /= np.maximum(ndimage.gaussian_filter1d(weight, width), 1e-30)
        fast: Floats = profile - slow
        return fast

    expected = fast(smoothed(others, smoothing))
    seen = fast(mean(sector))
    power = float(np.sum(weight * expected**2))
    if not power > 0:
        return np.nan, np.nan
    return float(np.sum(weight * expected * seen)) / power, 1 / math.sqrt(power)
