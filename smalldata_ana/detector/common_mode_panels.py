"""Common modes that are one number for a panel: of a region, or a peak of its pixels.

Arguments are those of `smalldata_ana.detector.common_mode`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode import Image, Mask, started
from smalldata_ana.detector.scratch import scratch
from smalldata_ana.errors import ParameterError


def region_median(
    adu: Image, use: Mask, *, region: Mask, out: Image | None = None
) -> Image:
    """Subtract from each panel the median of its pixels in a region.

    Parameters
    ----------
    adu, use, out : see the module
    region : bool ``(rows, columns)`` or the shape of the image

    Raises
    ------
    ParameterError
        if the region is empty
    """
    chosen = np.broadcast_to(region, adu.shape)
    if not chosen.any():
        raise ParameterError("the region for the common mode has no pixels")
    out = started(adu, out)
    for panel, good in zip(out, chosen & use, strict=True):
        if good.any():
            np.subtract(panel, np.median(panel[good]), out=panel)
    return out


def unbonded_mean(
    adu: Image, *, unbonded: Mask, limit: float, out: Image | None = None
) -> Image:
    """Subtract from each panel the mean of its pixels without a sensor.

    psana's algorithm 5, for a CsPad.

    Parameters
    ----------
    adu, out : see the module
    unbonded : bool ``(rows, columns)``, the same in all panels
    limit : a larger mean is not subtracted [ADU]
    """
    out = started(adu, out)
    for panel in out:
        mean = _unbonded(panel, unbonded, limit)
        np.subtract(panel, np.float32(mean or 0), out=panel)
    return out


class Peak(NamedTuple):
    """The peak of the pixels without photons in a histogram [ADU]."""

    mean: float
    sigma: float


def zero_peak(
    adu: Image,
    use: Mask,
    *,
    limit: float = 25.0,
    sigma: float = 40.0,
    least: int = 100,
    unbonded: Mask | None = None,
    out: Image | None = None,
) -> Image:
    """Subtract from each panel the position of its zero-photon peak.

    psana's algorithm 1 (``ImgAlgos``, ``findCommonMode``); with `unbonded`, a panel
    whose peak is not found, or not accepted, is corrected as by `unbonded_mean`.

    Parameters
    ----------
    adu, use, out : see the module
    limit : a peak farther from 0 is not accepted [ADU], nor is a larger mean
    sigma : nor is a wider one [ADU]
    least : pixels that a bin of 1 ADU needs more than, to be a peak
    unbonded : bool ``(rows, columns)``, or None to leave such a panel as it is
    """
    out = started(adu, out)
    for panel, good in zip(out, use, strict=True):
        peak = find_zero_peak(panel, good, least=least)
        shift: float | None = None
        if peak is not None and abs(peak.mean) <= limit and peak.sigma <= sigma:
            shift = peak.mean
        elif unbonded is not None:
            shift = _unbonded(panel, unbonded, limit)
        np.subtract(panel, np.float32(shift or 0), out=panel)
    return out


def find_zero_peak(panel: Image, use: Mask, *, least: int = 100) -> Peak | None:
    """Return the zero-photon peak of a panel, or None if it shows none.

    It is the first of the peaks that a histogram in steps of 1 ADU has from the left:
    a bin of more than `least` pixels, before the bins fall to half of it.  Mean and
    width are those of the pixels within two widths, found in two rounds.

    Parameters
    ----------
    panel : float32 ``(rows, columns)`` [ADU]
    use : bool, the same shape
    least : see above
    """
    from smalldata_ana.detector import common_mode_kernels as kernels

    size = kernels.HISTOGRAM_HIGH - kernels.HISTOGRAM_LOW
    counts = scratch("histogram", size, np.int32)
    kernels.fill_histogram(np.ascontiguousarray(panel), use, counts)
    peak, right = _first_peak(counts, max(least, 0) or 100)
    if peak is None:
        return None
    low = np.flatnonzero(counts[: peak + 1] <= counts[peak] // 2)
    left = int(low[-1]) if low.size else -1
    mean, sigma = float(peak), (right - left) / 2.36
    for _ in range(2):
        half_width = int(2 * sigma + 0.5)
        bins = np.arange(max(0, peak - half_width), min(size, peak + half_width + 1))
        weights = counts[bins].astype(np.float64)
        away = bins - mean
        shift = float(weights @ away / weights.sum())
        sigma = math.sqrt(max(weights @ away**2 / weights.sum() - shift**2, 0.0))
        mean += shift
    return Peak(mean + kernels.HISTOGRAM_LOW, sigma)


def _first_peak(counts: npt.NDArray[np.int32], least: int) -> tuple[int | None, int]:
    """Return the bin of the first peak, and the bin where it has fallen to half."""
    candidates = np.flatnonzero(counts > least)
    if not candidates.size:
        return None, counts.size
    begin = int(candidates[0])
    highest = np.maximum.accumulate(counts[begin:])
    fallen = np.flatnonzero(counts[begin:] <= highest // 2)
    right = begin + int(fallen[0]) if fallen.size else counts.size
    return begin + int(np.argmax(counts[begin:right])), right


def _unbonded(panel: Image, unbonded: Mask, limit: float) -> float | None:
    mean = float(np.mean(panel[unbonded], dtype=np.float64))
    return mean if abs(mean) <= limit else None
