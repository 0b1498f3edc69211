"""Thresholds: which pixels keep their value, and which count as 0."""

from __future__ import annotations

import math

import numpy as np
from traitlets import Bool, Float

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.traits import Threshold, ThresholdTrait
from smalldata_ana.detector.protocol import Array, ImageSource
from smalldata_ana.errors import ParameterError


def limits(threshold: Threshold) -> tuple[float, float]:
    """Return the lowest and the highest value that stay."""
    if threshold is None:
        return -math.inf, math.inf
    low, high = threshold if isinstance(threshold, list) else (threshold, math.inf)
    return low, high


def pixel_limits(
    det: ImageSource, threshold: Threshold, rms: float | None
) -> tuple[float | Array, float]:
    """Return the lowest value that stays, perhaps of each pixel, and the highest.

    Parameters
    ----------
    det : whose images they are for
    threshold : as `limits` takes it
    rms : pixels below so many times their noise do not stay, or None

    Raises
    ------
    ParameterError
        if the noise is needed, and is not known
    """
    low, high = limits(threshold)
    if rms is None:
        return low, high
    if det.noise is None:
        raise ParameterError(
            f"thresRms = {rms:g}, but the noise of {det.name!r} is not known; deploy "
            "pixel_rms, or give thresADU"
        )
    # a pixel of unknown noise is not above any threshold
    least = np.nan_to_num(rms * det.noise, nan=np.inf)
    return np.maximum(least, low), high


def within(image: Array, low: float | Array, high: float) -> Array:
    """Return an image with 0 for the pixels below `low` and above `high`.

    Pixels that are not finite stay as they are.

    Parameters
    ----------
    image : floating point, any shape; it is not written to
    low : a number, or one for each pixel
    high : a number
    """
    stays = ((image >= low) & (image <= high)) | ~np.isfinite(image)
    return np.where(stays, image, image.dtype.type(0))


class Thresholded(DetObjectFunc):
    """A function that sees an image after thresholds."""

    thresADU = ThresholdTrait(
        help="pixels below it count as 0; [low, high]: also those above high "
        "[unit of the image]"
    )
    thresRms = Float(
        None,
        allow_none=True,
        help="pixels below so many times their noise count as 0",
    )
    singlePhoton = Bool(
        False, help="pixels above 0, after the thresholds, count as 1 photon"
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._low, self._high = pixel_limits(det, self.thresADU, self.thresRms)

    def one_photon(self) -> tuple[str, float] | None:
        """Return the threshold above which a pixel is one photon, if there is one."""
        if not self.singlePhoton or self.thresADU is None:
            return None
        return "thresADU", limits(self.thresADU)[0]

    @property
    def _changes_values(self) -> bool:
        """Whether pixels have other values after the thresholds."""
        return self.singlePhoton or not (self.thresADU is None is self.thresRms)

    @property
    def unit(self) -> str:
        """Unit of the pixels after the thresholds."""
        return "count" if self.singlePhoton else self.source.unit

    def after_thresholds(self, data: Array) -> Array:
        """Return an image as the parameters say, in floating point."""
        image = as_floats(data)
        if isinstance(self._low, np.ndarray) or self.thresADU is not None:
            image = within(image, self._low, self._high)
        if self.singlePhoton:
            finite = np.isfinite(image)
            image = np.where(finite, (image > 0).astype(image.dtype), image)
        return image


def as_floats(data: Array) -> Array:
    """Return an image as it is, if it is float32, else in float64."""
    return data if data.dtype == np.float32 else data.astype(np.float64, copy=False)
