"""Tells a test where the figures of another process are on the screen.

That process has `watch` among Matplotlib's ``figure.hooks``, and a folder in
``$FIGURE_PLACES``; there each figure writes its `Place` again and again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

FOLDER = "FIGURE_PLACES"
HOOK = f"figure.hooks: {__name__}:watch\n"
"""For a file ``matplotlibrc``."""

_EVERY = 50
"""How often a place is written [ms]."""

_SETTLED = 5
"""The age of a place where nothing is moved or laid out any more."""

_PATIENCE = 30
"""How long is waited for one [s]."""


@dataclass(frozen=True)
class Place:
    """Where the image of a figure is on the screen, and what was done to it.

    Attributes
    ----------
    toolkit : that the window is of, in Matplotlib's words
    origin : x and y on the screen of row 0, column 0 [dots from the left upper corner]
    step : what x and y grow by to the next column and row [dots]
    events : what mouse and keyboard did: ``released``, or the name of a key
    age : how often it was written since anything of this has changed
    """

    toolkit: str
    origin: Sequence[float]
    step: Sequence[float]
    events: Sequence[str]
    age: int = field(default=0, compare=False)

    @classmethod
    def of(cls, axes: Any, events: list[str]) -> Self:
        """Return the place of axes that have a window."""
        canvas = axes.figure.canvas
        left, top = _corner(canvas)
        bottom = top + axes.figure.bbox.height
        (x, y), (x1, y1) = axes.transData.transform([(0, 0), (1, 1)]).tolist()
        toolkit = canvas.required_interactive_framework
        return cls(toolkit, [left + x, bottom - y], [x1 - x, y - y1], [*events])

    def on_screen(self, row: float, column: float) -> tuple[int, int]:
        """Return x and y of the dot of the screen that is nearest to a point."""
        (x, y), (right, down) = self.origin, self.step
        return round(x + column * right), round(y + row * down)

    def on_image(self, x: int, y: int) -> tuple[float, float]:
        """Return row and column of a dot of the screen."""
        (x0, y0), (right, down) = self.origin, self.step
        return (y - y0) / down, (x - x0) / right


def _corner(canvas: Any) -> tuple[int, int]:
    """Return where the left upper corner of a canvas is on the screen."""
    if canvas.required_interactive_framework == "tk":
        widget = canvas.get_tk_widget()
        return widget.winfo_rootx(), widget.winfo_rooty()
    corner = canvas.mapToGlobal(canvas.rect().topLeft())
    return corner.x(), corner.y()


def watch(figure: Any) -> None:
    """Write the place of a figure's first axes from now on."""
    events: list[str] = []
    canvas = figure.canvas
    path = _path(Path(os.environ[FOLDER]), figure.get_label())

    def write() -> None:
        if figure.axes:
            now = Place.of(figure.axes[0], events)
            before = _read(path)
            if before == now:
                now = dataclasses.replace(now, age=before.age + 1)
            aside = path.with_suffix(".new")
            aside.write_text(json.dumps(dataclasses.asdict(now)))
            aside.replace(path)

    timer = canvas.new_timer(_EVERY, [(write, (), {})])
    timer.start()
    canvas.mpl_connect("button_release_event", lambda _: events.append("released"))
    canvas.mpl_connect("key_press_event", lambda event: events.append(event.key))
    # The timer lives as long as something holds it.
    canvas.mpl_connect("close_event", lambda _: timer.stop())


def place(folder: Path, label: str, event: str | None = None, times: int = 1) -> Place:
    """Wait until a figure has its place on the screen, and return it.

    Parameters
    ----------
    folder : where the places are
    label : of the figure
    event : wait until this was done to it
    times : so often
    """
    end = time.monotonic() + _PATIENCE
    path, now = _path(folder, label), None
    while time.monotonic() < end:
        now = _read(path)
        done = now is not None and (event is None or now.events.count(event) >= times)
        if now is not None and done and now.age >= _SETTLED:
            return now
        time.sleep(_EVERY / 1000)
    raise AssertionError(f"figure {label!r}: no {event or 'place'}, but {now}")


def _read(path: Path) -> Place | None:
    return Place(**json.loads(path.read_text())) if path.exists() else None


def _path(folder: Path, label: str) -> Path:
    return folder / f"{label}.json"
