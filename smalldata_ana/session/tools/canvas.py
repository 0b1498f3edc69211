"""`ToolFigure`: an average image in a figure, with what a tool draws on it."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import AverageImage
from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.figures import free_label, has_window, redraw
from smalldata_ana.session.plots import (
    WARNING_COLOUR,
    Cursor,
    colour_bar,
    colour_limits,
    gap_colours,
    image_title,
)
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.base import Tool
from smalldata_ana.session.tools.box_selectors import (
    BoxSelector,
    CircleSelector,
    EllipseSelector,
)
from smalldata_ana.session.tools.outlines import (
    Colour,
    Line,
    Point,
    Rectangle,
    draw_lines,
)
from smalldata_ana.session.tools.picture import Picture, coloured
from smalldata_ana.session.tools.selectors import (
    BrushSelector,
    PointSelector,
    PolygonSelector,
    Press,
    Selector,
)

_LEFT_BUTTON = 1
_REACH = 8
"""How near the mouse has to come to a handle [dots of the screen]."""

_PAD = 0.04
"""Margin around the image, so that a shape can begin outside [of its size]."""

_MARGINS = {"left": 0.1, "right": 0.84, "bottom": 0.13, "top": 0.88}
"""Room for titles and the read-out; to lay the figure out at each redraw takes long."""

_MOST_TICKS = 5
_WIDTH = 90  # of the read-out [characters]

_EVENTS = {
    "button_press_event": "_press",
    "motion_notify_event": "_move",
    "button_release_event": "_release",
    "key_press_event": "_key",
    "resize_event": "_resized",
    "draw_event": "_drawn",
}


class ToolFigure:
    """An average image in a figure, with what a tool draws on it.

    Points are (row, column) of the assembled image; whole numbers are the middles of
    pixels.  While a shape is drawn, only it, outlines and read-out are drawn anew.

    Parameters
    ----------
    average : the image
    display : how images are shown
    title : of the window
    limits : colour limits [percentiles]; by default those of `display`

    Attributes
    ----------
    figure, ax : Matplotlib's figure, and the axes of the image
    average : the image
    """

    def __init__(
        self,
        average: AverageImage,
        display: Display,
        title: str,
        limits: tuple[float, float] | None = None,
    ) -> None:
        import matplotlib.pyplot as plt

        clim = colour_limits(average, display.limits if limits is None else limits)
        self.average = average
        self.figure = plt.figure(free_label(title), figsize=(7, 7))
        self.ax = self.figure.subplots(gridspec_kw=_MARGINS)
        rows, columns = average.geometry.shape
        self._edges = Rectangle.of_pixels((0, rows), (0, columns))
        self._show_image(display.cmap, clim)
        # A text of the figure itself would never be drawn into a picture file.
        self._note = self.ax.text(
            0.02, 0.01, "", animated=True, transform=self.figure.transFigure
        )
        self._selector: Selector | None = None
        self._outlines: dict[str, list[Any]] = {}
        self._overlays: dict[str, Picture] = {}
        self._kept: Tool[Any] | None = None
        self._held = False
        self._background: Any = None
        for event, handler in _EVENTS.items():
            # Matplotlib holds functions, but not methods: so the figure holds this.
            call: Any = functools.partial(_call, self, handler)
            self.figure.canvas.mpl_connect(event, call)  # type: ignore[call-overload]

    def _show_image(self, cmap: str, clim: tuple[float, float]) -> None:
        edges = self._edges
        pad = 2 * _PAD * max(edges.radii)
        self.ax.set(
            xlim=(edges.column0 - pad, edges.column1 + pad),
            ylim=(edges.row1 + pad, edges.row0 - pad),
            xlabel="column [pixel]",
            ylabel="row [pixel]",
        )
        picture = Picture(
            self.ax,
            self.average.image,
            clim=clim,
            cmap=gap_colours(cmap),
        )
        self.ax.locator_params(nbins=_MOST_TICKS)
        colour_bar(picture, self.ax, label=self.average.quantity)
        self.ax.format_coord = Cursor(self.average)  # type: ignore[method-assign]
        # At a place of its own: Matplotlib would measure all ticks to find one.
        self.ax.set_title(image_title(self.average), fontsize="medium", y=1)
        if self.average.lacks_constants:
            self.ax.title.set_color(WARNING_COLOUR)

    def keep(self, tool: Tool[Any]) -> None:
        """Hold a tool alive as long as the figure; Ctrl-Z and Ctrl-Y undo and redo."""
        self._kept = tool

    @property
    def has_window(self) -> bool:
        """True if a mouse can draw in it; else it is written into a picture file."""
        return has_window(self.figure)

    # -- selectors ---------------------------------------------------------------------

    def rectangle(
        self,
        chosen: Callable[[Rectangle], None],
        start: Rectangle | None = None,
        *,
        moving: Callable[[Rectangle], None] | None = None,
    ) -> None:
        """Let a rectangle be drawn; it stays inside of the image.

        Parameters
        ----------
        chosen : called with it when it is drawn, and whenever it was changed
        start : the one to begin with
        moving : called while it is drawn
        """
        self._select(BoxSelector(self.ax, chosen, moving, start, limits=self._edges))

    def ellipse(
        self,
        chosen: Callable[[Rectangle], None],
        start: Rectangle | None = None,
        *,
        circle: bool = False,
        moving: Callable[[Rectangle], None] | None = None,
    ) -> None:
        """Let an ellipse be drawn, given by the rectangle around it.

        Parameters
        ----------
        chosen, start, moving : as in `rectangle`; it may reach out of the image
        circle : a circle, from its centre outwards
        """
        kind = CircleSelector if circle else EllipseSelector
        self._select(kind(self.ax, chosen, moving, start))

    def polygon(
        self,
        chosen: Callable[[list[Point]], None],
        start: Sequence[Point] | None = None,
    ) -> None:
        """Let a polygon be drawn; `close_polygon`, Enter or a double click closes it.

        Parameters
        ----------
        chosen : called with its corners
        start : corners to begin with
        """
        self._select(PolygonSelector(self.ax, chosen, self.say, start))

    def close_polygon(self) -> None:
        """Close the polygon that is being drawn."""
        if self._selector is not None:
            self._selector.close()
            self.refresh()

    def brush(
        self, drawn: Callable[[list[Point]], None], *, width: float = 1.0
    ) -> None:
        """Let strokes be drawn.

        Parameters
        ----------
        drawn : called with the path of each
        width : of the brush [pixels of the image]
        """
        self._select(BrushSelector(self.ax, drawn, width))

    def points(self, clicked: Callable[[float, float], None]) -> None:
        """Let points be clicked.

        Parameters
        ----------
        clicked : called with row and column of each
        """
        self._select(PointSelector(self.ax, clicked))

    def no_selector(self) -> None:
        """Let nothing be drawn."""
        self._select(None)

    def _select(self, selector: Selector | None) -> None:
        if self._selector is not None:
            self._selector.remove()
        self._selector = selector
        self._held = False
        if selector is not None:
            self.say(selector.hint)
        self.refresh()

    # -- what is drawn over the image --------------------------------------------------

    def outline(
        self,
        key: str,
        shapes: Sequence[Line] | None,
        colour: Colour = "tab:red",
        label: str = "",
    ) -> None:
        """Draw lines over the image; they replace those of the same key.

        Parameters
        ----------
        key : what they are
        shapes : each an array of (row, column), (points, 2); None takes them away
        colour : of the lines
        label : written beside the first point of the first line
        """
        for artist in self._outlines.pop(key, []):
            artist.remove()
        if shapes:
            self._outlines[key] = draw_lines(self.ax, shapes, colour, label, True)
        self.refresh()

    def overlay(
        self,
        key: str,
        shown: npt.NDArray[np.bool_] | None,
        colour: Colour = (1.0, 0.0, 0.0, 0.4),
    ) -> None:
        """Colour pixels of the assembled image; they replace those of the same key.

        Parameters
        ----------
        key : what they are
        shown : bool, shape of the assembled image; None takes them away
        colour : red, green, blue and opacity, or a name
        """
        if key in self._overlays:
            self._overlays.pop(key).remove()
        if shown is not None:
            self._overlays[key] = coloured(self.ax, shown, colour)
        self._background = None
        self.refresh()

    def say(self, text: str) -> None:
        """Write under the picture; it replaces what was written before."""
        lines = textwrap.fill(text, _WIDTH)
        if lines != self._note.get_text():
            self._note.set_text(lines)
            self.refresh()

    def refresh(self) -> None:
        """Show what has changed."""
        if self._background is not None:
            self._draw_moving()
        if not self.has_window or self._background is None:
            redraw(self.figure)

    def _moving_artists(self) -> Iterator[Any]:
        for artists in self._outlines.values():
            yield from artists
        if self._selector is not None:
            yield from self._selector.artists
        yield self._note

    def _drawn(self, event: Any) -> None:
        """Keep what was drawn, without what moves, and draw that over it."""
        canvas: Any = self.figure.canvas
        if canvas.is_saving():
            return
        if canvas.supports_blit:
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        for artist in self._moving_artists():
            self.figure.draw_artist(artist)

    def _resized(self, _: Any) -> None:
        self._background = None

    def _draw_moving(self) -> None:
        canvas: Any = self.figure.canvas
        canvas.restore_region(self._background)
        for artist in self._moving_artists():
            self.figure.draw_artist(artist)
        canvas.blit(self.figure.bbox)

    # -- the mouse ---------------------------------------------------------------------

    def _press(self, event: Any) -> None:
        if self._selector is None or event.button != _LEFT_BUTTON:
            return
        if self._selector.inside and event.inaxes is not self.ax:
            return
        mode = self._toolbar_mode()
        if mode:
            self.say(f"{mode} is on in the toolbar; switch it off there to select")
            return
        self._held = True
        dots = self.ax.transData.transform([(0, 0), (1, 0)])[:, 0]
        reach = float(_REACH / abs(dots[1] - dots[0]))
        self._selector.press(Press(self._point(event), reach, bool(event.dblclick)))
        self.refresh()

    def _move(self, event: Any) -> None:
        if self._selector is None:
            return
        if self._held:
            self._selector.drag(self._point(event))
            self.refresh()
        elif self._selector.hover(self._point(event)):
            self.refresh()

    def _release(self, event: Any) -> None:
        if not self._held or self._selector is None or event.button != _LEFT_BUTTON:
            return
        self._held = False
        self._selector.release(self._point(event))
        self.refresh()

    def _key(self, event: Any) -> None:
        selector = self._selector
        if selector is not None and event.key == "escape":
            selector.clear()
            self._held = False
        elif selector is not None and event.key == "enter":
            selector.close()
        elif isinstance(selector, PolygonSelector) and event.key == "delete":
            selector.take_back()
        elif self._kept is not None and event.key in ("ctrl+z", "ctrl+y"):
            step = self._kept.undo if event.key == "ctrl+z" else self._kept.redo
            step()
        else:
            return
        self.refresh()

    def _point(self, event: Any) -> Point:
        """Return where the mouse is, in the picture or outside."""
        x, y = self.ax.transData.inverted().transform((event.x, event.y))
        return float(y), float(x)

    def _toolbar_mode(self) -> str:
        """Return which tool of the toolbar holds the mouse, or an empty text."""
        canvas: Any = self.figure.canvas
        mode = str(getattr(getattr(canvas, "toolbar", None), "mode", ""))
        return mode or ("another tool" if canvas.widgetlock.locked() else "")


def _call(figure: ToolFigure, handler: str, event: Any) -> None:
    try:
        getattr(figure, handler)(event)
    except SmallDataError as error:
        figure.say(str(error))
