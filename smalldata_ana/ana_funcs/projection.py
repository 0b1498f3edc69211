"""Projections of an image onto one of its axes, and single lines of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Int, Unicode, default

from smalldata_ana.ana_funcs.base import Passed
from smalldata_ana.ana_funcs.line_sums import line_sums
from smalldata_ana.ana_funcs.peak_shape import MEANINGS, peak_shape
from smalldata_ana.ana_funcs.thresholds import Thresholded
from smalldata_ana.detector.protocol import (
    MISSING_INTEGER,
    Array,
    Field,
    ImageSource,
)
from smalldata_ana.errors import ParameterError, listing
from smalldata_ana.parameters.model import register

TOTAL = -1
"""The axis of a projection onto nothing, which is a single number."""

_NUMBER = np.dtype(np.float64)


class _OneAxisLess(Thresholded):
    """A function that takes one axis away from an image.

    The axes are those of the squeezed image: the axis of a single panel does not
    count.
    """

    passes = Passed.IMAGE

    axis = Int(TOTAL)
    calcPars = Bool(
        False,
        help="store position, height and width of the peak of the line, and its first "
        "moments; the position is the index of the detector [pixel]",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._image_shape = tuple(n for n in det.shape if n != 1) or (1,)
        self._check_axis(det)
        if not det.good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        if self.calcPars and len(self.shape) != 1:
            raise ParameterError(
                f"calcPars needs a line, and {self.name!r} gives {self.shape} of "
                f"{det.name!r}; choose a panel with a ROI, or an axis"
            )

    def _attach_chained(self) -> None:
        if self.funcs and not self.shape:
            raise ParameterError(
                f"{self.name!r} gives one number, which {listing(self.funcs)} cannot "
                "work on; choose an axis"
            )
        super()._attach_chained()

    def _check_axis(self, det: ImageSource) -> None:
        axes = len(self._image_shape)
        if not 0 <= self.axis < axes:
            raise ParameterError(
                f"axis = {self.axis}: images of {det.name!r} have the axes 0 to "
                f"{axes - 1}, without those of length 1"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the line, or of a line for each panel."""
        if self.axis == TOTAL:
            return ()
        return self._image_shape[: self.axis] + self._image_shape[self.axis + 1 :]

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the line have a good pixel of the image."""
        return np.asarray(self._squeezed(self.source.good).any(self.axis))

    @property
    def noise(self) -> Array | None:
        """Not known."""
        return None

    @property
    def positions(self) -> None:
        """Not known: a line is no row of pixels in space."""
        return

    @property
    def normals(self) -> None:
        """Not known."""
        return

    def _squeezed(self, image: Array) -> Array:
        return image.reshape(self._image_shape)

    def _describe_peak(self) -> dict[str, Field]:
        if not self.calcPars:
            return {}
        units = dict.fromkeys(MEANINGS, "pixel") | {"height": self.unit}
        return {
            key: Field(_NUMBER, (), units[key], meaning)
            for key, meaning in MEANINGS.items()
        }

    def _peak(self, line: Array) -> dict[str, float]:
        return peak_shape(line, self._begin) if self.calcPars else {}

    @property
    def _begin(self) -> int:
        """Index in the detector of the first pixel of the line."""
        shape = self.source.shape
        axes = [i - len(shape) for i, n in enumerate(shape) if n != 1]
        return self.source.first[axes[1 - self.axis]]


@register("projection")
class projectionFunc(_OneAxisLess):
    """Projection of an image onto one of its axes: sums or means over another axis.

    Results: ``data``, the sum over the good pixels along `axis`, or their mean
    (float64, in the image's unit; a mean is NaN where no pixel is good).  The axes are
    those of the image without those of length 1: for one panel, 0 adds the rows up and
    leaves a value for each column.  -1 adds all pixels up to a number.

    A pixel that a threshold rejects counts as 0, in a mean too.  A pixel that is not
    finite is left out as if it were masked.

    With `calcPars`, also ``peak``, ``height``, ``fwhm``, ``com`` and ``std`` of the
    line, see `peak_shape`; the line should have no background.

    Other functions can be chained to it: they get the line as an image of one axis.
    """

    axis = Int(TOTAL, help="axis along which pixels are added up; -1: all")
    mean = Bool(False, help="mean over the good pixels instead of their sum")

    @default("name")
    def _by_axis(self) -> str:
        return f"pj_ax_{self.axis}"

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._frame = self._blocks()
        self._use = np.ascontiguousarray(det.good).reshape(self._frame)

    def _check_axis(self, det: ImageSource) -> None:
        if self.axis != TOTAL:
            super()._check_axis(det)

    def _blocks(self) -> tuple[int, int, int]:
        """Return the numbers of pixels before, along and after the axis."""
        shape = self._image_shape
        if self.axis == TOTAL:
            return 1, math.prod(shape), 1
        axis = self.axis
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    @property
    def noise(self) -> Array | None:
        """Noise of the line, if that of the pixels is known and no value is changed."""
        noise = self.source.noise
        if noise is None or self._changes_values:
            return None
        variance, count = self._summed(np.square(noise, dtype=np.float64))
        spread = np.sqrt(variance)
        return self._mean(spread, count) if self.mean else spread

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        what = "mean" if self.mean else "sum"
        over = "all pixels" if self.axis == TOTAL else f"axis {self.axis}"
        data = Field(_NUMBER, self.shape, self.unit, f"{what} over {over}")
        chained = self.describe_chained()
        return {"data": data} | self._describe_peak() | chained

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        line, count = self._summed(self.after_thresholds(data))
        if self.mean:
            line = self._mean(line, count)
        results: dict[str, Any] = {"data": line if self.shape else line[()]}
        return results | self._peak(line) | self.pass_on(line)

    def _summed(self, image: Array) -> tuple[Array, Array]:
        sums, counts = line_sums(image.reshape(self._frame), self._use)
        return sums.reshape(self.shape), counts.reshape(self.shape)

    @staticmethod
    def _mean(sums: Array, counts: Array) -> Array:
        return np.divide(sums, counts, where=counts > 0, out=np.full_like(sums, np.nan))


@register("lineout")
class lineoutFunc(_OneAxisLess):
    """One line of an image.

    Results: ``data``, the pixels with the index `idx` of `axis` (float32, in the
    image's unit; NaN where not good): what `projectionFunc` adds up along this axis, of
    one index only.  Without `idx` it is the index of the brightest good pixel of each
    event, which is stored as ``idx``, as index of the image; an image without a finite
    good pixel gives NaN and -99999.

    A pixel that a threshold rejects is 0.  With `calcPars`, also ``peak``, ``height``,
    ``fwhm``, ``com`` and ``std`` of the line, see `peak_shape`.

    Other functions can be chained to it: they get the line as an image of one axis.
    """

    name = Unicode("lineout", help="what the results are called: <name>_<key>")
    axis = Int(0, min=0, help="axis of which one index is taken")
    idx = Int(
        None, allow_none=True, min=0, help="the index; none: of the brightest pixel"
    )

    def _check_axis(self, det: ImageSource) -> None:
        super()._check_axis(det)
        n = self._image_shape[self.axis]
        if self.idx is not None and self.idx >= n:
            raise ParameterError(
                f"idx = {self.idx}: axis {self.axis} of {det.name!r} has the indices 0 "
                f"to {n - 1}"
            )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._use = self._squeezed(det.good)
        if self.idx is not None and not self.good.any():
            raise ParameterError(
                f"no pixel of {det.name!r} with the index {self.idx} of axis "
                f"{self.axis} is good; all are masked"
            )

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels of the line; of any line, where it is not always the same."""
        if self.idx is None:
            return super().good
        return np.asarray(self._squeezed(self.source.good).take(self.idx, self.axis))

    @property
    def noise(self) -> Array | None:
        """Noise of the pixels of the line, if it is known and they are always these."""
        noise = self.source.noise
        if noise is None or self.idx is None or self._changes_values:
            return None
        return np.asarray(self._squeezed(noise).take(self.idx, self.axis))

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        line = Field(np.dtype(np.float32), self.shape, self.unit, "pixels of the line")
        fields = {"data": line}
        if self.idx is None:
            fields["idx"] = Field(np.dtype(np.int64), (), "pixel", "index of the line")
        return fields | self._describe_peak() | self.describe_chained()

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        image = self._squeezed(self.after_thresholds(data))
        idx = self._brightest(image) if self.idx is None else self.idx
        if idx == MISSING_INTEGER:
            line = np.full(self.shape, np.nan, np.float32)
        else:
            pixels, use = image.take(idx, self.axis), self._use.take(idx, self.axis)
            line = np.where(use & np.isfinite(pixels), pixels, np.nan)
            line = line.astype(np.float32, copy=False)
        results: dict[str, Any] = {"data": line}
        if self.idx is None:
            results["idx"] = idx
        peak = self._peak(line.astype(np.float64)) if self.calcPars else {}
        return results | peak | self.pass_on(line)

    def _brightest(self, image: Array) -> int:
        """Return the index of the brightest pixel, `MISSING_INTEGER` if there is none.

        Pixels that are equally bright: the first of them.
        """
        candidates = np.where(self._use & np.isfinite(image), image, -np.inf)
        top = int(candidates.argmax())
        if candidates.flat[top] == -np.inf:
            return MISSING_INTEGER
        return int(np.unravel_index(top, image.shape)[self.axis])
