"""Points on the rings of a picture, each with its error.

A ring is cut into sectors of some ten pixels.  In each, a peak upon a sloping
background is fitted to all pixels by their scattering angle: its place is a point.
All sectors are fitted together, as their normal equations are sums over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

_ROUNDS = 12
_FREE_WIDTH = 2
"""Rounds after which the width of the rings is fitted, too."""
_ARCS = (40.0, 15.0, 80.0, 160.0, 320.0)
"""Lengths of a sector along the ring, tried until there are points enough [px]."""
_FEWEST_SECTORS = 24
_ENOUGH = 24
_LEAST_PIXELS = 30
_SIGNIFICANCE = 5.0
"""By how many deviations a peak must stand out to be one."""
_NARROWEST = 0.5
_OUTLIER = 5.0
_INSIDE = 0.8
"""Share of the reach; a peak beyond it is not that of the ring."""
_WORST_CONDITION = 1e9


@dataclass(frozen=True, eq=False)
class Pixels:
    """The good pixels of a picture, one after the other.

    Attributes
    ----------
    values : float64, (pixels,)
    x, y, z : where they are in the psana frame; z above the mean plane [um]
    size : edge of a pixel [um]
    """

    values: Floats
    x: Floats
    y: Floats
    z: Floats
    size: float

    def some(self, index: npt.NDArray[np.bool_]) -> Pixels:
        """Return those of an index."""
        return Pixels(
            self.values[index], self.x[index], self.y[index], self.z[index], self.size
        )


@dataclass(frozen=True, eq=False)
class RingPoints:
    """Points on rings.

    Attributes
    ----------
    x, y, z : where they are in the psana frame, (points,) [um]
    ring : index of the ring of each
    error : standard error of its place across the ring [px]
    offset : its distance from the expected ring, outwards [px]
    sectors : number of sectors that were looked at
    width : of the rings (sigma), (rings,) [px]
    """

    x: Floats
    y: Floats
    z: Floats
    ring: Integers
    error: Floats
    offset: Floats
    sectors: int
    width: Floats

    def __len__(self) -> int:
        return len(self.ring)

    def some(self, index: npt.NDArray[np.bool_]) -> RingPoints:
        """Return those of an index."""
        names = ("x", "y", "z", "ring", "error", "offset")
        return replace(self, **{name: getattr(self, name)[index] for name in names})


def angles(
    beam: BeamGeometry, x: Floats, y: Floats, z: Floats
) -> tuple[Floats, Floats]:
    """Return scattering angle and azimuth of places of the detector [rad]."""
    right, up, along = beam.laboratory(x, y, z)
    return np.arctan2(np.hypot(right, up), along), np.arctan2(up, right)


def relative_intensity(beam: BeamGeometry, x: Floats, y: Floats, z: Floats) -> Floats:
    """Return how bright places of the detector are by their place alone.

    It is the solid angle of a pixel times the mean polarization factor of all azimuths,
    (1 + cos^2 2 theta) / 2.  A ring that is s wide (sigma) appears s^2 d ln(I) / dr
    nearer to the beam than it is.

    Parameters
    ----------
    beam : the geometry
    x, y, z : places [um]
    """
    right, up, along = beam.laboratory(x, y, z)
    square = right**2 + up**2 + along**2
    solid_angle = (1e3 * beam.distance) ** 3 / square**1.5
    polarized: Floats = solid_angle * (1 + along**2 / square) / 2
    return polarized


@dataclass(frozen=True, eq=False)
class Expected:
    """Where rings are expected.

    Attributes
    ----------
    beam : the geometry
    two_theta : of the rings, growing, (rings,) [rad]
    reach : how far from each ring to look, less than half way to the next; (rings,)
        [px]
    size : edge of a pixel [um]
    """

    beam: BeamGeometry
    two_theta: Floats
    reach: Floats
    size: float

    def some(self, rings: slice) -> Expected:
        """Return some of the rings."""
        return replace(self, two_theta=self.two_theta[rings], reach=self.reach[rings])

    @property
    def scale(self) -> Floats:
        """Scattering angle that a pixel spans across each ring, (rings,) [rad]."""
        return pixel_angles(self.beam, self.size, self.two_theta)

    @property
    def radius(self) -> Floats:
        """Radius of each ring without tilt, (rings,) [px]."""
        return np.tan(self.two_theta) * 1e3 * self.beam.distance / self.size


def pixel_angles(beam: BeamGeometry, size: float, two_theta: Floats) -> Floats:
    """Return the scattering angle that a pixel spans across a ring [rad].

    Parameters
    ----------
    beam : the geometry
    size : edge of a pixel [um]
    two_theta : of the rings [rad]
    """
    return size / (1e3 * beam.distance) * np.cos(two_theta) ** 2


@dataclass(frozen=True, eq=False)
class _Sectors:
    """The pixels near rings, sorted into sectors.

    Attributes
    ----------
    values : (pixels,)
    across : distance from the expected ring [px]
    sector : number of each pixel's sector
    ring : of each sector, (sectors,)
    """

    pixels: Pixels
    across: Floats
    sector: Integers
    ring: Integers

    def sums(self, weights: Floats) -> Floats:
        """Return the sums of something over the pixels of each sector."""
        return np.bincount(self.sector, weights, len(self.ring)).astype(np.float64)


def ring_points(pixels: Pixels, expected: Expected) -> RingPoints:
    """Find points on the rings of a picture near where they are expected.

    Parameters
    ----------
    pixels : of the picture
    expected : the rings
    """
    angle, azimuth = angles(expected.beam, pixels.x, pixels.y, pixels.z)
    rings = expected.two_theta
    ring = np.searchsorted((rings[1:] + rings[:-1]) / 2, angle)
    across = (angle - rings[ring]) / expected.scale[ring]
    near = np.abs(across) < expected.reach[ring]
    pixels, azimuth = pixels.some(near), azimuth[near]
    place = pixels.x, pixels.y, pixels.z
    even = pixels.values / relative_intensity(expected.beam, *place)
    pixels = replace(pixels, values=even)
    ring, across = ring[near], across[near]
    most: list[RingPoints] = []
    for arc in _ARCS:
        sectors = _cut(pixels, across, azimuth, ring, expected.radius / arc)
        most = sorted([*most, _fitted(sectors, expected)], key=len)[-1:]
        if len(most[0]) >= _ENOUGH:
            break
    return most[0]


def _cut(
    pixels: Pixels, across: Floats, azimuth: Floats, ring: Integers, turns: Floats
) -> _Sectors:
    """Sort pixels into sectors; those that have too few are left out."""
    counts = np.maximum(_FEWEST_SECTORS, np.round(2 * np.pi * turns)).astype(np.intp)
    begins = np.concatenate([[0], np.cumsum(counts)])
    share = np.clip((azimuth + np.pi) / (2 * np.pi), 0, 1 - 1e-12)
    number = begins[ring] + (share * counts[ring]).astype(np.intp)
    enough = np.bincount(number, minlength=begins[-1]) >= _LEAST_PIXELS
    use = enough[number]
    kept = np.flatnonzero(enough)
    return _Sectors(
        pixels.some(use),
        across[use],
        np.searchsorted(kept, number[use]),
        np.searchsorted(begins, kept, side="right") - 1,
    )


def _fitted(sectors: _Sectors, expected: Expected) -> RingPoints:
    """Fit a peak to each sector, and return those that stand out."""
    bound = expected.reach[sectors.ring]
    offset = np.zeros(len(sectors.ring))
    width = expected.reach / 3
    weight = np.ones(len(sectors.sector))
    for turn in range(_ROUNDS):
        fit = _solve(sectors, offset, width, weight)
        limit = width[sectors.ring]
        offset = np.clip(offset + np.clip(fit.shift, -limit, limit), -bound, bound)
        if turn >= _FREE_WIDTH:
            width = _widths(sectors, fit, offset, width, expected.reach)
        if turn == _ROUNDS // 2:
            limits = _OUTLIER**2 * fit.variance[sectors.sector]
            weight = (fit.residual**2 <= limits).astype(np.float64)
    fit = _solve(sectors, offset, width, weight)
    good = fit.stands_out & (fit.shift_err > 0) & (fit.shift_err < bound / 4)
    good &= np.abs(offset) < _INSIDE * bound
    x, y, z = _placed(sectors, expected, offset, width)
    return RingPoints(
        x[good],
        y[good],
        z[good],
        sectors.ring[good],
        fit.shift_err[good],
        offset[good],
        len(sectors.ring),
        width,
    )


@dataclass(frozen=True, eq=False)
class _Solved:
    """The peak of each sector.

    Attributes
    ----------
    height, height_err : (sectors,)
    shift, shift_err : to where it is, from where it was taken to be, (sectors,) [px];
        0 and infinite where there is no peak
    background, residual : of each pixel, (pixels,)
    variance : of the residuals, (sectors,)
    """

    height: Floats
    height_err: Floats
    shift: Floats
    shift_err: Floats
    background: Floats
    residual: Floats
    variance: Floats

    @property
    def stands_out(self) -> npt.NDArray[np.bool_]:
        """Sectors whose peak is significant, (sectors,)."""
        return (self.height > _SIGNIFICANCE * self.height_err) & (self.height_err > 0)


def _solve(sectors: _Sectors, offset: Floats, width: Floats, weight: Floats) -> _Solved:
    """Fit background, slope, height and shift of the peak of each sector.

    The errors are those of White's estimator (HC1), as the noise of a pixel depends on
    its brightness.
    """
    sigma = width[sectors.ring][sectors.sector]
    place = (sectors.across - offset[sectors.sector]) / sigma
    peak = np.exp(-0.5 * place**2)
    basis = (np.ones_like(place), sectors.across, peak, peak * place / sigma)
    values = sectors.pixels.values
    normal = _products(sectors, basis, weight)
    right = np.stack([sectors.sums(weight * b * values) for b in basis], axis=-1)
    solved = np.linalg.cond(normal) < _WORST_CONDITION
    normal[~solved] = np.eye(len(basis))
    found = np.linalg.solve(normal, right[..., None])[..., 0]
    model = sum(b * found[sectors.sector, k] for k, b in enumerate(basis))
    residual = values - model
    squares = weight * residual**2
    free = np.maximum(sectors.sums(weight) - len(basis), 1)
    inverse = np.linalg.inv(normal)
    spread = inverse @ _products(sectors, basis, squares) @ inverse
    grown = sectors.sums(weight) / free
    errors = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0).T * grown)
    there = solved & (found[:, 2] > 0)
    height = np.where(there, found[:, 2], 1)
    return _Solved(
        height=np.where(there, height, 0),
        height_err=errors[2],
        shift=np.where(there, found[:, 3] / height, 0),
        shift_err=np.where(there, errors[3] / height, np.inf),
        background=values - residual - found[sectors.sector, 2] * peak,
        residual=residual,
        variance=sectors.sums(squares) / free,
    )


def _products(
    sectors: _Sectors, basis: Sequence[Floats], weight: Floats
) -> npt.NDArray[np.float64]:
    """Return the sums of the products of functions, (sectors, n, n)."""
    n = len(basis)
    sums = np.empty((len(sectors.ring), n, n))
    for i in range(n):
        for j in range(i + 1):
            product = sectors.sums(weight * basis[i] * basis[j])
            sums[:, i, j] = sums[:, j, i] = product
    return sums


def _widths(
    sectors: _Sectors, fit: _Solved, offset: Floats, width: Floats, reach: Floats
) -> Floats:
    """Return the width of each ring, one step nearer to that of its peaks."""
    use = fit.stands_out[sectors.sector]
    sector = sectors.sector[use]
    ring = sectors.ring[sector]
    sigma = width[ring]
    place = (sectors.across[use] - offset[sector]) / sigma
    peak = np.exp(-0.5 * place**2)
    height = fit.height[sector]
    rest = sectors.pixels.values[use] - fit.background[use] - height * peak
    change = height * peak * place**2 / sigma
    up = np.bincount(ring, rest * change, len(width))
    down = np.bincount(ring, change**2, len(width))
    step = up / np.where(down > 0, down, 1)
    grown = width + np.clip(step, -width / 3, width / 3)
    return np.clip(grown, _NARROWEST, reach / 2)


def _placed(
    sectors: _Sectors, expected: Expected, offset: Floats, width: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return where on the detector the peaks of sectors are [um]."""
    sigma = width[sectors.ring][sectors.sector]
    peak = np.exp(-0.5 * ((sectors.across - offset[sectors.sector]) / sigma) ** 2)
    total = np.maximum(sectors.sums(peak), np.finfo(float).tiny)
    pixels = sectors.pixels
    x, y, z = (sectors.sums(peak * a) / total for a in (pixels.x, pixels.y, pixels.z))
    wanted = expected.two_theta[sectors.ring] + offset * expected.scale[sectors.ring]
    for _ in range(2):
        here, down, right = (
            angles(expected.beam, x + dx, y + dy, z)[0]
            for dx, dy in ((0, 0), (expected.size, 0), (0, expected.size))
        )
        down, right = down - here, right - here
        steps = expected.size * (wanted - here) / (down**2 + right**2)
        x, y = x + steps * down, y + steps * right
    return x, y, z
