"""Shapes that select pixels by their values or their place on a panel, or by name.

A pixel whose value is not a number is outside of every range, and is selected.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from smalldata_ana.detector.image_masks import MaskLike, checked_mask
from smalldata_ana.detector.mask_shapes import Array, Floats, Mask, Scene, Shape
from smalldata_ana.detector.masks import central, edges
from smalldata_ana.errors import ParameterError, counted, unknown

QUANTITIES = ("image", "pedestal", "noise")
"""What thresholds are for."""

SIGMA = 8.0
"""How far from its neighbours a suspicious pixel is, if nothing else is said."""

_TO_SIGMA = 1.4826
"""Standard deviation of normal numbers over their median absolute deviation."""

_SIGMAS_OF_98_PERCENT = 4.6527
"""Between the 1st and the 99th percentile of normal numbers.  Unlike the median
deviation this is not 0 in an image with photons in a few percent of the pixels."""

_MEAN_TO_SIGMA = math.sqrt(math.pi / 2)
"""Standard deviation of normal numbers over their mean absolute deviation."""

_NEIGHBOURHOOD = 5
"""Edge of the square with which a pixel is compared."""

_SURROUNDINGS = 9
"""Edge of the square whose spread counts; a hot pixel is but a small part of it."""

_LARGEST = 1_000_000_000
"""Pixels of a frame; no detector has more."""

_LEAST_SPREAD = 0.05
"""Of the logarithm of the noise: pixels that agree to 5 % are not told apart."""


@dataclass(frozen=True)
class Threshold(Shape):
    """Pixels with a value outside of a range that is allowed.

    Attributes
    ----------
    of : ``image``, in its unit; ``pedestal`` or ``noise`` [ADU]
    low, high : what is allowed, with both ends; None: no limit
    stage : number of the gain stage of pedestal or noise
    """

    kind = "threshold"
    of: str
    low: float | None = None
    high: float | None = None
    stage: int = 0

    def check(self) -> None:
        """Raise if there is no such quantity, or no range."""
        if self.of not in QUANTITIES:
            raise ParameterError(unknown("quantity", str(self.of), QUANTITIES))
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                self.check_numbers(name, 1)
        if self.low is None and self.high is None:
            raise self.wrong("low", "and high = None allow everything; give one")
        if None not in (self.low, self.high) and self.low > self.high:  # type: ignore[operator]
            raise self.wrong("low", f"is above high = {self.high}")
        self.check_count("stage")

    def find(self, scene: Scene) -> Mask:
        """Return the pixels outside of the range."""
        values = scene.value(self.of, self.stage)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        allowed: Mask = (values >= low) & (values <= high)
        return ~allowed


@dataclass(frozen=True)
class Edges(Shape):
    """The rim of each panel.

    Attributes
    ----------
    rows, columns : how many at each side
    """

    kind = "edges"
    rows: int = 1
    columns: int = 1

    def check(self) -> None:
        """Raise if they are not numbers of rows."""
        for name in ("rows", "columns"):
            self.check_count(name)

    def find(self, scene: Scene) -> Mask:
        """Return the rims."""
        return ~edges(scene.kind, scene.shape, self.rows, self.columns)


@dataclass(frozen=True)
class Central(Shape):
    """The wide pixels where two chips of a panel meet.

    Attributes
    ----------
    rows, columns : how many at each side of the border
    """

    kind = "central"
    rows: int = 1
    columns: int = 1

    def check(self) -> None:
        """Raise if they are not numbers of rows."""
        for name in ("rows", "columns"):
            self.check_count(name)

    def find(self, scene: Scene) -> Mask:
        """Return the pixels beside the borders of chips."""
        if scene.kind.wide_pixel_size is None:
            raise ParameterError(
                f"{scene.kind.title} has no wide pixels between its chips; draw a "
                "rectangle on the panel instead"
            )
        return ~central(scene.kind, scene.shape, self.rows, self.columns)


@dataclass(frozen=True)
class Suspicious(Shape):
    """Pixels that do not behave as the others of their panel.

    Attributes
    ----------
    what : ``hot``: in the image far above the pixels around (where photons are in less
        than a percent of the pixels, these are so, too); ``noisy`` or ``dead``:
        the logarithm of the noise is far above or below that of the panel, or there
        is no noise at all (dead)
    sigma : what far is, in standard deviations, from medians
    """

    kind = "suspicious"
    what: str
    sigma: float = SIGMA

    def check(self) -> None:
        """Raise if nothing of that name is known, or the distance is none."""
        if self.what not in SUSPICIONS:
            raise ParameterError(unknown("kind of pixels", str(self.what), _TESTS))
        self.check_numbers("sigma", 1)
        if self.sigma <= 0:
            raise self.wrong("sigma", "is not more than 0")

    def find(self, scene: Scene) -> Mask:
        """Return those among the good pixels."""
        quantity, test = _TESTS[self.what]
        values = np.asarray(scene.value(quantity), np.float64)
        size = scene.shape[-2:]
        panels = values.reshape(-1, *size), scene.good.reshape(-1, *size)
        found = [test(v, g, self.sigma) & g for v, g in zip(*panels, strict=True)]
        return np.reshape(found, scene.shape)


def _hot(values: Floats, good: Mask, sigma: float) -> Mask:
    """Return the pixels of a panel that are far above those around them."""
    from scipy.ndimage import median_filter, uniform_filter

    regarded = good & np.isfinite(values)
    if not regarded.any():
        return np.zeros_like(good)
    known = np.where(regarded, values, np.median(values[regarded]))
    above = known - median_filter(known, _NEIGHBOURHOOD, mode="reflect")
    # Bright places and sharp lines are noisier than the panel as a whole.
    around = _MEAN_TO_SIGMA * uniform_filter(np.abs(above), _SURROUNDINGS)
    low, high = np.percentile(above[regarded], (1, 99))
    spread = np.maximum(around, (high - low) / _SIGMAS_OF_98_PERCENT)
    hot: Mask = above > np.maximum(sigma * spread, 0)
    return hot & regarded


def _far_noise(noise: Floats, good: Mask) -> Floats:
    """Return how many sigma the noise of pixels is above that of their panel.

    It is minus infinity for no noise, and infinite for what is no number.
    """
    regarded = good & np.isfinite(noise) & (noise > 0)
    far = np.where(noise <= 0, -np.inf, np.inf)
    if regarded.any():
        logs = np.log(noise[regarded])
        middle = np.median(logs)
        spread = max(_TO_SIGMA * np.median(np.abs(logs - middle)), _LEAST_SPREAD)
        far[regarded] = (logs - middle) / spread
    return far


_TESTS: Mapping[str, tuple[str, Callable[[Floats, Mask, float], Mask]]] = {
    "hot": ("image", _hot),
    "noisy": ("noise", lambda noise, good, sigma: _far_noise(noise, good) > sigma),
    "dead": ("noise", lambda noise, good, sigma: _far_noise(noise, good) < -sigma),
}
"""What can be suspected: of which quantity, and how it is tested on a panel."""

SUSPICIONS = tuple(_TESTS)
"""What pixels can be suspected to be."""


@dataclass(frozen=True)
class Pixels(Shape):
    """Pixels that a mask from elsewhere leaves out.

    Make it with `of_mask`.

    Attributes
    ----------
    frame : shape of a frame
    packed : the selected pixels as bits (`numpy.packbits`), by zlib and base64
    """

    kind = "pixels"
    frame: tuple[int, ...]
    packed: str

    _NO_BITS: ClassVar[str] = "are not the packed bits of a mask of this frame"

    @classmethod
    def of_mask(cls, good: MaskLike, **more: Any) -> Self:
        """Return the pixels that are not good.

        Parameters
        ----------
        good : bool, True = good; or 0 and 1, 1 = good; shape of a frame
        more : attributes of `Shape`

        Raises
        ------
        ParameterError
            if it is no mask
        """
        bad = ~checked_mask(good)
        bits = zlib.compress(np.packbits(bad).tobytes(), level=9)
        return cls(frame=bad.shape, packed=base64.b64encode(bits).decode(), **more)

    def check(self) -> None:
        """Raise if they are not the bits of a frame."""
        if not isinstance(self.frame, tuple) or len(self.frame) not in {2, 3}:
            raise self.wrong("frame", "is not the shape of a frame")
        sizes_fit = all(isinstance(n, int) and 0 < n <= _LARGEST for n in self.frame)
        if not sizes_fit or math.prod(self.frame) > _LARGEST:
            raise self.wrong("frame", "is not the shape of a frame")
        if not isinstance(self.packed, str):
            raise self.wrong("packed", self._NO_BITS)
        self._unpacked()

    def find(self, scene: Scene) -> Mask:
        """Return the pixels."""
        if self.frame != scene.shape:
            raise self.wrong(
                "frame", f"is not the shape of these frames, {scene.shape}"
            )
        return self._unpacked()

    def _unpacked(self) -> Mask:
        size = math.prod(self.frame)
        wanted = -(-size // 8)
        try:
            unpack = zlib.decompressobj()
            # What is longer than it can be is not unpacked in full.
            content = unpack.decompress(
                base64.b64decode(self.packed, validate=True), wanted + 1
            )
        except (binascii.Error, ValueError, zlib.error) as error:
            raise ParameterError(f"pixels: packed: {self._NO_BITS}: {error}") from error
        if len(content) != wanted:
            raise ParameterError(
                f"pixels: packed holds {counted(8 * len(content), 'pixel')}, and the "
                f"frame {self.frame} has {size}"
            )
        bits: Array = np.unpackbits(np.frombuffer(content, np.uint8), count=size)
        return bits.astype(np.bool_).reshape(self.frame)
