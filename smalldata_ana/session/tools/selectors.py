"""Drawing with the mouse, one code for all kinds of windows: polygons, strokes, points.

A selector is told what the mouse does, in (row, column) of the image, and calls back
when a shape is done.  It draws with the artists that it lists; what holds it shows
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from smalldata_ana.session.tools.outlines import Line, Point

COLOUR = "tab:red"
FEWEST_CORNERS = 3

_CLICK = 0.4
"""How far a click may move, in the reach of a handle."""


class Press(NamedTuple):
    """A pressed button.

    Attributes
    ----------
    point : (row, column), anywhere
    reach : how near a handle has to be to be taken [pixels of the image]
    double : True for the second click of two
    """

    point: Point
    reach: float
    double: bool = False


class Selector:
    """What all kinds have in common; by default they do nothing.

    Parameters
    ----------
    ax : axes of the image
    hint : tells what the mouse does
    """

    inside = False
    """True if it is to be begun in the axes, False for anywhere in the window."""

    def __init__(self, ax: Axes, hint: str) -> None:
        self.hint = hint
        self._line = _add_line(ax, color=COLOUR, linewidth=1.5)
        self._handles = _add_line(
            ax,
            linestyle="none",
            marker="s",
            markersize=6,
            markerfacecolor="white",
            markeredgecolor=COLOUR,
        )

    @property
    def artists(self) -> Sequence[Artist]:
        """What it draws with."""
        return self._line, self._handles

    def press(self, press: Press) -> None:
        """Begin with the left button."""

    def drag(self, point: Point) -> None:
        """Go on with the button held."""

    def hover(self, point: Point) -> bool:
        """Follow the mouse without a button; tell whether there is anything to draw."""
        return False

    def release(self, point: Point) -> None:
        """End."""

    def close(self) -> None:
        """Close a shape of many points."""

    def clear(self) -> None:
        """Begin the shape anew."""

    def remove(self) -> None:
        """Take it off the axes."""
        for artist in self.artists:
            artist.remove()

    def _show(self, line: Line | Sequence[Point], handles: Sequence[Point]) -> None:
        for artist, points in ((self._line, line), (self._handles, handles)):
            rows = [point[0] for point in points]
            artist.set_data([point[1] for point in points], rows)


class PolygonSelector(Selector):
    """A polygon, click by click; once it is closed, its corners can be moved.

    Parameters
    ----------
    ax : axes of the image
    chosen : called with the corners
    say : tells the user something
    start : corners to begin with
    """

    inside = True

    def __init__(
        self,
        ax: Axes,
        chosen: Callable[[list[Point]], None],
        say: Callable[[str], None],
        start: Sequence[Point] | None,
    ) -> None:
        super().__init__(
            ax,
            "click the corners; Enter, a double click or a click on the first corner "
            "closes; Delete takes the last one back; Escape begins anew",
        )
        self._chosen, self._say = chosen, say
        self._corners = list(start or [])
        self._closed = bool(start)
        self._held: int | None = None
        self._redraw()

    def press(self, press: Press) -> None:
        """Add a corner, close, or take a corner of the closed polygon."""
        near = self._near(press)
        if self._closed:
            if near is None:
                self._say("the polygon is closed: move its corners, or press Escape")
            self._held = near
        elif press.double or (near == 0 and len(self._corners) >= FEWEST_CORNERS):
            self.close()
        elif not self._corners or is_drag(press, self._corners[-1]):
            # Before a browser tells of a double click, it tells of two clicks.
            self._corners.append(press.point)
            self._redraw()

    def drag(self, point: Point) -> None:
        """Move a corner."""
        if self._held is not None:
            self._corners[self._held] = point
            self._redraw()

    def hover(self, point: Point) -> bool:
        """Draw the next edge to the mouse."""
        drawing = bool(self._corners) and not self._closed
        if drawing:
            self._show([*self._corners, point], self._corners)
        return drawing

    def release(self, point: Point) -> None:
        """Tell the corners, if one was moved."""
        if self._held is not None:
            self._held = None
            self._chosen(list(self._corners))

    def close(self) -> None:
        """Close the polygon, if it has corners enough."""
        if self._closed:
            return
        if len(self._corners) < FEWEST_CORNERS:
            self._say(f"a polygon has at least {FEWEST_CORNERS} corners")
            return
        self._closed = True
        self._redraw()
        self._chosen(list(self._corners))

    def take_back(self) -> None:
        """Take the last corner back, while the polygon is open."""
        if self._corners and not self._closed:
            self._corners.pop()
            self._redraw()

    def clear(self) -> None:
        """Begin anew."""
        self._corners, self._closed, self._held = [], False, None
        self._redraw()

    def _near(self, press: Press) -> int | None:
        """Return the number of the corner that is within reach."""
        distances = [math.dist(corner, press.point) for corner in self._corners]
        if not distances or min(distances) > press.reach:
            return None
        return distances.index(min(distances))

    def _redraw(self) -> None:
        closing = self._corners[:1] if self._closed else []
        self._show([*self._corners, *closing], self._corners)


class BrushSelector(Selector):
    """The path of the mouse while the button is held.

    Parameters
    ----------
    ax : axes of the image
    drawn : called with the path
    width : of the brush [pixels of the image]
    """

    def __init__(
        self, ax: Axes, drawn: Callable[[list[Point]], None], width: float
    ) -> None:
        super().__init__(ax, "draw with the button held; Escape leaves the stroke")
        self._drawn, self._width, self._ax = drawn, width, ax
        self._path: list[Point] = []
        self._line.set(alpha=0.6, solid_capstyle="round", solid_joinstyle="round")

    def press(self, press: Press) -> None:
        """Begin a stroke."""
        dots = self._ax.transData.transform([(0, 0), (self._width, 0)])
        points = 72 / self._ax.figure.dpi
        self._line.set_linewidth(max(1.0, abs(dots[1, 0] - dots[0, 0]) * points))
        self._path = [press.point]
        self._show(self._path, [])

    def drag(self, point: Point) -> None:
        """Go on with the stroke."""
        if self._path:
            self._path.append(point)
            self._show(self._path, [])

    def release(self, point: Point) -> None:
        """Tell the path."""
        path, self._path = self._path, []
        self._show([], [])
        if path:
            self._drawn([*path, point] if path[-1] != point else path)

    def clear(self) -> None:
        """Leave the stroke."""
        self._path = []
        self._show([], [])


class PointSelector(Selector):
    """Clicks.

    Parameters
    ----------
    ax : axes of the image
    clicked : called with row and column of each
    """

    inside = True

    def __init__(self, ax: Axes, clicked: Callable[[float, float], None]) -> None:
        super().__init__(ax, "click points")
        self._clicked = clicked
        self._from: Press | None = None

    def press(self, press: Press) -> None:
        """Begin a click."""
        self._from = press

    def release(self, point: Point) -> None:
        """Tell the point, if the mouse was not moved in between."""
        if self._from is not None and not is_drag(self._from, point):
            self._clicked(*self._from.point)
        self._from = None

    def clear(self) -> None:
        """Leave the click."""
        self._from = None


def _add_line(ax: Axes, **style: object) -> Line2D:
    line = Line2D([], [], animated=True, zorder=5, **style)  # type: ignore[arg-type]
    ax.add_line(line)
    return line


def is_drag(press: Press, point: Point) -> bool:
    """Tell whether the mouse was moved further than in a click."""
    return math.dist(press.point, point) > _CLICK * press.reach
