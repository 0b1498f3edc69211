"""What some common modes need beside their number: a region, or a fit of ghosts.

It is given in one table with the number, wherever a common mode can be given::

    common_mode={"number": 81, "region": [[0, 100], [0, 512]]}
    common_mode={"number": 180, "ghost": "GhostFits_xcslt4017_Run120.h5"}

``region`` says which pixels never have light: a half-open box ``[[r0, r1], [c0, c1]]``,
the same in all panels, or ``[[p0, p1], [r0, r1], [c0, c1]]``, or a list of boxes, or a
bool array with True for these pixels in the shape of a frame or of a panel.

``ghost`` is what `smalldata_ana.detector.common_mode_ghost` reads: a file, or the pair
of arrays ``(p0, p1)``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode_ghost import Ghost, ghost_of
from smalldata_ana.detector.kind_model import (
    CommonMode,
    CommonModeChoice,
    CommonModeNumber,
)
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.sources.base import DetectorInfo

Mask = npt.NDArray[np.bool_]

_NUMBER = "number"
_FORMS = {
    "region": "[[r0, r1], [c0, c1]]",
    "ghost": '"file with p0 and p1"',
}
_WHY = {
    "region": "takes the median of a region without light, which only its user knows",
    "ghost": "subtracts p0 + p1 * the frame before, fitted for each pixel",
}


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was given with the number of a common mode.

    Attributes
    ----------
    region : bool, shape of a frame; the pixels without light
    ghost : what a frame leaves behind
    """

    region: Mask | None = None
    ghost: Ghost | None = None


def split(
    choice: CommonModeChoice | None,
) -> tuple[CommonModeNumber | None, Mapping[str, Any]]:
    """Return the number of a common mode, and what is given with it.

    Raises
    ------
    ParameterError
        if it is a table without a number, or with something unknown
    """
    if not isinstance(choice, Mapping):
        return choice, {}
    given = dict(choice)
    for name in given:
        if name not in {_NUMBER, *_FORMS}:
            where = f"common_mode = {recorded(choice)!r}"
            raise ParameterError(unknown("entry", name, (_NUMBER, *_FORMS), where))
    if _NUMBER not in given:
        raise ParameterError(f'common_mode = {recorded(choice)!r} has no "{_NUMBER}"')
    return given.pop(_NUMBER), given


def recorded(choice: CommonModeChoice | None) -> Any:
    """Return what a user chose for a record, as text where it is an array or a path."""
    if not isinstance(choice, Mapping):
        return choice
    return {
        name: value if isinstance(value, int | str | list) else _text(value)
        for name, value in choice.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return "arrays" if isinstance(value, tuple) else str(value)


def inputs_of(mode: CommonMode, given: Mapping[str, Any], info: DetectorInfo) -> Inputs:
    """Return what a common mode needs in the shape of the frames.

    Parameters
    ----------
    mode : the common mode
    given : what `split` returns
    info : the detector

    Raises
    ------
    ParameterError
        if something is missing, not needed, or does not fit the detector
    FileError
        if a file cannot be read
    """
    for name in given:
        if name != mode.needs:
            raise ParameterError(
                f"common mode {mode.number} of {info.name!r} ({mode.text}) takes no "
                f"{name}; leave it out"
            )
    if mode.needs and mode.needs not in given:
        raise ParameterError(
            f"common mode {mode.number} of {info.name!r} {_WHY[mode.needs]}, and it is "
            f'not given; write common_mode={{"{_NUMBER}": {mode.number}, '
            f'"{mode.needs}": {_FORMS[mode.needs]}}}'
        )
    return Inputs(
        region=_region(given["region"], info) if "region" in given else None,
        ghost=ghost_of(given["ghost"], info) if "ghost" in given else None,
    )


def _region(value: Any, info: DetectorInfo) -> Mask:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0)
    if array.dtype == np.bool_:
        if array.shape not in {info.shape, info.shape[-2:]}:
            raise ParameterError(
                f"the region for the common mode of {info.name!r} must have the shape "
                f"{info.shape} or {info.shape[-2:]}, not {array.shape}"
            )
        region = np.broadcast_to(array, info.shape).copy()
    else:
        region = _of_boxes(value, array, info)
    if not region.any(axis=(-2, -1)).all():
        raise ParameterError(
            f"the region for the common mode of {info.name!r} has no pixels in some "
            "panel; each panel is corrected by its own"
        )
    return region


def _of_boxes(
    value: Any, array: npt.NDArray[Any], info: DetectorInfo
) -> npt.NDArray[np.bool_]:
    """Return the pixels in the boxes that a user wrote, of which `array` is made."""
    axes = array.shape[-2] if array.ndim in {2, 3} else 0
    if axes not in {2, len(info.shape)} or array.dtype.kind not in "iu":
        raise ParameterError(
            f"the region for the common mode of {info.name!r} is "
            f"{reprlib.repr(value)}; write "
            "[[r0, r1], [c0, c1]], [[p0, p1], [r0, r1], [c0, c1]], a list of these, or "
            "a bool array"
        )
    region = np.zeros(info.shape, np.bool_)
    sizes = np.array(info.shape[-axes:])
    for box in array.reshape(-1, axes, array.shape[-1]):
        begin, end = box[:, 0], box[:, -1]
        if (
            box.shape[1] != 2
            or not ((begin >= 0) & (begin < end) & (end <= sizes)).all()
        ):
            raise ParameterError(
                f"the box {box.tolist()} for the common mode does not lie in frames of "
                f"{info.name!r}, {info.shape}; each pair is [begin, end)"
            )
        index: tuple[Any, ...] = (..., *(slice(*pair) for pair in box.tolist()))
        region[index] = True
    return region
