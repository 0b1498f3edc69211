"""Position, height and width of the peak of a line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]

MEANINGS = {
    "peak": "highest point of the parabola through the largest sample",
    "height": "largest sample",
    "fwhm": "full width at half of the height, above 0",
    "com": "first moment",
    "std": "square root of the second central moment",
}
"""The results of `peak_shape`."""


def peak_shape(line: Line, begin: float = 0.0) -> dict[str, float]:
    """Return where the peak of a line is, and how wide.

    The line is taken to have no background.  Samples that are not finite are left out.

    Parameters
    ----------
    line : (samples,)
    begin : position of the first sample

    Returns
    -------
    peak : position [samples]; that of the largest sample, refined by the parabola
        through it and its neighbours, if they are there
    height : of the largest sample, in the unit of the line
    fwhm : full width at half of the height, linear between samples [samples]
    com, std : first moment Σ x·y / Σ y, and square root of the second moment around it
        [samples]

    NaN stands for what the line does not have: a half height on both sides, or a sum
    above 0.
    """
    finite = np.isfinite(line)
    if not finite.any():
        return dict.fromkeys(MEANINGS, np.nan)
    top = int(np.argmax(np.where(finite, line, -np.inf)))
    position = np.arange(line.size, dtype=np.float64)
    com, std = _moments(position[finite], line[finite])
    return {
        "peak": begin + top + _vertex(line[max(top - 1, 0) : top + 2]),
        "height": float(line[top]),
        "fwhm": _width(position[finite], line[finite], line[top] / 2),
        "com": begin + com,
        "std": std,
    }


def _vertex(three: Line) -> float:
    """Return where a parabola has its top, from the middle of three samples."""
    if three.size < 3 or not np.isfinite(three).all():
        return 0.0
    left, middle, right = three
    curvature = left - 2 * middle + right
    return float((left - right) / (2 * curvature)) if curvature else 0.0


def _moments(position: Line, weight: Line) -> tuple[float, float]:
    total = weight.sum()
    if not total > 0:
        return np.nan, np.nan
    mean = float(position @ weight / total)
    variance = float((position - mean) ** 2 @ weight / total)
    return mean, np.sqrt(variance) if variance >= 0 else np.nan


def _width(position: Line, line: Line, half: float) -> float:
    """Return the distance of the points beside the maximum that are half as high."""
    if not half > 0:
        return np.nan
    top = int(np.argmax(line))
    right = _crossing(position[top:], line[top:], half)
    left = _crossing(position[top::-1], line[top::-1], half)
    return right - left


def _crossing(position: Line, line: Line, half: float) -> float:
    """Return where a line that begins at its maximum first falls to `half`."""
    below = np.flatnonzero(line <= half)
    if not below.size:
        return np.nan
    i = below[0]
    fraction = (line[i - 1] - half) / (line[i - 1] - line[i])
    return float(position[i - 1] + fraction * (position[i] - position[i - 1]))
