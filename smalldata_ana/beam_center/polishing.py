"""A centre to a fraction of a pixel: a fit of rings of any profile to all pixels.

The model of a pixel at distance r from the centre is f(r), changed by slopes of the
intensity: f times x, y, x^2 - y^2 and x y, which is what a tilt of the intensity or
the polarization do, and a sum of x and y.  The profile f is free.  The fit is that of
Gauss and Newton; errors are from the scatter of what the tiles of the detector say
(White, Econometrica 48 (1980) 817), so that they need no model of the noise.

On a detector that is tilted, rings are ellipses whose centres move with the square of
their radius.  A place at (y, x) from where the beam meets the detector is on the ring

    R = r (1 + e1 (y^2 - x^2) / r^2 + e2 2 x y / r^2) / (1 + k1 y + k2 x)

of a cone about the beam: k is the sine of the tilt by the distance along the beam, and
e is small, of the second order in the tilt.  All four are free if they are fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from smalldata_ana.beam_center.preparation import Pixels
from smalldata_ana.beam_center.profile import Floats, Profile
from smalldata_ana.beam_center.results import Center

_STEPS = 12
_CLOSE = 0.002
"""A step is so small that it was the last [px]."""
_CLOSE_ENOUGH = 0.05
"""The same, as share of the error that is expected."""
_CONVERGED = 0.1
"""The last step of a fit that came to an end is smaller [px]."""
_SETTLED = 0.25
"""A step is so small that the shape of the profile no longer changes [pixels]."""
_TILE = 16
"""Edge of the tiles from whose scatter errors are taken [px]."""
_TOGETHER = (1, 8)
"""How many tiles a larger one has along its edge; the larger error counts, which is
that of larger tiles where the picture departs from rings over longer distances."""
_MARGIN = 8
_WORST_CONDITION = 1e12
_SLOPES, _REST = slice(2, 8), 8
_MOTIONS = [0, 1]
_BENDS = [9, 10, 11, 12]
"""Columns of the fit; see `polish_kernels`."""
BENDS = len(_BENDS)
"""How many numbers make ellipses of rings."""


@dataclass(frozen=True, eq=False)
class Polished:
    """A centre that was fitted.

    Attributes
    ----------
    center : row and column [px]
    covariance : (2, 2) [px^2]
    profile : about it
    converged : whether the last step was small
    noise_err : error of the centre if only the pixels' own noise counts [px]
    bends : what makes ellipses of the rings, (4,); 0 if not fitted
    bend_chi2 : square of the shift of the ellipses' centres (2 numbers) in units of
        its error; 0 if not fitted
    """

    center: Center
    covariance: Floats
    profile: Profile
    converged: bool
    noise_err: float
    bends: Floats
    bend_chi2: float

    @property
    def bent(self) -> bool:
        """Whether the rings are taken as ellipses."""
        return bool(self.bends.any())


def polish(
    pixels: Pixels,
    start: Center,
    shape: tuple[int, ...],
    bends: Floats | None = None,
) -> Polished:
    """Fit the centre to all pixels.

    Parameters
    ----------
    pixels : of the image
    start : row and column, within the width of a ring [px]
    shape : of the whole image
    bends : to begin with, if they are to be fitted; (4,)
    """
    reach = max(shape) / 2
    n_bins = _n_bins(pixels, start)
    center, slopes = start, np.zeros(6)
    bent = np.zeros(BENDS) if bends is None else bends
    motions = _MOTIONS if bends is None else _MOTIONS + _BENDS
    straight = _straightened(pixels, center, reach, bent)
    flat, table, size = straight, None, math.inf
    for step in range(_STEPS):
        profile = Profile.about(flat, center, n_bins, table)
        if table is None or size > _SETTLED * pixels.width:
            table = profile.table()
        else:
            table = np.column_stack([profile.intensity, table[:, 1:]])
        normal = _Normal.of(flat, center, reach, table, profile.gain, motions)
        motion = normal.motion()
        size = math.hypot(*motion[:2])
        motion *= min(1.0, 2 * pixels.width / size) if size else 1.0
        center = center[0] + float(motion[0]), center[1] + float(motion[1])
        slopes = slopes + normal.slopes()
        if bends is not None:
            bent = bent + motion[2:]
            straight = _straightened(pixels, center, reach, bent)
        flat = _without_slopes(straight, center, reach, slopes)
        # In the first step, no pixel is left out yet.
        if step and size < max(_CLOSE, _CLOSE_ENOUGH * normal.expected_error()):
            break
    covariance = normal.covariance(flat, shape)
    return Polished(
        center,
        covariance[:2, :2],
        profile,
        size < _CONVERGED,
        normal.expected_error(),
        bent,
        _chi2(bent[:2], covariance[2:4, 2:4]) if bends is not None else 0.0,
    )


def _chi2(values: Floats, covariance: Floats) -> float:
    if not np.isfinite(covariance).all():
        return 0.0
    return float(values @ np.linalg.pinv(covariance) @ values)


def _straightened(
    pixels: Pixels, center: Center, reach: float, bends: Floats
) -> Pixels:
    from smalldata_ana.beam_center.polish_kernels import straightened

    if not bends.any():
        return pixels
    y, x = np.empty_like(pixels.y), np.empty_like(pixels.x)
    straightened(pixels.y, pixels.x, *center, reach, bends, y, x)
    return replace(pixels, y=y, x=x)


def _n_bins(pixels: Pixels, center: Center) -> int:
    far = (
        max(float(axis.max()) - c, c - float(axis.min()))
        for axis, c in zip((pixels.y, pixels.x), center, strict=True)
    )
    return math.ceil(math.hypot(*far) / pixels.width) + _MARGIN


def _without_slopes(
    pixels: Pixels, center: Center, reach: float, slopes: Floats
) -> Pixels:
    from smalldata_ana.beam_center.polish_kernels import without_slopes

    values = np.empty_like(pixels.values)
    place = pixels.values, pixels.y, pixels.x, *center
    without_slopes(*place, reach, slopes, values)
    return replace(pixels, values=values)


@dataclass(frozen=True, eq=False)
class _Normal:
    """The normal equations of one step, with the profile taken out.

    Attributes
    ----------
    center : row and column [px]
    reach : by which places are divided [px]
    table : of the profile, see `Profile.table`
    means : (bins, columns)
    matrix : (columns, columns), of products
    gain : see `Profile`
    motions : the columns of what moves the rings: the shift of the centre first
    """

    center: Center
    reach: float
    table: Floats
    means: Floats
    matrix: Floats
    gain: float
    motions: list[int]

    @classmethod
    def of(
        cls,
        pixels: Pixels,
        center: Center,
        reach: float,
        table: Floats,
        gain: float,
        motions: list[int],
    ) -> _Normal:
        from smalldata_ana.beam_center.polish_kernels import normal_sums

        columns = 1 + max(*motions, _REST)
        bins = np.zeros((len(table), 1 + columns))
        matrix = np.zeros((columns, columns))
        place = pixels.values, pixels.y, pixels.x, *center, float(pixels.width)
        normal_sums(*place, reach, table, bins, matrix)
        matrix = np.tril(matrix) + np.tril(matrix, -1).T
        counts = np.maximum(bins[:, :1], 1)
        means = bins[:, 1:] / counts
        matrix -= (means * table[:, 3:] * counts).T @ means
        return cls(center, reach, table, means, matrix, gain, motions)

    def motion(self) -> Floats:
        """Return by how much the centre is to be moved [px], and the bends."""
        reduced = self._reduced()
        return _solved(reduced[:-1, :-1], reduced[:-1, -1]) / self.gain

    def slopes(self) -> Floats:
        """Return by how much the slopes of the intensity are to be changed."""
        moving = self.matrix[_SLOPES, self.motions] @ self.motion()
        rest = self.matrix[_SLOPES, _REST] - moving
        return _solved(self._among_slopes(), rest)

    def expected_error(self) -> float:
        """Return the error of the centre if only the pixels' own noise counts [px]."""
        inverse = np.linalg.pinv(self._reduced()[:-1, :-1])
        return math.sqrt(abs(float(np.trace(inverse[:2, :2]))))

    def covariance(self, pixels: Pixels, shape: tuple[int, ...]) -> Floats:
        """Return the covariance of the motions [px^2], infinite if unknown."""
        from smalldata_ana.beam_center.polish_kernels import tile_scores

        mixing, reduced = self._mixing(), self._reduced()
        among, n = reduced[:-1, :-1], len(self.motions)
        if _condition(among) > _WORST_CONDITION:
            return np.diag(np.full(n, np.inf))
        mixing[-1] -= _solved(among, reduced[:-1, -1]) @ mixing[:-1]
        down, across = (n // _TILE + 1 for n in shape)
        scores = np.zeros((down * across, n))
        place = pixels.values, pixels.y, pixels.x, *self.center, float(pixels.width)
        model = self.reach, self.table, self.means, mixing
        tile_scores(*place, *model, _TILE, across, scores)
        inverse = np.linalg.inv(among) / self.gain
        by_tile = scores.reshape(down, across, n)
        found = [inverse @ _scatter(by_tile, size) @ inverse for size in _TOGETHER]
        return max(found, key=lambda matrix: float(np.trace(matrix[:2, :2])))

    def _among_slopes(self) -> Floats:
        """Return the products of the slopes, with a bound where they are alike."""
        intensity, weights = self.table[:, 0], self.table[:, 3]
        total = float(weights.sum()) or 1.0
        usual = float(np.sum(np.abs(intensity) * weights)) / total or 1.0
        bound = np.diag([1, 1, 1, 1, usual**-2, usual**-2])
        among: Floats = self.matrix[_SLOPES, _SLOPES] + bound
        return among

    def _mixing(self) -> Floats:
        """Return motions and residual (motions + 1, columns) without the slopes."""
        rows = [*self.motions, _REST]
        mixing = np.zeros((len(rows), len(self.matrix)))
        mixing[range(len(rows)), rows] = 1
        mixing[:, _SLOPES] = -_solved(
            self._among_slopes(), self.matrix[_SLOPES, rows]
        ).T
        return mixing

    def _reduced(self) -> Floats:
        mixing = self._mixing()
        reduced: Floats = mixing @ self.matrix @ mixing.T
        return reduced


def _condition(matrix: Floats) -> float:
    """Return the condition of normal equations whose unknowns have any units."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-200))
    return float(np.linalg.cond(matrix / np.outer(scale, scale)))


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Solve normal equations, also where some of the unknowns say nothing."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-200))
    scaled = matrix / np.outer(scale, scale)
    right = (right.T / scale).T
    solution = np.linalg.lstsq(scaled, right, rcond=1e-12)[0]
    found: Floats = (solution.T / scale).T
    return found


def _scatter(scores: Floats, together: int) -> Floats:
    """Return the sum of the products of scores (rows, columns, n) of larger tiles."""
    rows, cols = (np.arange(0, n, together) for n in scores.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(scores, rows, axis=0), cols, axis=1)
    flat = sums.reshape(-1, scores.shape[-1])
    scatter: Floats = flat.T @ flat
    return scatter
