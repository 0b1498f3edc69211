"""A Gaussian on a straight line, fitted to the gradient of an edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]

NO_CONTRAST, NO_EDGE, NO_SIGNAL = -1, -2, -3
"""Status of a line that was not fitted, or not to an edge."""

_CONVERGED = (1, 2, 3, 4)

_LEAST_SAMPLES = 6
"""More than the parameters of the fit."""


@dataclass(frozen=True)
class Edge:
    """An edge in a line.

    Attributes
    ----------
    status : 1 to 4 found (MINPACK's number), 5 and more not converged, below 0 as above
    position : of the edge [samples]
    width : standard deviation of the Gaussian [samples]
    height : of the Gaussian, in the unit of the gradient
    constant : straight line at the edge, in the same unit
    slope : of the straight line, in this unit per sample
    """

    status: int
    position: float = math.nan
    width: float = math.nan
    height: float = math.nan
    constant: float = math.nan
    slope: float = math.nan


def fit_edge(gradient: Line, width: float) -> Edge:
    """Fit an edge by least squares.

    Parameters
    ----------
    gradient : (samples,), with a peak above the straight line where the edge is;
        samples that are not finite are left out
    width : of the Gaussian to start with [samples]

    Returns
    -------
    The edge; NaN with its status where the fit did not converge, or not to a peak
    above the line within the samples and not wider than these.
    """
    from scipy.optimize import leastsq

    x = np.flatnonzero(np.isfinite(gradient)).astype(np.float64)
    if x.size < _LEAST_SAMPLES:
        return Edge(NO_SIGNAL)
    y = gradient[np.isfinite(gradient)]
    scale = float(np.abs(y).max()) or 1.0
    constant = float(np.median(y))
    top = int(np.argmax(y))
    start = (x[top], width, (y[top] - constant) / scale, constant / scale, 0.0)
    # With full_output a fit that does not converge says so without a warning.
    with np.errstate(all="ignore"):
        found, *_, status = leastsq(
            lambda p: _peak(p, x) - y / scale,
            start,
            Dfun=lambda p: _derivatives(p, x),
            full_output=True,
        )
    if status not in _CONVERGED:
        return Edge(int(status))
    position, width, height, constant, slope = (float(value) for value in found)
    # The sign of the width makes no difference to the Gaussian.
    inside = x[0] <= position <= x[-1] and abs(width) <= x[-1] - x[0]
    if not inside or not height > 0:
        return Edge(NO_EDGE)
    numbers = (height * scale, constant * scale, slope * scale)
    return Edge(int(status), position, abs(width), *numbers)


def _peak(parameters: Line, x: Line) -> Line:
    position, width, height, constant, slope = parameters
    u = x - position
    peak = height * np.exp(-0.5 * (u / width) ** 2)
    return np.asarray(peak + constant + slope * u)


def _derivatives(parameters: Line, x: Line) -> Line:
    """Return the derivatives of `_peak` by its parameters, (samples, parameters)."""
    position, width, height, _, slope = parameters
    u = x - position
    shape = np.exp(-0.5 * (u / width) ** 2)
    return np.stack(
        [
            height * shape * u / width**2 - slope,
            height * shape * u**2 / width**3,
            shape,
            np.ones_like(x),
            u,
        ],
        axis=1,
    )
