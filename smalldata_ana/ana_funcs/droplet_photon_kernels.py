"""Kernels that place the photons of droplets, on the pixels of each droplet only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

Number = Any
"""A number whose type is in the signature of the kernel."""

_types: Any = types
"""The same: numba's types of tuples have no annotations."""

_NUMBERS = types.Array(types.int32, 1, "C")
_KNOWN = types.Array(types.int32, 1, "C", readonly=True)
_COUNTS = types.Array(types.int64, 1, "C", readonly=True)
_VALUES = types.Array(types.float32, 1, "C", readonly=True)
_FLOATS = types.Array(types.float64, 1, "C")
_CENTRES = types.Array(types.float64, 1, "C", readonly=True)
_PHOTONS = _types.Tuple((_FLOATS, _FLOATS, _NUMBERS))
_MAP = _types.Tuple((_NUMBERS, _KNOWN))
_WORK = _types.Tuple((_NUMBERS, types.Array(types.float64, 2, "C")))


@njit(types.void(_NUMBERS, _FLOATS, types.int64, types.int64))
def _sift(heap: Numbers, key: Floats, at: int, size: int) -> None:
    """Let an entry sink to its place; of equal keys the smaller index is above."""
    entry = heap[at]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size:
            a, b = heap[child], heap[child + 1]
            if key[b] > key[a] or (key[b] == key[a] and b < a):
                child += 1
        below = heap[child]
        if key[entry] > key[below] or (key[entry] == key[below] and entry < below):
            break
        heap[at] = below
        at = child
    heap[at] = entry


@njit(types.int32(_NUMBERS, _FLOATS, _FLOATS, types.int64))
def _largest(heap: Numbers, key: Floats, rest: Floats, size: int) -> int:
    """Return the entry with the largest rest; keys are rests before they shrank."""
    top = heap[0]
    while key[top] != rest[top]:
        key[top] = rest[top]
        _sift(heap, key, 0, size)
        top = heap[0]
    return int(top)


@njit(
    types.int64(_PHOTONS, types.int64, types.int64, *[types.float64] * 2, types.int32)
)
def _put(
    photons: tuple[Floats, Floats, Numbers],
    at: int,
    count: int,
    line: float,
    column: float,
    pixel: Number,
) -> int:
    """Enter a number of photons at one position; return where the next ones go."""
    lines, columns, pixels = photons
    for i in range(at, at + count):
        lines[i], columns[i], pixels[i] = line, column, pixel
    return at + count


@njit(types.int64(_FLOATS, _FLOATS, _NUMBERS, types.int64, types.int64))
def _direction(rest: Floats, value: Floats, place: Numbers, at: int, width: int) -> int:
    """Return the step in the map to the neighbour with the most left.

    Of equal ones it is the one that was brightest, then the right, left, lower, upper.
    """
    best, most, brightest = 0, -1.0, 0.0
    for step in (1, -1, width, -width):
        other = place[at + step] - 1
        if other < 0 or rest[other] < most:
            continue
        if rest[other] > most or value[other] > brightest:
            best, most, brightest = step, rest[other], value[other]
    return best


@njit(
    types.int64(
        _PHOTONS,
        *(types.int64, types.int32),
        *(_FLOATS, _FLOATS, _KNOWN, _MAP),
        *(types.int64, types.int64),
    )
)
def _put_shared(
    photons: tuple[Floats, Floats, Numbers],
    at: int,
    top: int,
    rest: Floats,
    value: Floats,
    pixel: Numbers,
    map_: tuple[Numbers, Numbers],
    above: int,
    columns: int,
) -> int:
    """Place a photon between a pixel and the neighbour with the most left.

    What the pixel lacks is taken from the neighbour, and moves the photon towards it.
    A neighbour that gave a whole photon before may have no longer what is lacking; what
    the pixel has is nevertheless the edge of a photon there.
    """
    place, shift = map_
    holder = pixel[top]
    line = holder // columns
    row, column = float(line - above), float(holder - line * columns)
    step = _direction(rest, value, place, holder + shift[line], columns + 1)
    if step != 0:
        other = place[holder + shift[line] + step] - 1
        lacking = 1 - rest[top]
        taken = min(lacking, rest[other])
        rest[other] -= taken
        moved = taken if value[other] < 1 else lacking
        if moved > 0.5:
            holder = pixel[other]
        if step < 0:
            moved = -moved
        if abs(step) == 1:
            column += moved
        else:
            row += moved
    rest[top] = 0.0
    return _put(photons, at, 1, row, column, holder)


@njit(
    types.int64(
        _PHOTONS,
        *(types.int64, types.int64),
        *(_WORK, _KNOWN, _MAP),
        *(types.int64, types.int64),
    )
)
def _split(
    photons: tuple[Floats, Floats, Numbers],
    at: int,
    count: int,
    work: tuple[Numbers, Floats],
    pixel: Numbers,
    map_: tuple[Numbers, Numbers],
    above: int,
    columns: int,
) -> int:
    """Place the photons of one droplet; return where the next ones go.

    Parameters
    ----------
    photons : all positions: row and column in the panel, pixel
    at : where the first goes
    count : how many there are
    work : integers, and rows of floats, with room for the pixels of the droplet; the
        first row holds their values, in photons
    pixel : flat indices of these pixels
    map_ : a map of the detector, all 0, and its shifts; see `droplet_kernels.new_map`
    above : rows of the panels before that of the droplet
    columns : of a panel
    """
    place, shift = map_
    value = work[1][0]
    heap, rest, key = work[0][: pixel.size], work[1][1], work[1][2]
    for i in range(pixel.size):
        line = pixel[i] // columns
        place[pixel[i] + shift[line]] = i + 1
        whole = min(int(value[i]), count)
        column = pixel[i] - line * columns
        at = _put(photons, at, whole, line - above, column, pixel[i])
        count -= whole
        rest[i] = value[i] - np.floor(value[i])
        heap[i], key[i] = i, rest[i]
    for i in range(pixel.size // 2 - 1, -1, -1):
        _sift(heap, key, i, pixel.size)
    for _ in range(count):
        top = _largest(heap, key, rest, pixel.size)
        at = _put_shared(photons, at, top, rest, value, pixel, map_, above, columns)
    for i in range(pixel.size):
        place[pixel[i] + shift[pixel[i] // columns]] = 0
    return at


@njit(
    _PHOTONS(
        *(_COUNTS, _COUNTS, _KNOWN, _VALUES, _CENTRES, _CENTRES),
        *(types.float64, _MAP, _types.UniTuple(types.int64, 2)),
    )
)
def place_photons(
    number: Counts,
    begin: Counts,
    pixel: Numbers,
    value: Values,
    row: Floats,
    column: Floats,
    one: float,
    map_: tuple[Numbers, Numbers],
    shape: tuple[int, int],
) -> tuple[Floats, Floats, Numbers]:
    """Place the photons of all droplets, in the order of the droplets.

    Parameters
    ----------
    number : of photons in each droplet
    begin, pixel, value : the pixels of each droplet, as in `Droplets`
    row, column : centres of mass, in the panel
    one : what one photon deposits
    map_ : a map of the detector, all 0, and its shifts; see `droplet_kernels.new_map`
    shape : rows and columns of a panel

    Returns
    -------
    Rows and columns in the panel, and the pixels that hold them.
    """
    rows, columns = shape
    total = number.sum()
    photons = np.empty(total), np.empty(total), np.empty(total, np.int32)
    most = np.diff(begin).max() if number.size else 0
    work = np.empty(most, np.int32), np.empty((3, most))
    at = 0
    for i in range(number.size):
        if number[i] == 0:
            continue
        above = pixel[begin[i]] // columns // rows * rows
        if number[i] == 1:
            line = above + np.floor(row[i] + 0.5)
            nearest = np.int32(line * columns + np.floor(column[i] + 0.5))
            at = _put(photons, at, 1, row[i], column[i], nearest)
        elif begin[i + 1] == begin[i] + 1:
            only = pixel[begin[i]]
            at = _put(photons, at, number[i], row[i], column[i], only)
        else:
            for j in range(begin[i], begin[i + 1]):
                work[1][0, j - begin[i]] = value[j] / one
            own = pixel[begin[i] : begin[i + 1]]
            at = _split(photons, at, number[i], work, own, map_, above, columns)
    return photons


@njit(_types.Tuple((_NUMBERS, _NUMBERS))(_KNOWN, _NUMBERS))
def count_by_pixel(pixel: Numbers, counter: Numbers) -> tuple[Numbers, Numbers]:
    """Return the pixels that hold photons, and how many each holds.

    Parameters
    ----------
    pixel : of each photon
    counter : for each pixel, all 0; it is all 0 again at the end
    """
    first = np.empty(pixel.size, np.int32)
    found = 0
    for i in range(pixel.size):
        first[found] = pixel[i]
        found += counter[pixel[i]] == 0
        counter[pixel[i]] += 1
    occupied = first[:found].copy()
    counts = np.empty(found, np.int32)
    for i in range(found):
        counts[i] = counter[occupied[i]]
        counter[occupied[i]] = 0
    return occupied, counts
