"""A region with two projections, and the same with numpy's masked arrays."""

from __future__ import annotations

import statistics
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.ana_funcs.projection import projectionFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.detector.protocol import Kept

SHAPE = (1, 704, 768)
BOX = (0, 1), (100, 500), (150, 550)
ROUNDS = 41
_IMAGES = 12
_BAD = 0.002

_HOW = f"""\
Calibrated images of an epix100 (float32, {100 * _BAD:g} % of the pixels masked), in
turn {_IMAGES} of them, {ROUNDS} rounds, one thread. *ROIFunc*: sum, mean, maximum and
centre of mass of 400 x 400 pixels; *with projections*: and a projection onto each axis.
*Masked arrays*: all of this as smalldata_tools does it, a masked array of the region,
nansum and nanmean of it, a mesh of indices for the centre of mass. Both give the same
numbers; those of the masked arrays are sums in float32."""


def run() -> Topic:
    """Measure, with images of random numbers."""
    rng = np.random.default_rng(1)
    good = rng.random(SHAPE) >= _BAD
    images = [rng.normal(3, 10, SHAPE).astype(np.float32) for _ in range(_IMAGES)]
    alone, chained = _region(good), _region(good)
    for axis in (0, 1):
        chained.addFunc(projectionFunc(axis=axis))
    _check_equal(chained, images[0], good)
    times = in_turn(
        {
            "ROIFunc": lambda: [alone.process(image) for image in images],
            "with projections": lambda: [chained.process(image) for image in images],
            "masked arrays": lambda: [_with_masked_arrays(i, good) for i in images],
        },
        ROUNDS,
    )
    return Topic(
        "Region and projections",
        _HOW,
        [
            *(
                Row(name, f"{1e3 * statistics.median(found) / _IMAGES:.3f} ms")
                for name, found in times.items()
            ),
            at_least(
                "masked arrays / with projections",
                ratio(times["masked arrays"], times["with projections"]),
                8,
            ),
        ],
    )


def _region(good: np.ndarray) -> ROIFunc:
    func = ROIFunc(ROI=[list(pair) for pair in BOX])
    func.attach(
        SimpleNamespace(
            name="epix100",
            shape=SHAPE,
            good=good,
            unit="keV",
            noise=None,
            positions=None,
            normals=None,
            first=(0, 0, 0),
            shared=Kept(),
        )
    )
    return func


def _with_masked_arrays(image: np.ndarray, good: np.ndarray) -> dict[str, Any]:
    inside = tuple(slice(*pair) for pair in BOX)
    region = np.ma.masked_array(image[inside], ~good[inside]).squeeze()
    (_, _), (top, bottom), (left, right) = BOX
    rows, columns = np.meshgrid(
        np.arange(top, bottom), np.arange(left, right), indexing="ij"
    )
    total = np.nansum(region.filled(0))
    return {
        "sum": total,
        "mean": np.nanmean(region),
        "max": np.nanmax(region),
        "com": [np.nansum(region * rows) / total, np.nansum(region * columns) / total],
        "pj_ax_0_data": np.nansum(region, axis=0),
        "pj_ax_1_data": np.nansum(region, axis=1),
    }


def _check_equal(func: ROIFunc, image: np.ndarray, good: np.ndarray) -> None:
    ours, theirs = func.process(image), _with_masked_arrays(image, good)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], rtol=1e-3, atol=0.1)
