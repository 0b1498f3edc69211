"""The noise of pixels, and what rows and columns of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.statistics import MEDIAN_TO_SIGMA

Image = npt.NDArray[np.float32]

_LINE_PIXELS = 150
"""Of a longer line, some pixels are enough."""

_FAR = 5.0
"""What is so many sigma away is a photon, and no noise."""

_RESOLVED = 0.1
"""Variance that is seen at least, as a share of that which the pixels' noise gives."""


@dataclass(frozen=True)
class LineNoise:
    """What the pixels of rows, or columns, have in common and varies between events.

    It is the noise of their medians beyond that which the noise of single pixels gives
    them.  A correction that subtracts these medians takes both away.

    Attributes
    ----------
    value : sigma; 0 where there is nothing beyond
    limit : the smallest that can be told from the noise of single pixels
    """

    value: float
    limit: float

    def __str__(self) -> str:
        return (
            f"< {self.limit:.1g}" if self.value <= self.limit else f"{self.value:.2g}"
        )


class LineMedians:
    """The medians of rows, or columns, of the banks of a panel, event by event.

    Parameters
    ----------
    axis : along which a line goes: -1 for rows, -2 for columns
    shape : of a frame
    banks : of a panel; None, or banks that do not divide it: a panel is one bank
    """

    def __init__(
        self, axis: int, shape: tuple[int, ...], banks: tuple[int, int] | None
    ) -> None:
        rows, columns = shape[-2:]
        across, along = banks or (1, 1)
        if rows % across or columns % along:
            across = along = 1
        self._axis = axis
        self._split = (-1, across, rows // across, along, columns // along)
        length = self._split[-1] if axis == -1 else self._split[2]
        # An odd step does not stay in one column of a bank.
        self._step = (length // _LINE_PIXELS) | 1
        self._pixels = -(-length // self._step)
        self._medians: list[Image] = []

    def add(self, image: Image) -> None:
        """Add the image of an event."""
        banks = image.reshape(self._split)
        if self._axis == -1:
            medians = np.median(banks[..., :: self._step], axis=4)
        else:
            medians = np.median(banks[:, :, :: self._step], axis=2)
        self._medians.append(medians.reshape(-1))

    def noise(self, pixel: float) -> LineNoise:
        """Return the noise beyond that which pixels of a total noise give.

        The variance of the median of n normal values is pi/2 / (n + pi/2 - 1) times
        theirs.  In the median of a line, all that its pixels do not have in common
        averages out like this.
        """
        if self._pixels == 1:
            return LineNoise(0.0, pixel)
        share = np.pi / 2 / (self._pixels + np.pi / 2 - 1)
        by_pixels = share * pixel**2
        beyond = (sigma(self._medians) ** 2 - by_pixels) / (1 - share)
        count = len(self._medians) * self._medians[0].size
        resolved = by_pixels * max(_RESOLVED, 2 * np.sqrt(2 / count))
        return LineNoise(
            float(np.sqrt(np.maximum(beyond, 0))), float(np.sqrt(resolved))
        )


def sigma(values: Sequence[Image]) -> float:
    """Return the noise of columns of numbers, without the few that are far away.

    The mean square about the median of n normal values is smaller than their variance
    by about the factor 1 - 0.43/n.
    """
    table = np.stack(values)
    table -= np.median(table, axis=0)
    table *= table
    near = table <= (_FAR * MEDIAN_TO_SIGMA) ** 2 * np.median(table)
    squares = float(table[near].mean(dtype=float)) if near.any() else np.nan
    return float(np.sqrt(squares / (1 - 0.43 / len(values))))
