"""The noise that a pixel has of its own, without what it shares with its neighbours.

A dead pixel still follows the offsets of its bank, row and column, so its noise in dark
frames is hardly less than that of the others.  Without these offsets it is.  This noise
only tells dead pixels; the constant ``pixel_rms`` holds all of the noise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode import Banks, Bits, psana_medians

Image = npt.NDArray[np.float32]

ENOUGH = 100
"""Frames that are looked at; they tell the noise of a pixel to 7 %."""

_ALL = Bits.BANKS | Bits.ROWS | Bits.COLUMNS


class OwnNoise:
    """The noise of pixels after medians of banks, rows and columns, frame by frame.

    Parameters
    ----------
    shape : of a frame
    banks : of a panel, one below the other and side by side; None, or banks that do
        not divide the panel: the panel is one
    """

    def __init__(self, shape: tuple[int, ...], banks: Banks | None) -> None:
        self._panels = math.prod(shape[:-2]), *_two(shape)
        rows, columns = self._panels[1:]
        divides = banks is not None and not (rows % banks[0] or columns % banks[1])
        self._banks = banks if banks is not None and divides else (1, 1)
        self._count = np.zeros(self._panels, np.uint32)
        self._sums, self._squares = np.zeros((2, *self._panels))
        self.frames = 0

    def add(self, frame: Image, centre: Image, width: Image) -> None:
        """Add a frame, if there are not enough of them.

        Parameters
        ----------
        frame : (pixels,), NaN where a pixel does not count
        centre, width : (pixels,), the usual value, and how far from it a value may be
        """
        if self.frames == ENOUGH:
            return
        self.frames += 1
        off = (frame - centre).reshape(self._panels)
        use = np.abs(off) <= width.reshape(self._panels)
        off[~use] = 0
        psana_medians(off, use, banks=self._banks, bits=_ALL, limit=math.inf, out=off)
        self._count += use
        self._sums += off
        self._squares += np.square(off)

    def result(self) -> Image:
        """Return the noise, float32, (panels, rows, columns); NaN without two values.

        A pixel's value that does not count adds nothing: it is not corrected.
        """
        count = np.maximum(self._count, 2)
        variance = (self._squares - self._sums**2 / count) / (count - 1)
        variance[self._count < 2] = np.nan
        noise: Image = np.sqrt(variance.clip(0)).astype(np.float32)
        return noise


def _two(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns; a line of pixels is one row."""
    return (shape[-2] if len(shape) > 1 else 1), shape[-1]
