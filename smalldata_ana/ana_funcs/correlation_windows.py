"""The parts of a detector whose autocorrelation is computed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.correlation import MaskedCorrelation
from smalldata_ana.ana_funcs.regions import Box
from smalldata_ana.detector.protocol import Array
from smalldata_ana.errors import ParameterError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """A rectangle of one panel.

    Attributes
    ----------
    slices : into a frame of the detector
    correlation : of its good pixels
    """

    slices: tuple[Any, ...]
    correlation: MaskedCorrelation

    def cut(self, image: Array) -> Array:
        """Return the rectangle of an image, (rows, columns)."""
        return np.asarray(image[self.slices])


def windows_of(
    boxes: list[Box], masks: Mask, largest: tuple[int, int], detector: str
) -> list[Window]:
    """Return a window for each box and each mask, as large as its good pixels need.

    Parameters
    ----------
    boxes : in the detector
    masks : (masks, *shape of the detector), True = use
    largest : largest lag along rows and columns
    detector : its name, for messages

    Raises
    ------
    ParameterError
        if there are several boxes and several masks, no pixel of a window is good, or
        they are not of one panel
    """
    if len(boxes) > 1 and len(masks) > 1:
        raise ParameterError(
            f"there are {len(boxes)} boxes in roi and {len(masks)} masks; give several "
            "of one kind only"
        )
    return [
        _window(box, good, largest, detector)
        for box, good in itertools.product(boxes, masks)
    ]


def _window(box: Box, good: Mask, largest: tuple[int, int], detector: str) -> Window:
    if good.ndim < 2:
        raise ParameterError(
            f"images of {detector!r} have one axis; an autocorrelation needs rows and "
            "columns"
        )
    begins = [begin for begin, _ in box]
    places = np.nonzero(good[tuple(slice(*pair) for pair in box)])
    if not places[0].size:
        raise ParameterError(
            f"no pixel of a window of {detector!r} is good; all are masked: {box}"
        )
    first = [int(p.min()) + b for p, b in zip(places, begins, strict=True)]
    last = [int(p.max()) + b for p, b in zip(places, begins, strict=True)]
    panels = tuple(first[:-2])
    if panels != tuple(last[:-2]):
        raise ParameterError(
            f"a window of {detector!r} reaches from panel {first[0]} to {last[0]}; "
            "between panels there is no correlation, so give a roi or a mask for each"
        )
    rows, columns = (slice(first[i], last[i] + 1) for i in (-2, -1))
    slices: tuple[Any, ...] = (*panels, rows, columns)
    return Window(slices, MaskedCorrelation(good[slices].copy(), largest))
