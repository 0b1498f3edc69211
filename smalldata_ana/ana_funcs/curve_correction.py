"""Straightening of curved lines in an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Int, Unicode

from smalldata_ana.ana_funcs.array_files import LineTrait
from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.thresholds import as_floats
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register
from smalldata_ana.sources.base import PixelPositions

_DIGITS = 6
"""Of a shift [pixel]."""


class _Shift:
    """A shift of each line of an image by its own number of pixels.

    Parameters
    ----------
    shape : (rows, columns)
    distance : of each line, 0 or more: the pixel i of the result is what was at
        i + distance, linear between two pixels
    axis : that the pixels move along

    Attributes
    ----------
    inside : bool, shape of the image; False where that is beyond its end
    """

    def __init__(
        self, shape: tuple[int, int], distance: npt.NDArray[np.float64], axis: int
    ) -> None:
        n = shape[axis]
        whole = np.minimum(np.floor(distance), n)
        part = distance - whole
        # A pixel that has no weight must not count if it is not finite.
        step = part > 0
        lines = [np.expand_dims(v, axis) for v in (whole, step, part)]
        along = np.expand_dims(np.arange(n), 1 - axis)
        below = along + lines[0].astype(np.intp)
        above = below + lines[1]
        self.inside = np.broadcast_to(above < n, shape)
        self._weight = lines[2]
        self._below, self._above = (
            self._flat(np.minimum(index, n - 1), shape, axis)
            for index in (below, above)
        )

    @staticmethod
    def _flat(
        index: npt.NDArray[np.intp], shape: tuple[int, int], axis: int
    ) -> npt.NDArray[np.intp]:
        rows, columns = np.indices(shape, sparse=True)
        where = (rows, index) if axis else (index, columns)
        return np.ravel_multi_index(np.broadcast_arrays(*where), shape)

    def pair(self, image: Array) -> tuple[Array, Array]:
        """Return the two pixels that each pixel of the result lies between."""
        flat = image.reshape(-1)
        return flat.take(self._below), flat.take(self._above)

    def weights(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Return the weights of these pixels, which add up to 1."""
        above = self._weight.astype(dtype)
        return 1 - above, above

    def moved(self, image: Array) -> Array:
        """Return an image with its lines shifted, of the same floating type."""
        below, above = self.pair(image)
        of_below, of_above = self.weights(image.dtype)
        below *= of_below
        above *= of_above
        below += above
        return below


@register("curve_correction")
class PolynomialCurveCorrection(DetObjectFunc):
    """An image with its curved lines made straight.

    The polynomial p says where a curved line lies: with `axis` = 1 at the column
    p(row), with `axis` = 0 at the row p(column).  Each row (column) is shifted by
    s = p - min p >= 0 towards smaller indices, linear between pixels::

        corrected[row, column] = image[row, column + s(row)]         (axis = 1)

    so that the line comes out straight at min p, and a term that does not depend on the
    row changes nothing.  Indices are those of the image that the function works on.
    Nothing wraps around: the last pixels of a row, for which there is no image, are
    NaN and not good.  A pixel that lies between two is good if both are, and NaN
    otherwise.

    ``corrected_image`` (rows, columns), float32 [unit of the image], is stored with
    `writeArea`; functions that are chained to this one get it with its `good` pixels
    and the positions and noise that belong to them.
    """

    passes = Passed.IMAGE

    name = Unicode("curve_correction", help="what the results are called: <name>_<key>")
    polynomial_coefficients = LineTrait(
        help="of p, the highest power first [pixel, pixel/pixel, …]"
    )
    axis = Int(1, min=0, max=1, help="pixels move along it: 1 columns, 0 rows")
    writeArea = Bool(True, help="store the corrected image")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not self.polynomial_coefficients:
            raise ParameterError(
                f"{self.name!r} needs polynomial_coefficients, the highest power first"
            )
        shape = det.shape[1:] if det.shape[0] == 1 else det.shape
        if len(shape) != 2:
            raise ParameterError(
                f"{self.name!r} works on a single image of rows and columns, and "
                f"{det.name!r} has the shape {det.shape}; choose a panel with a ROI"
            )
        distances = self._distances(shape)
        self._shift = _Shift((shape[0], shape[1]), distances, self.axis)
        below, above = self._shift.pair(det.good)
        self._good = self._shift.inside & below & above
        if not self._good.any():
            raise ParameterError(
                f"no pixel of {det.name!r} is good after the correction: all are "
                "masked, or shifted out of the image; the shift is at most "
                f"{distances.max():.4g} pixels"
            )

    def _distances(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Return by how much each line is shifted [pixel]."""
        lines = np.arange(shape[1 - self.axis], dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            line = np.polyval(self.polynomial_coefficients, lines)
        if not np.isfinite(line).all():
            raise ParameterError(
                f"polynomial_coefficients = {self.polynomial_coefficients} are too "
                f"large for an image of {shape}"
            )
        # A part that is rounding must not cost the last pixel.
        return np.asarray(np.round(line - line.min(), _DIGITS), np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the corrected image."""
        return self._good.shape

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels of the corrected image."""
        return self._good

    @property
    def noise(self) -> Array | None:
        """Noise of its pixels, if it is known."""
        noise = self.source.noise
        if noise is None:
            return None
        pairs = zip(
            self._shift.pair(noise), self._shift.weights(noise.dtype), strict=True
        )
        below, above = (pixels * weight for pixels, weight in pairs)
        moved: Array = np.hypot(below, above)
        return moved

    @property
    def positions(self) -> PixelPositions | None:
        """Where its pixels were in the image, as far as it is known."""
        known = self.source.positions
        if known is None:
            return None
        x, y, z = (self._shift.moved(axis) for axis in (known.x, known.y, known.z))
        return replace(known, x=x, y=y, z=z, extent=known.whole)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        fields: dict[str, Field] = {}
        if self.writeArea:
            fields["corrected_image"] = Field(
                np.dtype(np.float32), self.shape, self.unit, "image with straight lines"
            )
        return fields | self.describe_chained()

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        with np.errstate(invalid="ignore"):
            image = self._shift.moved(as_floats(data))
        image[~self._good] = np.nan
        results: dict[str, Any] = {}
        if self.writeArea:
            results["corrected_image"] = image.astype(np.float32)
        return results | self.pass_on(image)
