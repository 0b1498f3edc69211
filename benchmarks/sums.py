"""Sums over the events of an epix10k2M: one pass for all of them, against numpy."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.shots import Shot
from smalldata_ana.detector.sums import Sums

SHAPE = (16, 352, 384)
KEYS = (
    "calib",
    "calib_thresADU2",
    "calib_square",
    "calib_max",
    "calib_thresADU2_nhits",
)
ROUNDS = 15
_PRELOADED = 4

_HOW = f"""\
Calibrated images of an epix10k2M {SHAPE} in memory, one thread, {ROUNDS} rounds over
{_PRELOADED} images; the sums {", ".join(f"`{key}`" for key in KEYS)}, in float64.
*numpy* does one array operation per step: copy, threshold, count or square, accumulate.
Both give the same numbers."""

Step = Callable[[np.ndarray], np.ndarray]


def run() -> Topic:
    """Measure, with images of random numbers."""
    rng = np.random.default_rng(1)
    images = [rng.normal(0, 3, SHAPE).astype(np.float32) for _ in range(_PRELOADED)]
    sums = _defined()
    totals = _empty_totals()
    _check_equal(images)
    times = in_turn(
        {
            "kernel": lambda: _add(sums, images),
            "numpy": lambda: _add_with_numpy(totals, images),
        },
        ROUNDS,
    )
    return Topic(
        "Sums over events",
        _HOW,
        [
            _per_event("`processSums` of 5 sums", times["kernel"]),
            _per_event("numpy", times["numpy"]),
            at_least(
                "numpy / `processSums`", ratio(times["numpy"], times["kernel"]), 3
            ),
        ],
    )


def _per_event(what: str, times: Sequence[float]) -> Row:
    return Row(what, f"{1e3 * statistics.median(times) / _PRELOADED:.2f} ms per event")


def _defined() -> Sums:
    sums = Sums(SHAPE, lambda: ImageGeometry.from_positions(None, SHAPE))
    for key in KEYS:
        sums.define(key)
    return sums


def _add(sums: Sums, images: Sequence[np.ndarray]) -> None:
    for number, image in enumerate(images):
        sums.add(image, Shot(number))


def _above(image: np.ndarray) -> np.ndarray:
    """Return a copy with 0 below the threshold."""
    kept = image.copy()
    kept[kept < 2] = 0
    return kept


def _hits(image: np.ndarray) -> np.ndarray:
    kept = _above(image)
    kept[kept > 0] = 1
    return kept


_STEPS: Mapping[str, Step] = {
    "calib": lambda image: image,
    "calib_thresADU2": _above,
    "calib_square": lambda image: np.square(image, dtype=np.float64),
    "calib_max": lambda image: image,
    "calib_thresADU2_nhits": _hits,
}


def _empty_totals() -> dict[str, np.ndarray]:
    return {key: np.full(SHAPE, -np.inf if "max" in key else 0.0) for key in KEYS}


def _add_with_numpy(
    totals: Mapping[str, np.ndarray], images: Sequence[np.ndarray]
) -> None:
    for image in images:
        for key, total in totals.items():
            accumulate = np.maximum if "max" in key else np.add
            accumulate(total, _STEPS[key](image), out=total)


def _check_equal(images: Sequence[np.ndarray]) -> None:
    sums, totals = _defined(), _empty_totals()
    _add(sums, images)
    _add_with_numpy(totals, images)
    for key, total in totals.items():
        np.testing.assert_allclose(sums[key], total, rtol=1e-12)
