"""Pictures with rings of a known centre, and pictures without rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIZE = 1650
"""Edge of the pictures for which the radii below are [px]."""

INSIDE = (150, 260, 420, 560, 700)
CORNER = (260, 420, 560, 700, 900)
OUTSIDE = (420, 560, 700, 900, 1150)
LIQUID = ((420, 70, 8), (640, 90, 3))
"""Radius, width (sigma) [px] and height of the rings of a liquid."""

HOT = 0.003
"""Share of the pixels that are hot; nine tenths of them are masked."""


@dataclass(frozen=True)
class Scene:
    """A picture and what is known of it.

    Attributes
    ----------
    image : float32, (rows, columns); 0 where it is not good
    good : bool, same shape
    center : true row and column [px]
    radii : of the rings [px]
    """

    image: npt.NDArray[np.float32]
    good: npt.NDArray[np.bool_]
    center: tuple[float, float]
    radii: tuple[float, ...]


BRIGHT = ("clean", "masked", "beam stop", "gradient")
EDGE = ("outside", "corner")
FAINT = ("weak", "water", "gradient water")
LIMITS = (
    dict.fromkeys(BRIGHT, 0.1) | dict.fromkeys(EDGE, 0.3) | dict.fromkeys(FAINT, 0.5)
)
"""By scene, the error of the centre that is allowed [px]."""

FEW_PHOTONS = ("weak water", "quarter water")
"""Scenes in which the photons tell the centre to about half a pixel only."""


def scene(kind: str, seed: int, size: int = SIZE) -> Scene:
    """Draw a picture with rings; lengths scale with its size, widths of rings do not.

    `kind` is one of `LIMITS` or `FEW_PHOTONS`.
    """
    rng = np.random.default_rng(seed)
    scale = size / SIZE
    center, radii = _center(kind, rng, scale)
    rows, cols = np.mgrid[:size, :size].astype(np.float32)
    r = np.hypot(rows - center[0], cols - center[1])
    mean = _profile(kind, r, radii, scale)
    if "gradient" in kind:
        mean = mean * (1 + 0.6 * (2 * cols / size - 1))
    good = _gaps(size)
    _mask(kind, good, r, center, rng, scale)
    image = rng.poisson(np.maximum(mean, 0)).astype(np.float32)
    image += rng.normal(0, 0.05, image.shape).astype(np.float32)
    if kind != "clean":
        hot = rng.random(image.shape) < HOT
        image[hot] = rng.uniform(0, 300, np.count_nonzero(hot))
        good &= ~(hot & (rng.random(image.shape) < 0.9))
    image[~good] = 0
    return Scene(image, good, center, radii)


def _center(
    kind: str, rng: np.random.Generator, scale: float
) -> tuple[tuple[float, float], tuple[float, ...]]:
    middle, radii = (823.37, 811.82), INSIDE
    if kind == "outside":
        middle, radii = (-140.0, 900.0), OUTSIDE
    elif kind in {"corner", "quarter water"}:
        middle, radii = (60.0, 90.0), CORNER
    shift = rng.uniform(-20, 20), rng.uniform(-20, 20)
    center = (middle[0] + shift[0]) * scale, (middle[1] + shift[1]) * scale
    if "water" in kind:
        return center, tuple(ring[0] * scale for ring in LIQUID)
    return center, tuple(radius * scale for radius in radii)


def _profile(
    kind: str, r: npt.NDArray[np.float32], radii: tuple[float, ...], scale: float
) -> npt.NDArray[np.float32]:
    if "water" in kind:
        mean = np.full_like(r, 2.0)
        for radius, width, height in LIQUID:
            mean += height * np.exp(-0.5 * ((r / scale - radius) / width) ** 2)
    else:
        mean = 3 * np.exp(-r / (600 * scale))
        for order, radius in enumerate(radii):
            height = 8 / (1 + 0.4 * order)
            mean += height * np.exp(-0.5 * ((r - radius) / 6) ** 2)
    photons = {"weak": 0.01, "weak water": 0.1}.get(kind, 3.0)
    return (photons * mean).astype(np.float32)


def _gaps(size: int) -> npt.NDArray[np.bool_]:
    good = np.ones((size, size), bool)
    for panel in range(1, 4):
        begin = panel * size // 4 - 10
        good[begin : begin + 24] = False
        good[:, begin : begin + 24] = False
    return good


def _mask(
    kind: str,
    good: npt.NDArray[np.bool_],
    r: npt.NDArray[np.float32],
    center: tuple[float, float],
    rng: np.random.Generator,
    scale: float,
) -> None:
    size = len(good)
    if kind == "masked":
        height, width = int(80 * scale), int(120 * scale)
        while good.mean() > 0.78:
            row, col = rng.integers(0, size - height), rng.integers(0, size - width)
            good[row : row + height, col : col + width] = False
    if kind == "beam stop":
        row, col, half = int(center[0]), int(center[1]), int(25 * scale)
        good[r < 180 * scale] = False
        good[row:, col - half : col + half] = False


def without_rings(kind: str, seed: int, size: int = SIZE) -> npt.NDArray[np.float32]:
    """Draw a picture without rings; `kind` is one of `RINGLESS`."""
    rng = np.random.default_rng(seed)
    return RINGLESS[kind](rng, size).astype(np.float32)


def _noise(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    return rng.normal(0, 2, (size, size))


def _photons(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    return rng.poisson(rng.uniform(0.01, 3), (size, size)) + 0.1 * _noise(rng, size)


def _slope(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    rows, cols = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    tilt = rng.uniform(-0.6, 0.6, 2)
    return rng.poisson(5 * (1.3 + tilt[0] * rows + tilt[1] * cols)).astype(float)


def _panels(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    offsets = np.kron(rng.normal(0, 3, (4, 4)), np.ones((size // 4 + 1,) * 2))
    return offsets[:size, :size] + _noise(rng, size)


def _stripes(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    lines = rng.normal(0, 2, (size, 1)) + rng.normal(0, 2, (1, size))
    return lines + _noise(rng, size)


def _waves(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    rows, cols = np.mgrid[:size, :size]
    angle, period = rng.uniform(0, np.pi), rng.uniform(40, 200)
    phase = 2 * np.pi * (rows * np.sin(angle) + cols * np.cos(angle)) / period
    return rng.poisson(5 + 3 * np.sin(phase)).astype(float)


def _spots(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    image = rng.poisson(1.0, (size, size)).astype(float)
    for row, col in rng.integers(5, size - 5, (60, 2)):
        image[row - 2 : row + 3, col - 2 : col + 3] += rng.uniform(10, 1000)
    return image


def _clouds(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    from scipy import ndimage

    coarse = rng.normal(0, 1, (size // 8 + 1,) * 2)
    smooth = ndimage.gaussian_filter(coarse, rng.uniform(2, 8))
    smooth = np.kron(smooth / smooth.std(), np.ones((8, 8)))[:size, :size]
    return rng.poisson(np.maximum(5 + smooth, 0)).astype(float)


def _shadow(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    rows, cols = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    lit = rows * np.sin(angle) + cols * np.cos(angle) > rng.uniform(-0.4, 0.4)
    return rng.poisson(np.where(lit, 8.0, 2.0)).astype(float)


def _hot(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    image = _noise(rng, size)
    image[rng.random(image.shape) < HOT] = 3000
    return image


def _halo(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    rows, cols = np.mgrid[:size, :size]
    r = np.hypot(rows - rng.uniform(0, size), cols - rng.uniform(0, size))
    return rng.poisson(30 * np.exp(-r / (0.3 * size))).astype(float)


RINGLESS = {
    "noise": _noise,
    "photons": _photons,
    "slope": _slope,
    "panels": _panels,
    "stripes": _stripes,
    "waves": _waves,
    "spots": _spots,
    "clouds": _clouds,
    "shadow": _shadow,
    "hot pixels": _hot,
    "halo": _halo,
}
