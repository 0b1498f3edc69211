"""Which pixels are bad in a dark run, and why."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import counted
from smalldata_ana.pedestals.dark_frames import DarkStatistics, Image

Array = npt.NDArray[Any]
Limits = tuple[float, float]

RMS_FACTOR = 4.0
"""Without limits, the noise may be so many times the usual one."""

QUIET = 0.4
"""Without limits, a pixel is dead whose own noise is below this share of the usual
one; good pixels differ by a few tenths."""

_CHANCE = 1e-8
"""How likely a pixel of the usual noise may be taken as dead, in few frames.  Medians
of small banks follow their pixels, which makes it a few times more likely."""

PEDESTAL_SIGMAS = 10.0
"""Without limits, a pedestal may be so far from the usual one of its panel [robust
standard deviation of the panel's pedestals]."""

_OFTEN = 0.1
"""Share of a pixel's values that may be far from its usual one; one always may."""

_STEP = 1 / np.sqrt(12)
"""Noise of a number that is rounded to a whole one [ADU]."""


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
        from the other pixels, see `PEDESTAL_SIGMAS`, `RMS_FACTOR` and `quiet_share`.
        Limits given for the noise are for all of it, the default lowest one for what a
        pixel has of its own.
    """
    median = float(np.nanmedian(dark.rms))
    high = rms_range[1] if rms_range else median * RMS_FACTOR
    ped_low, ped_high = ped_range or _usual_pedestals(dark.mean, median)
    seen = dark.count + dark.above + dark.below
    often = np.maximum(_OFTEN * seen, 1)
    bits = {
        Status.RMS_HIGH: dark.rms > high,
        Status.RMS_LOW: dark.rms < rms_range[0] if rms_range else _is_quiet(dark),
        Status.VALUES_HIGH: dark.above > often,
        Status.VALUES_LOW: dark.below > often,
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


def remarks(
    name: str, dark: DarkStatistics, again_good: int, rms_range: Limits | None
) -> list[str]:
    """Say what is to be known of the status of a stage.

    Parameters
    ----------
    name : of the stage
    dark : what the dark frames gave
    again_good : number of pixels that were bad before, and are good now
    rms_range : limits that were given, or None
    """
    notes = []
    share = quiet_share(dark.own_frames)
    if rms_range is None and share < QUIET:
        notes.append(
            f"{dark.own_frames} frames of {name} are too few to find all dead pixels: "
            f"only those below {share:.0%} of the usual noise are marked, not below "
            f"{QUIET:.0%}"
        )
    if again_good:
        notes.append(
            f"{counted(again_good, 'pixel')} of {name} that were bad before "
            f"{'is' if again_good == 1 else 'are'} good now"
        )
    return notes


def quiet_share(frames: int) -> float:
    """Return below which share of the usual noise a pixel is dead.

    It is `QUIET`, or less where there are so few frames that pixels of the usual noise
    would be below it: the variance of ``n`` frames goes as chi-square with ``n - 1``
    degrees of freedom.
    """
    return min(QUIET, _share(_CHANCE, frames))


def _share(chance: float, frames: int) -> float:
    """Return the share of sigma that the noise of frames exceeds but with a chance."""
    from scipy.stats import chi2

    freedom = max(frames - 1, 1)
    return float(np.sqrt(chi2.ppf(chance, freedom) / freedom))


def _is_quiet(dark: DarkStatistics) -> Array:
    frames = dark.own_frames
    usual = float(np.nanmedian(dark.own_rms)) / _share(0.5, frames)
    # a few whole numbers may be equal by chance
    quiet: Array = np.hypot(dark.own_rms, _STEP) < quiet_share(frames) * usual
    return quiet


def _usual_pedestals(mean: Image, noise: float) -> tuple[Array, Array]:
    """Return the lowest and the highest usual pedestal of each panel."""
    panels = mean if mean.ndim > 2 else mean[np.newaxis]
    middle = np.nanmedian(panels, axis=(-2, -1), keepdims=True)
    off = np.abs(panels - middle)
    sigma = 1.4826 * np.nanmedian(off, axis=(-2, -1), keepdims=True)
    reach = PEDESTAL_SIGMAS * np.maximum(sigma, noise)
    low, high = (middle + sign * reach for sign in (-1, 1))
    return (low, high) if mean.ndim > 2 else (low[0], high[0])
