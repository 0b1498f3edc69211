"""Kernels that turn raw words with gain bits into calibrated values.

Most pixels of a block are in one gain stage.  The loops over a block are therefore
without branches, so that they are vectorized, each with one plane of constants, and
planes that a block does not use are skipped.  A few pixels in other stages are
corrected one by one afterwards.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Words = npt.NDArray[np.uint16]
Values = npt.NDArray[np.float32]

_BLOCK = 16384
"""Pixels that are calibrated at a time; with their constants they fit a core's cache.

Smaller blocks would read the rarer planes in pieces, each of which is waited for.
"""

_FEW = _BLOCK // 128
"""Up to so many pixels of a block are corrected one by one.

Each costs about as much memory traffic as sixteen pixels of a whole plane.
"""

_GROUP = 128
"""Pixels that are searched for other gain bits at a time."""

_SMALL_BLOCK = 256
"""The same as `_BLOCK` where the pixels of a mixed block are done one by one."""

_BITS_SHIFT = 14

_WORDS = types.Array(types.uint16, 1, "C", readonly=True)
_TABLE = types.Array(types.int8, 1, "C", readonly=True)
_PLANE = types.Array(types.float32, 1, "C", readonly=True)
_PLANES = types.Array(types.float32, 2, "C", readonly=True)
_OUT = types.Array(types.float32, 1, "C")
_PLACES = types.Array(types.int64, 1, "C")
_PARTS = types.Array(types.boolean, 2, "C", readonly=True)
_USE = types.Array(types.boolean, 1, "C")


@njit("UniTuple(uint16, 2)(Array(uint16, 1, 'C', readonly=True))")
def _bits_in(words: Words) -> tuple[np.uint16, np.uint16]:
    """Return the bits that any word has, and those that all words have."""
    some = np.uint16(0)
    every = np.uint16(0xFFFF)
    for i in range(words.size):
        some = np.uint16(some | words[i])
        every = np.uint16(every & words[i])
    return some, every


@njit(types.void(_WORDS, types.uint16, _PLANE, _PLANE, _OUT))
def _fill(
    words: Words, data_mask: int, pedestal: Values, factor: Values, out: Values
) -> None:
    """Calibrate all pixels of a block with one plane."""
    for i in range(words.size):
        out[i] = (np.float32(words[i] & data_mask) - pedestal[i]) * factor[i]


@njit(
    types.void(_WORDS, types.uint16, types.uint16, types.uint16, _PLANE, _PLANE, _OUT)
)
def _fill_some(
    words: Words,
    data_mask: int,
    gain_bits: int,
    bits: np.uint16,
    pedestal: Values,
    factor: Values,
    out: Values,
) -> None:
    """Calibrate those pixels of a block whose gain bits are `bits`."""
    for i in range(words.size):
        value = (np.float32(words[i] & data_mask) - pedestal[i]) * factor[i]
        out[i] = value if np.uint16(words[i] & gain_bits) == bits else out[i]


@njit(types.int64(_WORDS, types.uint16, types.uint16, _PLACES))
def _find_others(
    words: Words, gain_bits: int, usual: np.uint16, places: npt.NDArray[np.int64]
) -> np.int64:
    """Find the pixels of a block whose gain bits are not the usual ones.

    Parameters
    ----------
    words, gain_bits : as in `calibrate`
    usual : the usual bits
    places : (`_FEW` + `_GROUP` + 1,), filled with the places in the block

    Returns
    -------
    Their number; at more than `_FEW` the search ends, and it is only a part.
    """
    found = np.uint64(0)
    # Unsigned indices: no check for negative ones, which count from the end.
    for begin in range(np.uint64(0), np.uint64(words.size), np.uint64(_GROUP)):
        end = min(begin + np.uint64(_GROUP), np.uint64(words.size))
        different = np.uint16(0)
        for i in range(begin, end):
            bits = np.uint16(words[i] & gain_bits)
            different = np.uint16(different | np.uint16(bits ^ usual))
        if not different:
            continue
        for i in range(begin, end):
            places[found] = i
            found += np.uint64(np.uint16(words[i] & gain_bits) != usual)
        if found > _FEW:
            break
    return np.int64(found)


@njit(
    types.void(
        _WORDS,
        types.uint16,
        types.uint16,
        _TABLE,
        _PLANES,
        _PLANES,
        _PLACES,
        types.int64,
        _OUT,
    )
)
def _fill_places(
    words: Words,
    data_mask: int,
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    pedestal: Values,
    factor: Values,
    places: npt.NDArray[np.int64],
    begin: int,
    out: Values,
) -> None:
    """Calibrate the pixels at some places after `begin`; the rest as `calibrate`."""
    for place in places:
        i = np.uint64(begin + place)
        plane = plane_of_bits[np.uint16(words[i] & gain_bits) >> _BITS_SHIFT]
        out[i] = 0
        if plane >= 0:
            value = np.float32(words[i] & data_mask) - pedestal[plane, i]
            out[i] = value * factor[plane, i]


@njit(types.void(_WORDS, types.uint16, types.uint16, _TABLE, _PLANES, _PLANES, _OUT))
def calibrate(
    words: Words,
    data_mask: int,
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    pedestal: Values,
    factor: Values,
    out: Values,
) -> None:
    """Fill `out` with ``(data - pedestal) * factor``, each pixel with its own plane.

    Parameters
    ----------
    words : (pixels,), raw words
    data_mask : the bits of a word that are data
    gain_bits : the bits, among the two highest, that choose the plane
    plane_of_bits : (4,), the plane for each value of the two highest bits after
        `gain_bits`; negative where a word is invalid, which gives 0
    pedestal, factor : (planes, pixels)
    out : (pixels,)
    """
    others = np.empty(_FEW + _GROUP + 1, np.int64)
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
        block = words[begin:end]
        target = out[begin:end]
        some, every = _bits_in(block)
        some &= gain_bits
        every &= gain_bits
        usual = plane_of_bits[every >> _BITS_SHIFT]
        count = 0 if some == every else _find_others(block, gain_bits, every, others)
        if usual >= 0 and count <= _FEW:
            _fill(
                block,
                data_mask,
                pedestal[usual, begin:end],
                factor[usual, begin:end],
                target,
            )
            _fill_places(
                words,
                data_mask,
                gain_bits,
                plane_of_bits,
                pedestal,
                factor,
                others[:count],
                begin,
                out,
            )
            continue
        target[:] = 0
        for value in range(plane_of_bits.size):
            bits = np.uint16(value << _BITS_SHIFT)
            plane = plane_of_bits[value]
            present = (bits & some) == bits and (bits & every) == every
            if plane >= 0 and present:
                _fill_some(
                    block,
                    data_mask,
                    gain_bits,
                    bits,
                    pedestal[plane, begin:end],
                    factor[plane, begin:end],
                    target,
                )


@njit(types.void(_WORDS, types.uint16, _OUT))
def data_bits(words: Words, data_mask: int, out: Values) -> None:
    """Fill `out` with the data bits of raw words; (pixels,) both."""
    for i in range(words.size):
        out[i] = words[i] & data_mask


@njit(
    types.void(
        _WORDS,
        types.uint16,
        types.uint16,
        _TABLE,
        _PLANES,
        _PARTS,
        _OUT,
        _USE,
    )
)
def subtract_pedestals(
    words: Words,
    data_mask: int,
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    pedestal: Values,
    part: npt.NDArray[np.bool_],
    out: Values,
    use: npt.NDArray[np.bool_],
) -> None:
    """Fill `out` with ``data - pedestal`` [ADU], and `use` with what takes part.

    Parameters
    ----------
    words, data_mask, gain_bits, plane_of_bits, pedestal, out : as in
        `calibrate`
    part : (planes, pixels); pixels that take part in the common mode, by plane
    use : (pixels,)
    """
    for begin in range(0, words.size, _SMALL_BLOCK):
        end = min(begin + _SMALL_BLOCK, words.size)
        some, every = _bits_in(words[begin:end])
        first = plane_of_bits[np.uint16(every & gain_bits) >> _BITS_SHIFT]
        if np.uint16((some ^ every) & gain_bits) == 0 and first >= 0:
            plane, flags = pedestal[first], part[first]
            for i in range(begin, end):
                out[i] = np.float32(words[i] & data_mask) - plane[i]
                use[i] = flags[i]
            continue
        for i in range(begin, end):
            at = plane_of_bits[np.uint16(words[i] & gain_bits) >> _BITS_SHIFT]
            out[i] = 0
            use[i] = False
            if at >= 0:
                out[i] = np.float32(words[i] & data_mask) - pedestal[at, i]
                use[i] = part[at, i]


@njit(types.void(_WORDS, types.uint16, _TABLE, _PLANES, _OUT))
def apply_factors(
    words: Words,
    gain_bits: int,
    plane_of_bits: npt.NDArray[np.int8],
    factor: Values,
    out: Values,
) -> None:
    """Multiply values with the factor of the plane of their word, in place.

    Parameters
    ----------
    words, gain_bits, plane_of_bits, factor, out : as in
        `calibrate`; invalid words give 0
    """
    for begin in range(0, words.size, _SMALL_BLOCK):
        end = min(begin + _SMALL_BLOCK, words.size)
        some, every = _bits_in(words[begin:end])
        first = plane_of_bits[np.uint16(every & gain_bits) >> _BITS_SHIFT]
        if np.uint16((some ^ every) & gain_bits) == 0 and first >= 0:
            plane = factor[first]
            for i in range(begin, end):
                out[i] *= plane[i]
            continue
        for i in range(begin, end):
            at = plane_of_bits[np.uint16(words[i] & gain_bits) >> _BITS_SHIFT]
            out[i] = out[i] * factor[at, i] if at >= 0 else np.float32(0)
