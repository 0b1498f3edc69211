"""Kernels that find droplets: groups of touching pixels with signal.

One vectorized pass over the image lists the pixels above the lower threshold; all
that follows touches these only.  Which of them are neighbours is looked up in a map
of the detector that holds the place of a pixel in the list, or 0: the list begins
with an entry that belongs to no pixel, so that a missing neighbour is no special
case.  The map has an empty line above, between and below the panels and an empty
column before each line: a pixel at an edge is no special case either, and panels are
never joined.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Values = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Sums = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Number = Any
"""A number whose type is in the signature of the kernel."""

_types: Any = types
"""The same: numba's types of tuples have no annotations."""

_BLOCK = 32
"""So many pixels are tested at once."""

_IMAGE = types.Array(types.float32, 1, "C", readonly=True)
_LIST = types.Array(types.int32, 1, "C")
_VALUES = types.Array(types.float32, 1, "C")
_SUMS = types.Array(types.float64, 1, "C")
_COUNTS = types.Array(types.int64, 1, "C")
_FLAGS = types.Array(types.boolean, 1, "C")


class Scratch(NamedTuple):
    """Arrays that the kernels work in; one event at a time.

    Attributes
    ----------
    pixel : flat indices of the pixels in the list
    line : their rows, counted over all panels
    strong : whether they reach the higher threshold
    used : whether they belong to a droplet
    root : another pixel of the same droplet, or the pixel itself
    label : the number of the droplet, or -1
    place : the map; all 0 between events
    shift : how much later than in the image a pixel is in the map (all rows,)
    """

    pixel: Numbers
    line: Numbers
    strong: Flags
    used: Flags
    root: Numbers
    label: Numbers
    place: Numbers
    shift: Numbers

    @classmethod
    def of(cls, panels: int, rows: int, columns: int) -> Self:
        """Return new arrays for a detector."""
        size = panels * rows * columns + 2
        place, shift = new_map(panels, rows, columns)
        return cls(
            pixel=np.empty(size, np.int32),
            line=np.empty(size, np.int32),
            strong=np.zeros(size, np.bool_),
            used=np.zeros(size, np.bool_),
            root=np.empty(size, np.int32),
            label=np.empty(size, np.int32),
            place=place,
            shift=shift,
        )


def new_map(panels: int, rows: int, columns: int) -> tuple[Numbers, Numbers]:
    """Return a map of a detector that holds 0, and the shift of each row in it.

    A pixel is at its flat index in the image plus the shift of its row; its neighbours
    are one place and ``columns + 1`` places away.
    """
    line = np.arange(panels * rows)
    shift = line + (line // rows + 1) * (columns + 1) + 1
    size = (panels * (rows + 1) + 1) * (columns + 1) + 1
    return np.zeros(size, np.int32), shift.astype(np.int32)


_SCRATCH = _types.NamedTuple((*[_LIST] * 2, *[_FLAGS] * 2, *[_LIST] * 4), Scratch)
_SUMS_OF = _types.Tuple((_SUMS, _SUMS, _SUMS, _LIST))
_SIGNATURE = _types.Tuple(
    (types.int64, _SUMS, _SUMS, _SUMS, _LIST, _COUNTS, _LIST, _VALUES)
)(
    _SCRATCH,
    _IMAGE,
    _IMAGE,
    _types.UniTuple(types.float64, 3),
    _types.UniTuple(types.float64, 2),
    _types.UniTuple(types.int64, 2),
    types.boolean,
)


@njit(
    types.int64(_IMAGE, _IMAGE, types.float32, types.float32, types.int64, _LIST, _LIST)
)
def _list_pixels(
    image: Values,
    unit: Values,
    low: Number,
    most: Number,
    columns: int,
    pixel: Numbers,
    line: Numbers,
) -> int:
    """List the pixels from the lower threshold up to `most`; return where it ends."""
    count = 1
    for row in range(image.size // columns):
        for begin in range(row * columns, (row + 1) * columns, _BLOCK):
            end = min(begin + _BLOCK, (row + 1) * columns)
            values, units = image[begin:end], unit[begin:end]
            hits = np.int32(0)
            for i in range(values.size):
                hits += np.int32((values[i] >= low * units[i]) & (values[i] <= most))
            if hits == 0:
                continue
            for i in range(values.size):
                pixel[count] = begin + i
                line[count] = row
                count += (values[i] >= low * units[i]) & (values[i] <= most)
    return count


@njit(types.void(_SCRATCH, types.int64, _IMAGE, _IMAGE, types.float32, types.int64))
def _grow(
    s: Scratch, end: int, image: Values, unit: Values, high: Number, columns: int
) -> None:
    """Enter the list into the map; use strong pixels, and all that touch one."""
    for i in range(1, end):
        pixel = s.pixel[i]
        at = pixel + s.shift[s.line[i]]
        s.place[at] = i
        left, above = s.place[at - 1], s.place[at - columns - 1]
        strong = image[pixel] >= high * unit[pixel]
        s.strong[i] = strong
        s.used[i] = strong | s.strong[left] | s.strong[above]
        s.used[left] |= strong
        s.used[above] |= strong
    s.used[0] = False


@njit(types.int32(_LIST, types.int32))
def _find(root: Numbers, i: Number) -> Number:
    """Return the first pixel of the tree that a pixel is in; shorten the way."""
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


@njit(types.void(_SCRATCH, types.int64, types.int64, _FLAGS))
def _join(s: Scratch, end: int, columns: int, joins: Flags) -> None:
    """Join neighbours both of which have the flag `joins`."""
    for i in range(1, end):
        root = np.int32(i)
        if joins[i]:
            at = s.pixel[i] + s.shift[s.line[i]]
            left, above = s.place[at - 1], s.place[at - columns - 1]
            if joins[left]:
                root = _find(s.root, left)
            if joins[above]:
                other = _find(s.root, above)
                root, last = min(root, other), max(root, other)
                s.root[last] = root
        s.root[i] = root


@njit(types.int64(_SCRATCH, types.int64, _FLAGS))
def _number(s: Scratch, end: int, joins: Flags) -> int:
    """Give the droplets of joined pixels numbers; return how many there are.

    A root is before the pixels that it is the root of, and so has its number already.
    """
    droplets = 0
    for i in range(1, end):
        label = s.label[s.root[i]]
        if not joins[i]:
            label = -1
        elif s.root[i] == i:
            label = droplets
            droplets += 1
        s.label[i] = label
    return droplets


@njit(types.void(_SCRATCH, types.int64, _IMAGE, types.int64))
def _give(s: Scratch, end: int, image: Values, columns: int) -> None:
    """Give each weak pixel to the droplet of its brightest strong neighbour."""
    for i in range(1, end):
        if s.strong[i] or not s.used[i]:
            continue
        at = s.pixel[i] + s.shift[s.line[i]]
        best = np.float32(-np.inf)
        for step in (-columns - 1, -1, 1, columns + 1):
            other = s.place[at + step]
            if s.strong[other] and image[s.pixel[other]] > best:
                best = image[s.pixel[other]]
                s.label[i] = s.label[other]


@njit(types.void(_SCRATCH, types.int64))
def _clear(s: Scratch, end: int) -> None:
    for i in range(1, end):
        s.place[s.pixel[i] + s.shift[s.line[i]]] = 0


@njit(_SUMS_OF(_SCRATCH, types.int64, _IMAGE, types.int64, types.int64, types.int64))
def _sums(
    s: Scratch, end: int, image: Values, droplets: int, rows: int, columns: int
) -> tuple[Sums, Sums, Sums, Numbers]:
    """Return sums, centres of mass (row and column in the panel), numbers of pixels.

    Moments are about the first pixel of a droplet, so that where it is on the detector
    makes no difference.
    """
    total, line, column = np.zeros(droplets), np.zeros(droplets), np.zeros(droplets)
    npix = np.zeros(droplets, np.int32)
    first = np.empty(droplets, np.int64)
    for i in range(1, end):
        label = s.label[i]
        if label < 0:
            continue
        if npix[label] == 0:
            first[label] = i
        a = first[label]
        value, lines = np.float64(image[s.pixel[i]]), s.line[i] - s.line[a]
        total[label] += value
        line[label] += value * lines
        column[label] += value * (s.pixel[i] - s.pixel[a] - lines * columns)
        npix[label] += 1
    for label in range(droplets):
        a = first[label]
        line[label] = line[label] / total[label] + s.line[a] % rows
        begin = s.pixel[a] - np.int64(s.line[a]) * columns
        column[label] = column[label] / total[label] + begin
    return total, line, column, npix


@njit(_types.Tuple((_COUNTS, _LIST, _VALUES))(_SCRATCH, types.int64, _IMAGE, _LIST))
def _pixels(
    s: Scratch, end: int, image: Values, npix: Numbers
) -> tuple[Counts, Numbers, Values]:
    """Return the pixels by droplet: where those of each begin, which, their values.

    Droplets that `npix` gives no pixels have none, and so they are left out.
    """
    begin = np.zeros(npix.size + 1, np.int64)
    begin[1:] = np.cumsum(npix)
    pixel = np.empty(begin[-1], np.int32)
    value = np.empty(begin[-1], np.float32)
    filled = begin[:-1].copy()
    for i in range(1, end):
        label = s.label[i]
        if label >= 0 and npix[label] > 0:
            pixel[filled[label]] = s.pixel[i]
            value[filled[label]] = image[s.pixel[i]]
            filled[label] += 1
    return begin, pixel, value


@njit(_SIGNATURE)
def find_droplets(
    s: Scratch,
    image: Values,
    unit: Values,
    limits: tuple[float, float, float],
    within: tuple[float, float],
    shape: tuple[int, int],
    merge: bool,
) -> tuple[int, Sums, Sums, Sums, Numbers, Counts, Numbers, Values]:
    """Find the droplets of an image.

    Parameters
    ----------
    s : arrays to work in
    image : flat; what is not a number belongs to no droplet
    unit : of the thresholds, for each pixel; infinite where a pixel is not good
    limits : lower and higher threshold in `unit`, and the largest value of a pixel
    within : smallest and largest sum of a droplet
    shape : rows and columns of a panel
    merge : whether grown droplets that touch become one

    Returns
    -------
    How many there are, and of those within the limits: the sums, the centres of mass
    (row and column in the panel), the numbers of pixels, where the pixels
    of each begin, which they are, and their values.
    """
    low, high, most = limits
    rows, columns = shape
    end = _list_pixels(
        image, unit, np.float32(low), np.float32(most), columns, s.pixel, s.line
    )
    _grow(s, end, image, unit, np.float32(high), columns)
    joins = s.used if merge else s.strong
    _join(s, end, columns, joins)
    droplets = _number(s, end, joins)
    if not merge:
        _give(s, end, image, columns)
    _clear(s, end)
    total, line, column, npix = _sums(s, end, image, droplets, rows, columns)
    inside = (total >= within[0]) & (total <= within[1])
    npix[~inside] = 0
    begin, pixel, value = _pixels(s, end, image, npix)
    begin = np.append(begin[:-1][inside], begin[-1])
    total, line, column, npix = (
        total[inside],
        line[inside],
        column[inside],
        npix[inside],
    )
    return droplets, total, line, column, npix, begin, pixel, value
