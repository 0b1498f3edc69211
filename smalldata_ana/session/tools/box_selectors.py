"""Rectangles, ellipses and circles that are drawn with the mouse."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

from matplotlib.axes import Axes

from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.tools.outlines import (
    Line,
    Point,
    Rectangle,
    ellipse_line,
    rectangle_line,
)
from smalldata_ana.session.tools.selectors import Press, Selector, is_drag

Drag = Callable[[Point], Rectangle]


class BoxSelector(Selector):
    """A rectangle, or an ellipse in it, with handles at its edges and in its middle.

    Parameters
    ----------
    ax : axes of the image
    chosen : called with the shape that is drawn
    moving : called while it is drawn, or None
    start : the shape to begin with
    limits : what the shape must not leave, or None
    """

    hint_ = "drag a rectangle; its handles move it; Escape begins anew"
    corners = True

    def __init__(
        self,
        ax: Axes,
        chosen: Callable[[Rectangle], None],
        moving: Callable[[Rectangle], None] | None,
        start: Rectangle | None,
        limits: Rectangle | None = None,
    ) -> None:
        super().__init__(ax, self.hint_)
        self._limits = limits
        self._chosen, self._moving = chosen, moving
        self._box = self._before = start
        self._drag: Drag | None = None
        self._from: Press | None = None
        self._redraw()

    def line(self, box: Rectangle) -> Line:
        """Return the line to draw."""
        return rectangle_line(box)

    def spanned(self, begin: Point, end: Point) -> Rectangle:
        """Return the shape of a drag."""
        return Rectangle.between(begin, end)

    def press(self, press: Press) -> None:
        """Take the handle that is near, or begin a new shape."""
        self._from, self._before = press, self._box
        self._drag = self._grabbed(press) or (
            lambda point: self.spanned(press.point, point)
        )

    def drag(self, point: Point) -> None:
        """Draw the shape as it would be."""
        if self._drag is None or self._from is None:
            return
        # A click is no shape, but whoever has begun may go back to where it was.
        if self._box is self._before and not is_drag(self._from, point):
            return
        box = self._drag(point)
        self._box = box if self._limits is None else box.within(self._limits)
        self._redraw()
        if self._moving is not None:
            self._moving(self._box)

    def release(self, point: Point) -> None:
        """Tell what was drawn; a mere click, and what is refused, changes nothing."""
        with contextlib.suppress(SmallDataError):
            self.drag(point)
        self._drag = None
        if self._box is None or self._box is self._before:
            return
        try:
            self._chosen(self._box)
        except SmallDataError:
            self._box = self._before
            self._redraw()
            raise

    def clear(self) -> None:
        """Leave the drag that is going on, or take the shape away."""
        self._box = self._before if self._drag else None
        self._drag = None
        self._redraw()

    def _handles_of(self, box: Rectangle) -> dict[tuple[int, int], Point]:
        """Return by edge (0, 1 the middle, 2; rows, columns) where the handles are."""
        rows = (box.row0, box.centre[0], box.row1)
        columns = (box.column0, box.centre[1], box.column1)
        return {
            (i, j): (rows[i], columns[j])
            for i in range(3)
            for j in range(3)
            if self.corners or 1 in (i, j)
        }

    def _grabbed(self, press: Press) -> Drag | None:
        """Return what moving the handle does that was taken, if one was."""
        box = self._box
        if box is None:
            return None
        handles = self._handles_of(box)
        near = min(handles, key=lambda name: math.dist(handles[name], press.point))
        if math.dist(handles[near], press.point) > press.reach:
            return None
        if near == (1, 1):
            return lambda point: self.shifted(box, press.point, point)
        return lambda point: self.stretched(box, near, point)

    def shifted(self, box: Rectangle, begin: Point, end: Point) -> Rectangle:
        """Return the shape after its middle has been moved."""
        down, right = end[0] - begin[0], end[1] - begin[1]
        if self._limits is not None:
            down, right = box.free_way(self._limits, down, right)
        row0, row1, column0, column1 = box
        return Rectangle(row0 + down, row1 + down, column0 + right, column1 + right)

    def stretched(
        self, box: Rectangle, edges: tuple[int, int], point: Point
    ) -> Rectangle:
        """Return the shape after a handle has been moved to a point."""
        rows, columns = [box.row0, box.row1], [box.column0, box.column1]
        for edge, pair, place in zip(edges, (rows, columns), point, strict=True):
            if edge != 1:
                pair[edge // 2] = place
        return Rectangle.between((rows[0], columns[0]), (rows[1], columns[1]))

    def _redraw(self) -> None:
        if self._box is None:
            self._show([], [])
        else:
            handles = list(self._handles_of(self._box).values())
            self._show(self.line(self._box), handles)


class EllipseSelector(BoxSelector):
    """An ellipse, from corner to corner of the rectangle around it."""

    hint_ = "drag an ellipse; its handles move it; Escape begins anew"
    corners = False

    def line(self, box: Rectangle) -> Line:
        """Return the line to draw."""
        return ellipse_line(box)


class CircleSelector(EllipseSelector):
    """A circle, from its centre outwards."""

    hint_ = "drag a circle from its centre; its handles move it; Escape begins anew"

    def spanned(self, begin: Point, end: Point) -> Rectangle:
        """Return the square around the circle through the end of a drag."""
        return Rectangle.around(begin, math.dist(begin, end))

    def stretched(
        self, box: Rectangle, edges: tuple[int, int], point: Point
    ) -> Rectangle:
        """Return the circle through the point."""
        return Rectangle.around(box.centre, math.dist(box.centre, point))
