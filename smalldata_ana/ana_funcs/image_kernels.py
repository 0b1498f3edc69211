"""Kernel that draws frames as assembled images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Indices = npt.NDArray[np.int32]

UNUSED = -1
"""The target of a pixel that is not drawn."""

_INDICES = types.Array(types.int32, 1, "C", readonly=True)
_IMAGE = types.Array(types.float32, 1, "C")

_SIGNATURES = [
    types.void(
        types.Array(value, 1, "C", readonly=True),
        _INDICES,
        _INDICES,
        _INDICES,
        types.boolean,
        _IMAGE,
    )
    for value in (types.float32, types.float64)
]


@njit(_SIGNATURES)
def draw(
    frame: npt.NDArray[Any],
    target: Indices,
    together: Indices,
    place: Indices,
    mean: bool,
    image: npt.NDArray[np.float32],
) -> None:
    """Draw a frame as an image.

    Parameters
    ----------
    frame : (pixels,)
    target : the pixel of the image that each of them falls into, or `UNUSED`
    together : pixels of the frame that share one of the image, those of one place after
        another
    place : the pixel of the image that each of them falls into
    mean : whether shared pixels have the mean, or else the sum
    image : is filled; NaN where there is no finite pixel
    """
    # Along the frame: panels may be turned, and to write apart is faster than to read.
    image[:] = np.nan
    for k in range(frame.size):
        if target[k] != UNUSED and abs(frame[k]) < np.inf:
            image[target[k]] = frame[k]
    i = 0
    while i < together.size:
        where, total, count = place[i], 0.0, 0
        while i < together.size and place[i] == where:
            value = frame[together[i]]
            if abs(value) < np.inf:
                total += value
                count += 1
            i += 1
        if count:
            image[where] = total / count if mean else total
        else:
            image[where] = np.nan
