"""Droplets: groups of touching pixels that share the charge of a few photons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Float, Instance, List, TraitError, Unicode, Union, validate

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.droplets import Droplets, as_float32, good_with, panels_of
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

_COUNT = np.dtype(np.int64)
_LARGEST = float(np.finfo(np.float32).max)


@register("droplet")
class dropletFunc(DetObjectFunc):
    """Groups of touching pixels with signal: the traces of one or several photons.

    Pixels from `threshold` up make droplets, with all their neighbours up, down, left
    and right that reach `thresholdLow`: this grows them by one pixel and no further.
    Pixels of different panels are never neighbours.  With `relabel`, grown droplets
    that touch are one; without, a pixel between two belongs to the one whose pixel
    beside it is brighter.  Pixels that are not good, not finite or above `pixmax` are
    left out, and with `useRms` those whose noise is not known.

    Results: ``nDroplets_all``, and ``nDroplets`` of those whose sum is within
    `thresADU`.  The latter are passed on: chain `sparsifyFunc` to store the sum,
    centre of mass (weighted with the pixels; raw row and column, as indices of the
    detector), panel and number of pixels of each, or `droplet2Photons`.

    The rule is that of smalldata_tools.  The noise is that of the detector's images, in
    their unit.
    """

    passes = Passed.DROPLETS

    name = Unicode("droplet", help="what the results are called: <name>_<key>")
    threshold = Float(
        5.0,
        help="a droplet has a pixel that reaches it [noise of the pixel; without "
        "useRms: unit of the image]",
    )
    thresholdLow = Float(
        None,
        allow_none=True,
        help="neighbours that reach it are added [as threshold]; default: threshold",
    )
    thresADU = Union(
        [Float(), List(Float(), minlen=2, maxlen=2)],
        default_value=None,
        allow_none=True,
        help="smallest sum of a droplet; [low, high]: also the largest "
        "[unit of the image]",
    )
    pixmax = Float(
        None,
        allow_none=True,
        help="pixels above it are left out [unit of the image]; default: none",
    )
    useRms = Bool(True, help="thresholds are multiples of the noise of each pixel")
    relabel = Bool(True, help="grown droplets that touch become one")
    mask = Instance(
        np.ndarray,
        allow_none=True,
        help="1 = use, shape of the detector; beside the detector's own",
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if not 0 <= self._low <= self.threshold < np.inf or not self.threshold:
            raise ParameterError(
                f"threshold = {self.threshold:g}, thresholdLow = {self._low:g} of "
                f"{self.name!r}: the first must be above 0, the second not above it"
            )

    @validate("thresADU")
    def _ordered(self, proposal: Mapping[str, Any]) -> Any:
        value = proposal["value"]
        if isinstance(value, list) and not value[0] <= value[1]:
            raise TraitError(f"thresADU = {value}: the lower limit comes first")
        if isinstance(value, float) and np.isnan(value):
            raise TraitError("thresADU is not a number")
        return value

    @validate("pixmax")
    def _above_zero(self, proposal: Mapping[str, Any]) -> Any:
        value = proposal["value"]
        if value is not None and not value > 0:
            raise TraitError(f"pixmax = {value:g} must be above 0")
        return value

    @property
    def _low(self) -> float:
        low = self.thresholdLow
        return float(self.threshold if low is None else low)

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        from smalldata_ana.ana_funcs.droplet_kernels import Scratch

        super().setFromDet(det)
        panels, rows, columns = panels_of(det.shape, self.name)
        self._panel = rows, columns
        self._good = good_with(self.mask, det, self.name)
        self._unit = self._unit_of(det).reshape(-1)
        self._scratch = Scratch.of(panels, rows, columns)
        most = _LARGEST if self.pixmax is None else min(self.pixmax, _LARGEST)
        self._limits = self._low, float(self.threshold), most
        self._within = _limits(self.thresADU)

    def _unit_of(self, det: ImageSource) -> npt.NDArray[np.float32]:
        """Return the unit of the thresholds for each pixel, infinite if not good."""
        if not self.useRms:
            return np.where(self._good, np.float32(1), np.float32(np.inf))
        noise = det.noise
        if noise is None:
            raise ParameterError(
                f"the noise of {det.name!r} is not known, so {self.name!r} has no unit "
                f"for its thresholds; give them in {det.unit} with useRms=False, or "
                "pixel_rms in the constants"
            )
        use = self._good & (noise > 0) & np.isfinite(noise)
        if not use.any():
            raise ParameterError(
                f"the noise of {det.name!r} is not above 0 in any good pixel; give the "
                f"thresholds of {self.name!r} in {det.unit} with useRms=False"
            )
        return np.where(use, noise, np.inf).astype(np.float32)

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels, those of the mask only."""
        return self._good

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        fields = {
            "nDroplets_all": Field(_COUNT, long_name="number of droplets"),
            "nDroplets": Field(_COUNT, long_name="of those, within thresADU"),
        }
        return fields | self.describe_chained()

    def process(self, data: Array) -> dict[str, Any]:
        """Find the droplets of one image; as `DetObjectFunc.process`."""
        n_all, droplets = self._find(as_float32(data))
        results = {"nDroplets_all": n_all, "nDroplets": len(droplets)}
        return results | self.pass_on(droplets)

    def _find(self, image: Array) -> tuple[int, Droplets]:
        from smalldata_ana.ana_funcs.droplet_kernels import find_droplets

        n_all, adu, row, column, npix, begin, pixel, value = find_droplets(
            self._scratch,
            image,
            self._unit,
            self._limits,
            self._within,
            self._panel,
            self.relabel,
        )
        first_panel, first_row, first_column = self.first
        rows, columns = self._panel
        panel = pixel[begin[:-1]] // np.int32(rows * columns)
        droplets = Droplets(
            adu=adu,
            npix=npix,
            row=row + first_row,
            column=column + first_column,
            panel=panel + np.int32(first_panel),
            begin=begin,
            pixel=pixel,
            value=value,
        )
        return n_all, droplets


def _limits(threshold: float | list[float] | None) -> tuple[float, float]:
    if threshold is None:
        return -np.inf, np.inf
    low, high = threshold if isinstance(threshold, list) else (threshold, np.inf)
    return low, high
