"""An average image for tests of tools: a ring on two panels with a gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.sources.base import PixelPositions

PANEL = (40, 60)
GAP = 4
SIZE = 75.0
"""Of a pixel [um]."""


def ring_image(
    panel: tuple[int, int] = PANEL, gap: int = GAP, **more: Any
) -> AverageImage:
    """Return an image of two panels, one above the other.

    Parameters
    ----------
    panel : rows and columns of a panel
    gap : rows between the panels
    more : what else of the image is to be other than usual
    """
    rows, columns = np.indices(panel, np.float64)
    x = np.stack([rows, rows + panel[0] + gap]) * SIZE
    y = np.stack([columns, columns]) * SIZE
    positions = PixelPositions(x, y, np.zeros_like(x), SIZE)
    geometry = ImageGeometry.from_positions(positions, x.shape)
    radius = np.hypot(x / SIZE - panel[0], y / SIZE - panel[1] / 2)
    data = np.exp(-(((radius - panel[0] / 2) / 3) ** 2)).astype(np.float32)
    good = np.ones(x.shape, bool)
    good[1, 5, 7] = False
    data[1, 5, 7] = 1e6
    made = {
        "experiment": "xpptut15",
        "run": 12,
        "label": "pedSub_",
        "correction": "pedestal and gain",
        "common_mode": 0,
    }
    given = {
        "name": "AvImg_pedSub_jungfrau1M",
        "detector": "jungfrau1M",
        "data": data,
        "unit": "keV",
        "good": good,
        "events": np.arange(9),
        "timestamps": np.arange(9, dtype=np.uint64),
        "made": made,
        "find_geometry": lambda: geometry,
    }
    return AverageImage(**given | more)
