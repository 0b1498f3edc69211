"""Which pixels are bad in a dark run, and why."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.pedestals.dark_frames import DarkStatistics, Image

Array = npt.NDArray[Any]
Limits = tuple[float, float]

RMS_FACTOR = 4.0
"""Without limits, the noise may differ so many times from the usual one."""

PEDESTAL_SIGMAS = 10.0
"""Without limits, a pedestal may be so far from the usual one of its panel [robust
standard deviation of the panel's pedestals]."""

_OFTEN = 0.1
"""Share of a pixel's values that may be far from its usual one."""


class Status(enum.IntFlag):
    """Why a pixel is bad in a gain stage: psana's bits of ``pixel_status``."""

    RMS_HIGH = 1
    RMS_LOW = 2
    VALUES_HIGH = 4
    VALUES_LOW = 8
    PEDESTAL_HIGH = 16
    PEDESTAL_LOW = 32
    OTHER_STAGE = 64


REASONS: Mapping[Status, str] = {
    Status.RMS_HIGH: "noise too high",
    Status.RMS_LOW: "noise too low",
    Status.VALUES_HIGH: "often far too high",
    Status.VALUES_LOW: "often far too low",
    Status.PEDESTAL_HIGH: "pedestal too high",
    Status.PEDESTAL_LOW: "pedestal too low",
    Status.OTHER_STAGE: "not in this stage",
}
"""The bits of `Status` in words."""


def pixel_status(
    dark: DarkStatistics,
    ped_range: Limits | None = None,
    rms_range: Limits | None = None,
) -> npt.NDArray[np.uint64]:
    """Return the status bits of a gain stage, uint64, shape of a frame.

    Parameters
    ----------
    dark : what the dark frames gave
    ped_range, rms_range : lowest and highest value of a good pixel [ADU]; default:
        from the other pixels, see `PEDESTAL_SIGMAS` and `RMS_FACTOR`
    """
    median = float(np.nanmedian(dark.rms))
    low, high = rms_range or (median / RMS_FACTOR, median * RMS_FACTOR)
    ped_low, ped_high = ped_range or _usual_pedestals(dark.mean, median)
    seen = dark.count + dark.above + dark.below
    bits = {
        Status.RMS_HIGH: dark.rms > high,
        Status.RMS_LOW: dark.rms < low,
        Status.VALUES_HIGH: dark.above > _OFTEN * seen,
        Status.VALUES_LOW: dark.below > _OFTEN * seen,
        Status.PEDESTAL_HIGH: dark.mean > ped_high,
        Status.PEDESTAL_LOW: dark.mean < ped_low,
        # A pixel has to be in the stage in nine of ten frames, as nine of ten pixels
        # have to be.
        Status.OTHER_STAGE: (seen < (1 - _OFTEN) * dark.frames) | np.isnan(dark.mean),
    }
    status = np.zeros(dark.mean.shape, np.uint64)
    for bit, where in bits.items():
        status[where] |= np.uint64(bit)
    return status


def _usual_pedestals(mean: Image, noise: float) -> tuple[Array, Array]:
    """Return the lowest and the highest usual pedestal of each panel."""
    panels = mean if mean.ndim > 2 else mean[np.newaxis]
    middle = np.nanmedian(panels, axis=(-2, -1), keepdims=True)
    off = np.abs(panels - middle)
    sigma = 1.4826 * np.nanmedian(off, axis=(-2, -1), keepdims=True)
    reach = PEDESTAL_SIGMAS * np.maximum(sigma, noise)
    low, high = (middle + sign * reach for sign in (-1, 1))
    return (low, high) if mean.ndim > 2 else (low[0], high[0])
