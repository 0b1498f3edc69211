"""Common modes 46 on an epix100 and 7 on a jungfrau4M, against numpy and psana."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.detector import common_mode
from smalldata_ana.detector.common_mode import Bits, Level
from smalldata_ana.sources.psana2.mended import psana

ROUNDS = 7
NOISE = 3.0
LIT = 0.01
"""Share of the pixels with a photon."""
BAD = 0.002
"""Share of the pixels that are bad."""

_EPIX100, _EPIX100_BANKS = (1, 704, 768), (2, 8)
_JUNGFRAU4M, _JUNGFRAU_BANKS = (8, 512, 1024), (2, 16)
_HOW = f"""\
Images in ADU that are in memory: noise of {NOISE:g} ADU, photons in {LIT:.0%} of the
pixels, {BAD:.1%} bad ones; one thread, {ROUNDS} rounds. *46*: mean, columns and rows
without signal and its neighbours; against the same with `numpy.ma.median` of columns
and rows in each bank. *7*: rows and columns, against psana's
`UtilsCommonMode.common_mode_apply` on each panel. The copy of the image that is then
corrected is part of all of them."""


def run() -> Topic:
    """Measure."""
    psana()
    from psana.detector import UtilsCommonMode

    rng = np.random.default_rng(5)
    epix100, good_epix100 = _image(rng, _EPIX100)
    jungfrau, good_jungfrau = _image(rng, _JUNGFRAU4M)
    noise = np.full(_EPIX100, NOISE, np.float32)
    both = Bits.ROWS | Bits.COLUMNS
    ours_46 = partial(
        common_mode.neighbour_exclusion,
        epix100,
        good_epix100,
        noise,
        banks=_EPIX100_BANKS,
        level=Level.MEAN,
    )
    ours_7 = partial(
        common_mode.psana_medians,
        jungfrau,
        good_jungfrau,
        banks=_JUNGFRAU_BANKS,
        bits=both,
        limit=10,
    )
    theirs = partial(_psana, UtilsCommonMode, jungfrau, good_jungfrau)
    assert np.abs(ours_7() - theirs()).max() < 1e-5
    assert (
        np.abs(ours_46()[0] - _numpy(epix100[0], good_epix100[0], noise[0])).max()
        < 1e-3
    )
    times = in_turn(
        {
            "46": ours_46,
            "numpy": partial(_numpy, epix100[0], good_epix100[0], noise[0]),
            "7": ours_7,
            "psana": theirs,
            "copy": jungfrau.copy,
        },
        ROUNDS,
    )
    return Topic(
        "Common mode",
        _HOW,
        [
            _per_event("46, epix100", times["46"]),
            _per_event("`numpy.ma.median` per bank, epix100", times["numpy"]),
            _per_event("7, jungfrau4M", times["7"]),
            _per_event("psana's, jungfrau4M", times["psana"]),
            _per_event("copy of the image, jungfrau4M", times["copy"]),
            at_least("`numpy.ma.median` / 46", ratio(times["numpy"], times["46"]), 8),
            at_least("psana / 7", ratio(times["psana"], times["7"]), 8),
        ],
    )


def _image(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, Any]:
    image = rng.normal(2, NOISE, shape).astype(np.float32)
    image[rng.random(shape) < LIT] += 100
    return image, rng.random(shape) >= BAD


def _per_event(what: str, times: list[float]) -> Row:
    return Row(what, f"{1e3 * statistics.median(times):.2f} ms per event")


def _numpy(panel: np.ndarray, good: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Do 46 in numpy: the mean, then masked medians of columns and rows in banks."""
    signal = np.pad(panel >= 10 * noise, 1)
    bad = signal[1:-1, 1:-1] | signal[:-2, 1:-1] | signal[2:, 1:-1]
    bad |= signal[1:-1, :-2] | signal[1:-1, 2:] | (np.abs(panel) > 30) | ~good
    image = panel - panel[~bad].mean()
    rows, columns = (n // b for n, b in zip(panel.shape, _EPIX100_BANKS, strict=True))
    for axis in (0, 1):
        for r in range(0, panel.shape[0], rows):
            for c in range(0, panel.shape[1], columns):
                bank = image[r : r + rows, c : c + columns]
                masked = np.ma.array(bank, mask=bad[r : r + rows, c : c + columns])
                median = np.ma.median(masked, axis=axis).filled(0)
                bank -= np.expand_dims(median, axis)
    return image


def _psana(utils: Any, image: np.ndarray, good: np.ndarray) -> np.ndarray:
    corrected, mask = image.copy(), good.astype(np.uint8)
    pars = (7, int(Bits.ROWS | Bits.COLUMNS), 10, 10)
    utils.common_mode_apply(corrected, mask, pars, _JUNGFRAU_BANKS)
    return corrected
