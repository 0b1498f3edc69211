"""A centre to a fraction of a pixel: a fit of rings of any profile to all pixels.

The model of a pixel at distance r from the centre is f(r), changed by slopes of the
intensity: f times x, y, x^2 - y^2 and x y, which is what a tilt of the intensity or
the polarization do, and a sum of x and y.  The profile f is free.  The fit is that of
Gauss and Newton; errors are from the scatter of what the tiles of the detector say
(White, Econometrica 48 (1980) 817), so that they need no model of the noise.
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
_SHIFT, _SLOPES, _REST = slice(0, 2), slice(2, 8), 8
"""Columns of the fit; see `polish_kernels.COLUMNS`."""


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
    """

    center: Center
    covariance: Floats
    profile: Profile
    converged: bool
    noise_err: float


def polish(pixels: Pixels, start: Center, shape: tuple[int, ...]) -> Polished:
    """Fit the centre to all pixels.

    Parameters
    ----------
    pixels : of the image
    start : row and column, within the width of a ring [px]
    shape : of the whole image
    """
    reach = max(shape) / 2
    n_bins = _n_bins(pixels, start)
    center, slopes = start, np.zeros(6)
    flat, table, size = pixels, None, math.inf
    for step in range(_STEPS):
        profile = Profile.about(flat, center, n_bins, table)
        if table is None or size > _SETTLED * pixels.width:
            table = profile.table()
        else:
            table = np.column_stack([profile.intensity, table[:, 1:]])
        normal = _Normal.of(flat, center, reach, table, profile.gain)
        shift = normal.shift()
        size = math.hypot(*shift)
        shift *= min(1.0, 2 * pixels.width / size) if size else 1.0
        center = center[0] + float(shift[0]), center[1] + float(shift[1])
        slopes = slopes + normal.slopes()
        flat = _without_slopes(pixels, center, reach, slopes)
        # In the first step, no pixel is left out yet.
        if step and size < max(_CLOSE, _CLOSE_ENOUGH * normal.expected_error()):
            break
    covariance = normal.covariance(flat, shape)
    noise = normal.expected_error()
    return Polished(center, covariance, profile, size < _CONVERGED, noise)


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
    """

    center: Center
    reach: float
    table: Floats
    means: Floats
    matrix: Floats
    gain: float

    @classmethod
    def of(
        cls, pixels: Pixels, center: Center, reach: float, table: Floats, gain: float
    ) -> _Normal:
        from smalldata_ana.beam_center.polish_kernels import COLUMNS, normal_sums

        bins = np.zeros((len(table), 1 + COLUMNS))
        matrix = np.zeros((COLUMNS, COLUMNS))
        place = pixels.values, pixels.y, pixels.x, *center, float(pixels.width)
        normal_sums(*place, reach, table, bins, matrix)
        matrix = np.tril(matrix) + np.tril(matrix, -1).T
        counts = np.maximum(bins[:, :1], 1)
        means = bins[:, 1:] / counts
        matrix -= (means * table[:, 3:] * counts).T @ means
        return cls(center, reach, table, means, matrix, gain)

    def shift(self) -> Floats:
        """Return by how much the centre is to be moved [px]."""
        reduced = self._reduced()
        return _solved(reduced[:2, :2], reduced[:2, 2]) / self.gain

    def slopes(self) -> Floats:
        """Return by how much the slopes of the intensity are to be changed."""
        rest = self.matrix[_SLOPES, _REST] - self.matrix[_SLOPES, _SHIFT] @ self.shift()
        return _solved(self._among_slopes(), rest)

    def expected_error(self) -> float:
        """Return the error of the centre if only the pixels' own noise counts [px]."""
        inverse = np.linalg.pinv(self._reduced()[:2, :2])
        return math.sqrt(abs(float(np.trace(inverse))))

    def covariance(self, pixels: Pixels, shape: tuple[int, ...]) -> Floats:
        """Return the covariance of the centre (2, 2) [px^2], infinite if unknown."""
        from smalldata_ana.beam_center.polish_kernels import tile_scores

        mixing, reduced = self._mixing(), self._reduced()
        if np.linalg.cond(reduced[:2, :2]) > 1e12:
            return np.diag([np.inf, np.inf])
        mixing[2] -= _solved(reduced[:2, :2], reduced[:2, 2]) @ mixing[:2]
        down, across = (n // _TILE + 1 for n in shape)
        scores = np.zeros((down * across, 2))
        place = pixels.values, pixels.y, pixels.x, *self.center, float(pixels.width)
        model = self.reach, self.table, self.means, mixing
        tile_scores(*place, *model, _TILE, across, scores)
        inverse = np.linalg.inv(reduced[:2, :2]) / self.gain
        by_tile = scores.reshape(down, across, 2)
        found = [inverse @ _scatter(by_tile, n) @ inverse for n in _TOGETHER]
        return max(found, key=lambda matrix: float(np.trace(matrix)))

    def _among_slopes(self) -> Floats:
        """Return the products of the slopes, with a bound where they are alike."""
        intensity, weights = self.table[:, 0], self.table[:, 3]
        total = float(weights.sum()) or 1.0
        usual = float(np.sum(np.abs(intensity) * weights)) / total or 1.0
        bound = np.diag([1, 1, 1, 1, usual**-2, usual**-2])
        among: Floats = self.matrix[_SLOPES, _SLOPES] + bound
        return among

    def _mixing(self) -> Floats:
        """Return the shifts and the residual (3, columns) without what is a slope."""
        rows = [0, 1, _REST]
        mixing = np.zeros((3, len(self.matrix)))
        mixing[range(3), rows] = 1
        mixing[:, _SLOPES] = -_solved(
            self._among_slopes(), self.matrix[_SLOPES, rows]
        ).T
        return mixing

    def _reduced(self) -> Floats:
        mixing = self._mixing()
        reduced: Floats = mixing @ self.matrix @ mixing.T
        return reduced


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Solve normal equations, also where some of the unknowns say nothing."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-200))
    scaled = matrix / np.outer(scale, scale)
    right = (right.T / scale).T
    solution = np.linalg.lstsq(scaled, right, rcond=1e-12)[0]
    found: Floats = (solution.T / scale).T
    return found


def _scatter(scores: Floats, together: int) -> Floats:
    """Return the sum of the products of scores (rows, columns, 2) of larger tiles."""
    rows, cols = (np.arange(0, n, together) for n in scores.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(scores, rows, axis=0), cols, axis=1)
    flat = sums.reshape(-1, 2)
    scatter: Floats = flat.T @ flat
    return scatter
