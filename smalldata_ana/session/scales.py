"""Scales of intensities: logarithmic where only that shows what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_PERCENTILES = (1, 99.5)
_WIDE = 100
"""Highest value over the median, from which a scale is logarithmic."""
_BELOW = 5
"""How far below the median it begins then."""


def is_wide(values: Floats) -> bool:
    """Tell whether values differ so much that only a logarithmic scale shows them.

    That is so beside the glow around the beam.
    """
    seen = values[np.isfinite(values)]
    return seen.size > 0 and bool(seen.max() > _WIDE * max(np.median(seen), 0.0) > 0)


def scale_limits(values: Floats) -> tuple[float, float]:
    """Return the lowest and highest value of a scale; above 0 if it is logarithmic."""
    seen = values[np.isfinite(values)]
    if not seen.size:
        return 0.0, 1.0
    low, high = np.percentile(seen, _PERCENTILES)
    if is_wide(values):
        low, high = np.median(seen) / _BELOW, seen.max()
    return float(low), float(high if high > low else low + 1)


def set_scale(ax: Axes, values: Floats) -> None:
    """Let the vertical axis of curves show values, on the scale that they need."""
    if is_wide(values):
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(bottom=scale_limits(values)[0])
