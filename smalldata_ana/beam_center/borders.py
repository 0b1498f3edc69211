"""The glow around the beam, which a beam stop cuts off: its edge is no ring."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.preparation import Reduced
from smalldata_ana.beam_center.profile import ENOUGH, Profile, mean, smoothed
from smalldata_ana.beam_center.results import Center

Floats = npt.NDArray[np.float64]

_TOGETHER = 2
"""Sectors that are taken together; over more, an edge that is off is blurred."""
_FEWEST_PIXELS = 2.0
"""In a bin of radius of such sectors."""
_DARK = 0.1
"""Highest intensity in a shadow, by that at its edge."""
_SHARPEST_RISE = 4.0
"""Bins within which the edge of a shadow rises."""
_FALL = 0.9
"""How long it falls to the half, by how long it rises; of a symmetric peak, 0.6."""
_BESIDE_MASK = 3
"""So near to the first pixels that are used, a peak is where the mask ends [bins]."""
_SMOOTHING = 2.0
"""Of the profile, to see where it rises [bins]."""


def is_border(profile: Profile, place: float, width: float) -> bool:
    """Tell whether a peak of a profile is where a shadow or a mask ends.

    Unlike a ring, it rises at once from the dark, which reaches to the centre, and
    falls more slowly; or it begins where the pixels do.

    Parameters
    ----------
    profile : about a centre
    place, width : of the peak [bins]
    """
    first = int(np.flatnonzero(profile.counts >= ENOUGH)[0])
    if first > 0 and place - first <= _BESIDE_MASK:
        return True
    sums = profile.sums
    joined = sums.reshape(-1, _TOGETHER, *sums.shape[1:]).sum(axis=1)
    reach = math.ceil(2 * width) + 4
    end = min(round(place) + reach + 1, sums.shape[1])
    begin = max(round(place) - reach, 0)
    shapes = [_rise_and_fall(sector[:end], begin) for sector in joined]
    seen = [shape for shape in shapes if shape is not None]
    if not seen:
        return False
    dark = [rise for rise, _ in seen if math.isfinite(rise)]
    if 2 * len(dark) <= len(seen):
        return False
    rise, fall = np.median([s for s in seen if math.isfinite(s[0])], axis=0)
    return bool(rise <= _SHARPEST_RISE and fall >= _FALL * rise)


def _rise_and_fall(sector: Floats, begin: int) -> tuple[float, float] | None:
    """Return in how many bins a peak rises from the dark, and falls to the half.

    Parameters
    ----------
    sector : (bins, 3), sums of pixels; to the end of where the peak may be
    begin : of where it may be

    Returns
    -------
    The rise is infinite where it is not dark inside; None where nothing is seen.
    """
    level = np.where(sector[:, 0] >= _FEWEST_PIXELS, mean(sector), np.nan)
    if not np.isfinite(level[begin:]).any():
        return None
    top = begin + int(np.nanargmax(level[begin:]))
    height = level[top]
    if not height > 0:
        return None
    with np.errstate(invalid="ignore"):
        lit = np.flatnonzero(level[: top + 1] > _DARK * height)
        low = np.flatnonzero(level[top:] < height / 2)
    inside = level[: lit[0]]
    # What lies between the dark and the top must be the rise alone.
    alone = len(lit) == top + 1 - lit[0]
    rise = top - lit[0] + 1.0 if alone and np.isfinite(inside).any() else math.inf
    return rise, float(low[0]) if low.size else float(len(level) - top)


def without_glow(image: Reduced, center: Center, end: float) -> Reduced:
    """Return an image in which nothing counts up to where the glow ends.

    Parameters
    ----------
    image : not reduced
    center : row and column [px]
    end : where the glow ends [px]
    """
    r = np.hypot(image.y - center[0], image.x - center[1])
    weight = np.where(r > end, image.weight, np.float32(0))
    return replace(image, mean=image.mean * (weight > 0), weight=weight)


def glow_end(profile: Profile, place: float) -> float:
    """Return the radius at which the profile first rises again behind a border [px].

    Parameters
    ----------
    profile : about a centre
    place : of the border [bins]
    """
    begin = math.ceil(place + 2 * _SMOOTHING)
    rising = np.diff(smoothed(profile.whole, _SMOOTHING)[begin:]) > 0
    after = np.flatnonzero(rising)
    return float(begin + (after[0] if after.size else 0)) * profile.width
