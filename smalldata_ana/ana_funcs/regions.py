"""Regions of a detector: half-open boxes in raw indices."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import TraitError, TraitType

from smalldata_ana.errors import ParameterError

Box = tuple[tuple[int, int], ...]
"""``(begin, end)`` for each axis of the raw frame; the end is excluded."""

Region = list[list[int]] | list[list[list[int]]]
"""A region as users write it: one box, or a list of boxes."""

FORMS = "[[r0, r1], [c0, c1]], [[p0, p1], [r0, r1], [c0, c1]] or a list of these"


def region(value: Any) -> Region:
    """Return a region in its one spelling: a box, or a list of several boxes.

    Parameters
    ----------
    value : ``[[r0, r1], [c0, c1]]``, ``[[p0, p1], [r0, r1], [c0, c1]]``, ``[i0, i1]``,
        the same without the inner brackets, or a list of boxes; also as an array

    Raises
    ------
    ParameterError
        if it is none of these, or not all ``0 <= begin < end``
    """
    boxes = [[list(pair) for pair in box] for box in _boxes(value)]
    return boxes[0] if len(boxes) == 1 else boxes


def _boxes(value: Any) -> list[Box]:
    depth = _depth(value)
    if depth == 3:
        boxes = [_box(box) for box in value]
    elif depth in {1, 2}:
        boxes = [_box(value)]
    else:
        boxes = []
    if not boxes or len({len(box) for box in boxes}) > 1:
        raise ParameterError(f"ROI = {value!r} is not a region; write {FORMS}")
    return boxes


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list | tuple | np.ndarray) and len(value):
        depth += 1
        value = value[0]
    return depth


def _box(value: Any) -> Box:
    flat = _depth(value) == 1
    try:
        pairs = np.reshape(value, (-1, 2)).tolist() if flat else value
        box = tuple((operator.index(b), operator.index(e)) for b, e in pairs)
    except (TypeError, ValueError):
        raise ParameterError(
            f"ROI = {value!r} is not a region of whole numbers; write {FORMS}"
        ) from None
    if not all(0 <= begin < end for begin, end in box):
        raise ParameterError(
            f"ROI = {value!r}: each pair is [begin, end) with 0 <= begin < end"
        )
    return box


def boxes_within(
    value: Region | None, shape: tuple[int, ...], detector: str
) -> list[Box]:
    """Return the boxes of a region in a detector, one pair for each axis.

    Parameters
    ----------
    value : the region, or None for the whole detector
    shape : of the detector's raw frame
    detector : its name, for messages

    Raises
    ------
    ParameterError
        if a box has not the detector's number of axes, or is not inside it; the
        first axis may be left out where the detector has a single panel
    """
    if value is None:
        return [tuple((0, n) for n in shape)]
    boxes = _boxes(value)
    if shape[0] == 1 and len(boxes[0]) == len(shape) - 1:
        boxes = [((0, 1), *box) for box in boxes]
    for box in boxes:
        inside = all(end <= n for (_, end), n in zip(box, shape, strict=False))
        if len(box) != len(shape) or not inside:
            axes = " (panels, rows, columns)" if len(shape) == 3 else ""
            pairs = [list(pair) for pair in box]
            panels = [[0, shape[0]], *pairs]
            missing = f"; which panels? e.g. {panels}" if len(pairs) == 2 else ""
            raise ParameterError(
                f"ROI = {pairs} does not lie in {detector!r}, whose shape{axes} is "
                f"{shape}{missing if axes else ''}"
            )
    return boxes


@dataclass(frozen=True)
class RegionNumbers:
    """What a region holds in one image.

    Attributes
    ----------
    sum, mean : of the pixels that count; NaN for the mean of none
    size : number of its pixels
    left_out : number of those that do not count: not good, or not finite
    """

    sum: float
    mean: float
    size: int
    left_out: int

    def text(self, unit: str = "") -> str:
        """Return them in words.

        Parameters
        ----------
        unit : of the image
        """
        of = f" {unit}" if unit else ""
        text = f"sum {self.sum:.6g}{of}, mean {self.mean:.4g}{of}, {self.size} pixels"
        return f"{text}, {self.left_out} of them left out" if self.left_out else text


def region_numbers(
    image: npt.NDArray[Any], good: npt.NDArray[np.bool_], boxes: Iterable[Box]
) -> RegionNumbers:
    """Return sum, mean and size of a region in an image.

    Parameters
    ----------
    image, good : the image and its good pixels, of one shape
    boxes : of the region, as from `boxes_within`
    """
    parts = [tuple(slice(*pair) for pair in box) for box in boxes]
    values = np.concatenate([image[part].ravel() for part in parts])
    counts = np.concatenate([good[part].ravel() for part in parts])
    counts = counts & np.isfinite(values)
    used = int(np.count_nonzero(counts))
    total = float(values[counts].sum(dtype=np.float64))
    mean = total / used if used else float("nan")
    return RegionNumbers(total, mean, values.size, values.size - used)


class RegionTrait(TraitType[Any, Any]):
    """A parameter that is a region, or None for the whole detector."""

    info_text = f"a region: {FORMS}"
    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> Region:
        """Return the region in its one spelling."""
        try:
            return region(value)
        except ParameterError as error:
            raise TraitError(str(error)) from error
