"""From panels to the assembled image, and back.

An image is drawn in the psana frame: rows grow along x (down), columns along y
(right), and ``image[row, column]`` is never rotated (`docs/conventions.md`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.output import check_output
from smalldata_ana.detector.panel_grid import (
    PanelGrid,
    RawPoints,
    locate,
    panel_grids,
    place,
)
from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.sources.base import PixelPositions

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int32]
Shared = Literal["mean", "sum", "last"]

STACKED = "no geometry: panels one below the other"
"""The note of an image of panels of which nothing is known."""

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
    note : what users must know of it, or an empty string
    corner : x and y of the outer corner of the image's first pixel [um], or None
        where positions are not known
    pixel_size : edge of a pixel of the image [um], or None
    panels : where the pixels of each panel are [um]; if empty, they are taken to lie
        where `ix` and `iy` are
    """

    shape: tuple[int, int]
    ix: Indices
    iy: Indices
    origin: str = ""
    note: str = ""
    corner: tuple[float, float] | None = None
    pixel_size: float | None = None
    panels: tuple[PanelGrid, ...] = ()

    @classmethod
    def from_positions(
        cls, positions: PixelPositions | None, shape: tuple[int, ...]
    ) -> Self:
        """Lay a detector's pixels out on a grid of its pixel size.

        The grid is that of psana's ``_pixel_coord_indexes``: the outermost pixels lie
        in the middle of the first row and column.  It has room for all panels of the
        detector, also where the frames hold only some.

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
            note = STACKED if math.prod(shape[:-2]) > 1 else ""
            whole = int(ix.max()) + 1, int(iy.max()) + 1
            return cls(whole, ix, iy, note, note)
        _check(positions, shape)
        size, extent = positions.pixel_size, positions.whole
        corner = extent.x[0] - size / 2, extent.y[0] - size / 2
        return cls(
            (
                int((extent.x[1] - corner[0]) / size) + 1,
                int((extent.y[1] - corner[1]) / size) + 1,
            ),
            _grid(positions.x, corner[0], size),
            _grid(positions.y, corner[1], size),
            positions.origin,
            positions.note,
            corner,
            size,
            _straight_panels(positions),
        )

    # -- from raw frames to images -----------------------------------------------------

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
    def _together(self) -> npt.NDArray[np.intp]:
        """Flat indices of the raw pixels that share an image pixel with another."""
        last = self._source.ravel()[self._target]
        covered = np.flatnonzero(last != np.arange(self.ix.size))
        if not covered.size:
            return covered
        return np.flatnonzero(np.isin(self._target, self._target[covered]))

    @property
    def shared(self) -> int:
        """How many raw pixels share a pixel of the image with another one."""
        return len(self._together)

    @cached_property
    def covered(self) -> Mask:
        """Image pixels that show a pixel of the detector, bool, `shape`."""
        covered: Mask = self._source != _GAP
        return covered

    def assemble(
        self,
        frame: Array,
        fill: float = np.nan,
        out: Image | None = None,
        shared: Shared = "mean",
    ) -> Image:
        """Draw a frame as an image.

        Parameters
        ----------
        frame : numbers in the shape of a raw frame
        fill : what gaps between the panels show
        out : contiguous float32 array of `shape` to fill, else a new one is made
        shared : what an image pixel shows that several pixels of a frame fall into:
            their mean; their sum, so that sums over the image are those over the
            frame; or the last, for numbers that only name something

        Returns
        -------
        The image, float32, `shape`.

        Raises
        ------
        ParameterError
            if `frame` or `out` is not of the right shape or type, or there is no such
            word for `shared`
        """
        if frame.shape != self.ix.shape:
            raise ParameterError(
                f"a frame of {frame.shape} cannot be assembled; the geometry is for "
                f"{self.ix.shape}"
            )
        if shared not in get_args(Shared):
            raise ParameterError(f"shared = {shared!r} is not 'mean', 'sum' or 'last'")
        if out is None:
            out = np.empty(self.shape, np.float32)
        check_output(out, self.shape)
        flat = out.reshape(-1)
        flat.fill(fill)
        flat[self._target] = frame.reshape(-1)
        if shared != "last" and self.shared:
            self._put_together(frame, flat, mean=shared == "mean")
        return out

    def _put_together(self, frame: Array, flat: Image, *, mean: bool) -> None:
        """Write the mean or sum of shared pixels into the image."""
        target = self._target[self._together]
        places, number = np.unique(target, return_inverse=True)
        values = frame.reshape(-1)[self._together].astype(np.float64)
        sums = np.bincount(number, values)
        flat[places] = sums / np.bincount(number) if mean else sums

    # -- from image to raw coordinates, and back ---------------------------------------

    def panel_pixel(self, row: int, col: int) -> tuple[int, ...] | None:
        """Return the index in a raw frame of the pixel that the image shows.

        Where several share a pixel of the image, this is the last.

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

    def boxes(
        self, rows: tuple[int, int], columns: tuple[int, int]
    ) -> list[list[list[int]]]:
        """Return the boxes of a raw frame that a rectangle of the image touches.

        Parameters
        ----------
        rows, columns : half-open [begin, end) in the image

        Returns
        -------
        For each touched panel one box ``[[p, p + 1], [r0, r1], [c0, c1]]``, or
        ``[[r0, r1], [c0, c1]]`` for a detector without panels: the smallest that holds
        all its pixels in the rectangle.  On a panel that is turned by other than
        quarters, the box holds pixels outside of the rectangle, too.
        """
        inside = (self.ix >= rows[0]) & (self.ix < rows[1])
        inside &= (self.iy >= columns[0]) & (self.iy < columns[1])
        panels = inside.reshape(-1, *inside.shape[-2:])
        boxes = []
        for number in np.flatnonzero(panels.any(axis=(1, 2))).tolist():
            box = [_reach(panels[number].any(axis=axis)) for axis in (1, 0)]
            boxes.append([[number, number + 1], *box] if inside.ndim > 2 else box)
        return boxes

    def to_image(
        self, panel: npt.ArrayLike, row: npt.ArrayLike, column: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        """Return where points of raw frames are in the image.

        Parameters
        ----------
        panel, row, column : numbers or arrays; row and column from 0 at the middle of
            the first pixel, with fractions; panel 0 for a detector without panels

        Returns
        -------
        Row and column of the image, with fractions, in the common shape of the
        arguments; NaN for a point outside of the panel, and for panel -1.

        Raises
        ------
        ParameterError
            if there is no such panel
        GeometryError
            if the pixels of a panel are not in straight rows and columns
        """
        return self._on_image(*place(self._panels, panel, row, column))

    def to_raw(self, row: npt.ArrayLike, column: npt.ArrayLike) -> RawPoints:
        """Return the points of raw frames that points of the image show.

        Parameters
        ----------
        row, column : of the image, numbers or arrays, from 0 at the middle of the
            first pixel, with fractions

        Returns
        -------
        Panel, row and column in the common shape of the arguments: -1 and NaN in a
        gap and outside of the image.

        Raises
        ------
        GeometryError
            if the pixels of a panel are not in straight rows and columns
        """
        return locate(self._panels, *self._in_space(row, column))

    def image_from_um(
        self, x: npt.ArrayLike, y: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        """Return row and column of the image at positions in the psana frame.

        Parameters
        ----------
        x, y : numbers or arrays [um]

        Returns
        -------
        Row and column from 0 at the middle of the first pixel, with fractions.

        Raises
        ------
        GeometryError
            if positions in um are not known
        """
        self._check_um()
        return self._on_image(x, y)

    def um_from_image(
        self, row: npt.ArrayLike, column: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        """Return x and y in the psana frame [um] of points of the image.

        Parameters
        ----------
        row, column : numbers or arrays, from 0 at the middle of the first pixel, with
            fractions

        Raises
        ------
        GeometryError
            if positions in um are not known
        """
        self._check_um()
        return self._in_space(row, column)

    def _check_um(self) -> None:
        if self.corner is None or self.pixel_size is None:
            raise GeometryError(
                "positions in um are not known for this image"
                f"{f' ({self.note})' if self.note else ''}; the detector needs a "
                "geometry, or a kind with a pixel size"
            )

    @property
    def _frame(self) -> tuple[float, float, float]:
        """Corner and pixel size; where they are not known, in pixels."""
        if self.corner is None or self.pixel_size is None:
            return -0.5, -0.5, 1.0
        return *self.corner, self.pixel_size

    def _on_image(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
        left, top, size = self._frame
        return (np.asarray(x) - left) / size - 0.5, (np.asarray(y) - top) / size - 0.5

    def _in_space(
        self, row: npt.ArrayLike, column: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        left, top, size = self._frame
        x = (np.asarray(row, np.float64) + 0.5) * size + left
        return x, (np.asarray(column, np.float64) + 0.5) * size + top

    @cached_property
    def _panels(self) -> tuple[PanelGrid, ...]:
        if self.panels:
            return self.panels
        x, y = self._in_space(self.ix, self.iy)
        return panel_grids(PixelPositions(x, y, np.zeros_like(x), self._frame[2]))


def _reach(touched: Mask) -> list[int]:
    """Return begin and end of the indices between the first and last that is True."""
    first, *_, last = np.flatnonzero(touched)[[0, -1]].tolist()
    return [first, last + 1]


def _straight_panels(positions: PixelPositions) -> tuple[PanelGrid, ...]:
    """Return the panels, or none: images can be drawn of pixels that lie anyhow."""
    try:
        return panel_grids(positions)
    except GeometryError:
        return ()


def _stacked(shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    cols = shape[-1]
    number = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return number // cols, number % cols


def _grid(coordinate: Array, begin: float, pixel_size: float) -> Indices:
    """Return the grid index of coordinates [um], as psana rounds them."""
    index: Indices = ((coordinate - begin) / pixel_size).astype(np.int32)
    return index


def _check(positions: PixelPositions, shape: tuple[int, ...]) -> None:
    if positions.x.shape != shape or positions.y.shape != shape:
        raise GeometryError(
            f"the geometry is for frames of {positions.x.shape}, but the frames are "
            f"{shape}; from {positions.origin}"
        )
    if not all(np.isfinite(a).all() for a in (positions.x, positions.y, positions.z)):
        raise GeometryError(
            f"the geometry has positions that are not numbers; from {positions.origin}"
        )
    if not positions.pixel_size > 0:
        raise GeometryError(
            f"the geometry has the pixel size {positions.pixel_size!r} um; "
            f"from {positions.origin}"
        )
