"""Masked autocorrelation of a speckle pattern, and scipy's `fftconvolve`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.ana_funcs.autocorrelation import Autocorrelation
from smalldata_ana.detector.protocol import Kept

SHAPE = (500, 500)
LAG = 50
ROUNDS = 15
_BAD = 0.01

_HOW = f"""\
Speckle of {SHAPE[0]} x {SHAPE[1]} pixels in float32, {100 * _BAD:g} % of them masked,
lags up to ±{LAG}, {ROUNDS} rounds, one thread. *Autocorrelation*: `process`, all of it.
*Same padding*: the normalised correlation from the three products of `fftconvolve`
(the image with itself, with the mask, and the mask with itself), its steps in its
float64, padded to the size plus the largest lag. *fftconvolve*: the same from the
function itself, which pads to twice the size. All give the same numbers. *One
fftconvolve*: the image with itself only, in float32, without a mask."""

Image = np.ndarray
Convolution = Callable[[Image, Image], Image]


def run() -> Topic:
    """Measure, with images of smoothed random numbers."""
    rng = np.random.default_rng(1)
    good = rng.random(SHAPE) >= _BAD
    images = [_speckle(rng) for _ in range(4)]
    func = Autocorrelation(save_range=(LAG, LAG))
    func.attach(_detector(good))
    things: dict[str, Callable[[Image], Any]] = {
        "ours": func.process,
        "same": lambda image: _normalised(image, good, _short_correlation),
        "full": lambda image: _normalised(image, good, _full_correlation),
        "one": lambda image: fftconvolve(image, image[::-1, ::-1]),
    }
    _check_equal(images[0], things)
    times = in_turn(
        {
            name: lambda thing=thing: [thing(image) for image in images]
            for name, thing in things.items()
        },
        ROUNDS,
    )
    names = {
        "ours": "Autocorrelation",
        "same": "same padding",
        "full": "fftconvolve",
        "one": "one fftconvolve",
    }
    ours = times["ours"]
    return Topic(
        "Autocorrelation",
        _HOW,
        [
            *(
                Row(
                    what, f"{1e3 * statistics.median(times[name]) / len(images):.1f} ms"
                )
                for name, what in names.items()
            ),
            at_least("same padding / Autocorrelation", ratio(times["same"], ours), 4),
            Row("fftconvolve / Autocorrelation", f"{ratio(times['full'], ours):.1f}"),
            Row(
                "one fftconvolve / Autocorrelation", f"{ratio(times['one'], ours):.1f}"
            ),
        ],
    )


def _detector(good: Image) -> Any:
    return SimpleNamespace(
        name="epix100", shape=SHAPE, good=good, unit="keV", shared=Kept()
    )


def _speckle(rng: np.random.Generator) -> Image:
    field = gaussian_filter(rng.normal(size=(2, *SHAPE)), (0, 2, 2))
    return (1e3 * (field**2).sum(axis=0)).astype(np.float32)


def _normalised(image: Image, good: Image, correlation: Convolution) -> Image:
    mask = good.astype(np.float64)
    kept = image * mask
    squares, ahead, pairs = (
        correlation(kept, kept),
        correlation(kept, mask),
        correlation(mask, mask),
    )
    return squares * pairs / (ahead * ahead[::-1, ::-1])


def _short_correlation(first: Image, second: Image) -> Image:
    """Do what `fftconvolve` does, with room for the lags that are wanted only."""
    size = [scipy.fft.next_fast_len(n + LAG, real=True) for n in SHAPE]
    ahead = scipy.fft.rfft2(first, size)
    behind = scipy.fft.rfft2(second, size)
    whole = scipy.fft.irfft2(np.conj(ahead) * behind, size)
    return np.roll(whole, (LAG, LAG), axis=(0, 1))[: 2 * LAG + 1, : 2 * LAG + 1]


def _full_correlation(first: Image, second: Image) -> Image:
    whole = fftconvolve(second, first[::-1, ::-1])
    row, column = (n - 1 - LAG for n in SHAPE)
    return whole[row : row + 2 * LAG + 1, column : column + 2 * LAG + 1]


def _check_equal(image: Image, things: dict[str, Callable[[Image], Any]]) -> None:
    ours = things["ours"](image)["autocorr"]
    for name in ("same", "full"):
        np.testing.assert_allclose(ours, things[name](image), rtol=1e-5)
