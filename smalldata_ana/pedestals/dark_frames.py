"""Streaming statistics of dark frames that a lit shot does not spoil.

The first `BLOCK` frames of a gain stage are kept: the median and the quartiles of each
pixel tell its usual value and spread.  With those known, each frame (these first ones
too) goes through two gates and is then forgotten:

* a frame whose mean is far from that of the frames around it (`FRAME_SIGMAS`), or in
  which more than `FAR_PIXELS` of the pixels are far from their usual value, is a lit
  shot, and left out;
* in a frame that stays, a pixel more than `PIXEL_SIGMAS` from its usual value (a cosmic
  ray, a stray photon) is left out and counted.

The gates are so wide that they cut nothing off a normal distribution: the expected
bias of the noise is below 1e-6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode import Banks
from smalldata_ana.pedestals.own_noise import OwnNoise
from smalldata_ana.statistics import MEDIAN_TO_SIGMA

Image = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint32]

BLOCK = 20
"""Frames that are kept to learn the usual values."""

PIXEL_SIGMAS = 8.0
FRAME_SIGMAS = 8.0
FAR_PIXELS = 0.05
"""Share of the pixels that may be far from their usual value in a dark frame."""

_SMALLEST_SHIFT = 0.25
"""A frame whose mean is off by less than this is never lit [noise of a pixel]; what
light there is in it, the gate of the pixels takes."""

_QUARTILES_TO_SIGMA = 1 / 1.34898
_DIGITS = 1.0
"""Width that is added for the steps of the converter [ADU]."""

_TILE = 8192


@dataclass(frozen=True, eq=False)
class DarkStatistics:
    """What the dark frames of one gain stage gave; images have the shape of a frame.

    Attributes
    ----------
    mean, rms : float32 [ADU]; NaN where a pixel has less than two values
    own_rms : float32 [ADU], the noise without what pixels share; see `OwnNoise`
    own_frames : number of frames that it is from
    count : number of values of each pixel that were used
    above, below : number of values that were left out as too high, too low
    frames, rejected : number of frames used, and left out as lit
    typical : the usual noise of a pixel [ADU]
    scatter : of the mean of a frame from one to the next [ADU]
    far : share of the values in the used frames that were left out
    """

    mean: Image
    rms: Image
    own_rms: Image
    own_frames: int
    count: Counts
    above: Counts
    below: Counts
    frames: int
    rejected: int
    typical: float
    scatter: float
    far: float


class DarkFrames:
    """The dark frames of one gain stage, one after the other.

    Not for several threads at a time.

    Parameters
    ----------
    shape : of a frame
    banks : with a common mode of their own, of a panel; None: the panel is one
    """

    def __init__(self, shape: tuple[int, ...], banks: Banks | None = None) -> None:
        self._shape = shape
        self._own = OwnNoise(shape, banks)
        pixels = int(np.prod(shape))
        self._block: list[Image] = []
        self._centre = np.empty(0, np.float32)
        self._width = np.empty(0, np.float32)
        self._typical = np.nan
        self._count, self._above, self._below = np.zeros((3, pixels), np.uint32)
        self._sums, self._squares = np.zeros((2, pixels))
        self._recent: deque[float] = deque(maxlen=BLOCK)
        self._shifts: list[float] = []
        self._seen = self._far = self._rejected = 0

    @property
    def count(self) -> int:
        """Number of frames so far."""
        return len(self._block) + len(self._shifts)

    def add(self, values: Image) -> None:
        """Add a frame.

        Parameters
        ----------
        values : float32, contiguous, of the given shape, NaN where a pixel is not in
            this gain stage; it is kept for a while, and must not be changed
        """
        if not self._centre.size:
            self._block.append(values.reshape(-1))
            if len(self._block) == BLOCK:
                self._learn()
        else:
            self._take(values.reshape(-1), *self._compare(values))

    def result(self) -> DarkStatistics:
        """Return the statistics; no frame can be added afterwards."""
        if not self._centre.size:
            self._learn()
        mean = self._sums / np.maximum(self._count, 1)
        variance = self._squares - mean * self._sums
        variance /= np.maximum(self._count, 2) - 1
        measured = self._count > 1
        used = len(self._shifts) - self._rejected
        return DarkStatistics(
            mean=self._image(np.where(measured, self._centre + mean, np.nan)),
            rms=self._image(np.where(measured, np.sqrt(variance.clip(0)), np.nan)),
            own_rms=self._own.result().reshape(self._shape),
            own_frames=self._own.frames,
            count=self._count.reshape(self._shape),
            above=self._above.reshape(self._shape),
            below=self._below.reshape(self._shape),
            frames=used,
            rejected=self._rejected,
            typical=self._typical,
            scatter=_scatter(self._shifts),
            far=self._far / max(self._seen, 1),
        )

    def _learn(self) -> None:
        """Find the usual values from the first frames, and take those frames."""
        self._centre, spread = usual_values(self._block)
        known = spread[np.isfinite(spread)]
        self._typical = float(np.median(known)) if known.size else np.nan
        # So few frames underestimate the spread of some pixels.
        spread = np.maximum(spread, np.float32(self._typical))
        self._width = np.float32(PIXEL_SIGMAS) * spread + np.float32(_DIGITS)
        compared = [self._compare(frame) for frame in self._block]
        self._recent.extend(shift for _, _, shift in compared)
        for frame, what in zip(self._block, compared, strict=True):
            self._take(frame, *what)
        self._block.clear()

    def _compare(self, frame: Image) -> tuple[int, int, float]:
        """Return the number of pixels that count, of those far away, and the shift."""
        from smalldata_ana.pedestals.dark_kernels import compare

        found = np.zeros(3)
        compare(frame.reshape(-1), self._centre, self._width, found)
        seen, far, total = found
        return int(seen), int(far), float(total / max(seen, 1))

    def _take(self, frame: Image, seen: int, far: int, shift: float) -> None:
        from smalldata_ana.pedestals.dark_kernels import add

        self._recent.append(shift)
        self._shifts.append(shift)
        if far > FAR_PIXELS * seen or self._is_far(shift):
            self._rejected += 1
            return
        self._seen += seen
        self._far += far
        self._own.add(frame, self._centre, self._width)
        add(
            frame,
            self._centre,
            self._width,
            self._count,
            self._above,
            self._below,
            self._sums,
            self._squares,
        )

    def _is_far(self, shift: float) -> bool:
        """Tell whether a frame's mean is far from those of the frames around it."""
        recent = np.array(self._recent)
        middle = np.median(recent)
        sigma = MEDIAN_TO_SIGMA * np.median(np.abs(recent - middle))
        limit = max(FRAME_SIGMAS * sigma, _SMALLEST_SHIFT * self._typical)
        return bool(abs(shift - middle) > limit)

    def _image(self, values: npt.NDArray[np.float64]) -> Image:
        return values.astype(np.float32).reshape(self._shape)


def usual_values(frames: Sequence[Image]) -> tuple[Image, Image]:
    """Return the median of each pixel, and its spread as sigma from the quartiles.

    Parameters
    ----------
    frames : (pixels,) each, at least one; NaN does not count

    Returns
    -------
    centre, sigma : float32, (pixels,); NaN where a pixel has no value
    """
    centre, sigma = np.empty((2, frames[0].size), np.float32)
    for begin in range(0, centre.size, _TILE):
        part = slice(begin, begin + _TILE)
        tile = np.stack([frame[part] for frame in frames], axis=1)
        tile.sort(axis=1)  # NaN comes last
        last = np.maximum(np.isfinite(tile).sum(axis=1) - 1, 0)
        low, middle, high = (_at(tile, last * share) for share in (0.25, 0.5, 0.75))
        centre[part] = middle
        sigma[part] = (high - low) * _QUARTILES_TO_SIGMA
    return centre, sigma


def _at(tile: Image, place: npt.NDArray[np.float64]) -> Image:
    """Return the value at a place of each sorted row, between two where need be."""
    below = np.floor(place).astype(np.intp)[:, np.newaxis]
    above = np.ceil(place).astype(np.intp)[:, np.newaxis]
    first: Image = np.take_along_axis(tile, below, axis=1)[:, 0]
    second: Image = np.take_along_axis(tile, above, axis=1)[:, 0]
    part = (place - below[:, 0]).astype(np.float32)
    return first + (second - first) * part


def _scatter(shifts: Sequence[float]) -> float:
    """Return the sigma of numbers from one to the next, which leaves out a drift."""
    if len(shifts) < 2:
        return 0.0
    steps = np.abs(np.diff(shifts))
    return float(MEDIAN_TO_SIGMA * np.median(steps) / np.sqrt(2))
