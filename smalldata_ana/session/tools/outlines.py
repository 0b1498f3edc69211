"""Lines over an assembled image: rectangles, ellipses, circles, boxes of a region.

Points are (row, column) of the image from 0 at the middle of its first pixel, with
fractions; a line is an array of them, (points, 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.regions import Box
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Point = tuple[float, float]
Line = npt.NDArray[np.float64]
Colour = str | tuple[float, float, float] | tuple[float, float, float, float]

_STEPS = 181


class Rectangle(NamedTuple):
    """A rectangle of the assembled image, its edges in growing order.

    An ellipse is given by the rectangle that it touches from inside.
    """

    row0: float
    row1: float
    column0: float
    column1: float

    @classmethod
    def between(cls, one: Point, other: Point) -> Self:
        """Return the rectangle with two opposite corners."""
        rows, columns = zip(one, other, strict=True)
        return cls(min(rows), max(rows), min(columns), max(columns))

    @classmethod
    def around(cls, centre: Point, radius: float) -> Self:
        """Return the square that a circle touches."""
        row, column = centre
        return cls(row - radius, row + radius, column - radius, column + radius)

    @classmethod
    def of_pixels(cls, rows: tuple[int, int], columns: tuple[int, int]) -> Self:
        """Return the outer edges of the pixels of half-open ranges."""
        return cls(rows[0] - 0.5, rows[1] - 0.5, columns[0] - 0.5, columns[1] - 0.5)

    @classmethod
    def enclosing(cls, lines: Iterable[Line]) -> Self:
        """Return the smallest rectangle that holds some lines."""
        points = np.concatenate(list(lines))
        (row0, column0), (row1, column1) = points.min(axis=0), points.max(axis=0)
        return cls(float(row0), float(row1), float(column0), float(column1))

    @property
    def centre(self) -> Point:
        """Its middle."""
        return (self.row0 + self.row1) / 2, (self.column0 + self.column1) / 2

    @property
    def radii(self) -> Point:
        """Half its height and half its width."""
        return (self.row1 - self.row0) / 2, (self.column1 - self.column0) / 2

    def within(self, limits: Rectangle) -> Rectangle:
        """Return the part that is inside of another rectangle.

        Raises
        ------
        UsageError
            if there is none
        """
        row0, row1 = max(self.row0, limits.row0), min(self.row1, limits.row1)
        left = max(self.column0, limits.column0)
        right = min(self.column1, limits.column1)
        if row0 >= row1 or left >= right:
            raise UsageError("this is outside of the image")
        return Rectangle(row0, row1, left, right)

    def free_way(self, limits: Rectangle, down: float, right: float) -> Point:
        """Return how far it can be shifted, at most by some way, inside of another."""
        return (
            min(max(down, limits.row0 - self.row0), limits.row1 - self.row1),
            min(
                max(right, limits.column0 - self.column0), limits.column1 - self.column1
            ),
        )

    def pixels(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return half-open ranges of the rows and columns whose middles it holds.

        They have the same length wherever it is shifted to, and at least one pixel.
        """
        return _inside(self.row0, self.row1), _inside(self.column0, self.column1)


def _inside(begin: float, end: float) -> tuple[int, int]:
    first, beyond = math.ceil(begin), math.ceil(end)
    if first < beyond:
        return first, beyond
    nearest = math.floor((begin + end) / 2 + 0.5)
    return nearest, nearest + 1


def rectangle_line(box: Rectangle) -> Line:
    """Return the closed line around a rectangle, (5, 2)."""
    row0, row1, column0, column1 = box
    corners = [
        (row0, column0),
        (row0, column1),
        (row1, column1),
        (row1, column0),
        (row0, column0),
    ]
    return np.array(corners, np.float64)


def ellipse_line(box: Rectangle) -> Line:
    """Return the closed line of the ellipse that a rectangle holds."""
    phi = np.linspace(0, 2 * np.pi, _STEPS)
    circle = np.stack([np.sin(phi), np.cos(phi)], axis=-1)
    line: Line = np.asarray(box.centre) + circle * np.asarray(box.radii)
    return line


def circle_line(centre: Point, radius: float) -> Line:
    """Return the closed line of a circle."""
    return ellipse_line(Rectangle.around(centre, radius))


def region_lines(geometry: ImageGeometry, boxes: Iterable[Box]) -> list[Line]:
    """Return the closed line around each box on each of its panels.

    Parameters
    ----------
    geometry : how the image is assembled
    boxes : half-open, with one pair for each axis of the raw frame

    Raises
    ------
    GeometryError
        if the pixels of a panel are not in straight rows and columns
    """
    lines = []
    for box in boxes:
        *panels, rows, columns = box
        row, column = rectangle_line(Rectangle.of_pixels(rows, columns)).T
        for panel in range(*panels[0]) if panels else (0,):
            lines.append(np.stack(geometry.to_image(panel, row, column), axis=-1))
    return lines


def draw_lines(
    ax: Axes, lines: Sequence[Line], colour: Colour, label: str, animated: bool = False
) -> list[Artist]:
    """Draw lines over an image, with a label, and return what was drawn.

    Parameters
    ----------
    ax : axes of the image
    lines : each an array of (row, column), (points, 2)
    colour : of lines and label
    label : written below the first point of the first line, or an empty text
    animated : True if somebody else has to draw them
    """
    drawn: list[Artist] = [
        ax.plot(
            line[:, 1],
            line[:, 0],
            color=colour,
            linewidth=1.5,
            animated=animated,
            zorder=4,
            scalex=False,
            scaley=False,
        )[0]
        for line in lines
    ]
    if label:
        drawn.append(_write(ax, lines[0][0], label, colour))
        drawn[-1].set_animated(animated)
    return drawn


def _write(ax: Axes, point: Line, label: str, colour: Colour) -> Artist:
    """Write a label below a point, so that it can be read on any image."""
    from matplotlib.patheffects import withStroke

    return ax.annotate(
        label,
        (point[1], point[0]),
        xytext=(3, -3),
        textcoords="offset points",
        va="top",
        color=colour,
        path_effects=[withStroke(linewidth=2, foreground="black")],
        clip_on=True,
        zorder=4,
    )
