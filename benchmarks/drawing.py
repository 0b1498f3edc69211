"""Redraws of a tool's figure over a large image."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_most, in_turn
from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.outlines import Rectangle

SHAPE = 2048, 2048
ROUNDS = 15
_LONGEST = 50
"""What a redraw may take [ms]."""

_HOW = f"""\
An image of 2048 x 2048 pixels with a rectangle, an overlay of masked pixels and a
read-out in a figure of 700 x 700 dots, Agg, {ROUNDS} rounds. *moving*: one step of the
mouse while the rectangle is drawn, with its sum; *redraw*: the whole figure, as after a
drag; *shifted*: the same after the view has moved, as with the toolbar's pan; *plain
imshow*: the whole figure with Matplotlib's image in place of ours."""


def run() -> Topic:
    """Measure, in memory."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    figure = _figure()
    plain = _plain(plt, figure.average.image)
    canvas: Any = figure.figure.canvas
    times = in_turn(
        {
            "moving": _Mouse(figure).step,
            "redraw": canvas.draw,
            "shifted": _Shifted(figure).draw,
            "plain imshow": plain.canvas.draw,
        },
        ROUNDS,
    )
    plt.close("all")
    medians = {name: 1e3 * statistics.median(found) for name, found in times.items()}
    return Topic(
        "Drawing of 4 megapixels",
        _HOW,
        [
            *(
                at_most(name, medians[name], _LONGEST, " ms")
                for name in ("moving", "redraw", "shifted")
            ),
            Row("plain imshow", f"{medians['plain imshow']:.1f} ms"),
        ],
    )


def _figure() -> ToolFigure:
    data = np.random.default_rng(1).normal(5, 2, SHAPE).astype(np.float32)
    geometry = ImageGeometry.from_positions(None, SHAPE)
    average = AverageImage(
        name="AvImg_raw_camera",
        detector="camera",
        data=data,
        unit="ADU",
        good=np.ones(SHAPE, bool),
        events=np.arange(1),
        timestamps=np.arange(1, dtype=np.uint64),
        made={"experiment": "exp", "run": 1, "correction": "raw", "common_mode": -1},
        find_geometry=lambda: geometry,
    )
    figure = ToolFigure(average, Display(), "drawing")
    figure.overlay("mask", data > 9)

    def tell(box: Rectangle) -> None:
        rows, columns = box.pixels()
        part = average.data[slice(*rows), slice(*columns)]
        figure.say(f"sum {part.sum():.6g} ADU")

    figure.rectangle(lambda box: None, moving=tell)
    figure.figure.canvas.draw()
    return figure


class _Mouse:
    """Draws a rectangle, step by step."""

    def __init__(self, figure: ToolFigure) -> None:
        self._figure = figure
        self._step = 0
        self._send("button_press_event", 200, 200)

    def step(self) -> None:
        self._step += 20
        self._send("motion_notify_event", 200 + self._step, 300 + self._step)

    def _send(self, name: str, row: float, column: float) -> None:
        from matplotlib.backend_bases import MouseEvent

        canvas = self._figure.figure.canvas
        x, y = self._figure.ax.transData.transform((column, row))
        canvas.callbacks.process(name, MouseEvent(name, canvas, x, y, 1))


class _Shifted:
    """Draws after a shift of the view."""

    def __init__(self, figure: ToolFigure) -> None:
        self._figure = figure
        self._shift = 0

    def draw(self) -> None:
        self._shift += 3
        left, top = 100 + self._shift, 200 + self._shift
        self._figure.ax.set(xlim=(left, left + 1600), ylim=(top + 1600, top))
        self._figure.figure.canvas.draw()


def _plain(plt: Any, image: Any) -> Any:
    figure, ax = plt.subplots(figsize=(7, 7), layout="constrained")
    ax.imshow(image)
    return figure
