"""Circles with a common centre through points, or through the brightest pixels."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.borders import is_border
from smalldata_ana.beam_center.preparation import Reduced, as_picture
from smalldata_ana.beam_center.profile import Profile
from smalldata_ana.beam_center.results import Center, CenterFit, Ring, checked_size
from smalldata_ana.errors import BeamCenterError, ParameterError, counted

Floats = npt.NDArray[np.float64]
Points = npt.ArrayLike | Sequence[npt.ArrayLike]

_FEWEST = 3
_STRAIGHT = 1e-6
"""Ratio of the extents of points that lie on a line."""
_SHORTEST_ARC = 1e-3
"""Of the largest ring [rad]."""
_USUAL_ERROR = 1.0
"""How well a point is placed if nothing tells [px]."""
_BEST_CLICK = 0.5
"""How well at best; the scatter of a few points can be less by chance [px]."""
_CLICK, _CLICK_SHARE = 3.0, 0.01
"""Scatter from which points are not of one ring: [px], and of half their extent."""
_SMALL = 0.01
"""The same where it is only to be seen whether points tell a centre [radii]."""
_SIGMAS = 3.0
_ROUND = 0.15
"""Scatter of pixels about a circle, from which it is not one [radii]."""
_LOOSE = 0.1
"""Error of a centre, with which points hardly tell it [radii]."""
_ROUNDS = 20
_MOST_PIXELS = 20_000
_SECTORS = 32
_MARGIN = 8
_NEEDED = (
    "what is needed is (n, 2), row and column of each, or a list of such arrays, one "
    "for each ring"
)
_BORDER = (
    "this is the edge of a shadow, perhaps of the beam stop, and tells where that is; "
    "choose another threshold, or mask the glow"
)


def fit_circle(
    points: Points,
    *,
    point_err: float | None = None,
    pixel_size: float | None = None,
    corner: tuple[float, float] | None = None,
) -> CenterFit:
    """Fit the common centre of circles to points on them.

    The sum of the squared distances of the points from their circles is made least
    (geometric least squares).  Errors are from the scatter of the points and from how
    well points are clicked at best, 0.5 px; if there is no scatter, as with three
    points, they are for points that are placed to 1 px.

    The quality is the share of the points that agree, less the fewer points check each
    other, and less as the error of the centre nears 10 % of the radius.  It is 0 where
    points scatter more than clicks on one ring do: by 3 px, or by 1 % of half their
    extent if that is more.

    Parameters
    ----------
    points : (n, 2), row and column [px], of one ring; or a sequence of such arrays,
        one for each ring
    point_err : standard error of each coordinate, instead of that of the scatter [px]
    pixel_size, corner : see `CenterFit`

    Raises
    ------
    BeamCenterError
        if there are too few points, or they do not tell a centre: they lie on a line,
        or nearly so
    ParameterError
        if they are not pairs of numbers
    """
    size = checked_size(pixel_size)
    rings = _as_rings(points)
    place = np.concatenate(rings)
    ring = np.repeat(np.arange(len(rings)), [len(r) for r in rings])
    _check_points(rings, place)
    fit = _Circles.fitted(place, ring)
    small = _SMALL * float(fit.radii.max())
    fit.check(fit.covariance((point_err or fit.scatter) or small))
    covariance = fit.covariance(point_err or fit.click_error)
    agree = np.abs(fit.rest) <= _SIGMAS * (fit.scatter or np.inf)
    seen = tuple(
        Ring(float(fit.radii[k]), float(covariance[2 + k, 2 + k] ** 0.5), int(n))
        for k, n in enumerate(np.bincount(ring[agree], minlength=len(rings)))
    )
    place_of = fit.center, covariance[:2, :2]
    sorted_rings = tuple(sorted(seen, key=lambda r: r.radius))
    too_much = (fit.scatter / _loose_clicks(place)) ** 2
    doubt: float = 0.5 ** (fit.free + 1)
    quality = float(np.mean(agree)) * (1 - doubt) * fit.certainty(covariance, too_much)
    how = f"{counted(len(place), 'point')} on {counted(len(rings), 'ring')}"
    how += f", scatter {fit.scatter:.2g} px" if fit.free else ""
    notes = _unchecked(len(place), fit.free)
    return CenterFit(*place_of, sorted_rings, quality, how, size, corner, notes)


def _loose_clicks(place: Floats) -> float:
    """Return the scatter from which points are not clicks on one ring [px]."""
    extent = float(np.ptp(place, axis=0).max())
    return max(_CLICK, _CLICK_SHARE * extent / 2)


def _unchecked(points: int, free: int) -> tuple[str, ...]:
    """Return what is to be said of points that hardly check each other."""
    if free == 0:
        return (f"{_in_words(points)} points cannot be checked against each other",)
    if free == 1:
        return (f"{_in_words(points)} points can agree by chance; more would tell",)
    return ()


def _in_words(number: int) -> str:
    return {3: "three", 4: "four"}.get(number, str(number))


def fit_circle_threshold(
    image: npt.ArrayLike,
    threshold: float | None = None,
    good: npt.ArrayLike | None = None,
    *,
    percentile: float = 99.0,
    below: float | None = None,
    pixel_size: float | None = None,
    corner: tuple[float, float] | None = None,
) -> CenterFit:
    """Fit a circle to the pixels above a threshold.

    Single pixels without a neighbour do not count, nor those that are farther from the
    circle than three deviations of the others.  The error is from the scatter of
    azimuthal sectors.

    Parameters
    ----------
    image : assembled, (rows, columns); what is not finite does not count
    threshold : pixels above it are taken [unit of the image]
    good : bool, same shape; True = use
    percentile : of the good pixels, instead of a threshold
    below : pixels above it are left out [unit of the image]
    pixel_size, corner : see `CenterFit`

    Raises
    ------
    BeamCenterError
        if too few pixels are above it, or they do not lie on a circle
    ParameterError
        if the image, `good` or the percentile cannot be used
    """
    size = checked_size(pixel_size)
    place, limit = _bright(image, threshold, good, percentile, below)
    fit, scatter = _trimmed(place)
    if not scatter < _ROUND * fit.radii[0]:
        raise BeamCenterError(
            f"the {len(place)} pixels above {limit:g} do not lie on one circle: their "
            f"scatter about the best is {scatter:.0f} px, with a radius of "
            f"{fit.radii[0]:.0f} px; choose another threshold, or let FitCircleAuto "
            "(find_center) look for all rings"
        )
    covariance = fit.covariance_by_sector()
    fit.check(covariance)
    inliers = len(fit.rest)
    found = Ring(float(fit.radii[0]), float(covariance[2, 2] ** 0.5), inliers)
    how = f"{counted(len(place), 'pixel')} above {limit:g}"
    too_much = scatter / (_ROUND * found.radius)
    quality = inliers / len(place) * fit.certainty(covariance, too_much)
    notes = (_BORDER,) if _at_border(image, good, fit) else ()
    place_of = fit.center, covariance[:2, :2]
    return CenterFit(*place_of, (found,), quality, how, size, corner, notes)


def _at_border(image: npt.ArrayLike, good: npt.ArrayLike | None, fit: _Circles) -> bool:
    """Tell whether a circle is the edge of a shadow in the picture."""
    pixels = Reduced.of(image, good).pixels
    radius = float(fit.radii[0])
    profile = Profile.about(pixels, fit.center, math.ceil(2 * radius) + _MARGIN)
    width = max(2 * float(np.std(fit.rest)), 1.0)
    return is_border(profile, radius, width)


def _trimmed(place: Floats) -> tuple[_Circles, float]:
    """Fit a circle to the points that lie near it; return it and their scatter."""
    near = np.ones(len(place), bool)
    for _ in range(_ROUNDS):
        fit = _Circles.fitted(place[near], np.zeros(np.count_nonzero(near), int))
        rest = np.hypot(*(place - fit.center).T) - fit.radii[0]
        scatter = 1.4826 * float(np.median(np.abs(rest)))
        before, near = near, np.abs(rest) <= _SIGMAS * max(scatter, 1.0)
        if np.array_equal(before, near):
            break
    return fit, scatter


@dataclass(frozen=True, eq=False)
class _Circles:
    """Circles about a common centre that were fitted.

    Attributes
    ----------
    center : row and column [px]
    radii : (rings,) [px]
    rest : (points,), distance from the circle [px]
    jacobian : (points, 2 + rings), of `rest` by centre and radii
    """

    center: Center
    radii: Floats
    rest: Floats
    jacobian: Floats

    @classmethod
    def fitted(cls, place: Floats, ring: npt.NDArray[np.int64]) -> _Circles:
        from scipy.optimize import least_squares

        n_rings = int(ring.max()) + 1
        start = _algebraic(place, ring, n_rings)

        def rest(p: Floats) -> Floats:
            r: Floats = np.hypot(*(place - p[:2]).T)
            return r - p[2:][ring]

        def jacobian(p: Floats) -> Floats:
            across = p[:2] - place
            r = np.maximum(np.hypot(*across.T), 1e-9)
            member = -(ring[:, None] == np.arange(n_rings)).astype(float)
            return np.hstack([across / r[:, None], member])

        done = least_squares(rest, start, jac=jacobian, x_scale="jac")
        p = np.asarray(done.x, float)
        center = float(p[0]), float(p[1])
        return cls(center, p[2:], rest(p), jacobian(p))

    @property
    def scatter(self) -> float:
        """Standard deviation of the points from the circles, 0 if unknown [px]."""
        return float(np.sqrt(np.sum(self.rest**2) / self.free)) if self.free else 0.0

    @property
    def free(self) -> int:
        """By how many points there are more than are needed."""
        return len(self.rest) - 2 - len(self.radii)

    @property
    def click_error(self) -> float:
        """How well the points were placed, as far as their scatter tells [px].

        The best that can be expected counts as one more point.
        """
        if self.scatter == 0:
            return _USUAL_ERROR
        squares = self.free * self.scatter**2 + _BEST_CLICK**2
        return math.sqrt(squares / (self.free + 1))

    def covariance(self, scatter: float) -> Floats:
        """Return that of centre and radii [px^2]."""
        inverse = np.linalg.pinv(self.jacobian.T @ self.jacobian)
        covariance: Floats = (scatter**2 * inverse).astype(float)
        return covariance

    def covariance_by_sector(self) -> Floats:
        """Return the same for points that belong together in azimuthal sectors."""
        angle = np.arctan2(self.jacobian[:, 0], self.jacobian[:, 1]) / (2 * np.pi) + 0.5
        sector = np.minimum((angle * _SECTORS).astype(int), _SECTORS - 1)
        scores = np.zeros((_SECTORS, self.jacobian.shape[1]))
        np.add.at(scores, sector, self.jacobian * self.rest[:, None])
        inverse = np.linalg.pinv(self.jacobian.T @ self.jacobian)
        used = len(np.unique(sector))
        scale = used / max(used - self.jacobian.shape[1], 1)
        covariance: Floats = scale * inverse @ (scores.T @ scores) @ inverse
        return covariance

    def certainty(self, covariance: Floats, scatter: float) -> float:
        """Return 1 less what scatter and error are of what is too much, at least 0.

        Parameters
        ----------
        covariance : of centre and radii [px^2]
        scatter : of the points, in terms of what is too much
        """
        error = float(np.sqrt(np.trace(covariance[:2, :2])))
        return max(0.0, 1 - max(scatter, error / (_LOOSE * float(self.radii.max()))))

    def check(self, covariance: Floats) -> None:
        """Refuse a centre that points hardly tell."""
        error = float(np.sqrt(np.trace(covariance[:2, :2])))
        # Of a far centre, the columns of centre and radius are the same to rounding.
        arc = float(np.ptp(self.jacobian[:, :2], axis=0).max())
        if arc < _SHORTEST_ARC or not error < float(self.radii.max()):
            raise BeamCenterError(
                f"the points do not tell a centre: its error would be {error:.0f} px, "
                f"with a radius of {self.radii.max():.0f} px; they lie nearly on a "
                "line. Pick points over a larger part of the ring"
            )


def _algebraic(place: Floats, ring: npt.NDArray[np.int64], n_rings: int) -> Floats:
    """Return centre and radii that solve |p|^2 = 2 c p + const (Kasa's fit)."""
    middle = place.mean(axis=0)
    local = place - middle
    member = (ring[:, None] == np.arange(n_rings)).astype(float)
    matrix = np.hstack([2 * local, member])
    solution = np.linalg.lstsq(matrix, np.sum(local**2, axis=1), rcond=None)[0]
    radii = np.sqrt(np.maximum(solution[2:] + np.sum(solution[:2] ** 2), 1e-6))
    start: Floats = np.concatenate([solution[:2] + middle, radii])
    return start


def _as_rings(points: Points) -> list[Floats]:
    try:
        rings = _arrays(points)
    except (TypeError, ValueError):
        raise ParameterError(
            f"points = {reprlib.repr(points)} are not pairs of numbers; {_NEEDED}"
        ) from None
    for ring in rings:
        if ring.ndim != 2 or ring.shape[1] != 2:
            raise ParameterError(f"points of the shape {ring.shape}; {_NEEDED}")
        if not np.isfinite(ring).all():
            raise ParameterError("points that are not finite numbers")
    return rings


def _arrays(points: Points) -> list[Floats]:
    try:
        whole = np.asarray(points, float)
    except ValueError:
        # Rings with unlike numbers of points make no array.
        return [np.asarray(ring, float) for ring in points]  # type: ignore[union-attr]
    return list(whole) if whole.ndim == 3 else [whole]


def _check_points(rings: list[Floats], place: Floats) -> None:
    few = min(map(len, rings))
    needed = 2 + len(rings)
    if len(place) < needed or (few < 2 and len(rings) > 1):
        raise BeamCenterError(
            f"{counted(len(place), 'point')} on {counted(len(rings), 'ring')}: at "
            f"least {needed} are needed, and on each of several rings at least 2"
        )
    distinct = np.unique(place, axis=0)
    if len(distinct) < _FEWEST:
        raise BeamCenterError(
            f"{counted(len(distinct), 'different point')}: at least {_FEWEST} are "
            "needed"
        )
    across = np.vstack([ring - ring.mean(axis=0) for ring in rings])
    extents = np.linalg.svd(across, compute_uv=False)
    if len(rings) == 1 and extents[1] < _STRAIGHT * extents[0]:
        raise BeamCenterError(
            "the points lie on a line, and tell no centre; pick points over a larger "
            "part of the ring"
        )


def _bright(
    image: npt.ArrayLike,
    threshold: float | None,
    good: npt.ArrayLike | None,
    percentile: float,
    below: float | None,
) -> tuple[Floats, float]:
    """Return the places of bright pixels that have bright neighbours, and the limit."""
    from scipy import ndimage

    picture, use = as_picture(image, good)
    if not 0 < percentile < 100:
        raise ParameterError(f"percentile = {percentile} is not between 0 and 100")
    if not use.any():
        raise BeamCenterError("no pixel of the image is good")
    if threshold is None:
        threshold = float(np.percentile(picture[use], percentile))
    bright = use & (picture > threshold)
    if below is not None:
        bright &= picture <= below
    alone = ndimage.convolve(bright.astype(np.uint8), np.ones((3, 3), np.uint8)) < 2
    rows, cols = np.nonzero(bright & ~alone)
    if len(rows) < _SECTORS:
        highest = float(picture[use].max())
        raise BeamCenterError(
            f"{counted(len(rows), 'pixel')} above {threshold:g} with a neighbour, and "
            f"at least {_SECTORS} are needed; the highest value is {highest:g}"
        )
    step = -(-len(rows) // _MOST_PIXELS)
    return np.stack([rows, cols], axis=1)[::step].astype(float), threshold
