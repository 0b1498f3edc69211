"""From panels to the assembled image, and back.

An image is drawn in the psana frame: rows grow along x (down), columns along y
(right), and ``image[row, column]`` is never rotated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.output import check_output
from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.sources.base import PixelPositions

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int32]

_GAP = -1


@dataclass(frozen=True, eq=False)
class ImageGeometry:
    """Which pixel of the assembled image each pixel of a raw frame is.

    Make it with `from_positions`.

    Attributes
    ----------
    shape : of the assembled image, (rows, columns)
    ix, iy : int32, shape of a raw frame; row and column in the assembled image
    origin : where the geometry came from
    """

    shape: tuple[int, int]
    ix: Indices
    iy: Indices
    origin: str = ""

    @classmethod
    def from_positions(
        cls, positions: PixelPositions | None, shape: tuple[int, ...]
    ) -> Self:
        """Lay a detector's pixels out on a grid of its pixel size.

        The grid is that of psana's ``_pixel_coord_indexes``: the outermost pixels lie
        in the middle of the first row and column.

        Parameters
        ----------
        positions : where the pixels are; None draws a frame of two dimensions as it
            is, and panels one below the other
        shape : of a raw frame

        Raises
        ------
        GeometryError
            if the positions are for frames of another shape, are not numbers, or have
            no pixel size
        """
        if positions is None:
            ix, iy = _stacked(shape)
            origin = "no geometry: panels one below the other" if len(shape) > 2 else ""
        else:
            _check(positions, shape)
            ix = _grid(positions.x, positions.pixel_size)
            iy = _grid(positions.y, positions.pixel_size)
            origin = positions.origin
        return cls((int(ix.max()) + 1, int(iy.max()) + 1), ix, iy, origin)

    @cached_property
    def _target(self) -> npt.NDArray[np.intp]:
        """Flat index in the image of each raw pixel, (pixels,)."""
        rows, cols = self.ix.ravel(), self.iy.ravel()
        return np.ravel_multi_index((rows, cols), self.shape)

    @cached_property
    def _source(self) -> Indices:
        """Flat index of the raw pixel that each image pixel shows, or `_GAP`."""
        source = np.full(self.shape, _GAP, np.int32)
        source.ravel()[self._target] = np.arange(self.ix.size, dtype=np.int32)
        return source

    @cached_property
    def covered(self) -> Mask:
        """Image pixels that show a pixel of the detector, bool, `shape`."""
        covered: Mask = self._source != _GAP
        return covered

    def assemble(
        self, frame: Array, fill: float = np.nan, out: Image | None = None
    ) -> Image:
        """Draw a frame as an image.

        Where several pixels of a frame fall into one of the image, it shows the last;
        sums over the image then differ from those over the frame.

        Parameters
        ----------
        frame : numbers in the shape of a raw frame
        fill : what gaps between the panels show
        out : contiguous float32 array of `shape` to fill, else a new one is made

        Returns
        -------
        The image, float32, `shape`.

        Raises
        ------
        ParameterError
            if `frame` or `out` is not of the right shape or type
        """
        if frame.shape != self.ix.shape:
            raise ParameterError(
                f"a frame of {frame.shape} cannot be assembled; the geometry is for "
                f"{self.ix.shape}"
            )
        if out is None:
            out = np.empty(self.shape, np.float32)
        check_output(out, self.shape)
        out.fill(fill)
        out.reshape(-1)[self._target] = frame.reshape(-1)
        return out

    def panel_pixel(self, row: int, col: int) -> tuple[int, ...] | None:
        """Return the index in a raw frame of the pixel that the image shows.

        Parameters
        ----------
        row, col : of the image

        Returns
        -------
        (panel, row, column), or (row, column) for a detector without panels; None in
        a gap and outside of the image.
        """
        rows, cols = self.shape
        if not (0 <= row < rows and 0 <= col < cols):
            return None
        flat = int(self._source[row, col])
        if flat == _GAP:
            return None
        return tuple(int(i) for i in np.unravel_index(flat, self.ix.shape))

    def image_pixel(self, *index: int) -> tuple[int, int]:
        """Return row and column in the image of a pixel of a raw frame.

        Parameters
        ----------
        index : panel, row, column, or row, column for a detector without panels

        Raises
        ------
        ParameterError
            if the frame has no such pixel
        """
        shape = self.ix.shape
        inside = len(index) == len(shape) and all(
            0 <= i < n for i, n in zip(index, shape, strict=True)
        )
        if not inside:
            raise ParameterError(f"no pixel {index} in frames of {shape}")
        return int(self.ix[index]), int(self.iy[index])


def _stacked(shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    cols = shape[-1]
    number = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return number // cols, number % cols


def _grid(coordinate: Array, pixel_size: float) -> Indices:
    """Return the grid index of coordinates [um], as psana rounds them."""
    begin = coordinate.min() - pixel_size / 2
    index: Indices = ((coordinate - begin) / pixel_size).astype(np.int32)
    return index


def _check(positions: PixelPositions, shape: tuple[int, ...]) -> None:
    if positions.x.shape != shape or positions.y.shape != shape:
        raise GeometryError(
            f"the geometry is for frames of {positions.x.shape}, but the frames are "
            f"{shape}; from {positions.origin}"
        )
    if not (np.isfinite(positions.x).all() and np.isfinite(positions.y).all()):
        raise GeometryError(
            f"the geometry has positions that are not numbers; from {positions.origin}"
        )
    if not positions.pixel_size > 0:
        raise GeometryError(
            f"the geometry has the pixel size {positions.pixel_size!r} um; "
            f"from {positions.origin}"
        )
