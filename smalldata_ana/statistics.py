"""Statistics of a stream of images in one pass: mean, deviation, maximum, median.

The memory is a few images, whatever the number of events.  Only the median needs
more, of a fixed size: see `RunningMedian`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import NoDataError

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]

MEDIAN_TO_SIGMA = 1.4826
"""Median absolute deviation of normal values, to their standard deviation."""

EXACT_EVENTS = 200
"""Up to so many images the median is exact, if they fit `MEDIAN_MEMORY`."""

MEDIAN_MEMORY = 2**30
"""Room for the images that an exact median keeps [bytes]."""

MEDIAN_BINS = 127
"""Bins of a pixel's histogram, where there are more images than that.

An odd number: a pixel that is constant at first sits in the middle of the middle bin.
"""

_TILE = 8192
_UINT16_MAX = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False)
class Median:
    """A median image, and how far it may be from the true one.

    Attributes
    ----------
    image : float32
    error : float32, shape of the image: the largest possible deviation of each pixel;
        0 where the median is exact, infinite where it lies out of the range of the
        pixel's histogram
    out_of_range : number of values that were outside of their histogram
    """

    image: Image
    error: Image
    out_of_range: int


class RunningMedian:
    """The median of each pixel in a stream of images.

    Up to a number of images all of them are kept, and the median is exact.  With the
    next one each pixel gets a histogram of `MEDIAN_BINS` bins over the range of the
    values so far, extended by half of it on both sides.  The median is then known to
    half a bin, i.e. about 1/127 of the range of the first images, and is marked where
    it lies outside.

    Parameters
    ----------
    shape : of an image
    exact : keep so many images; default `EXACT_EVENTS`, or what fits `MEDIAN_MEMORY`
    """

    def __init__(self, shape: tuple[int, ...], exact: int | None = None) -> None:
        self._shape = shape
        self._pixels = int(np.prod(shape))
        fitting = MEDIAN_MEMORY // (self._pixels * np.float32().itemsize)
        self.exact = max(2, min(EXACT_EVENTS, fitting)) if exact is None else exact
        self.count = 0
        self._kept: list[Image] = []
        self._counts: Array = np.empty((0, 0), np.uint16)
        self._low: Image = np.empty(0, np.float32)
        self._width: Image = np.empty(0, np.float32)

    def add(self, image: Image) -> None:
        """Add an image of the given shape."""
        flat = image.reshape(-1)
        if self.count < self.exact:
            self._kept.append(flat.copy())
        else:
            if not self._counts.size:
                self._start_histograms()
            self._count(flat)
        self.count += 1

    def _start_histograms(self) -> None:
        smallest = functools.reduce(np.minimum, self._kept)
        largest = functools.reduce(np.maximum, self._kept)
        span = largest - smallest
        # A pixel without spread so far gets the width of a usual one.
        usual = float(np.median(span[span > 0])) if span.any() else 1.0
        span[span == 0] = usual
        # A bin narrower than the spacing of float32 would round to nothing.
        span = np.maximum(span, MEDIAN_BINS * np.spacing(np.abs(largest) + span))
        self._low = smallest - span / 2
        self._width = (largest - smallest + span) / np.float32(MEDIAN_BINS)
        self._counts = np.zeros((self._pixels, MEDIAN_BINS + 2), np.uint16)
        for flat in self._kept:
            self._count(flat)
        self._kept.clear()

    def _count(self, flat: Image) -> None:
        from smalldata_ana.statistics_kernels import add_to_histograms

        if self.count == _UINT16_MAX:
            self._counts = self._counts.astype(np.uint32)
        add_to_histograms(self._counts, self._low, self._width, flat)

    def result(self) -> Median:
        """Return the median of the images so far.

        Raises
        ------
        NoDataError
            if there are none
        """
        _need_images(self.count)
        if not self._counts.size:
            image = _exact_median(self._kept)
            error = np.broadcast_to(np.float32(0), self._shape)
            return Median(image.reshape(self._shape), error, out_of_range=0)
        from smalldata_ana.statistics_kernels import medians_of_histograms

        image, error = np.empty((2, self._pixels), np.float32)
        medians_of_histograms(
            self._counts, self._low, self._width, self.count, image, error
        )
        outside = int(self._counts[:, [0, -1]].sum(dtype=np.int64))
        return Median(image.reshape(self._shape), error.reshape(self._shape), outside)


def _exact_median(images: Sequence[Image]) -> Image:
    """Return the median of flat images, tile by tile."""
    median = np.empty_like(images[0])
    for begin in range(0, median.size, _TILE):
        part = slice(begin, begin + _TILE)
        tile = np.stack([image[part] for image in images], axis=1)
        median[part] = np.median(tile, axis=1, overwrite_input=True)
    return median


class RunningStatistics:
    """Mean, standard deviation, maximum, median and hits of a stream of images.

    Not for several threads at a time.

    Parameters
    ----------
    shape : of an image
    std : compute the standard deviation (of the population, as `numpy.std`)
    median : compute the median
    max : keep the largest value
    hits_above : count for each pixel the images in which it is above this value

    Attributes
    ----------
    count : number of images so far
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        std: bool = False,
        median: bool = False,
        max: bool = False,
        hits_above: float | None = None,
    ) -> None:
        self.count = 0
        self._shape = shape
        pixels = int(np.prod(shape))
        self._mean = np.zeros(pixels)
        self._squares = np.zeros(pixels) if std else None
        self._max = np.full(shape, -np.inf, np.float32) if max else None
        self._hits = None if hits_above is None else np.zeros(shape, np.uint32)
        self._hits_above = np.inf if hits_above is None else hits_above
        self._median = RunningMedian(shape) if median else None

    def add(self, image: Image) -> None:
        """Add an image, float32, C-contiguous, of the given shape."""
        from smalldata_ana.statistics_kernels import add_to_mean, add_to_moments

        flat = image.reshape(-1)
        self.count += 1
        if self._squares is None:
            add_to_mean(self._mean, flat, self.count)
        else:
            add_to_moments(self._mean, self._squares, flat, self.count)
        if self._max is not None:
            np.maximum(self._max, image, out=self._max)
        if self._hits is not None:
            self._hits += image > self._hits_above
        if self._median is not None:
            self._median.add(image)

    def mean(self) -> Image:
        """Return the mean, float32.

        Raises
        ------
        NoDataError
            if there were no images, as also in `sum` and `std`
        """
        return self._as_image(self._mean, 1)

    def sum(self) -> Image:
        """Return the sum, float32."""
        return self._as_image(self._mean, self.count)

    def std(self) -> Image | None:
        """Return the standard deviation, float32, if it was asked for."""
        if self._squares is None:
            return None
        variance = self._as_image(self._squares, 1 / max(self.count, 1))
        return np.sqrt(variance, out=variance)

    def median(self) -> Median | None:
        """Return the median, if it was asked for."""
        return None if self._median is None else self._median.result()

    def max(self) -> Image | None:
        """Return the largest values, float32, if they were asked for."""
        return None if self._max is None else self._max.copy()

    def hits(self) -> npt.NDArray[np.uint32] | None:
        """Return the number of images above the limit, if it was asked for."""
        return None if self._hits is None else self._hits.copy()

    def _as_image(self, values: npt.NDArray[np.float64], factor: float) -> Image:
        _need_images(self.count)
        image = np.empty(values.size, np.float32)
        np.multiply(values, factor, out=image, casting="same_kind")
        return image.reshape(self._shape)


def _need_images(count: int) -> None:
    if count == 0:
        raise NoDataError("there are no statistics of no images; add some first")
