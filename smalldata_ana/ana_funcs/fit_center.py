"""The centre of a ring, fitted in each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.waveforms import INTEGER, NUMBER
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

Line = npt.NDArray[np.float64]

TOO_FEW, NO_CIRCLE = 0, -1
"""Values of the result ``ier`` for an image without a fit."""

_LEAST_PIXELS = 4
"""Three always lie on a circle."""

_FARTHEST = 1e3
"""A circle this many times as large as its pixels spread is a straight line."""


@register("fit_center")
class fitCenter(DetObjectFunc):
    """The circle through the bright pixels of an image.

    Of the good pixels, those above the percentile `threshold` of the image are used,
    each with the same weight.  The centre minimises Σ (r_i - mean r)² of their
    distances r_i from it (least squares by Levenberg-Marquardt, from the circle that
    minimises Σ (r_i² - R²)²); R = mean r.

    ``xCen``, ``yCen``: the centre, and ``R``: the radius, in the psana frame [um] where
    the positions of the pixels are known (`center` of the azimuthal functions); else
    row and column, as indices of the detector [pixel].  ``residu`` = Σ (r_i - R)²
    [um2 or pixel2].  ``n``: the number of pixels used.  ``ier``: 1 to 4 found
    (MINPACK's number), 5 and more not converged, 0 fewer than 4 pixels, -1 the pixels
    are on no circle; the circle is NaN unless it is 1 to 4.  Pixels that are not finite
    are left out.
    """

    name = Unicode("fitCenter", help="what the results are called: <name>_<key>")
    threshold = Number(
        default_value=90.0,
        allow_none=False,
        within=(0.0, 100.0),
        help="pixels above this percentile of the image are used [%]",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not det.good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        x, y = self._coordinates(det)
        self._x, self._y = x[det.good], y[det.good]

    def _coordinates(self, det: ImageSource) -> tuple[Line, Line]:
        """Return both coordinates of the pixels in `length_unit`."""
        if det.positions is not None:
            return det.positions.x, det.positions.y
        if len(det.shape) < 2 or (len(det.shape) > 2 and det.shape[0] > 1):
            raise ParameterError(
                f"it is not known where the pixels of {det.name!r} are, whose shape is "
                f"{det.shape}; deploy a geometry, or choose a panel with a ROI"
            )
        _, row, column = det.first
        rows, columns = np.indices(det.shape, dtype=np.float64)[-2:]
        return rows + row, columns + column

    @property
    def length_unit(self) -> str:
        """Unit of centre and radius."""
        return "pixel" if self.source.positions is None else "um"

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = self.length_unit
        return {
            "xCen": Field(NUMBER, (), unit, "centre, x of the psana frame or row"),
            "yCen": Field(NUMBER, (), unit, "centre, y of the psana frame or column"),
            "R": Field(NUMBER, (), unit, "radius"),
            "residu": Field(NUMBER, (), f"{unit}2", "sum of squared deviations"),
            "n": Field(INTEGER, (), "", "pixels in the fit"),
            "ier": Field(INTEGER, (), "", "1 to 4 found, else not"),
        }

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        values = data[self.source.good]
        finite = np.isfinite(values)
        used = finite
        if finite.any():
            # NaN and infinities are below any threshold that finite pixels have.
            used = finite & (values > np.percentile(values[finite], self.threshold))
        x, y = self._x[used], self._y[used]
        keys = ("xCen", "yCen", "R", "residu")
        circle, ier = fit_circle(x, y)
        return {**dict(zip(keys, circle, strict=True)), "n": x.size, "ier": ier}


def fit_circle(x: Line, y: Line) -> tuple[Line, int]:
    """Fit a circle to points by least squares of their distances.

    Parameters
    ----------
    x, y : of the points, (points,)

    Returns
    -------
    circle : x and y of the centre, radius and sum of the squared deviations of the
        points; NaN if there is none
    ier : see `fitCenter`
    """
    from scipy.optimize import leastsq

    nothing = np.full(4, np.nan)
    if x.size < _LEAST_PIXELS:
        return nothing, TOO_FEW
    # In units of the points' spread, around their mean.
    middle = np.array([x.mean(), y.mean()])
    spread = float(np.sqrt(x.var() + y.var()))
    u, v = (x - middle[0]) / spread, (y - middle[1]) / spread
    start = _algebraic_center(u, v)
    if start is None:
        return nothing, NO_CIRCLE
    # With full_output a fit that does not converge says so without a warning.
    center, *_, ier = leastsq(
        _deviations, start, args=(u, v), Dfun=_derivatives, full_output=True
    )
    if ier not in {1, 2, 3, 4}:
        return nothing, int(ier)
    if not np.hypot(*center) < _FARTHEST:
        return nothing, NO_CIRCLE
    radius = np.hypot(u - center[0], v - center[1])
    rest = float(((radius - radius.mean()) ** 2).sum())
    x_center, y_center = middle + spread * center
    found = [x_center, y_center, spread * radius.mean(), spread**2 * rest]
    return np.array(found), int(ier)


def _algebraic_center(u: Line, v: Line) -> Line | None:
    """Return the centre of the circle that minimises Σ (r² - R²)², or None.

    With u and v around their mean it is the solution of two linear equations (IEEE
    Trans. Instrum. Meas. 25 (1976) 8); for points on a line these have none.
    """
    # Plain sums: for lines of this length BLAS would start threads.
    square = u**2 + v**2
    mixed = (u * v).sum()
    moments = np.array([[(u**2).sum(), mixed], [mixed, (v**2).sum()]])
    if not np.linalg.cond(moments) < _FARTHEST**2:
        return None
    thirds = np.array([(u * square).sum(), (v * square).sum()])
    return np.asarray(np.linalg.solve(moments, thirds) / 2)


def _deviations(center: Line, u: Line, v: Line) -> Line:
    radius = np.hypot(u - center[0], v - center[1])
    return np.asarray(radius - radius.mean())


def _derivatives(center: Line, u: Line, v: Line) -> Line:
    """Return the derivatives of `_deviations` by the centre, (points, 2)."""
    du, dv = center[0] - u, center[1] - v
    radius = np.maximum(np.hypot(du, dv), np.finfo(np.float64).tiny)
    directions = np.stack([du / radius, dv / radius], axis=1)
    return np.asarray(directions - directions.mean(axis=0))
