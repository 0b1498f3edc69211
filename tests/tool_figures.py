"""Points on the image of the tests, and what is seen in a figure of a tool."""

from __future__ import annotations

import numpy as np
from rings_image import GAP, PANEL

from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.outlines import Rectangle

ROWS, COLUMNS = 2 * PANEL[0] + GAP, PANEL[1]
NEAR = 0.3
"""A dot of the screen is some of a pixel of the image."""

A, B = (10.0, 8.0), (30.0, 48.0)
BOX = Rectangle(10, 30, 8, 48)


def note(figure: ToolFigure) -> str:
    (text,) = (t.get_text() for t in figure.ax.texts if t.get_animated())
    return text


def drawn(figure: ToolFigure) -> list[np.ndarray]:
    """Return what can be seen of the moving lines, as (row, column)."""
    lines = [
        np.column_stack([y, x]) for x, y in (a.get_data() for a in figure.ax.lines)
    ]
    return [line for line in lines if len(line)]
