"""The sums of one detector's images in one bin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.thresholds import pixel_limits
from smalldata_ana.cube_parameters import CubeDetector
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array

Totals = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]


@dataclass(eq=False)
class BinSums:
    """Sums over the events of a bin, or of a piece of it.

    Attributes
    ----------
    events : how many images were added
    totals : float64, shape of a frame
    squares : float64, shape of a frame, or (0,) where they are not wanted
    counts : int32, shape of a frame: in how many images a pixel has a finite value
    """

    events: int
    totals: Totals
    squares: Totals
    counts: Counts

    @classmethod
    def empty(cls, shape: tuple[int, ...], *, squares: bool) -> Self:
        """Return the sums of no image."""
        of_squares = np.zeros(shape if squares else (0,))
        return cls(0, np.zeros(shape), of_squares, np.zeros(shape, np.int32))

    def clear(self) -> None:
        """Begin with another bin."""
        self.events = 0
        for array in (self.totals, self.squares, self.counts):
            array.fill(0)

    def add(self, later: Self) -> None:
        """Add the sums of later events of the bin."""
        if not later.events:
            return
        self.events += later.events
        self.totals += later.totals
        self.squares += later.squares
        self.counts += later.counts

    @property
    def complete(self) -> bool:
        """True if each pixel has a value in each image."""
        return bool((self.counts == self.events).all())

    def mean(self) -> npt.NDArray[np.float32]:
        """Return the mean image, NaN for pixels without any value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.totals / self.counts).astype(np.float32)


class Summing:
    """Sums the images of a detector, with thresholds.

    Parameters
    ----------
    detector : gives the images
    parameters : how they get into the cube

    Attributes
    ----------
    sums : those of the present bin

    Raises
    ------
    ParameterError
        if a threshold needs the noise, and it is not known
    """

    def __init__(self, detector: DetObject, parameters: CubeDetector) -> None:
        from smalldata_ana.cubes.cube_kernels import add_image

        self.detector = detector
        self.sums = BinSums.empty(detector.shape, squares=parameters.squares)
        low, high = pixel_limits(detector, parameters.thresADU, parameters.thresRms)
        self._low = np.array(low, np.float32).reshape(-1)
        self._high = np.float32(high)
        self._add_image = add_image

    def add(self, image: Array) -> None:
        """Add an image."""
        self.sums.events += 1
        self._add_image(
            np.ascontiguousarray(image, np.float32).reshape(-1),
            self._low,
            self._high,
            self.sums.totals.reshape(-1),
            self.sums.squares.reshape(-1),
            self.sums.counts.reshape(-1),
        )


def piece_bytes(shape: tuple[int, ...]) -> int:
    """Return what the sums of a bin take at most [bytes]."""
    each = np.dtype(float).itemsize * 2 + np.dtype(np.int32).itemsize
    return math.prod(shape) * each
