"""Autocorrelation of images: contrast and size of speckle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Float, Instance, Int, Unicode, Union

from smalldata_ana.ana_funcs.array_parameter import load_image, load_masks
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.regions import RegionTrait, boxes_within
from smalldata_ana.ana_funcs.thresholds import as_floats, limits, within
from smalldata_ana.ana_funcs.traits import ThresholdTrait, WholeNumbersTrait
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

if TYPE_CHECKING:
    from smalldata_ana.ana_funcs.correlation import PairSums
    from smalldata_ana.ana_funcs.correlation_windows import Window

Mask = npt.NDArray[np.bool_]

_IMAGE = np.dtype(np.float32)


class _Correlated(DetObjectFunc):
    """A function of the correlation of windows of an image."""

    roi = RegionTrait(
        help="half-open [begin, end) by axis of the raw frame: [[r0, r1], [c0, c1]] or "
        "[[p0, p1], [r0, r1], [c0, c1]] in one panel; or a list of boxes, each of "
        "which has a result"
    )
    mask = Union(
        [Instance(np.ndarray), Unicode()],
        default_value=None,
        allow_none=True,
        help="1 = use, shape of the detector, or several along the first axis, each of "
        "which has a result; or an .npy file of this",
    )
    thresADU = ThresholdTrait(
        help="pixels below it count as 0; [low, high]: also those above high "
        "[unit of the image]"
    )
    save_range = WholeNumbersTrait(
        (50, 50), help="largest lag along rows and columns that is stored [pixel]"
    )
    min_pairs = Int(
        1, min=1, help="lags with fewer pairs of good pixels are stored as NaN"
    )

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._checksums: dict[str, str] = {}
        if len(self.save_range) > 2:
            raise ParameterError(
                f"save_range = {list(self.save_range)} is not a largest lag along rows "
                "and columns"
            )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        from smalldata_ana.ana_funcs.correlation_windows import windows_of

        super().setFromDet(det)
        self._checksums.clear()
        masks = self._masks(det) & self._usable(det)
        boxes = boxes_within(self.roi, det.shape, det.name)
        self._windows = windows_of(boxes, masks, self._largest, det.name)

    @property
    def _largest(self) -> tuple[int, int]:
        return self.save_range[0], self.save_range[-1]

    def _masks(self, det: ImageSource) -> Mask:
        if self.mask is None:
            return np.ones((1, *det.shape), bool)
        masks, checksum = load_masks("mask", self.mask, det.shape, det.name)
        self._record("mask", checksum)
        return masks

    def _usable(self, det: ImageSource) -> Mask:
        return det.good

    def _record(self, parameter: str, checksum: str) -> None:
        if checksum:
            self._checksums[f"{parameter}_sha256"] = checksum

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, the lags, and checksums of files, for the record."""
        down, right = self._largest
        lags = {
            "lags_v": np.arange(-down, down + 1.0),
            "lags_h": np.arange(-right, right + 1.0),
        }
        return super().params_as_dict() | lags | self._checksums

    def _cut(self, image: Array, window: Window) -> Array:
        """Return the pixels of a window after the thresholds."""
        pixels = as_floats(window.cut(image))
        if self.thresADU is None:
            return pixels
        return within(pixels, *limits(self.thresADU))

    def _field(self, shape: tuple[int, ...], unit: str = "1", **more: Any) -> Field:
        """Return the field of a result that each window has."""
        several = (len(self._windows),) if len(self._windows) > 1 else ()
        return Field(more.pop("dtype", _IMAGE), (*several, *shape), unit, **more)

    def _stacked(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        """Put the results of the windows together."""
        if len(results) == 1:
            return results[0]
        return {key: np.stack([r[key] for r in results]) for key in results[0]}


@register("autocorrelation")
class Autocorrelation(_Correlated):
    """Normalised autocorrelation of an image under a mask.

    With the image I, which is 0 outside of the mask m, and the correlation
    (a⋆b)(d) = Σ a(r)·b(r+d) over pixels::

        g(d) = (I⋆I)(d) · (m⋆m)(d) / ((I⋆m)(d) · (m⋆I)(d))

    It is 1 where nothing is correlated, and 1 plus the contrast of speckle at small
    lags; at 0 lag it holds the noise of each pixel with itself.  Nothing wraps round.

    Results: ``autocorr``, g for lags of rows and columns from -`save_range` to
    +`save_range`, 0 in the middle (float32, without unit; NaN where there are fewer
    pairs of good pixels than `min_pairs`, or no intensity); with `save_lineout`
    instead ``lineout_h``, g along the columns at lag 0 of the rows, and ``lineout_v``,
    the other way round.  ``cr`` is the mean over the good pixels after the thresholds
    (float64, in the image's unit).  With several boxes or masks, each result has them
    along its first axis.  A pixel that is not finite is left out as if it were masked.

    With `illumination_correction`, each pixel is divided by the illumination first, so
    that g does not hold the slow change of the intensity over the window.
    """

    name = Unicode("autocorr", help="what the results are called: <name>_<key>")
    save_lineout = Bool(
        False, help="store two lines through lag 0 instead of the image"
    )
    illumination_correction = Union(
        [Float(), Instance(np.ndarray), Unicode()],
        default_value=None,
        allow_none=True,
        help="the illumination: an array in the shape of the detector, for instance "
        "an average image, or an .npy file of it; or a number: each image itself, "
        "smoothed by a Gaussian of this standard deviation [pixel]",
    )

    def _usable(self, det: ImageSource) -> Mask:
        """Return the good pixels that have an illumination."""
        given = self.illumination_correction
        self._illumination: Array | None = None
        if given is None:
            return det.good
        if isinstance(given, float):
            if not 0 < given < np.inf:
                raise ParameterError(
                    f"illumination_correction = {given:g} is not a width above 0"
                )
            return det.good
        what = "illumination_correction"
        light, checksum = load_image(what, given, det.shape, det.name)
        self._record(what, checksum)
        self._illumination = light
        return np.asarray(det.good & np.isfinite(light) & (light > 0))

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        down, right = (2 * lag + 1 for lag in self._largest)
        dtype = np.dtype(np.float64)
        mean = self._field(
            (), self.source.unit, dtype=dtype, long_name="mean of the good pixels"
        )
        if not self.save_lineout:
            return {"autocorr": self._field((down, right)), "cr": mean}
        return {
            "lineout_h": self._field((right,)),
            "lineout_v": self._field((down,)),
            "cr": mean,
        }

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        return self._stacked([self._of(data, window) for window in self._windows])

    def _of(self, image: Array, window: Window) -> dict[str, Any]:
        pixels = self._cut(image, window)
        sums = window.correlation.pair_sums(pixels)
        mean = sums.mean
        if self.illumination_correction is not None:
            even = self._evenly_lit(pixels, window)
            sums = window.correlation.pair_sums(even)
        return self._lines(sums) | {"cr": np.float64(mean)}

    def _lines(self, sums: PairSums) -> dict[str, Array]:
        g = sums.normalised(self.min_pairs).astype(_IMAGE)
        if not self.save_lineout:
            return {"autocorr": g}
        down, right = self._largest
        return {"lineout_h": g[down].copy(), "lineout_v": g[:, right].copy()}

    def _evenly_lit(self, pixels: Array, window: Window) -> Array:
        """Return pixels divided by the illumination; NaN where there is none."""
        good = window.correlation.good
        if self._illumination is None:
            light = _smoothed(pixels, good, self.illumination_correction)
        else:
            light = window.cut(self._illumination)
        even = np.full(pixels.shape, np.nan, pixels.dtype)
        np.divide(
            pixels, light, out=even, where=good & (light > 0), casting="same_kind"
        )
        return even


@register("acf")
class acf(_Correlated):
    """Profiles of the autocorrelation of an image without its mean.

    With δ = I minus the mean of the good pixels of the window, and ⟨⟩ the mean over the
    pairs of good pixels that are d apart::

        C(d) = ⟨δ(r)·δ(r+d)⟩ / ⟨δ²⟩

    Results: ``profile_0``, C for lags of rows from -`save_range` to +`save_range` at
    lag 0 of the columns, and ``profile_1`` the other way round (float32, without unit;
    1 in the middle; NaN where there are fewer pairs than `min_pairs`, or the image is
    flat).  Their width is the size of the speckle.  With several boxes or masks, each
    result has them along its first axis.  Nothing wraps round.
    """

    name = Unicode("acf", help="what the results are called: <name>_<key>")

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        lags = zip(("profile_0", "profile_1"), self._largest, strict=True)
        return {key: self._field((2 * lag + 1,)) for key, lag in lags}

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        return self._stacked([self._of(data, window) for window in self._windows])

    def _of(self, image: Array, window: Window) -> dict[str, Any]:
        sums = window.correlation.pair_sums(self._cut(image, window))
        coefficient = sums.covariance(self.min_pairs).astype(_IMAGE)
        down, right = self._largest
        return {
            "profile_0": coefficient[:, right].copy(),
            "profile_1": coefficient[down].copy(),
        }


def _smoothed(pixels: Array, good: Mask, sigma: float) -> npt.NDArray[np.float32]:
    """Return the mean of the good pixels around each one, weighted by a Gaussian."""
    from scipy.ndimage import gaussian_filter

    use = good & np.isfinite(pixels)
    weight = gaussian_filter(use.astype(np.float32), sigma)
    kept = np.where(use, pixels, 0).astype(np.float32)
    total = gaussian_filter(kept, sigma)
    mean = np.zeros(pixels.shape, np.float32)
    np.divide(total, weight, out=mean, where=weight > 0)
    return mean
