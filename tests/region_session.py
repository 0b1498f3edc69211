"""As much of a session as regions need, on a small run."""

from __future__ import annotations

import numpy as np
from rings_image import GAP
from small_run import JUNGFRAU

from smalldata_ana.session.image_commands import ImageCommands
from smalldata_ana.session.region_commands import RegionCommands

DETECTOR = "jungfrau1M"
PANELS = JUNGFRAU[1:]
ROWS, COLUMNS = 2 * PANELS[0] + GAP, PANELS[1]
SECOND = PANELS[0] + GAP
"""The row of the image where the second panel begins."""

BOX = [[0, 1], [4, 20], [5, 15]]


class Session(ImageCommands, RegionCommands):
    """As much of a session as regions need."""


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def lines(ax) -> list[np.ndarray]:
    found = [np.column_stack(line.get_data()[::-1]) for line in ax.lines]
    return [line for line in found if len(line)]
