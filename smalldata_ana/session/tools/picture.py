"""`Picture`: a large image that is drawn as fast as a small one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.image import AxesImage

from smalldata_ana.session.tools.outlines import Colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]
Crop = tuple[int, int, int, int, int]

_SCALING = "antialiased"


class Picture(AxesImage):
    """An image in axes; only what can be seen of it is drawn.

    Matplotlib works on all pixels of an image whenever it draws it.  Here it is given
    the part that is in view, with as many pixels put together as give about one for
    each dot of the screen or of the picture file.

    Parameters
    ----------
    ax : the axes, with the limits that are to be seen
    data : float image with NaN for gaps, or a bool image
    paint : makes of a part of `data` what Matplotlib shows; by default nothing
    style : options of Matplotlib's ``AxesImage``
    """

    def __init__(
        self,
        ax: Axes,
        data: Array,
        *,
        paint: Callable[[Array], Array] | None = None,
        **style: Any,
    ) -> None:
        super().__init__(ax, origin="upper", interpolation=_SCALING, **style)
        self._pyramid = [data]
        self._paint = paint
        self._shown: Crop | None = None
        self._choose()
        ax.set_aspect("equal")
        ax.add_image(self)
        self.set_clip_path(ax.patch)

    def draw(self, renderer: Any) -> None:
        """Draw what the limits of the axes and the size of the figure ask for."""
        self._choose()
        super().draw(renderer)

    def format_cursor_data(self, data: Any) -> str:
        """Return nothing: the axes tell what is under the cursor."""
        return ""

    def _choose(self) -> None:
        shown = self._in_view()
        if shown != self._shown:
            self._shown = shown
            self.set_data(self._part(shown))
            self.set_extent(_extent(shown))

    def _in_view(self) -> Crop:
        """Return the level, and begin and end of rows and columns in it."""
        view = [sorted(self.axes.get_ylim()), sorted(self.axes.get_xlim())]
        extent = self.axes.get_window_extent()
        dots = (max(extent.height, 1.0), max(extent.width, 1.0))
        finest = min((e - b) / n for (b, e), n in zip(view, dots, strict=True))
        most = int(math.log2(max(1, min(self._pyramid[0].shape))))
        level = min(round(math.log2(max(1.0, finest))), most)
        crop = []
        for (begin, end), size in zip(view, self._pyramid[0].shape, strict=True):
            last = math.ceil(size / 2**level)
            first = min(max(math.floor((begin + 0.5) / 2**level), 0), last - 1)
            crop += [
                first,
                min(max(math.ceil((end + 0.5) / 2**level), first + 1), last),
            ]
        row0, row1, column0, column1 = crop
        return level, row0, row1, column0, column1

    def _part(self, shown: Crop) -> Array:
        level, row0, row1, column0, column1 = shown
        while len(self._pyramid) <= level:
            self._pyramid.append(_halved(self._pyramid[-1]))
        part = self._pyramid[level][row0:row1, column0:column1]
        return part if self._paint is None else self._paint(part)


def coloured(ax: Axes, shown: npt.NDArray[np.bool_], colour: Colour) -> Picture:
    """Return a picture over an image that colours some of its pixels.

    Parameters
    ----------
    ax : axes of the image
    shown : True for the pixels
    colour : red, green, blue and opacity, or a name
    """
    from matplotlib.colors import to_rgba

    painted = np.multiply(255, to_rgba(colour)).astype(np.uint8)
    colours = np.stack([np.zeros_like(painted), painted])
    return Picture(ax, shown, paint=lambda part: colours[part.view(np.uint8)], zorder=1)


def _extent(shown: Crop) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of what is drawn."""
    level, *edges = shown
    row0, row1, column0, column1 = (edge * 2**level - 0.5 for edge in edges)
    return column0, column1, row1, row0


def _halved(data: Array) -> Array:
    """Return the mean of each 2 x 2 pixels that are not NaN, or if any is True."""
    rows, columns = data.shape
    fill = False if data.dtype == bool else np.nan
    if rows % 2 or columns % 2:
        pads = ((0, rows % 2), (0, columns % 2))
        data = np.pad(data, pads, constant_values=fill)
    blocks = [data[r::2, c::2] for r in (0, 1) for c in (0, 1)]
    if data.dtype == bool:
        any_: Array = np.logical_or.reduce(blocks)
        return any_
    total, count = np.zeros((2, *blocks[0].shape), np.float32)
    missing = [np.isnan(block) for block in blocks]
    for block, gap in zip(blocks, missing, strict=True):
        total += np.where(gap, 0, block)
        count += ~gap
    with np.errstate(invalid="ignore"):
        mean: Array = total / count
    return mean
