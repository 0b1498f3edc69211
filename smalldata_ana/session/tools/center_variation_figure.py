"""The window of a `CenterVariationTool`: five maps of q and phi, or curves."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.azint_plots import draw_center_variation, shown_bins
from smalldata_ana.session.figures import free_label, redraw

if TYPE_CHECKING:
    from smalldata_ana.session.tools.center_variation import CenterVariationTool

_LEFT_BUTTON = 1


class CenterVariationFigure:
    """The window; a click on a picture takes its centre.  It keeps the tool alive.

    Parameters
    ----------
    tool : what is shown, and changed
    zoom : the lowest and highest q that are shown [1/angstrom]
    curves : curves, one for each bin in phi, instead of maps
    cmap : Matplotlib's name of the colour map

    Attributes
    ----------
    figure : Matplotlib's figure

    Raises
    ------
    ParameterError
        if there is nothing to be shown
    """

    def __init__(
        self,
        tool: CenterVariationTool,
        zoom: Sequence[float] | None = None,
        *,
        curves: bool = False,
        cmap: str = "viridis",
    ) -> None:
        import matplotlib.pyplot as plt

        shown_bins(tool.averages()[0, 0], zoom)
        label = free_label(f"AzInt_centerVar_{tool.detector}")
        self.figure = plt.figure(label, layout="constrained", figsize=(12, 9))
        self._tool = tool
        self._style: dict[str, Any] = {"zoom": zoom, "curves": curves, "cmap": cmap}
        # Matplotlib holds functions, but not methods: so the figure holds this.
        call: Any = functools.partial(_clicked, self)
        self.figure.canvas.mpl_connect("button_press_event", call)
        tool.figure = self
        self.show()

    def show(self) -> None:
        """Draw the averages about the centre that the tool has now."""
        tool = self._tool
        self.figure.clear()
        self._axes = draw_center_variation(
            self.figure,
            tool.averages(),
            tool.center,
            tool.step,
            inner=tool.glow_end,
            **self._style,
        )
        redraw(self.figure)

    def click(self, event: Any) -> None:
        """Take the centre of the picture that was clicked on."""
        toolbar = getattr(self.figure.canvas, "toolbar", None)
        if event.button != _LEFT_BUTTON or getattr(toolbar, "mode", ""):
            return
        for (down, right), ax in self._axes.items():
            if event.inaxes is ax and (down, right) != (0, 0):
                x, y = self._tool.center
                step = self._tool.step
                self._tool.move(x + down * step, y + right * step)
                return


def _clicked(figure: CenterVariationFigure, event: Any) -> None:
    try:
        figure.click(event)
    except SmallDataError as error:
        figure.figure.suptitle(str(error), wrap=True)
        redraw(figure.figure)
