"""Images of fewer, larger pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.line_sums import line_sums
from smalldata_ana.ana_funcs.thresholds import as_floats
from smalldata_ana.ana_funcs.traits import Whole, WholeNumbersTrait
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register
from smalldata_ana.sources.base import PixelPositions


@register("rebin")
class rebinFunc(DetObjectFunc):
    """Mean of the good pixels of each block of an image.

    Result: ``data``, the image of the blocks (float32, in the image's unit; NaN where
    no pixel of a block is good), unless `writeArea` is off.  A pixel that is not
    finite is left out as if it were masked.

    The blocks are given by the `shape` of the result or by the `factor` between the
    shapes, of as many of the last axes of the image as there are numbers; a single
    factor is for rows and columns.  They have to divide the image without rest.

    Other functions can be chained to it: they get the image of the blocks, whose
    positions are the means of those of the pixels.
    """

    passes = Passed.IMAGE

    name = Unicode("rebin", help="what the results are called: <name>_<key>")
    # It is what `ImageSource` asks for, too; from a factor, after the set-up.
    shape = WholeNumbersTrait(
        None,
        allow_none=True,
        help="of the result, for instance [64, 128]; without the axes before: panels",
    )
    factor = WholeNumbersTrait(
        None,
        allow_none=True,
        help="pixels of a block along rows and columns, for instance [8, 8], or a "
        "number for both; instead of shape",
    )
    writeArea = Bool(True, help="store the image")

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._given = self.shape
        if (self.shape is None) == (self.factor is None):
            raise ParameterError("give the shape of the result, or a factor")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not det.good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        self._factors = self._factors_for(det)
        blocks = tuple(n // f for n, f in zip(det.shape, self._factors, strict=True))
        self._lay_out(blocks)
        self.shape = _without_panel(blocks)
        self._use = np.ascontiguousarray(det.good).reshape(self._lines)
        self._count = self._summed(np.ones(self._lines))[1]

    def _lay_out(self, blocks: Whole) -> None:
        """Divide an image into lines of blocks for the kernel, and what it leaves.

        The kernel adds up the rows of a block; the rest is done on its sums.
        """
        *_, down, across = 1, *self._factors
        columns = self.source.shape[-1]
        rows = math.prod(self.source.shape) // columns
        self._lines = rows // down, down, columns
        left = (*self._factors[:-2], 1, across)[-len(blocks) :]
        pairs = zip(blocks, left, strict=True)
        self._rest = tuple(n for pair in pairs for n in pair)
        self._inside = tuple(range(1, len(self._rest), 2))

    def _factors_for(self, det: ImageSource) -> Whole:
        if self._given is not None:
            wanted = self._given
            blocks = _padded(wanted, det.shape, det.name, det.shape)
            factors = tuple(n // b for n, b in zip(det.shape, blocks, strict=True))
        else:
            several = len(self.factor) > 1 or len(det.shape) == 1
            wanted = self.factor if several else self.factor * 2
            factors = _padded(wanted, det.shape, det.name, (1,) * len(det.shape))
            blocks = tuple(n // f for n, f in zip(det.shape, factors, strict=True))
        products = tuple(b * f for b, f in zip(blocks, factors, strict=True))
        if products != det.shape or 0 in blocks:
            what = "factor" if self._given is None else "shape"
            raise ParameterError(
                f"{what} = {list(wanted)} does not divide images of {det.name!r}, "
                f"{det.shape}, without rest; cut them with a ROI first, or choose "
                "another"
            )
        return factors

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Blocks that have a good pixel."""
        return self._count > 0

    @property
    def noise(self) -> Array | None:
        """Noise of the means, if that of the pixels is known."""
        noise = self.source.noise
        if noise is None:
            return None
        variance, count = self._summed(np.square(noise, dtype=np.float64))
        return _divided(np.sqrt(variance), count).astype(np.float32)

    @property
    def positions(self) -> PixelPositions | None:
        """Where the middles of the blocks are, if they are square and it is known."""
        whole, factors = self.source.positions, self._factors
        square = len(set(factors[-2:])) == 1 and math.prod(factors[:-2]) == 1
        if whole is None or not square:
            return None
        x, y, z = (self._middles(axis) for axis in (whole.x, whole.y, whole.z))
        size = whole.pixel_size * factors[-1]
        return replace(whole, x=x, y=y, z=z, pixel_size=size, extent=whole.whole)

    def _middles(self, coordinate: Array) -> Array:
        """Return the mean over all pixels of each block, good or not."""
        sums = coordinate.reshape(self._lines).sum(axis=1)
        return self._over_rest(sums) / math.prod(self._factors)

    @property
    def normals(self) -> Array | None:
        """Normals of the panels, if they are still there."""
        return self.source.normals if math.prod(self._factors[:-2]) == 1 else None

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        chained = self.describe_chained()
        if not self.writeArea:
            return chained
        what = "means of blocks of pixels"
        data = Field(np.dtype(np.float32), self.shape, self.unit, what)
        return {"data": data} | chained

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        image = _divided(*self._summed(as_floats(data))).astype(np.float32)
        results = {"data": image} if self.writeArea else {}
        return results | self.pass_on(image)

    def _summed(self, image: Array) -> tuple[Array, Array]:
        """Return the sum and the number of the good and finite pixels of each block."""
        sums, counts = line_sums(image.reshape(self._lines), self._use)
        return self._over_rest(sums), self._over_rest(counts)

    def _over_rest(self, sums: Array) -> Array:
        """Add up what the kernel leaves, in the shape of the result."""
        whole = sums.reshape(self._rest).sum(axis=self._inside)
        return np.asarray(whole).reshape(self.shape)


def _padded(wanted: Whole, shape: Whole, detector: str, before: Whole) -> Whole:
    """Return numbers for all axes, with those of `before` where none are given."""
    if len(wanted) > len(shape):
        raise ParameterError(
            f"{list(wanted)} is for {len(wanted)} axes, and images of {detector!r} are "
            f"{shape}"
        )
    return before[: len(shape) - len(wanted)] + wanted


def _without_panel(shape: Whole) -> Whole:
    return shape[1:] if len(shape) > 2 and shape[0] == 1 else shape


def _divided(sums: Array, count: Array) -> npt.NDArray[np.float64]:
    mean = np.full(sums.shape, np.nan)
    np.divide(sums, count, where=count > 0, out=mean)
    return mean
