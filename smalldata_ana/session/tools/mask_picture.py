"""`MaskPicture`: a mask over the image that it is drawn on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.detector.image_masks import image_from_raw
from smalldata_ana.detector.mask_drawings import (
    Brush,
    Circle,
    Donut,
    Ellipse,
    Polygon,
)
from smalldata_ana.detector.mask_drawings import Rectangle as RectangleShape
from smalldata_ana.detector.mask_shapes import Mask, Shape
from smalldata_ana.errors import UsageError, counted, unknown
from smalldata_ana.session.chosen import masked_before, show_chosen, show_masked
from smalldata_ana.session.tools.outlines import Point, Rectangle

if TYPE_CHECKING:
    from smalldata_ana.session.tools.canvas import ToolFigure
    from smalldata_ana.session.tools.mask import MaskTool

MASKED_COLOUR = (1.0, 0.1, 0.1, 0.5)
_TAKEN_HINT = "; blue is masked by masks that were accepted before"

SUGGESTED_COLOUR = (1.0, 0.6, 0.0, 0.9)

BRUSH_WIDTH = 10.0
"""Of a brush of which nothing is said [pixels]."""

_DIGITS = 1
"""Of coordinates that come from the mouse, in pixels."""


class MaskPicture:
    """A mask over its image, in which shapes are drawn with the mouse.

    Parameters
    ----------
    tool : the tool that makes the mask
    figure : the window; it holds the tool alive
    """

    def __init__(self, tool: MaskTool, figure: ToolFigure) -> None:
        self.figure = figure
        self._tool = tool
        self._mine: Shape | None = None
        figure.keep(tool)
        if tool.panel is None:
            show_chosen(tool.session, figure)
        taken = masked_before(tool.session, tool.detector, tool.scene.shape)
        self._hint = _TAKEN_HINT if taken.any() else ""
        if tool.panel is not None:
            show_masked(figure, taken[tool.panel])
        self.show()

    # -- what is shown -----------------------------------------------------------------

    def show(self) -> None:
        """Show what is masked, and how much."""
        selected = self._tool.selected
        self.figure.overlay("suggested", None)
        self.figure.overlay("mask", self._on_image(selected), MASKED_COLOUR)
        self.figure.say(self._tool.total() + self._hint)

    def suggest(self, found: Mask) -> None:
        """Show pixels that are not masked yet.

        Parameters
        ----------
        found : bool, shape of a frame
        """
        self.figure.overlay("suggested", self._on_image(found), SUGGESTED_COLOUR)
        number = int(np.count_nonzero(found))
        self.figure.say(f"suggested: {counted(number, 'pixel')}; not masked yet")

    def _on_image(self, selected: Mask) -> Mask:
        geometry = self.figure.average.geometry
        panel = self._tool.panel
        shown = selected if panel is None else selected[panel]
        return ~image_from_raw(~shown, geometry, gaps=True)

    # -- drawing -----------------------------------------------------------------------

    def draw(self, shape: str, **options: Any) -> None:
        """Let a shape be drawn; as `MaskTool.draw`."""
        drawers: Mapping[str, Callable[..., None]] = {
            "rectangle": self._rectangle,
            "circle": self._circle,
            "donut": self._donut,
            "ellipse": self._ellipse,
            "polygon": self._polygon,
            "brush": self._brush,
        }
        if shape not in drawers:
            raise UsageError(unknown("shape to draw", shape, drawers))
        self._mine = None
        drawers[shape](**{"panel": self._tool.panel, **options})

    def stop(self) -> None:
        """Close an unfinished polygon, and draw no more."""
        self.figure.close_polygon()
        self.figure.no_selector()

    def _rectangle(self, **options: Any) -> None:
        def drawn(box: Rectangle) -> None:
            rows, columns = box.pixels()
            self._put(RectangleShape(rows, columns, **options))

        self.figure.rectangle(drawn)

    def _circle(self, **options: Any) -> None:
        def drawn(box: Rectangle) -> None:
            self._put(Circle(_rounded(box.centre), _round(box.radii[0]), **options))

        self.figure.ellipse(drawn, circle=True)

    def _ellipse(self, **options: Any) -> None:
        def drawn(box: Rectangle) -> None:
            self._put(Ellipse(_rounded(box.centre), _rounded(box.radii), **options))

        self.figure.ellipse(drawn)

    def _donut(self, **options: Any) -> None:
        def outer(box: Rectangle) -> None:
            centre, radius = _rounded(box.centre), _round(box.radii[0])
            self._put(Circle(centre, radius, **options))
            self.figure.points(lambda row, column: inner(centre, radius, row, column))
            self.figure.say("click where the inner circle is to be")

        def inner(centre: Point, radius: float, row: float, column: float) -> None:
            distance = _round(math.dist(centre, (row, column)))
            self._put(Donut(centre, radius, distance, **options))

        self.figure.ellipse(outer, circle=True)

    def _polygon(self, **options: Any) -> None:
        def drawn(points: Sequence[Point]) -> None:
            self._put(Polygon(tuple(map(_rounded, points)), **options))

        self.figure.polygon(drawn)

    def _brush(self, width: float = BRUSH_WIDTH, **options: Any) -> None:
        def drawn(points: Sequence[Point]) -> None:
            # Each stroke is a layer of its own, which undo takes back.
            self._mine = None
            self._put(Brush(tuple(map(_rounded, points)), width, **options))

        self.figure.brush(drawn, width=width)

    def _put(self, shape: Shape) -> None:
        """Make the shape a layer; while its handles are moved, the same one."""
        layers = self._tool.layers
        if self._mine is not None and layers and layers[-1].shape == self._mine:
            self._tool.replace_last(shape)
        else:
            self._tool.add(shape)
        self._mine = shape


def _round(number: float) -> float:
    return round(float(number), _DIGITS)


def _rounded(point: Point) -> Point:
    return _round(point[0]), _round(point[1])
