"""Where the centre may be: candidates without a guess, and the sharpest of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.preparation import Pixels, Reduced, Vector
from smalldata_ana.beam_center.results import Center

Floats = npt.NDArray[np.float64]

AROUND = 0.5
"""How far outside the centre is looked for, in edges of the image."""

_FINEST = 420
"""Edge of the finest image that is searched [its pixels]."""
_SCALES = (1 / 40, 1 / 10)
"""Over which images are flattened, in edges of the image."""
_COARSE = 8
_KEPT = {8: 12, 4: 8, 2: 3, 1: 3}
"""By factor of reduction, how many candidates are kept."""
_EDGES = 6000
_FEWEST_EDGES = 10
_EDGE_STARTS = 3
_VOTE_STEPS = 32
"""Steps over the image at which votes for a centre are counted."""
_TOLERANCES = (0.12, 0.04)
"""Angle at which an edge still points to a centre [rad]."""
_CLIMB = 12


@dataclass(frozen=True)
class Candidate:
    """A centre that is perhaps one.

    Attributes
    ----------
    center : row and column [px]
    contrast : by how many deviations it is sharper than other centres
    """

    center: Center
    contrast: float


def search_factor(shape: tuple[int, ...]) -> int:
    """Return by which factor an image is reduced before it is searched."""
    return max(1, math.ceil(max(shape) / _FINEST))


def is_near(center: Center, shape: tuple[int, ...]) -> bool:
    """Tell whether a centre lies in the region that is searched.

    Lines that are straight are rings about a centre that is far away.
    """
    return all(
        -AROUND * n <= c <= (1 + AROUND) * n for c, n in zip(center, shape, strict=True)
    )


def candidates(image: Reduced) -> list[Candidate]:
    """Return the centres at which rings are sharp, those that stand out most first.

    Parameters
    ----------
    image : cleaned, not reduced
    """
    found: list[Candidate] = []
    for flat in flattened(image):
        found += _of_flat(flat, image.mean.shape)
    return sorted(found, key=lambda c: c.contrast, reverse=True)


def flattened(image: Reduced) -> list[Reduced]:
    """Return an image as it is searched: reduced, and flattened over several scales.

    Parameters
    ----------
    image : cleaned, not reduced
    """
    shape = image.mean.shape
    reduced = image.by(search_factor(shape))
    return [reduced.flattened(scale * max(shape)) for scale in _SCALES]


def _of_flat(flat: Reduced, shape: tuple[int, ...]) -> list[Candidate]:
    levels = {f: flat.by(f).pixels for f in _KEPT}
    coarse = levels[_COARSE]
    grid = _grid(shape, coarse.width)
    seen = sharpness(coarse, grid.reshape(-1, 2), shape)
    starts = _summits(grid, seen.reshape(grid.shape[:2]), _KEPT[_COARSE])
    starts += _edge_starts(flat, shape)
    for factor in (4, 2, 1):
        starts = _sharper(levels[factor], starts, shape)[: _KEPT[factor]]
    fine = levels[1]
    found = contrasts(fine, np.array(starts), shape)
    return [
        Candidate(center, float(contrast))
        for center, contrast in zip(starts, found, strict=True)
        if is_near(center, shape)
    ]


def contrasts(pixels: Pixels, centers: Floats, shape: tuple[int, ...]) -> Floats:
    """Return by how many deviations centres (n, 2) are sharper than others."""
    others = sharpness(pixels, _elsewhere(shape), shape)
    usual = np.median(others)
    spread = 1.4826 * float(np.median(np.abs(others - usual))) or 1e-30
    found: Floats = (sharpness(pixels, centers, shape) - usual) / spread
    return found


def sharpness(pixels: Pixels, centers: Floats, shape: tuple[int, ...]) -> Floats:
    """Return how sharp the rings are around each of some centres (n, 2).

    It is the share of the variance of the pixels that is in rings.
    """
    from smalldata_ana.beam_center import search_kernels

    result = np.empty(len(centers))
    n_bins = math.ceil((1 + AROUND) * math.hypot(*shape) / pixels.width) + 2
    search_kernels.sharpness(
        pixels.values,
        pixels.y,
        pixels.x,
        np.ascontiguousarray(centers, float),
        float(pixels.width),
        n_bins,
        result,
    )
    power = float(np.sum(np.square(pixels.values, dtype=float)))
    return result / (power or 1.0)


def _grid(shape: tuple[int, ...], step: float) -> Floats:
    axes = [np.arange(-AROUND * n, (1 + AROUND) * n, step) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _elsewhere(shape: tuple[int, ...]) -> Floats:
    """Return centres all over the region that is searched."""
    steps = [np.linspace(-AROUND * n, (1 + AROUND) * n, 8) for n in shape]
    return np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _summits(grid: Floats, height: Floats, most: int) -> list[Center]:
    from scipy import ndimage

    top = height == ndimage.maximum_filter(height, 3, mode="nearest")
    places, heights = grid[top], height[top]
    best = np.argsort(heights)[::-1][:most]
    return [(float(y), float(x)) for y, x in places[best]]


def _sharper(
    pixels: Pixels, starts: Iterable[Center], shape: tuple[int, ...]
) -> list[Center]:
    """Climb from each start to the sharpest centre near it; the sharpest first."""
    found: dict[Center, float] = {}
    for start in starts:
        center, height = _climb(pixels, start, shape)
        if not any(math.dist(center, c) < pixels.width for c in found):
            found[center] = height
    return sorted(found, key=found.__getitem__, reverse=True)


def _climb(
    pixels: Pixels, start: Center, shape: tuple[int, ...]
) -> tuple[Center, float]:
    around = np.array([(i, j) for i in (0, -1, 1) for j in (0, -1, 1)], float)
    center, step = np.array(start), float(pixels.width)
    for _ in range(_CLIMB):
        heights = sharpness(pixels, center + step * around, shape)
        best = int(np.argmax(heights))
        center = center + step * around[best]
        if best == 0:
            step /= 2
            if step < pixels.width / 3:
                break
    return (float(center[0]), float(center[1])), float(heights[best])


@dataclass(frozen=True, eq=False)
class _Edges:
    """The steepest places of a picture, each array float32, (edges,).

    Attributes
    ----------
    weights : how steep they are, at most as the median of them
    y, x : where they are [px]
    normal_y, normal_x : unit vector across the edge
    """

    weights: Vector
    y: Vector
    x: Vector
    normal_y: Vector
    normal_x: Vector

    @classmethod
    def of(cls, flat: Reduced) -> _Edges:
        from scipy import ndimage

        smooth = ndimage.gaussian_filter(flat.mean, 1.5)
        slopes = ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)
        inside = ndimage.minimum_filter(flat.weight, 9, mode="constant") > 0
        steepness = np.hypot(*slopes) * inside
        n = min(_EDGES, int(np.count_nonzero(steepness)) // 5)
        steepest = np.argsort(steepness, axis=None)[steepness.size - n :]
        at = np.unravel_index(steepest, steepness.shape)
        size = steepness[at]
        weights = np.minimum(size, np.median(size)) if n else size
        normals = (np.ascontiguousarray(slope[at] / size) for slope in slopes)
        return cls(weights, flat.y[at], flat.x[at], *normals)

    def crossing(self, start: Center) -> Center:
        """Return where most of the normals cross, near a start."""
        center = np.array(start)
        across = np.stack([self.normal_x, -self.normal_y], axis=1).astype(float)
        distance = across[:, 0] * self.y + across[:, 1] * self.x
        for tolerance in np.geomspace(*_TOLERANCES, 8):
            r = np.hypot(self.y - center[0], self.x - center[1]) + 1e-3
            angle = (across @ center - distance) / r
            w = self.weights / (1 + (angle / tolerance) ** 2) ** 2
            matrix = (across * w[:, None]).T @ across
            center = np.linalg.lstsq(matrix, across.T @ (w * distance), rcond=None)[0]
        return float(center[0]), float(center[1])


def _edge_starts(flat: Reduced, shape: tuple[int, ...]) -> list[Center]:
    """Return the centres to which most edges of the picture point."""
    from smalldata_ana.beam_center.search_kernels import votes

    edges = _Edges.of(flat)
    if len(edges.weights) < _FEWEST_EDGES:
        return []
    grid = _grid(shape, max(shape) / _VOTE_STEPS)
    count = np.empty(grid.shape[0] * grid.shape[1])
    votes(
        edges.weights,
        edges.y,
        edges.x,
        edges.normal_y,
        edges.normal_x,
        grid.reshape(-1, 2),
        _TOLERANCES[0],
        count,
    )
    starts = _summits(grid, count.reshape(grid.shape[:2]), _EDGE_STARTS)
    return [edges.crossing(start) for start in starts]
