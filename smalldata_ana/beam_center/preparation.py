"""Images made ready for the search of rings: cleaned, reduced, flattened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError

Image = npt.NDArray[np.float32]
Good = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float32]
Levels = npt.NDArray[np.intp]

_LEVELS = 24
"""Levels of brightness for each of which there is a limit for hot pixels."""
_SAMPLE = 200_000
_ROUNDS = 6
_SIGMAS = 6
_QUANTA = 3
_MOST = 0.005
"""Share of pixels that may be hot; if more stand out, it is not hot pixels."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels that count, one after the other.

    Attributes
    ----------
    values : float32, (pixels,)
    y, x : float32, (pixels,), row and column [px of the whole image]
    width : edge of a pixel [px of the whole image]
    """

    values: Vector
    y: Vector
    x: Vector
    width: int


@dataclass(frozen=True, eq=False)
class Reduced:
    """An image of means over squares of pixels.

    Attributes
    ----------
    mean : float32, (rows, columns)
    weight : float32, same shape; share of good pixels in each square
    y, x : float32, same shape; centre of its good pixels [px of the whole image]
    factor : edge of a square [px of the whole image]
    """

    mean: Image
    weight: Image
    y: Image
    x: Image
    factor: int

    @classmethod
    def whole(cls, image: Image, weight: Image) -> Self:
        """Return an image as it is."""
        places: Image = np.indices(image.shape, np.float32)
        return cls(image, weight, places[0], places[1], 1)

    @classmethod
    def of(cls, image: npt.ArrayLike, good: npt.ArrayLike | None) -> Self:
        """Return an image of which only the good pixels count; see `as_picture`."""
        picture, use = as_picture(image, good)
        return cls.whole(picture, use.astype(np.float32))

    def by(self, factor: int) -> Self:
        """Average over squares; what is left over at the far edges is dropped."""
        if factor == 1:
            return self
        total = _block_sums(self.weight, factor)
        least: Image = np.maximum(total, np.float32(1e-6))
        share: Image = total / np.float32(factor**2)
        means: list[Image] = [
            _block_sums(of * self.weight, factor) / least
            for of in (self.mean, self.y, self.x)
        ]
        mean, y, x = means
        return type(self)(mean, share, y, x, self.factor * factor)

    @cached_property
    def pixels(self) -> Pixels:
        """Its pixels of which at least half is good."""
        use = self.weight >= 0.5
        return Pixels(self.mean[use], self.y[use], self.x[use], self.factor)

    def flattened(self, scale: float) -> Reduced:
        """Return it without what varies slowly: mean 0 and variance 1 everywhere.

        Parameters
        ----------
        scale : over which mean and variance are taken [px of the whole image]
        """
        size = max(3, round(scale / self.factor)) | 1
        weight = _smooth(self.weight, size)
        enough = weight > 0.02
        weight = np.maximum(weight, 0.02)
        background = _smooth(self.mean * self.weight, size) / weight
        rest = self.mean - background
        variance = _smooth(rest * rest * self.weight, size) / weight
        floor = 1e-6 * float(variance.max()) or 1.0
        flat = rest / np.sqrt(np.maximum(variance, floor))
        use = np.where(enough & (self.weight >= 0.5), self.weight, np.float32(0))
        # A few spots must not outweigh the rings.
        flat = np.clip(flat, -4, 4) * (use > 0)
        return replace(self, mean=flat.astype(np.float32), weight=use)


def _block_sums(image: Image, factor: int) -> Image:
    rows, cols = (n // factor for n in image.shape)
    cut = image[: rows * factor, : cols * factor]
    across = np.add.reduceat(cut, np.arange(0, cols * factor, factor), axis=1)
    sums: Image = across.reshape(rows, factor, cols).sum(axis=1)
    return sums


def _smooth(image: Image, size: int) -> Image:
    from scipy import ndimage

    smooth = image
    for _ in range(2):
        smooth = ndimage.uniform_filter(smooth, size, mode="constant")
    return smooth


def as_picture(image: npt.ArrayLike, good: npt.ArrayLike | None) -> tuple[Image, Good]:
    """Return an image with 0 where it is not good, and which pixels are good.

    Raises
    ------
    ParameterError
        if the image is not of two dimensions, or `good` of another shape
    """
    picture = np.asarray(image)
    if picture.ndim != 2:
        raise ParameterError(
            f"the image has the shape {picture.shape}; an assembled image has two "
            "dimensions"
        )
    use = np.isfinite(picture)
    if good is not None:
        asked = np.asarray(good, bool)
        if asked.shape != picture.shape:
            raise ParameterError(
                f"good has the shape {asked.shape}, and the image {picture.shape}"
            )
        use &= asked
    return np.where(use, picture, 0).astype(np.float32), use


def cleaned(image: Image, use: Good) -> Reduced:
    """Return an image of which bad pixels do not count.

    Parameters
    ----------
    image : float32, 0 where not used
    use : bool, same shape
    """
    weight = (use & ~hot_pixels(image, use)).astype(np.float32)
    return Reduced.whole(image * weight, weight)


def hot_pixels(image: Image, good: Good) -> Good:
    """Find single pixels that are far brighter or darker than others of their kind.

    A pixel is compared with those whose surroundings are as bright as its own: with
    their variance, and with the photons that this variance stands for.

    Parameters
    ----------
    image : 0 where not good
    good : True = use

    Returns
    -------
    hot : bool, shape of the image
    """
    ceiling = np.float32(np.quantile(image[good][:: _step(good)], 0.999))
    clipped = np.minimum(image, ceiling)
    weight = good.astype(np.float32)
    least: Image = np.maximum(_around(weight), np.float32(1e-3))
    around: Image = _around(clipped * weight) / least
    excess = (image - around).astype(np.float32, copy=False)
    sample = np.flatnonzero(good)[:: _step(good)]
    levels = np.unique(np.quantile(around.flat[sample], np.linspace(0, 1, _LEVELS + 1)))
    level = np.searchsorted(levels[1:-1], around.ravel())
    limits = _limits(
        excess.flat[sample], around.flat[sample], level[sample], len(levels)
    )
    hot: Good = (np.abs(excess) > limits[level].reshape(image.shape)) & good
    return hot


def outlier_limits(
    variance: npt.NDArray[np.float64], mean: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how far a pixel may be from what is expected.

    Six deviations, and three photons more where a deviation is less than a photon.

    Parameters
    ----------
    variance, mean : (n,), of the pixels of each kind
    """
    size = np.abs(mean)
    # Where there is light, a photon is variance by mean; elsewhere it is less.
    photon = np.min(variance / np.maximum(size, 1e-6 * size.max() + 1e-30))
    limits: npt.NDArray[np.float64] = _SIGMAS * np.sqrt(variance) + _QUANTA * photon
    return limits


def _step(good: Good) -> int:
    return max(1, int(np.count_nonzero(good)) // _SAMPLE)


def _around(image: Image) -> Image:
    """Return the mean of the 24 pixels around each."""
    from scipy import ndimage

    mean = ndimage.uniform_filter(image, 5, mode="constant")
    around: Image = (25 * mean - image) / 24
    return around


def _limits(excess: Vector, around: Vector, level: Levels, n: int) -> Vector:
    limits = np.full(n, np.inf, np.float32)
    present = np.unique(level)
    sizes = [np.abs(excess[level == k]) for k in present]
    means = np.array([float(around[level == k].mean()) for k in present])
    cuts = np.array([np.quantile(s, 1 - _MOST, method="higher") for s in sizes])
    for _ in range(_ROUNDS):
        pairs = zip(sizes, cuts, strict=True)
        variance = np.array([np.mean(np.square(s[s <= cut])) for s, cut in pairs])
        cuts = outlier_limits(variance, means)
    share = [np.mean(s > cut) for s, cut in zip(sizes, cuts, strict=True)]
    limits[present] = np.where((np.array(share) <= _MOST) & (cuts > 0), cuts, np.inf)
    return limits
