"""The centre of the rings of a picture, found without a guess."""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.agreement import Agreement
from smalldata_ana.beam_center.borders import glow_end, without_glow
from smalldata_ana.beam_center.polishing import BENDS, Polished, polish
from smalldata_ana.beam_center.preparation import Reduced, as_picture, cleaned
from smalldata_ana.beam_center.results import CenterFit, Ring, checked_size
from smalldata_ana.beam_center.rings import innermost_border, rings
from smalldata_ana.beam_center.searching import (
    Candidate,
    candidates,
    is_near,
    search_factor,
)
from smalldata_ana.errors import BeamCenterError, counted

_log = logging.getLogger(__name__)

_LEAST = 2000
"""Fewer good pixels are not a picture."""
_CONTRAST = 6.0
"""By how many deviations a centre must be sharper than others; by more where the
picture departs from rings, as structures that are none may look alike somewhere."""
_LEAST_QUALITY = 0.6
_LARGEST_ERROR = 2.0
"""Of a centre that is taken [px]."""
_SATURATED = 0.5
"""Share of pixels at the highest value, from which a picture is saturated or empty."""
_NEAR = 8
"""Candidates that are nearer to each other are one [px]."""
_TRIED = 3
_FARTHEST = 0.05
"""How far a fit may go from where it began, in edges of the image."""
_BROAD = 3.0
"""Smoothing from which rings are so broad that single pixels say no more [bins]."""
_BENT = 30.0
"""Square of the ellipses' shift in units of its error, from which it is believed."""
_COARSE = 2
"""Reduction of the image in which it is seen whether the rings are ellipses."""
_FEWEST_BENT = 2
"""Of one ring alone, the shift with the radius is not known."""
_TILTED = (
    "the rings are ellipses: the detector seems tilted; the centre is where the beam "
    "meets it, and refineGeometry gives distance and tilt"
)


def find_center(
    image: npt.ArrayLike,
    good: npt.ArrayLike | None = None,
    *,
    pixel_size: float | None = None,
    corner: tuple[float, float] | None = None,
) -> CenterFit:
    """Find the common centre of the rings of a picture, without a guess.

    Candidates are the centres to which edges point and those about which the flattened
    image is sharp; the sharpest is fitted to all pixels, with a radial profile of any
    form and slopes of the intensity.  The centre may lie outside the image by half of
    its edge.  The same picture gives the same answer.

    Where several rings show that they are ellipses, as on a tilted detector, the centre
    is where the beam meets it, and the radii are those of circles across the beam at
    that distance; a note says so.  The glow that a beam stop cuts off does not count.

    Parameters
    ----------
    image : assembled, (rows, columns); what is not finite does not count
    good : bool, same shape; True = use
    pixel_size : edge of a pixel, for results in micrometres [um]
    corner : see `CenterFit`

    Raises
    ------
    BeamCenterError
        if no rings are seen: it says what was seen instead
    ParameterError
        if the image is not of two dimensions, or `good` of another shape
    """
    size = checked_size(pixel_size)
    picture = _checked(*as_picture(image, good))
    found = [c for c in candidates(picture) if c.contrast > _CONTRAST]
    if not found:
        raise _no_rings("no centre is much sharper than any other")
    reasons = []
    for candidate in _distinct(found, _NEAR)[:_TRIED]:
        fit = _fit(picture, candidate)
        try:
            _check_fit(fit, candidate, picture.mean.shape)
            seen, quality = _checked_rings(fit)
        except BeamCenterError as error:
            _log.debug("not %s: %s", _text(candidate.center), error)
            reasons.append(error)
            continue
        how = f"{counted(len(seen), 'ring')} of the whole picture"
        notes = (_TILTED,) if fit.bent else ()
        place = fit.center, fit.covariance
        return CenterFit(*place, seen, quality, how, size, corner, notes)
    raise reasons[0]


def _checked(image: npt.NDArray[np.float32], use: npt.NDArray[np.bool_]) -> Reduced:
    """Return a picture without its bad pixels, if there is something to see in it."""
    n = int(np.count_nonzero(use))
    if n < _LEAST:
        raise BeamCenterError(
            f"no rings are seen: {counted(n, 'pixel')} are good, and at least {_LEAST} "
            "are needed"
        )
    _check_not_flat(image[use])
    return cleaned(image, use)


def _check_not_flat(values: npt.NDArray[np.float32]) -> None:
    usual = float(np.median(values))
    share = float(np.mean(values == usual))
    highest = usual >= float(values.max())
    if highest and share > _SATURATED:
        what = "the picture is empty" if usual == 0 else "the detector is saturated"
        raise BeamCenterError(
            f"no rings are seen: {share:.0%} of the good pixels have the value "
            f"{usual:g}, the highest; {what}"
        )


def _distinct(found: list[Candidate], distance: float) -> list[Candidate]:
    kept: list[Candidate] = []
    for candidate in found:
        if all(math.dist(candidate.center, c.center) > distance for c in kept):
            kept.append(candidate)
    return kept


def _fit(image: Reduced, start: Candidate) -> Polished:
    """Polish a candidate on finer and finer images."""
    shape = image.mean.shape
    factor, center = search_factor(shape), start.center
    while True:
        fit = polish(image.by(factor).pixels, center, shape)
        if not math.dist(fit.center, start.center) < _far(shape):
            return fit
        broad = fit.profile.smoothing >= _BROAD
        if factor == 1 or (broad and factor == 2):
            break
        factor, center = max(factor // 2, 1), fit.center
    border = innermost_border(fit.profile)
    if border is not None:
        # It would tell the centre of the beam stop.
        image = without_glow(image, fit.center, glow_end(fit.profile, border))
        fit = polish(image.by(factor).pixels, fit.center, shape)
    return _with_bends(image, fit, factor)


def _with_bends(image: Reduced, fit: Polished, factor: int) -> Polished:
    """Return a fit of ellipses, if the rings clearly are some."""
    shape, coarse = image.mean.shape, max(factor, _COARSE)
    bent = polish(image.by(coarse).pixels, fit.center, shape, np.zeros(BENDS))
    if not bent.bend_chi2 > _BENT or len(rings(bent)) < _FEWEST_BENT:
        return fit
    if coarse > factor:
        bent = polish(image.by(factor).pixels, bent.center, shape, bent.bends)
    return bent if bent.converged and bent.bend_chi2 > _BENT else fit


def _far(shape: tuple[int, ...]) -> float:
    return _FARTHEST * max(shape)


def _check_fit(fit: Polished, start: Candidate, shape: tuple[int, ...]) -> None:
    """Refuse a fit that did not find a centre."""
    if not (fit.converged and math.dist(fit.center, start.center) < _far(shape)):
        raise _no_rings(f"the fit from {_text(start.center)} came to no end")
    at = f"at the best centre, {_text(fit.center)},"
    error = math.sqrt(max(np.trace(fit.covariance), 0))
    if not 0 < error < _LARGEST_ERROR:
        raise _no_rings(f"{at} the error is {error:.1f} px")
    departure = error / fit.noise_err
    if start.contrast < _CONTRAST * max(departure, 1):
        raise _no_rings(
            f"{at} the picture departs from rings: the error is {departure:.0f} times "
            "that of the noise"
        )
    if not is_near(fit.center, shape):
        raise _no_rings(f"{at} the lines are nearly straight")


def _checked_rings(fit: Polished) -> tuple[tuple[Ring, ...], float]:
    """Return the rings about a centre and their quality; refuse what are none."""
    at = f"at the best centre, {_text(fit.center)},"
    seen = rings(fit)
    if not seen:
        raise _no_rings(f"{at} the radial profile has no peak that is seen all around")
    quality = Agreement.of(fit.profile).quality
    if quality < _LEAST_QUALITY:
        raise _no_rings(f"{at} directions disagree: quality {quality:.2f}")
    return seen, quality


def _no_rings(why: str) -> BeamCenterError:
    return BeamCenterError(
        f"no rings are seen: {why}; average more events, mask what disturbs, or pick "
        "points of a ring with FitCircleMouse (fit_circle)"
    )


def _text(center: tuple[float, float]) -> str:
    return f"row {center[0]:.0f}, column {center[1]:.0f}"
