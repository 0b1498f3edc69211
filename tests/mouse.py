"""A mouse and a keyboard for the figures of tests, on any backend of Matplotlib."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import KeyEvent, MouseButton, MouseEvent

Point = tuple[float, float]


class Mouse:
    """Sends events to a figure; points are (row, column) of the image in its axes.

    Parameters
    ----------
    ax : the axes; they are drawn once, so that it is known where they are
    """

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        self.canvas: Any = ax.figure.canvas
        self.canvas.draw()

    def on_screen(self, point: Point) -> tuple[float, float]:
        """Return x and y of a point in the window [screen pixels from bottom left]."""
        x, y = self.ax.transData.transform((point[1], point[0]))
        return float(x), float(y)

    def send(
        self,
        name: str,
        point: Point,
        button: MouseButton | int | None = MouseButton.LEFT,
        dblclick: bool = False,
    ) -> None:
        """Send one event, e.g. ``button_press_event``."""
        x, y = self.on_screen(point)
        # Matplotlib's own tests send events in this way.
        MouseEvent(name, self.canvas, x, y, button, dblclick=dblclick)._process()

    def press(self, point: Point, button: int = 1, dblclick: bool = False) -> None:
        self.send("button_press_event", point, button, dblclick)

    def move(self, point: Point) -> None:
        self.send("motion_notify_event", point, None)

    def release(self, point: Point, button: int = 1) -> None:
        self.send("button_release_event", point, button)

    def click(self, point: Point, button: int = 1) -> None:
        self.move(point)
        self.press(point, button)
        self.release(point, button)

    def double_click(self, point: Point) -> None:
        self.click(point)
        self.press(point, dblclick=True)
        self.release(point)

    def drag(self, *points: Point, steps: int = 4) -> None:
        """Press at the first point, move along the others, release at the last."""
        self.move(points[0])
        self.press(points[0])
        for begin, end in itertools.pairwise(points):
            for part in np.linspace(0, 1, steps + 1)[1:]:
                row, column = (
                    b + (e - b) * part for b, e in zip(begin, end, strict=True)
                )
                self.move((row, column))
        self.release(points[-1])

    def key(self, name: str) -> None:
        """Press and release a key, e.g. ``escape`` or ``enter``."""
        for event in ("key_press_event", "key_release_event"):
            KeyEvent(event, self.canvas, name)._process()
