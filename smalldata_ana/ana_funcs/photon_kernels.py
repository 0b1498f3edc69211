"""The kernel that counts photons in each pixel, without droplets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Image = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Number = Any
"""A number whose type is in the signature of the kernel."""

_MOST = np.float32(2**24)
"""Photons in a pixel; float32 cannot count more, and no detector does."""

_SEED = np.float32(0.5)
"""A photon leaves at least so much of its charge in one of two pixels."""

_FLAT = types.Array(types.float32, 1, "C", readonly=True)
_GOOD = types.Array(types.boolean, 1, "C", readonly=True)
_FILLED = types.Array(types.float32, 1, "C")
_PANEL = types.Array(types.float32, 2, "C")
_STACK = types.Array(types.float32, 3, "C")


@njit(types.void(_FLAT, _GOOD, *[types.float32] * 3, _FILLED, _FILLED))
def whole_photons(
    image: Image,
    good: Flags,
    one: Number,
    least: Number,
    enough: Number,
    photons: Image,
    rest: Image,
) -> None:
    """Split each pixel into whole photons and a fraction of one.

    Parameters
    ----------
    image, good : flat
    one : what one photon deposits
    least : pixels below it count as 0
    enough : so much of a photon is a whole one
    photons, rest : flat; they are filled
    """
    least = max(least, np.float32(0))
    for i in range(image.size):
        value = image[i] / one
        counts = good[i] & (image[i] >= least) & (value <= _MOST)
        value = value if counts else np.float32(0)
        whole = np.floor(value)
        fraction = value - whole
        photons[i] = whole + np.float32(fraction >= enough)
        rest[i] = fraction if fraction < enough else np.float32(0)


@njit(types.boolean(_PANEL, types.int64, types.int64))
def _is_seed(rest: Image, r: int, c: int) -> bool:
    """Tell if no neighbour has more; of equal ones the first is the seed.

    What is used up is negative, and counts here as before.
    """
    rows, columns = rest.shape
    own = rest[r, c]
    return not (
        (c > 0 and abs(rest[r, c - 1]) >= own)
        or (r > 0 and abs(rest[r - 1, c]) >= own)
        or (c + 1 < columns and abs(rest[r, c + 1]) > own)
        or (r + 1 < rows and abs(rest[r + 1, c]) > own)
    )


@njit(types.void(_STACK, _STACK, types.float32))
def join_fractions(photons: Image, rest: Image, enough: Number) -> None:
    """Add a photon to each pixel that makes one with its largest neighbour.

    Parameters
    ----------
    photons : whole photons (panels, rows, columns); they are added to
    rest : fractions of a photon; those that are used up become negative
    enough : so much of a photon is a whole one
    """
    panels, rows, columns = rest.shape
    for p in range(panels):
        panel = rest[p]
        for r in range(rows):
            for c in range(columns):
                if panel[r, c] < _SEED or not _is_seed(panel, r, c):
                    continue
                most, row, column = np.float32(0), r, c
                for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                    i, j = r + down, c + right
                    if 0 <= i < rows and 0 <= j < columns and panel[i, j] > most:
                        most, row, column = panel[i, j], i, j
                if panel[r, c] + most >= enough:
                    photons[p, r, c] += 1
                    panel[r, c] = -panel[r, c]
                    panel[row, column] = -abs(panel[row, column])
