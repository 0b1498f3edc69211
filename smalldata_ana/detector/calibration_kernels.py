"""Kernels that turn raw words with gain bits into calibrated values.

A block of 256 pixels is mostly in one gain stage.  Each loop below is therefore
without branches, so that it is vectorized, and runs over one block for one plane of
constants; planes that a block does not use are skipped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from smalldata_ana.kernels import njit

Words = npt.NDArray[np.uint16]
Values = npt.NDArray[np.float32]

_BLOCK = 256
_BITS_SHIFT = 14

_WORDS = types.Array(types.uint16, 1, "C", readonly=True)
_TABLE = types.Array(types.int8, 1, "C", readonly=True)
_PLANE = types.Array(types.float32, 1, "C", readonly=True)
_PLANES = types.Array(types.float32, 2, "C", readonly=True)
_OUT = types.Array(types.float32, 1, "C")
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
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
        block = words[begin:end]
        target = out[begin:end]
        some, every = _bits_in(block)
        some &= gain_bits
        every &= gain_bits
        first = plane_of_bits[every >> _BITS_SHIFT]
        if some == every and first >= 0:
            _fill(
                block,
                data_mask,
                pedestal[first, begin:end],
                factor[first, begin:end],
                target,
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
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
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
    for begin in range(0, words.size, _BLOCK):
        end = min(begin + _BLOCK, words.size)
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
