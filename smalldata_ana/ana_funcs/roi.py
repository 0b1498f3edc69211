"""The sum, mean, maximum and centre of mass of a region of the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Float, Instance, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.line_sums import line_sums
from smalldata_ana.ana_funcs.regions import Box, Region, RegionTrait, boxes_within
from smalldata_ana.ana_funcs.thresholds import as_floats, limits, within
from smalldata_ana.ana_funcs.traits import ThresholdTrait
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register
from smalldata_ana.sources.base import PixelPositions

_NUMBER = np.dtype(np.float64)


@dataclass(frozen=True)
class _Window:
    """A box of the detector, and what is known of its pixels before any event.

    Attributes
    ----------
    slices : into the raw frame
    good : bool, shape of the box; True = use
    bad : flat indices of the others in the box
    """

    slices: tuple[slice, ...]
    good: npt.NDArray[np.bool_]
    bad: npt.NDArray[np.intp]

    @classmethod
    def of(cls, box: Box, good: npt.NDArray[np.bool_]) -> _Window:
        slices = tuple(slice(begin, end) for begin, end in box)
        inside = good[slices].copy()
        return cls(slices, inside, np.flatnonzero(~inside))


@register("roi")
class ROIFunc(DetObjectFunc):
    """Sum, mean, maximum and centre of mass of the good pixels of a region.

    Results: ``sum`` and ``max`` (in the image's unit), ``mean`` (over the good
    pixels), ``com`` (centre of mass: raw row and column, as indices of the detector
    and not of the region; NaN where the sum is 0), ``nsat`` (the number of pixels at
    `saturation` or above), and ``area``, the pixels themselves (float32, NaN where not
    good; a single panel's axis is left out).  Several boxes are one region: each
    number is over all of them, and the centre of mass is that of their rows and
    columns whatever their panel.  Pixels that are not finite do not count; if none is
    left, the numbers are NaN.

    Other functions can be chained to a region of a single box: they get its pixels.
    """

    passes = Passed.IMAGE

    always_numbered: ClassVar[bool] = True

    name = Unicode("ROI", help="what the results are called: <name>_<key>")
    ROI = RegionTrait(
        help="half-open [begin, end) by axis of the raw frame: [[r0, r1], [c0, c1]] "
        "or [[p0, p1], [r0, r1], [c0, c1]], or a list of boxes; none: all pixels"
    )
    imageROI = RegionTrait(
        help="instead of ROI: [[r0, r1], [c0, c1]] in the assembled image; the region "
        "is one box for each panel that it touches"
    )
    saturation = Float(
        None,
        allow_none=True,
        help="store nsat, the number of pixels of this value or more [unit of the "
        "image]",
    )
    writeArea = Bool(False, help="store the pixels; needs a single box")
    calcPars = Bool(True, help="store sum, mean, max and com")
    thresADU = ThresholdTrait(
        help="pixels below it count as 0; [low, high]: also those above high "
        "[unit of the image]"
    )
    userMask = Instance(
        np.ndarray, allow_none=True, help="1 = use, shape of the detector"
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._windows: list[_Window] = []
        if self.writeArea and _n_boxes(self.ROI) > 1:
            raise ParameterError("writeArea needs a region of a single box")
        if self.imageROI is None:
            return
        if self.ROI is not None:
            raise ParameterError("give ROI, in raw indices, or imageROI, not both")
        if _n_boxes(self.imageROI) > 1 or len(self.imageROI) != len(("row", "column")):
            raise ParameterError(
                f"imageROI = {self.imageROI} is not a rectangle [[r0, r1], [c0, c1]]"
            )

    def addNsat(self, highLim: float) -> None:
        """Store the number of pixels of this value or more as ``nsat``."""
        self.saturation = highLim

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        good = self._good_of(det)
        boxes = boxes_within(self._region(det), det.shape, det.name)
        if self.writeArea and len(boxes) > 1:
            raise ParameterError(
                f"writeArea needs a single box, and imageROI = {self.imageROI} touches "
                f"{len(boxes)} panels of {det.name!r}"
            )
        self._windows = [_Window.of(box, good) for box in boxes]
        if not any(window.good.any() for window in self._windows):
            raise ParameterError(
                f"no pixel of ROI = {self.ROI or self.imageROI} of {det.name!r} is "
                "good; all are masked"
            )

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters and, after set-up, the region as users know it.

        ``bound`` is the region, and ``mask`` its good pixels (1 = good), both of a
        single box only.
        """
        values = super().params_as_dict()
        if len(self._windows) != 1:
            return values
        bound = np.array([(s.start, s.stop) for s in self._windows[0].slices])
        return values | {"bound": bound, "mask": self.good.astype(np.uint8)}

    def _region(self, det: ImageSource) -> Region | None:
        if self.imageROI is None:
            region: Region | None = self.ROI
            return region
        geometry = det.shared(
            "image geometry",
            lambda: ImageGeometry.from_positions(det.positions, det.shape),
        )
        boxes = geometry.boxes(*self.imageROI)
        if not boxes:
            raise ParameterError(
                f"imageROI = {self.imageROI} touches no panel of {det.name!r}, whose "
                f"image is {geometry.shape}"
            )
        return boxes

    def _good_of(self, det: ImageSource) -> npt.NDArray[np.bool_]:
        if self.userMask is None:
            return det.good
        use = np.asarray(self.userMask, bool)
        if use.shape != det.shape:
            raise ParameterError(
                f"userMask has shape {use.shape}, but {det.name!r} has {det.shape}"
            )
        good: npt.NDArray[np.bool_] = det.good & use
        return good

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels that are stored and passed on."""
        shape = self._windows[0].good.shape
        return shape[1:] if len(shape) > 2 and shape[0] == 1 else shape

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels of those that are passed on."""
        return self._windows[0].good.reshape(self.shape)

    @property
    def unit(self) -> str:
        """The unit of the pixels."""
        return self.source.unit

    @property
    def noise(self) -> Array | None:
        """Noise of the pixels that are passed on, if it is known."""
        noise = self.source.noise
        return None if noise is None else self._cut(noise)

    @property
    def positions(self) -> PixelPositions | None:
        """Where the pixels are that are passed on, as far as it is known."""
        whole = self.source.positions
        if whole is None:
            return None
        x, y, z = (self._cut(axis) for axis in (whole.x, whole.y, whole.z))
        return replace(whole, x=x, y=y, z=z, extent=whole.whole)

    @property
    def normals(self) -> Array | None:
        """Normals of their panels; see `ImageSource`."""
        normals = self.source.normals
        has_panels = len(self.source.shape) > 2
        if normals is None or not has_panels:
            return normals
        return normals[self._windows[0].slices[0]]

    @property
    def first(self) -> tuple[int, int, int]:
        """Panel, row and column of the first of them in the detector's frames."""
        begins = [cut.start for cut in self._windows[0].slices]
        panel, row, column = [0] * (3 - len(begins)) + begins
        above = self.source.first
        return above[0] + panel, above[1] + row, above[2] + column

    def _cut(self, image: Array) -> Array:
        return image[self._windows[0].slices].reshape(self.shape)

    def addFunc(self, func: DetObjectFunc) -> None:
        """Chain a function to this one: it works on the pixels of the region.

        Raises
        ------
        ParameterError
            if the region has several boxes; else as `DetObjectFunc.addFunc`
        """
        if _n_boxes(self.ROI) > 1 or self.imageROI is not None:
            raise ParameterError(
                f"{self.name!r} has several boxes, or may have, so {func.name!r} "
                "cannot be chained to it; make an entry for each box"
            )
        super().addFunc(func)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = self.unit
        fields: dict[str, Field] = {}
        if self.calcPars:
            axes = min(2, self._windows[0].good.ndim)
            fields |= {
                "sum": Field(_NUMBER, (), unit, "sum of the pixels of the region"),
                "mean": Field(_NUMBER, (), unit, "mean of the pixels of the region"),
                "max": Field(_NUMBER, (), unit, "largest pixel of the region"),
                "com": Field(_NUMBER, (axes,), "pixel", "centre of mass, row first"),
            }
        if self.saturation is not None:
            fields["nsat"] = Field(
                np.dtype(np.int64), long_name="number of pixels from saturation on"
            )
        if self.writeArea:
            what = "pixels of the region"
            fields["area"] = Field(np.dtype(np.float32), self.shape, unit, what)
        return fields | self.describe_chained()

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        windows = self._windows
        cuts = [data[window.slices] for window in windows]
        parts = [self._pixels(*pair) for pair in zip(cuts, windows, strict=True)]
        results: dict[str, Any] = self._numbers(parts) if self.calcPars else {}
        if self.saturation is not None:
            results["nsat"] = sum(
                np.count_nonzero(window.good & (cut >= self.saturation))
                for cut, window in zip(cuts, windows, strict=True)
            )
        image = parts[0].reshape(self.shape)
        if self.writeArea:
            area = np.where(self.good, image, np.nan)
            results["area"] = area.astype(np.float32, copy=False)
        return results | self.pass_on(image)

    def _pixels(self, data: Array, window: _Window) -> Array:
        """Return the pixels of a box with 0 for those that do not count."""
        pixels = as_floats(data).copy()
        pixels.reshape(-1)[window.bad] = 0
        if self.thresADU is None:
            return pixels
        return within(pixels, *limits(self.thresADU))

    def _numbers(self, parts: list[Array]) -> dict[str, Any]:
        total, count, maximum = 0.0, 0, -np.inf
        moments = np.zeros(min(2, parts[0].ndim))
        for pixels, window in zip(parts, self._windows, strict=True):
            profiles, number = _profiles(pixels, window.good)
            total += float(profiles[-1].sum())
            count += number
            for axis, profile in enumerate(profiles):
                begin = window.slices[axis - len(profiles)].start
                moments[axis] += profile @ np.arange(begin, begin + profile.size)
            maximum = max(maximum, _maximum(pixels, window))
        if not count:
            total = maximum = np.nan
        com = moments / total if total else np.full_like(moments, np.nan)
        mean = total / max(count, 1)
        return {"sum": total, "mean": mean, "max": maximum, "com": com}


def _n_boxes(region: Region | None) -> int:
    several = region is not None and isinstance(region[0][0], list)
    return len(region) if region is not None and several else 1


def _profiles(
    pixels: Array, good: npt.NDArray[np.bool_]
) -> tuple[list[npt.NDArray[np.float64]], int]:
    """Return the sums over all but each of the last two axes, and how many pixels.

    Pixels that are not good or not finite are left out.
    """
    *panels, columns = pixels.shape
    whole = 1, -1, columns
    across, count = line_sums(pixels.reshape(whole), good.reshape(whole))
    if not panels:
        return [across[0]], int(count.sum())
    lines = -1, columns, 1
    down, _ = line_sums(pixels.reshape(lines), good.reshape(lines))
    rows = down.reshape(-1, panels[-1]).sum(axis=0)
    return [rows, across[0]], int(count.sum())


def _maximum(pixels: Array, window: _Window) -> float:
    """Return the largest of the good pixels, of which the others are 0."""
    largest = float(pixels.max())
    if 0 < largest < np.inf or (np.isfinite(largest) and not window.bad.size):
        return largest
    use = window.good & np.isfinite(pixels)
    return float(np.max(pixels, where=use, initial=-np.inf))
