"""The picture on which a ring is picked, and the curve that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smalldata_ana.session.chosen import show_chosen
from smalldata_ana.session.figures import redraw
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.ring_plots import (
    POINT_COLOUR,
    RING_COLOUR,
    RadialProfile,
    cross_lines,
    flat_points,
    ring_lines,
)
from smalldata_ana.session.scales import set_scale
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.outlines import Rectangle

if TYPE_CHECKING:
    from smalldata_ana.session.tools.ring import RingTool

_START = 0.25
"""Radius of a ring to begin with [of the smaller edge of the image]."""


class RingFigure:
    """The window of a `RingTool`, and one with the mean by radius.

    Parameters
    ----------
    tool : what is shown, and changed
    display : how images are shown
    limits : colour limits [percentiles]; by default those of `display`

    Attributes
    ----------
    canvas : the picture
    curve : axes of the mean by radius
    """

    def __init__(
        self,
        tool: RingTool,
        display: Display,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.tool = tool
        self.canvas = ToolFigure(
            tool.average, display, f"FitCircle_{tool.detector}", limits
        )
        self.canvas.keep(tool)
        self._shape = tool.average.geometry.shape
        self._profile = RadialProfile(*tool.picture)
        self.curve = self._new_curve()
        show_chosen(tool.session, self.canvas)
        tool.figure = self
        self.show()

    def _new_curve(self) -> Any:
        import matplotlib.pyplot as plt

        from smalldata_ana.session.figures import free_label

        label = free_label(f"FitCircle_{self.tool.detector}_radius")
        ax = plt.figure(label, layout="constrained", figsize=(7, 3)).subplots()
        # The picture stays the current figure.
        plt.figure(self.canvas.figure)
        ax.set(xlabel="radius [pixel]", ylabel=self.tool.average.quantity)
        return ax

    def click(self) -> None:
        """Let points be clicked on a ring."""
        self.canvas.points(self._clicked)

    def move(self) -> None:
        """Let a ring be drawn and moved with the mouse."""
        fit = self.tool.value
        rows, columns = self._shape
        center, radius = ((rows - 1) / 2, (columns - 1) / 2), _START * min(self._shape)
        if fit is not None:
            center = fit.center_px
            radius = max(fit.radius_px, default=radius)
        start = Rectangle.around(center, radius)
        self.canvas.ellipse(self._placed, start, circle=True, moving=self._moving)

    def show(self) -> None:
        """Draw rings, points and curve as the tool has them."""
        fit = self.tool.value
        points = flat_points(self.tool.points)
        rings = None if fit is None else ring_lines(fit, self._shape)
        self.canvas.outline("rings", rings, RING_COLOUR)
        crosses = cross_lines(points, self._shape)
        self.canvas.outline("points", crosses, POINT_COLOUR)
        self.canvas.say(self.tool.summary())
        if fit is not None:
            self._draw_curve(fit.center_px, fit.radius_px)

    def _clicked(self, row: float, column: float) -> None:
        self.tool.add_point(row, column)

    def _placed(self, box: Rectangle) -> None:
        self.tool.place(*box.centre, sum(box.radii) / 2)

    def _moving(self, box: Rectangle) -> None:
        radius = sum(box.radii) / 2
        row, column = box.centre
        self.canvas.say(f"center = {row:.2f}, {column:.2f} px; R = {radius:.2f} px")
        self._draw_curve(box.centre, (radius,))

    def _draw_curve(
        self, center: tuple[float, float], radii: tuple[float, ...]
    ) -> None:
        for line in list(self.curve.lines):
            line.remove()
        distance, mean = self._profile.about(center)
        self.curve.plot(distance, mean, color="tab:blue", linewidth=1)
        set_scale(self.curve, mean)
        for radius in radii:
            self.curve.axvline(radius, color=RING_COLOUR, linestyle="--")
        redraw(self.curve.figure)
