"""What was chosen for a detector, drawn over its image: regions, mask, centre."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.detector.image_masks import image_from_raw
from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.mask_choice import Mask, local_mask
from smalldata_ana.session.regions import COLOUR, draw_regions, region_outlines
from smalldata_ana.session.ring_plots import (
    KNOWN_COLOUR,
    draw_known_center,
    known_center_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.session.tools.canvas import ToolFigure

logger = logging.getLogger(__name__)

MASK_COLOUR = (0.0, 0.3, 1.0, 0.35)
"""Of pixels that a user masked, as in `MakeMask`."""


def draw_chosen(session: Any, ax: Axes, average: AverageImage) -> None:
    """Draw what was accepted or exported over an image.

    What cannot be drawn, because a file is damaged, is logged.

    Parameters
    ----------
    session : the session
    ax : axes of the image
    average : the image
    """
    draw_regions(session, ax, average)
    draw_mask(session, ax, average)
    try:
        draw_known_center(session, ax, average)
    except SmallDataError as error:
        logger.warning("the centre is not shown: %s", error)


def show_chosen(session: Any, figure: ToolFigure) -> None:
    """Show what was accepted or exported in the window of a tool.

    What cannot be shown is logged.

    Parameters
    ----------
    session : the session
    figure : the window, with the image of a detector
    """
    average = figure.average
    for name, lines in region_outlines(session, average).items():
        figure.outline(f"region {name}", lines, COLOUR, label=name)
    try:
        center = known_center_lines(session, average)
        figure.outline("center", center, KNOWN_COLOUR, label="center")
    except SmallDataError as error:
        logger.warning("the centre is not shown: %s", error)
    show_masked(figure, masked_before(session, average.detector, average.shape))


def masked_before(session: Any, detector: str, shape: tuple[int, ...]) -> Mask:
    """Return what the masks that users made leave out, bool.

    If one of them cannot be read, this is logged, and none is shown.

    Parameters
    ----------
    session, detector, shape : as for `local_mask`
    """
    try:
        return ~local_mask(session, detector, shape)
    except SmallDataError as error:
        logger.warning("masks are not shown: %s", error)
        return np.zeros(shape, bool)


def show_masked(figure: ToolFigure, masked: Mask) -> None:
    """Colour the pixels that users masked in the window of a tool.

    Parameters
    ----------
    figure : the window
    masked : bool, in the shape of the frames of its image
    """
    if masked.any():
        shown = ~image_from_raw(~masked, figure.average.geometry, gaps=True)
        figure.overlay("taken", shown, MASK_COLOUR)


def draw_mask(session: Any, ax: Axes, average: AverageImage) -> None:
    """Colour the pixels that users masked.

    Parameters
    ----------
    session, ax, average : as for `draw_chosen`
    """
    masked = masked_before(session, average.detector, average.shape)
    if not masked.any():
        return
    from matplotlib.colors import ListedColormap

    shown = average.geometry.assemble(masked.astype(np.float32))
    ax.imshow(
        np.ma.masked_where(~(shown > 0), shown),
        cmap=ListedColormap([MASK_COLOUR]),
        interpolation="nearest",
        zorder=1,
        gid="mask",
    )
