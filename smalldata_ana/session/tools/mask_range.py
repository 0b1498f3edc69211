"""The question of `MakeMask` for a range of pedestals, of noise, or of the image."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smalldata_ana.session.figures import has_window
from smalldata_ana.session.tools.dialogue import Dialogue, numbers

if TYPE_CHECKING:
    from smalldata_ana.session.tools.mask import MaskTool

_CONSTANTS = {"pedestal": "pedestals", "noise": "pixel_rms"}
"""The constants of which a quantity is."""

_HELP = "  Pixels whose {} is outside of it are masked"
_STAGES_HELP = """;
  the gain stages are {}, each a range and a layer of its own"""
_SHARES = (0, 0.1, 50, 99.9, 100)

Add = Callable[[str, int, list[float]], None]
"""Adds a layer: of which quantity, in which gain stage, with which range."""


def ask_range(tool: MaskTool, dialogue: Dialogue, quantity: str, add: Add) -> None:
    """Show the values of a quantity, and ask for the range that is not masked.

    Parameters
    ----------
    tool : the mask
    dialogue : asks
    quantity : ``pedestal``, ``noise`` or ``image``, which is in the picture already
    add : what is done with the answer; an error of ours is told, and asked again

    Raises
    ------
    MissingValueError
        if the detector has none
    Back
        if the user does not want to
    """
    stages = tool.scene.kind.gain_stages
    if quantity not in _CONSTANTS or len(stages) < 2:
        stages = stages[:1]
    several = len(stages) > 1
    for number, stage in enumerate(stages):
        dialogue.write(_levels(tool, quantity, number, stage if several else ""))
    also = f" of {stages[0]}, or {stages[1]} min max" if several else ""
    more = _STAGES_HELP.format(", ".join(stages)) if several else ""

    def parse(answer: str) -> None:
        add(quantity, *stage_and_range(answer, stages))

    with _shown(tool, quantity):
        dialogue.ask(
            f"Enter allowed {quantity} range (min max){also}:",
            parse,
            help=_HELP.format(quantity) + more,
        )


def _levels(tool: MaskTool, quantity: str, stage: int, name: str) -> str:
    """Return what values there are, so that a range can be chosen."""
    values = tool.scene.value(quantity, stage)
    known = values[np.isfinite(values)]
    what = f"  {f'{quantity} {name}'.strip()}: "
    if not known.size:
        return f"{what}no numbers"
    levels = zip(_SHARES, np.percentile(known, _SHARES), strict=True)
    return what + ", ".join(f"{share} %: {level:.4g}" for share, level in levels)


@contextlib.contextmanager
def _shown(tool: MaskTool, quantity: str) -> Iterator[None]:
    """Show images and histograms of a constant while a question stands."""
    if quantity not in _CONSTANTS:
        yield
        return
    import matplotlib.pyplot as plt

    from smalldata_ana.session.calibration_plots import plot_constants

    session, detector, scene = tool.session, tool.detector, tool.scene
    name = _CONSTANTS[quantity]
    item = session.run.constants(detector).items[name]
    figure = plot_constants(
        {name: np.asarray(item.value)},
        session.run.detectors[detector],
        scene.kind.gain_stages,
        scene.geometry,
        f"{session.title()}, {detector}: {quantity} of runs {item.validity}",
    )
    figure.set_label(f"{detector}_{quantity}")  # names the picture file, too
    try:
        if not has_window(figure):
            session.pictures.write()
        yield
    finally:
        plt.close(figure)


def stage_and_range(answer: str, stages: Sequence[str]) -> tuple[int, list[float]]:
    """Return the number of the gain stage, by default the first, and the range.

    Raises
    ------
    UsageError
        if the answer makes no sense
    """
    first, *rest = answer.split(maxsplit=1)
    if first in stages:
        return stages.index(first), numbers(" ".join(rest), 2)
    return 0, numbers(answer, 2)
