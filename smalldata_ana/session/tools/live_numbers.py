"""`LiveNumbers`: what a rectangle of an image holds, while the mouse moves it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.regions import RegionNumbers
from smalldata_ana.average_image import AverageImage

Sums = npt.NDArray[np.float64] | npt.NDArray[np.int32]


class LiveNumbers:
    """Sum, mean and size of any rectangle of an assembled image, from few lookups.

    They are those of the region with these boxes where panels are turned by quarters,
    and its pixels do not overlap in the image.

    Parameters
    ----------
    average : the image

    Notes
    -----
    A table holds the sums over all rectangles from the first row and column (a
    summed-area table: Crow, SIGGRAPH 1984).
    """

    def __init__(self, average: AverageImage) -> None:
        image, geometry = average.image, average.geometry
        good = geometry.assemble(average.good.astype(np.float32), fill=0) == 1
        good &= np.isfinite(image)
        there = geometry.assemble(np.ones(average.shape, np.float32), fill=0) == 1
        self._sum = _table(np.where(good, image, 0), np.float64)
        self._used = _table(good, np.int32)
        self._size = _table(there, np.int32)

    def of(self, rows: tuple[int, int], columns: tuple[int, int]) -> RegionNumbers:
        """Return what a rectangle holds.

        Parameters
        ----------
        rows, columns : half-open [begin, end) in the image
        """
        total, used, size = (
            _inside(table, rows, columns)
            for table in (self._sum, self._used, self._size)
        )
        mean = float(total / used) if used else float("nan")
        return RegionNumbers(float(total), mean, int(size), int(size - used))


def _table(values: npt.NDArray[np.generic], dtype: npt.DTypeLike) -> Sums:
    """Return the sums over [0, row) and [0, column), one longer in each axis."""
    table = np.zeros([n + 1 for n in values.shape], dtype)
    np.cumsum(values, axis=0, dtype=dtype, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def _inside(
    table: Sums, rows: tuple[int, int], columns: tuple[int, int]
) -> np.float64 | np.int32:
    (r0, r1), (c0, c1) = (
        np.clip(pair, 0, n - 1)
        for pair, n in zip((rows, columns), table.shape, strict=True)
    )
    found: np.float64 | np.int32 = (
        table[r1, c1] - table[r0, c1] - table[r1, c0] + table[r0, c0]
    )
    return found
