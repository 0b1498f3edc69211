"""Panels as flat grids of pixels in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.sources.base import PixelPositions

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

NO_PANEL = -1
"""The number of a panel where there is no pixel."""

_STRAIGHT = 2.0
"""What a pixel may be off its place in a row or column [pixels]; whole numbers, as the
indices of an image, are off by more than one on a panel that is turned."""

_HALF = 0.5 + 1e-6
"""What still belongs to a pixel, from its middle [pixels]."""


class RawPoints(NamedTuple):
    """Points in raw frames, each array of the same shape.

    Attributes
    ----------
    panel : -1 where there is no pixel; 0 for a detector without panels
    row, column : from 0 at the middle of the first pixel, with fractions; NaN where
        there is no pixel
    """

    panel: npt.NDArray[np.intp]
    row: Floats
    column: Floats


@dataclass(frozen=True, eq=False)
class PanelGrid:
    """Where the pixels of one panel are: straight rows and columns in a plane.

    The distances of rows and columns differ where a panel has wide pixels or gaps
    between its chips.  Row and column are counted from 0 at the middle of the first
    pixel, with fractions; make it with `fit`.

    Attributes
    ----------
    first : position of the first pixel, (3,)
    down, right : unit vectors along growing rows and columns, (3,)
    rows, columns : distance of each row and column from the first, (rows,), (columns,)
    pixel_size : edge of a pixel; all in one unit
    """

    first: Floats
    down: Floats
    right: Floats
    rows: Floats
    columns: Floats
    pixel_size: float

    @classmethod
    def fit(cls, x: Array, y: Array, z: Array, pixel_size: float) -> Self:
        """Describe the positions of a panel's pixels.

        Parameters
        ----------
        x, y, z : (rows, columns)
        pixel_size : in their unit

        Raises
        ------
        GeometryError
            if a pixel at the edge of the panel is two pixels or more off its place
        """
        edges = [
            np.stack([axis[side] for axis in (x, y, z)], axis=-1).astype(np.float64)
            for side in ((slice(None), 0), (0,), (slice(None), -1), (-1,))
        ]
        first = edges[0][0]
        down, right = _directions(edges[0] - first, edges[1] - first)
        rows, columns = (edges[0] - first) @ down, (edges[1] - first) @ right
        grid = cls(first, down, right, rows, columns, pixel_size)
        n, m = np.arange(len(rows)), np.arange(len(columns))
        far = np.concatenate(
            [
                grid.position(n, np.zeros_like(n)) - edges[0],
                grid.position(np.zeros_like(m), m) - edges[1],
                grid.position(n, np.full_like(n, m[-1])) - edges[2],
                grid.position(np.full_like(m, n[-1]), m) - edges[3],
            ]
        )
        worst = float(np.abs(far).max())
        if worst >= _STRAIGHT * pixel_size:
            raise GeometryError(
                f"the pixels of a panel are not in straight rows and columns: one is "
                f"{worst / pixel_size:.2g} pixels off"
            )
        return grid

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return len(self.rows), len(self.columns)

    def position(self, row: Array, column: Array) -> Floats:
        """Return where points of the panel are, (..., 3).

        Parameters
        ----------
        row, column : of the panel, with fractions; outside of it, as if it went on
        """
        down = _distance(self.rows, row, self.pixel_size)
        right = _distance(self.columns, column, self.pixel_size)
        found: Floats = (
            self.first + down[..., None] * self.down + right[..., None] * self.right
        )
        return found

    def locate(self, x: Array, y: Array) -> tuple[Floats, Floats]:
        """Return row and column of the points that are seen at x and y.

        Parameters
        ----------
        x, y : of any shape, the first two coordinates of the points

        Returns
        -------
        Two arrays of that shape; NaN where no pixel is: beside the panel, and in the
        gaps between its chips.
        """
        across = np.linalg.inv(np.column_stack([self.down[:2], self.right[:2]]))
        offset = np.stack([x - self.first[0], y - self.first[1]], axis=-1)
        down, right = np.moveaxis(offset @ across.T, -1, 0)
        row = _index(self.rows, down, self.pixel_size)
        column = _index(self.columns, right, self.pixel_size)
        beside = np.isnan(row) | np.isnan(column)
        return np.where(beside, np.nan, row), np.where(beside, np.nan, column)


def panel_grids(positions: PixelPositions) -> tuple[PanelGrid, ...]:
    """Return the grid of pixels [um] of each panel; one for a detector without panels.

    Raises
    ------
    GeometryError
        if the pixels of a panel are not in straight rows and columns
    """
    frame = positions.x.shape[-2:]
    panels = (
        axis.reshape(-1, *frame) for axis in (positions.x, positions.y, positions.z)
    )
    return tuple(
        PanelGrid.fit(x, y, z, positions.pixel_size)
        for x, y, z in zip(*panels, strict=True)
    )


def panel_normals(positions: PixelPositions) -> Floats:
    """Return the unit vector of each panel that points to its open side, (panels, 3).

    The open side looks against the beam, as z of the psana frame does.

    Raises
    ------
    GeometryError
        if the pixels of a panel are not in straight rows and columns
    """
    return np.array([_unit(np.cross(g.down, g.right)) for g in panel_grids(positions)])


def place(
    panels: Sequence[PanelGrid],
    panel: npt.ArrayLike,
    row: npt.ArrayLike,
    column: npt.ArrayLike,
) -> tuple[Floats, Floats]:
    """Return x and y of points of raw frames, in the unit of the panels.

    Parameters
    ----------
    panels : of the detector
    panel, row, column : as in `RawPoints`, numbers or arrays

    Returns
    -------
    x and y in the common shape of the arguments; NaN for a point outside of its panel.

    Raises
    ------
    ParameterError
        if there is no such panel
    """
    number, row, column = np.broadcast_arrays(
        panel, np.asarray(row, np.float64), np.asarray(column, np.float64)
    )
    x, y = np.full(row.shape, np.nan), np.full(row.shape, np.nan)
    for n in np.unique(number[number != NO_PANEL]):
        if not 0 <= n < len(panels):
            raise ParameterError(f"no panel {n!s}; there are {len(panels)}, from 0")
        rows, columns = panels[int(n)].shape
        on = (number == n) & (np.abs(row - (rows - 1) / 2) <= rows / 2)
        on &= np.abs(column - (columns - 1) / 2) <= columns / 2
        found = panels[int(n)].position(row[on], column[on])
        x[on], y[on] = found[..., 0], found[..., 1]
    return x, y


def locate(panels: Sequence[PanelGrid], x: Array, y: Array) -> RawPoints:
    """Return the points of raw frames that are seen at x and y.

    Parameters
    ----------
    panels : of the detector; where they overlap, the last one is seen
    x, y : of one shape, in the unit of the panels
    """
    x, y = np.broadcast_arrays(x, y)
    points = RawPoints(
        np.full(x.shape, NO_PANEL, np.intp),
        np.full(x.shape, np.nan),
        np.full(x.shape, np.nan),
    )
    for number, grid in enumerate(panels):
        row, column = grid.locate(x, y)
        on = np.isfinite(row)
        points.panel[on] = number
        points.row[on], points.column[on] = row[on], column[on]
    return points


def _directions(down: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return unit vectors along a column and a row, of one pixel even."""
    long_down, long_right = np.linalg.norm(down[-1]), np.linalg.norm(right[-1])
    if long_down and long_right:
        return down[-1] / long_down, right[-1] / long_right
    if long_right:
        along = right[-1] / long_right
        return _unit(np.array([along[1], -along[0], 0.0])), along
    if long_down:
        along = down[-1] / long_down
        return along, _unit(np.array([-along[1], along[0], 0.0]))
    return np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def _distance(grid: Floats, index: Array, pixel_size: float) -> Floats:
    """Return the distance along the grid at an index with fractions."""
    index = np.asarray(index, np.float64)
    nearest = np.clip(np.rint(index), 0, len(grid) - 1).astype(np.intp)
    distance: Floats = grid[nearest] + (index - nearest) * pixel_size
    return distance


def _index(grid: Floats, distance: Floats, pixel_size: float) -> Floats:
    """Return the index, with fractions, at a distance along the grid; NaN in gaps."""
    middles = (grid[1:] + grid[:-1]) / 2
    nearest = np.searchsorted(middles, distance)
    beside = (distance - grid[nearest]) / pixel_size
    return np.where(np.abs(beside) <= _HALF, nearest + beside, np.nan)
