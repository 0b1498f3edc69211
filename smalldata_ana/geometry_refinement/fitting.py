"""Weighted least squares of a geometry to points on the rings of a calibrant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.errors import BeamCenterError
from smalldata_ana.geometry_refinement.calibrants import ring_angles
from smalldata_ana.geometry_refinement.points import RingPoints, angles, pixel_angles

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_OUTLIER = 5.0
"""By how many usual deviations a point may be off."""
_ROUNDS = 4
_NORMAL = 1.4826
"""A standard deviation by the median of absolute values."""
_LARGEST_TILT = 60.0
_WORST_CONDITION = 1e6
_REACH = 1e5
"""How far the centre may go [um]."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A geometry that was fitted to points.

    Attributes
    ----------
    beam : the geometry
    fitted : names of the numbers that were fitted
    covariance : of these, (fitted, fitted); see `RefinedGeometry`
    points : all of them
    used : those that agree, bool, (points,)
    distances : of all from their rings [px]
    chi2 : of those that agree, by their number less that of fitted numbers
    """

    beam: BeamGeometry
    fitted: tuple[str, ...]
    covariance: Floats
    points: RingPoints
    used: Flags
    distances: Floats
    chi2: float


@dataclass(frozen=True, eq=False)
class _Model:
    """How a geometry depends on the numbers that are fitted.

    Attributes
    ----------
    start : the geometry to begin with
    fitted : names of the numbers
    spacings : of the planes of each point's ring, (points,) [Angstrom]
    size : edge of a pixel [um]
    """

    start: BeamGeometry
    fitted: tuple[str, ...]
    spacings: Floats
    size: float

    def first(self) -> Floats:
        """Return the numbers to begin with."""
        known = _numbers(self.start)
        return np.array([known[name] for name in self.fitted])

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the least and the largest numbers."""
        known = _numbers(self.start)
        limits = {
            "x": (known["x"] - _REACH, known["x"] + _REACH),
            "y": (known["y"] - _REACH, known["y"] + _REACH),
            "tx": (-_LARGEST_TILT, _LARGEST_TILT),
            "ty": (-_LARGEST_TILT, _LARGEST_TILT),
        }
        limits |= {k: (known[k] / 2, known[k] * 2) for k in ("distance", "energy")}
        low, high = np.array([limits[name] for name in self.fitted]).T
        return low, high

    def beam(self, numbers: Floats) -> BeamGeometry:
        """Return the geometry of some numbers."""
        fitted = dict(zip(self.fitted, map(float, numbers), strict=True))
        known = _numbers(self.start) | fitted
        return replace(
            self.start,
            center=(known["x"], known["y"]),
            distance=known["distance"],
            energy=known["energy"],
            tilt=(known["tx"], known["ty"]),
        )

    def distances(self, numbers: Floats, points: RingPoints) -> Floats:
        """Return how far points are from their rings, outwards [px]."""
        beam = self.beam(numbers)
        rings = ring_angles(self.spacings, beam.energy or 0.0)
        angle, _ = angles(beam, points.x, points.y, points.z)
        offset: Floats = (angle - rings) / pixel_angles(beam, self.size, rings)
        return offset


def _numbers(beam: BeamGeometry) -> dict[str, float]:
    """Return the numbers of a geometry by name."""
    (x, y), (tx, ty) = beam.center, beam.tilt
    length = {"distance": beam.distance, "energy": beam.energy or 0.0}
    return length | {"x": x, "y": y, "tx": tx, "ty": ty}


def fit_points(
    points: RingPoints,
    spacings: Floats,
    start: BeamGeometry,
    size: float,
    fitted: tuple[str, ...],
) -> Fit:
    """Fit a geometry to points, leaving out those that do not agree.

    Parameters
    ----------
    points : on the rings
    spacings : of the planes of each ring, (rings,) [Angstrom]
    start : the geometry to begin with
    size : edge of a pixel [um]
    fitted : names of the numbers to fit, as of `RefinedGeometry`

    Raises
    ------
    BeamCenterError
        if the points do not tell these numbers
    """
    from scipy.optimize import least_squares

    model = _Model(start, fitted, spacings[points.ring], size)
    numbers = model.first()
    offsets = model.distances(numbers, points)
    used = _agreeing(offsets - np.median(offsets), points.error)
    for _ in range(_ROUNDS):
        some = points.some(used)
        of_some = replace(model, spacings=model.spacings[used])

        def weighted(
            now: Floats, of: _Model = of_some, at: RingPoints = some
        ) -> Floats:
            return of.distances(now, at) / at.error

        found = least_squares(
            weighted, numbers, bounds=model.bounds(), x_scale="jac", method="trf"
        )
        numbers = found.x
        distances = model.distances(numbers, points)
        agree = _agreeing(distances, points.error)
        if np.array_equal(agree, used):
            break
        used = agree
    free_points = max(len(some) - len(numbers), 1)
    chi2 = float(2 * found.cost / free_points)
    covariance = _inverse(found.jac, fitted) * max(1.0, chi2)
    beam = model.beam(numbers)
    return Fit(beam, fitted, covariance, points, used, distances, chi2)


def _inverse(jacobian: Floats, fitted: tuple[str, ...]) -> Floats:
    """Return the covariance of what was fitted, for points with errors of 1."""
    scale = np.linalg.norm(jacobian, axis=0)
    if not np.linalg.cond(jacobian / np.maximum(scale, 1e-300)) < _WORST_CONDITION:
        raise BeamCenterError(
            f"the rings do not tell {', '.join(fitted)} apart: fit fewer of them "
            "(tilt=False, center=False), or use a picture with more rings"
        )
    return np.linalg.inv(jacobian.T @ jacobian).astype(np.float64)


def _agreeing(distances: Floats, error: Floats) -> Flags:
    """Return the points that are as far off as most are."""
    pulls = np.abs(distances / error)
    agree: Flags = pulls <= _OUTLIER * max(1.0, _NORMAL * float(np.median(pulls)))
    return agree
