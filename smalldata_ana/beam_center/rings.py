"""The rings of a radial profile: radii, errors, and how far round they are seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.borders import glow_end, is_border
from smalldata_ana.beam_center.polishing import Polished
from smalldata_ana.beam_center.preparation import Reduced
from smalldata_ana.beam_center.profile import ENOUGH, Profile
from smalldata_ana.beam_center.results import Center, Ring

Floats = npt.NDArray[np.float64]

_SIGNIFICANT = 8.0
"""Height of a ring above its surroundings, in standard errors of the profile."""
_SEEN = 0.3
"""Height by which a ring is seen in a sector, as share of its mean height."""
_MOST_OF = 0.5
"""Share of the sectors that look at a ring, in which it must be seen."""
_SPAN = 0.9
"""Half of the range of radius to which a peak is fitted, in its widths."""
_SIGMAS = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True)
class _Peak:
    """A peak of the profile [bins].

    Attributes
    ----------
    place, width : of its middle, and between the radii of half its height
    height : above its surroundings
    """

    place: float
    width: float
    height: float


def rings(fit: Polished) -> tuple[Ring, ...]:
    """Return the rings about a fitted centre, by radius; edges of shadows are none."""
    profile = fit.profile
    peaks = (p for p in _peaks(profile) if not is_border(profile, p.place, p.width))
    found = (_ring(fit, peak) for peak in peaks)
    return tuple(ring for ring in found if ring is not None)


def innermost_border(profile: Profile) -> float | None:
    """Return the radius of the first peak, if a shadow or a mask ends there [bins]."""
    first = next(_peaks(profile), None)
    if first is None or not is_border(profile, first.place, first.width):
        return None
    return first.place


def glow_radius(
    image: npt.ArrayLike, good: npt.ArrayLike | None, center: Center
) -> float:
    """Return where the glow that a shadow at a centre cuts off ends, or 0 [px].

    Parameters
    ----------
    image : assembled, (rows, columns); what is not finite does not count
    good : bool, same shape; True = use
    center : row and column [px]
    """
    pixels = Reduced.of(image, good).pixels
    rows, columns = np.shape(image)
    farthest = math.hypot(abs(center[0]) + rows, abs(center[1]) + columns)
    profile = Profile.about(pixels, center, math.ceil(farthest) + 1)
    border = innermost_border(profile)
    return 0.0 if border is None else glow_end(profile, border)


def _peaks(profile: Profile) -> Iterator[_Peak]:
    from scipy.signal import find_peaks, peak_widths

    used = np.flatnonzero(profile.counts >= ENOUGH)
    if len(used) < 5:
        return
    first = int(used[0])
    smooth = np.interp(np.arange(first, used[-1] + 1), used, profile.smooth[used])
    error = profile.error[first : used[-1] + 1]
    places, found = find_peaks(smooth, prominence=0)
    heights = found["prominences"]
    use = heights > _SIGNIFICANT * error[places]
    bases = found["left_bases"][use], found["right_bases"][use]
    widths = peak_widths(smooth, places[use], 0.5, (heights[use], *bases))[0]
    for place, width, height in zip(places[use], widths, heights[use], strict=True):
        yield _Peak(float(place + first), float(width), float(height))


def _ring(fit: Polished, peak: _Peak) -> Ring | None:
    """Return the ring of a peak, if it is seen in most of what looks at it."""
    profile = fit.profile
    place, error = _fitted(profile, peak)
    half = max(peak.width / 2, 0.5)
    inside = _bins(profile, place - half, place + half)
    seen, looking = _sectors(profile, inside, place, half)
    if not looking.any() or seen.sum() < _MOST_OF * looking.sum():
        return None
    pixels = profile.sums[:, inside, 0].sum(axis=1)
    angles = (np.arange(len(pixels)) + 0.5) / len(pixels) * 2 * math.pi - math.pi
    # A shift of the centre shifts the radius of an arc.
    mean = np.average([np.sin(angles), np.cos(angles)], axis=1, weights=pixels)
    common = float(mean @ fit.covariance @ mean)
    return Ring(
        radius=place * profile.width,
        radius_err=math.hypot(error * profile.width, math.sqrt(common)),
        inliers=round(float(pixels.sum())),
        width=peak.width * profile.width,
        height=peak.height,
        coverage=float(np.mean(seen)),
    )


def _fitted(profile: Profile, peak: _Peak) -> tuple[float, float]:
    """Return the middle of a Gaussian on a line that is fitted, and its error."""
    from scipy.optimize import least_squares

    reach = max(_SPAN * peak.width, 3.0)
    near = _bins(profile, peak.place - reach, peak.place + reach)
    if len(near) < 6:
        return peak.place, peak.width / 2
    counts = profile.counts[near]
    error = np.sqrt(np.maximum(profile.variance[near], 1e-30) / counts)
    sigma = max(peak.width / _SIGMAS, 0.5)

    def rest(p: Floats) -> Floats:
        shape = np.exp(-0.5 * ((near - peak.place - p[0]) / (sigma * p[1])) ** 2)
        line = p[3] + p[4] * (near - peak.place) / reach
        model: Floats = peak.height * (p[2] * shape + line)
        return (profile.intensity[near] - model) / error

    base = (float(profile.smooth[round(peak.place)]) - peak.height) / peak.height
    bounds = [-reach / 2, 0.3, 0, -np.inf, -np.inf], [reach / 2, 3, 10, np.inf, np.inf]
    fit = least_squares(rest, [0, 1, 1, base, 0], bounds=bounds, x_scale="jac")
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac)
    scale = max(1.0, 2 * fit.cost / max(len(near) - 5, 1))
    return peak.place + float(fit.x[0]), math.sqrt(scale * float(covariance[0, 0]))


def _bins(profile: Profile, low: float, high: float) -> npt.NDArray[np.int64]:
    first, last = max(math.ceil(low), 0), min(math.floor(high), len(profile.counts) - 1)
    bins = np.arange(first, last + 1)
    return bins[profile.counts[bins] >= ENOUGH]


def _sectors(
    profile: Profile, inside: npt.NDArray[np.int64], place: float, half: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell in which sectors a ring is seen, and which look at it at all."""
    outer = _bins(profile, place - 3 * half - 1, place + 3 * half + 1)
    beside = np.setdiff1d(outer, _bins(profile, place - 1.5 * half, place + 1.5 * half))
    on, off = (profile.sums[:, part].sum(axis=1) for part in (inside, beside))
    level = [part[:, 1] / np.maximum(part[:, 0], 1e-9) for part in (on, off)]
    looking = (on[:, 0] > ENOUGH / 2) & (off[:, 0] > ENOUGH / 2)
    if not looking.any():
        return looking, looking
    height = level[0] - level[1]
    mean = float(np.average(height[looking], weights=on[looking, 0]))
    return looking & (height > _SEEN * mean) & (mean > 0), looking
