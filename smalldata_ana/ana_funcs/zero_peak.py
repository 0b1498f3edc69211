"""The peak of the pixels without photons in the histogram of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Int, TraitError, TraitType, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.waveforms import INTEGER, NUMBER
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

_FAR, _FINE = 20.0, 0.25
"""Reach and width of the bins that are chosen [noise of a typical pixel]."""

_MOST_BINS = 1_000_000

FOUND, NO_PEAK, NO_FIT = 1, 0, -1
"""Values of the result ``status``."""


class BinsTrait(TraitType[Any, Any]):
    """A parameter that is low, high and width of the bins of a histogram, or None."""

    info_text = "[low, high, width] with low < high and room for one bin"
    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Return the numbers as a list."""
        try:
            low, high, width = bins = [float(number) for number in value]
        except (TypeError, ValueError):
            self.error(obj, value)
        if not np.isfinite(bins).all() or not 0 < width <= high - low:
            self.error(obj, value)
        if (high - low) / width > _MOST_BINS:
            raise TraitError(f"bins = {value} makes more than {_MOST_BINS} bins")
        return bins


@register("cmpeak")
class getCMPeakFunc(DetObjectFunc):
    """The zero-photon peak in the histogram of an image.

    The peak is the one at the smallest value of the bins that hold at least
    `minPeakNum` pixels and are the highest of `nPeak` bins on either side.  A Gaussian
    is fitted to these bins: a parabola to the logarithm of the counts, weighted with
    the counts (least squares, one step).  Its position is the common mode of the image.

    ``position`` and ``sigma`` of the Gaussian [unit of the image]; ``maximum``, the
    middle of the highest bin [unit of the image]; ``counts`` in that bin; ``status``:
    1 found, 0 no bin has enough pixels, -1 no Gaussian fits the peak (then
    ``position`` and ``sigma`` are NaN).  Pixels that are masked, not finite or outside
    the bins are left out.
    """

    name = Unicode("cmPeak", help="what the results are called: <name>_<key>")
    nPeak = Int(4, min=1, help="bins on either side that belong to the peak")
    minPeakNum = Int(150, min=1, help="least number of pixels in the highest bin")
    bins = BinsTrait(
        help="[low, high, width] of the bins [unit of the image]; none: 20 times the "
        "median noise to both sides, in steps of a quarter of it",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not det.good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        low, high, self._width = self._bins_for(det)
        self._n_bins = int(np.floor((high - low) / self._width + 1e-9))
        self._low = low

    def _bins_for(self, det: ImageSource) -> tuple[float, float, float]:
        if self.bins is not None:
            low, high, width = self.bins
            return low, high, width
        known = () if det.noise is None else det.noise[det.good & (det.noise > 0)]
        noise = float(np.median(known)) if len(known) else 0.0
        if not noise > 0:
            raise ParameterError(
                f"the noise of {det.name!r} is not known, so give bins = "
                f"[low, high, width] in {det.unit or 'its unit'}"
            )
        return -_FAR * noise, _FAR * noise, _FINE * noise

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = self.source.unit
        return {
            "position": Field(NUMBER, (), unit, "position of the zero-photon peak"),
            "sigma": Field(NUMBER, (), unit, "width of the zero-photon peak"),
            "maximum": Field(NUMBER, (), unit, "highest bin of the peak"),
            "counts": Field(INTEGER, (), "", "pixels in the highest bin"),
            "status": Field(INTEGER, (), "", "1 found, 0 no peak, -1 no fit"),
        }

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        counts = self._histogram(data)
        top = self._highest(counts)
        if top is None:
            nothing = dict.fromkeys(("position", "sigma", "maximum"), np.nan)
            return {**nothing, "counts": int(counts.max()), "status": NO_PEAK}
        first = max(top - self.nPeak, 0)
        peak = counts[first : top + self.nPeak + 1]
        shift, sigma = _gaussian(peak, np.arange(first - top, first - top + peak.size))
        maximum = self._low + (top + 0.5) * self._width
        return {
            "position": maximum + shift * self._width,
            "sigma": sigma * self._width,
            "maximum": maximum,
            "counts": counts[top],
            "status": FOUND if np.isfinite(sigma) else NO_FIT,
        }

    def _histogram(self, data: Array) -> npt.NDArray[np.int64]:
        position = (data[self.source.good].astype(np.float64) - self._low) / self._width
        # A comparison with NaN is False.
        position = position[(position >= 0) & (position < self._n_bins)]
        return np.bincount(position.astype(np.intp), minlength=self._n_bins)

    def _highest(self, counts: npt.NDArray[np.int64]) -> int | None:
        from scipy.ndimage import maximum_filter1d

        around = maximum_filter1d(counts, 2 * self.nPeak + 1, mode="constant")
        tops = np.flatnonzero((counts == around) & (counts >= self.minPeakNum))
        return int(tops[0]) if tops.size else None


def _gaussian(
    counts: npt.NDArray[np.int64], position: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return position and sigma of the Gaussian through some bins, NaN if none fits."""
    filled = counts > 0
    if np.count_nonzero(filled) < 3:
        return np.nan, np.nan
    logarithm = np.log(counts[filled])
    weight = np.sqrt(counts[filled])
    curvature, slope, _ = np.polyfit(position[filled], logarithm, 2, w=weight)
    if not curvature < 0 or abs(slope / (2 * curvature)) > np.ptp(position):
        return np.nan, np.nan
    return -slope / (2 * curvature), float(np.sqrt(-0.5 / curvature))
