"""What was chosen for a detector, drawn over its image: regions, mask, centre."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.mask_choice import local_mask
from smalldata_ana.session.regions import draw_regions
from smalldata_ana.session.ring_plots import draw_known_center

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from smalldata_ana.average_image import AverageImage

logger = logging.getLogger(__name__)

MASK_COLOUR = (0.0, 0.3, 1.0, 0.35)
"""Of pixels that a user masked, as in `MakeMask`."""


def draw_chosen(session: Any, ax: Axes, average: AverageImage) -> None:
    """Draw what was accepted or exported over an image.

    What cannot be drawn, because the parameter file is damaged, is logged.

    Parameters
    ----------
    session : the session
    ax : axes of the image
    average : the image
    """
    draw_regions(session, ax, average)
    try:
        draw_mask(session, ax, average)
        draw_known_center(session, ax, average)
    except SmallDataError as error:
        logger.warning("mask and centre are not shown: %s", error)


def draw_mask(session: Any, ax: Axes, average: AverageImage) -> None:
    """Colour the pixels that users masked.

    Parameters
    ----------
    session, ax, average : as for `draw_chosen`
    """
    masked = ~local_mask(session, average.detector, average.shape)
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
