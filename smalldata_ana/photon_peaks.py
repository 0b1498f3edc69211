"""The peaks of no photon and of one photon in a histogram of pixel values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import NoDataError

Array = npt.NDArray[Any]

_LEAST_COUNTS = 100
"""In the zero peak; fewer values make no peak."""

_FAR = 4.0
"""Where the zero peak ends [sigma]."""

_AROUND = 3.0
"""How far from its top the one-photon peak is fitted [sigma]."""

_SIGNIFICANT = 5.0
"""How far the one-photon peak must stand above the valley before it [errors of it]."""


@dataclass(frozen=True)
class Peak:
    """A Gaussian fitted to the top of a peak.

    Attributes
    ----------
    position, position_err : of its top [unit of the histogram]
    sigma, sigma_err : its width
    height : counts per bin at its top, above what is beneath
    """

    position: float
    position_err: float
    sigma: float
    sigma_err: float
    height: float


@dataclass(frozen=True)
class PhotonPeaks:
    """The peaks of a histogram of pixel values.

    Attributes
    ----------
    zero : of pixels without light; its width is the noise
    one : of pixels with one whole photon, or None where no such peak stands out;
        where pixels share charge its top lies a few percent below the photon energy
    unit : of positions and widths
    """

    zero: Peak
    one: Peak | None
    unit: str

    def __str__(self) -> str:
        parts = [f"zero photons: {_said(self.zero, self.unit)}"]
        if self.one is None:
            parts.append("one photon: no peak stands out")
        else:
            distance = self.one.position - self.zero.position
            parts.append(f"one photon: {_said(self.one, self.unit)}")
            parts.append(f"one photon is {distance:.4g} {self.unit}")
        return "; ".join(parts)


def _said(peak: Peak, unit: str) -> str:
    return (
        f"at {peak.position:.4g} +- {peak.position_err:.1g} {unit}, "
        f"sigma {peak.sigma:.4g} +- {peak.sigma_err:.1g}"
    )


def photon_peaks(counts: Array, edges: Array, unit: str = "") -> PhotonPeaks:
    """Fit the zero-photon peak of a histogram, and the one-photon peak if there is one.

    The zero peak is the highest one; a Gaussian is fitted to its top half.  The
    one-photon peak is the highest point after the valley behind it, if it stands
    above the valley by five times the statistical error; a Gaussian on a straight
    line is fitted to its surroundings.  Values that are whole numbers want bins of a
    whole width, or the bins between them are empty.  Errors are those of the fits, from
    the counting statistics of the bins.

    Parameters
    ----------
    counts : (bins,)
    edges : (bins + 1,)
    unit : of the values

    Raises
    ------
    NoDataError
        if there is no zero peak to fit
    """
    centres = (edges[:-1] + edges[1:]) / 2
    zero = _zero(np.asarray(counts, float), centres)
    return PhotonPeaks(zero, _one(np.asarray(counts, float), centres, zero), unit)


def _zero(counts: Array, centres: Array) -> Peak:
    top = int(np.argmax(counts))
    inside = _run_around(counts >= counts[top] / 2, top)
    enough = counts[inside].sum() >= _LEAST_COUNTS
    peak = _fit(counts[inside], centres[inside], line=False) if enough else None
    if peak is None:
        raise NoDataError(
            f"there is no zero-photon peak in the histogram: its highest bin holds "
            f"{int(counts[top])} values, {int(inside.sum())} bins reach half of that; "
            "take more events, or more bins"
        )
    return peak


def _one(counts: Array, centres: Array, zero: Peak) -> Peak | None:
    width = max(1, round(zero.sigma / (centres[1] - centres[0])))
    smooth = np.convolve(counts, np.ones(width) / width, mode="same")
    behind = np.flatnonzero(centres > zero.position + _FAR * zero.sigma)
    # smoothing mixes the outermost bins with nothing
    behind = behind[behind < len(counts) - width]
    if behind.size < 3 * width:
        return None
    valleys = np.minimum.accumulate(smooth[behind])
    rise = smooth[behind] - valleys
    top = int(np.argmax(rise))
    error = np.sqrt(max(valleys[top], 1) / width)
    if rise[top] < _SIGNIFICANT * error:
        return None
    inside = np.abs(centres - centres[behind[top]]) <= _AROUND * zero.sigma
    return _fit(counts[inside], centres[inside], line=True)


def _run_around(flags: npt.NDArray[np.bool_], index: int) -> npt.NDArray[np.bool_]:
    """Return the series of True that holds an index, and nothing else."""
    falses = np.flatnonzero(~flags)
    begin = falses[falses < index].max(initial=-1) + 1
    end = falses[falses > index].min(initial=len(flags))
    run = np.zeros_like(flags)
    run[begin:end] = True
    return run


def _fit(counts: Array, centres: Array, *, line: bool) -> Peak | None:
    """Fit a Gaussian, on a straight line if asked for; None where that fails."""
    from scipy.optimize import curve_fit

    middle = float(np.average(centres, weights=np.maximum(counts, 1e-9)))
    width = float(np.ptp(centres)) / 3 or 1.0
    floor = float(counts.min()) if line else 0.0

    def model(
        x: Array, height: float, position: float, sigma: float, *base: float
    ) -> Array:
        gauss = height * np.exp(-(((x - position) / sigma) ** 2) / 2)
        return gauss + (np.polyval(base, x - middle) if base else 0)

    start = [counts.max() - floor, middle, width, *([0.0, floor] if line else [])]
    if counts.size <= len(start):
        return None
    try:
        found, covariance = curve_fit(
            model,
            centres,
            counts,
            start,
            sigma=np.sqrt(np.maximum(counts, 1)),
            absolute_sigma=True,
        )
    except RuntimeError:
        return None
    errors = np.sqrt(np.diag(covariance))
    inside = centres[0] <= found[1] <= centres[-1]
    if not np.isfinite(errors).all() or found[0] <= 0 or not inside:
        return None
    return Peak(
        position=float(found[1]),
        position_err=float(errors[1]),
        sigma=abs(float(found[2])),
        sigma_err=float(errors[2]),
        height=float(found[0]),
    )
