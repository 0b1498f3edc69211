"""The centre of the rings of a picture, found without a guess."""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.agreement import Agreement
from smalldata_ana.beam_center.polishing import Polished, polish
from smalldata_ana.beam_center.preparation import Reduced, as_picture, cleaned
from smalldata_ana.beam_center.results import CenterFit, Ring, checked_size
from smalldata_ana.beam_center.rings import rings
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
        return CenterFit(fit.center, fit.covariance, seen, quality, how, size, corner)
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
        broad = fit.profile.smoothing >= _BROAD
        hopeless = not math.dist(fit.center, start.center) < _far(shape)
        if factor == 1 or hopeless or (broad and factor == 2):
            return fit
        factor, center = max(factor // 2, 1), fit.center


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
        "points of a ring (fit_circle)"
    )


def _text(center: tuple[float, float]) -> str:
    return f"row {center[0]:.0f}, column {center[1]:.0f}"
