"""Waiting for an answer at the terminal, without losing windows or a Ctrl-C."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.backend_bases import FigureCanvasBase

_SLICE = 0.05
"""How long the windows work, or nothing does, between two looks at the terminal [s]."""


def read_line(prompt: str) -> str:
    """Read a line as `input` does, with open figures that go on working.

    `input` reads without end: a Ctrl-C that comes after it has written the question
    and before it reads takes effect only with the next line. Here it always does.

    Parameters
    ----------
    prompt : written before

    Raises
    ------
    EOFError
        at the end of the input
    """
    if not sys.stdin.isatty():
        return input(prompt)
    sys.stdout.write(prompt)
    sys.stdout.flush()
    waited = 0.0
    while not select.select([sys.stdin], [], [], waited)[0]:
        canvas = _canvas()
        if canvas is not None:
            canvas.start_event_loop(_SLICE)
        # The last window may be closed while the question stands.
        waited = 0.0 if canvas else _SLICE
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _canvas() -> FigureCanvasBase | None:
    """Return the canvas of a figure that has a window, or None."""
    if "matplotlib.pyplot" not in sys.modules:
        return None
    import matplotlib.pyplot as plt

    if not plt.get_fignums():
        return None
    canvas = plt.gcf().canvas
    return canvas if canvas.required_interactive_framework else None
