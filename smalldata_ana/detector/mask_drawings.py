"""The shapes that are drawn: rectangle, circle, donut, ellipse, polygon, brush.

Coordinates are those of `smalldata_ana.detector.mask_shapes`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from smalldata_ana.detector.mask_shapes import (
    Bounds,
    Drawn,
    Floats,
    Mask,
    Pair,
    is_number,
)

_CORNERS = 3
"""What a polygon has at least."""


@dataclass(frozen=True)
class Rectangle(Drawn):
    """A rectangle along rows and columns.

    Attributes
    ----------
    rows, columns : half-open [begin, end); in um, the ranges of x and y
    """

    kind = "rectangle"
    rows: Pair
    columns: Pair

    def check_form(self) -> None:
        """Raise if the ranges are not two growing pairs."""
        for name in ("rows", "columns"):
            self.check_numbers(name, 2)
            begin, end = getattr(self, name)
            if begin >= end:
                raise self.wrong(name, "is not [begin, end) with begin < end")

    @property
    def bounds(self) -> Bounds:
        """The rectangle itself."""
        return (*self.rows, *self.columns)

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points are in both ranges."""
        inside = (rows >= self.rows[0]) & (rows < self.rows[1])
        return inside & (columns >= self.columns[0]) & (columns < self.columns[1])


@dataclass(frozen=True)
class Circle(Drawn):
    """A disc.

    Attributes
    ----------
    center : row and column, or x and y
    radius : in the same unit
    """

    kind = "circle"
    center: Pair
    radius: float

    def check_form(self) -> None:
        """Raise if there is no disc."""
        self.check_numbers("center", 2)
        self.check_numbers("radius", 1)
        if self.radius <= 0:
            raise self.wrong("radius", "is not more than 0")

    @property
    def bounds(self) -> Bounds:
        """The square around it."""
        row, column = self.center
        return (
            row - self.radius,
            row + self.radius,
            column - self.radius,
            column + self.radius,
        )

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points are not farther from the centre than the radius."""
        return self._distance2(rows, columns) <= self.radius**2

    def _distance2(self, rows: Floats, columns: Floats) -> Floats:
        distance2: Floats = (rows - self.center[0]) ** 2
        return distance2 + (columns - self.center[1]) ** 2


@dataclass(frozen=True)
class Donut(Circle):
    """What lies between two circles around one centre.

    Attributes
    ----------
    radius : of the outer circle
    inner : of the inner circle
    """

    kind = "donut"
    inner: float

    def check_form(self) -> None:
        """Raise if there is nothing between the circles."""
        super().check_form()
        self.check_numbers("inner", 1)
        if not 0 <= self.inner < self.radius:
            raise self.wrong("inner", f"is not from 0 to below radius = {self.radius}")

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points are between the circles, or on them."""
        distance2 = self._distance2(rows, columns)
        return (distance2 <= self.radius**2) & (distance2 >= self.inner**2)


@dataclass(frozen=True)
class Ellipse(Drawn):
    """An ellipse.

    Attributes
    ----------
    center : row and column, or x and y
    radii : half axes, along the rows' and the columns' numbers before it is turned
    angle : by which it is turned [deg], from the first axis of `center` to the second
    """

    kind = "ellipse"
    center: Pair
    radii: Pair
    angle: float = 0.0

    def check_form(self) -> None:
        """Raise if there is no ellipse."""
        self.check_numbers("center", 2)
        self.check_numbers("radii", 2)
        self.check_numbers("angle", 1)
        if min(self.radii) <= 0:
            raise self.wrong("radii", "are not more than 0")

    @property
    def bounds(self) -> Bounds:
        """The box around it."""
        (row, column), (a, b) = self.center, self.radii
        cos, sin = self._direction
        down, right = math.hypot(a * cos, b * sin), math.hypot(a * sin, b * cos)
        return row - down, row + down, column - right, column + right

    @property
    def _direction(self) -> Pair:
        turned = math.radians(self.angle)
        return math.cos(turned), math.sin(turned)

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points are in it, or on its line."""
        cos, sin = self._direction
        down, right = rows - self.center[0], columns - self.center[1]
        along = (down * cos + right * sin) / self.radii[0]
        across = (right * cos - down * sin) / self.radii[1]
        inside: Mask = along**2 + across**2 <= 1
        return inside


@dataclass(frozen=True)
class Polygon(Drawn):
    """A polygon; a point is in it if a ray from there crosses its lines an odd number.

    Attributes
    ----------
    points : (row, column) or (x, y) of its corners, at least three; it closes itself
    """

    kind = "polygon"
    points: tuple[Pair, ...]

    def check_form(self) -> None:
        """Raise if there are not enough corners."""
        _check_points(self, _CORNERS)

    @property
    def bounds(self) -> Bounds:
        """The box around its corners."""
        return _bounds(self.points)

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points have an odd number of lines to their right."""
        inside = np.zeros(np.broadcast_shapes(rows.shape, columns.shape), np.bool_)
        ends = (*self.points[1:], self.points[0])
        for (r0, c0), (r1, c1) in zip(self.points, ends, strict=True):
            if r0 == r1:
                continue
            # Each line has its upper end, and not its lower one.
            first, last = np.searchsorted(rows[:, 0], sorted((r0, r1)))
            part = rows[first:last]
            inside[first:last] ^= columns < c0 + (part - r0) * ((c1 - c0) / (r1 - r0))
        return inside


@dataclass(frozen=True)
class Brush(Drawn):
    """A stroke of a round brush.

    Attributes
    ----------
    points : (row, column) or (x, y) along the path, at least one
    width : of the brush
    """

    kind = "brush"
    points: tuple[Pair, ...]
    width: float

    def check_form(self) -> None:
        """Raise if there is no path, or no width."""
        _check_points(self, 1)
        self.check_numbers("width", 1)
        if self.width <= 0:
            raise self.wrong("width", "is not more than 0")

    @property
    def bounds(self) -> Bounds:
        """The box around the stroke."""
        row0, row1, column0, column1 = _bounds(self.points)
        reach = self.width / 2
        return row0 - reach, row1 + reach, column0 - reach, column1 + reach

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points are no farther from the path than half of the width."""
        touched = np.zeros(np.broadcast_shapes(rows.shape, columns.shape), np.bool_)
        lines = itertools.pairwise(self.points)
        for start, end in lines if len(self.points) > 1 else [self.points * 2]:
            part = np.s_[
                _near(rows[:, 0], start[0], end[0], self.width / 2),
                _near(columns[0], start[1], end[1], self.width / 2),
            ]
            distance2 = _from_line(rows[part[0]], columns[:, part[1]], start, end)
            touched[part] |= distance2 <= (self.width / 2) ** 2
        return touched


def _near(grid: Floats, a: float, b: float, reach: float) -> slice:
    """Return the part of a growing grid that is as near to the range from a to b."""
    first = np.searchsorted(grid, min(a, b) - reach)
    return slice(int(first), int(np.searchsorted(grid, max(a, b) + reach, "right")))


def _from_line(rows: Floats, columns: Floats, start: Pair, end: Pair) -> Floats:
    """Return the squared distance of points from the line between two points."""
    down, right = end[0] - start[0], end[1] - start[1]
    length2 = down**2 + right**2
    from_row, from_column = rows - start[0], columns - start[1]
    along = from_row * down + from_column * right
    part = np.clip(along / length2, 0, 1) if length2 else np.zeros_like(along)
    distance2: Floats = (from_row - part * down) ** 2
    return distance2 + (from_column - part * right) ** 2


def _bounds(points: tuple[Pair, ...]) -> Bounds:
    rows, columns = zip(*points, strict=True)
    return min(rows), max(rows), min(columns), max(columns)


def _check_points(shape: Polygon | Brush, least: int) -> None:
    points = shape.points
    fine = isinstance(points, tuple) and len(points) >= least
    if not (fine and all(_is_pair(point) for point in points)):
        what = "a point (row, column)" if least == 1 else f"{least} points"
        raise shape.wrong("points", f"is not at least {what} of two numbers each")


def _is_pair(point: object) -> bool:
    return isinstance(point, tuple) and len(point) == 2 and all(map(is_number, point))
