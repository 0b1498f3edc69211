"""The kernel of the calibration, against a choice of planes in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smalldata_ana.detector.calibration_kernels import calibrate

DATA_MASK, GAIN_BITS = 0x3FFF, 0xC000
PLANE_OF_BITS = np.array([0, 1, -1, 2], np.int8)
PIXELS = 3 * 16384 + 77
"""Several blocks, the last of which is not full."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def constants(rng: np.random.Generator) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    pedestal = rng.normal(3000, 100, (3, PIXELS)).astype(np.float32)
    factor = rng.normal(1, 0.1, (3, PIXELS)).astype(np.float32)
    return pedestal, factor


def expected(
    words: npt.NDArray[Any], pedestal: npt.NDArray[Any], factor: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    plane = PLANE_OF_BITS[words >> 14]
    data = (words & DATA_MASK).astype(np.float32)
    by_plane = (data - pedestal) * factor
    chosen = np.take_along_axis(by_plane, np.maximum(plane, 0)[np.newaxis], 0)[0]
    return np.where(plane >= 0, chosen, np.float32(0))


def check(words: npt.NDArray[Any], rng: np.random.Generator) -> None:
    pedestal, factor = constants(rng)
    out = np.full(PIXELS, np.nan, np.float32)
    calibrate(words, DATA_MASK, GAIN_BITS, PLANE_OF_BITS, pedestal, factor, out)
    np.testing.assert_allclose(out, expected(words, pedestal, factor), rtol=1e-6)


@pytest.mark.parametrize("share", [0, 1e-4, 1e-3, 0.007, 0.03, 0.5, 1])
@pytest.mark.parametrize("usual", range(4))
@pytest.mark.parametrize("other", range(4))
def test_any_share_of_pixels_in_another_stage(
    rng: np.random.Generator, share: float, usual: int, other: int
) -> None:
    bits = np.where(rng.random(PIXELS) < share, other, usual).astype(np.uint16)
    data = rng.integers(0, DATA_MASK, PIXELS, np.uint16, endpoint=True)
    check((data | (bits << 14)).astype(np.uint16), rng)


def test_all_stages_in_bunches(rng: np.random.Generator) -> None:
    bits = np.repeat(rng.integers(0, 4, PIXELS // 100 + 1), 100)[:PIXELS]
    data = rng.integers(0, DATA_MASK, PIXELS, np.uint16, endpoint=True)
    check((data | (bits << 14)).astype(np.uint16), rng)


@pytest.mark.parametrize("count", [127, 128, 129, 256])
@pytest.mark.parametrize("place", [0, 16384 - 300])
def test_the_number_to_which_pixels_are_done_one_by_one(
    rng: np.random.Generator, count: int, place: int
) -> None:
    words = rng.integers(0, DATA_MASK, PIXELS, np.uint16, endpoint=True)
    words[place : place + count] |= np.uint16(1 << 14)
    check(words, rng)


def test_one_plane_for_all_bits(rng: np.random.Generator) -> None:
    words = rng.integers(0, 0xFFFF, PIXELS, np.uint16, endpoint=True)
    pedestal, factor = constants(rng)
    out = np.empty(PIXELS, np.float32)
    table = np.zeros(4, np.int8)
    calibrate(words, 0xFFFF, 0, table, pedestal[:1], factor[:1], out)
    np.testing.assert_allclose(out, (words - pedestal[0]) * factor[0], rtol=1e-6)
