"""Droplets and their photons on an epix100, against labels and sums of scipy."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio
from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.droplet_photons import droplet2Photons
from smalldata_ana.detector.protocol import Kept
from smalldata_ana.simulation.physics import share_charge

ROUNDS = 41
FRAMES = 12
SHAPE = (1, 704, 768)
NOISE = 2.5
ONE = 160.0
CLOUD = 0.15
"""Standard deviation of the charge of one photon [pixel]."""

HIGH, LOW = 10.0, 3.0
"""Thresholds [noise]."""

LEAST = {0.001: 8.0, 0.01: 2.5, 0.1: 1.2}
"""How many times faster than labels and sums droplets must be, by occupancy."""

SPARSE = 0.01
"""Up to this occupancy, photons must not take long beside the droplets."""

_HOW = f"""\
{FRAMES} frames of an epix100 {SHAPE[1:]} in turn, noise of {NOISE:g} ADU, photons of
{ONE:g} ADU whose charge spreads over {CLOUD:g} pixel; one thread, {ROUNDS} rounds.
Droplets: thresholds of {HIGH:g} and {LOW:g} noise with a step of growth, sum, centre,
number of pixels and list of pixels of each. *Label*: `scipy.ndimage.label` of a
ready-made image of the pixels above the lower threshold, `numpy.bincount` of the
labels weighted with the image; without growth, centres and lists. *Label, lit pixels*:
the same label, and number, sum and centre from the labels of the lit pixels only."""


@dataclass
class Epix100:
    """What the functions ask of a detector."""

    name: str = "epix100"
    shape: tuple[int, ...] = SHAPE
    unit: str = "ADU"
    first: tuple[int, int, int] = (0, 0, 0)
    positions: None = None
    normals: None = None
    shared: Kept = field(default_factory=Kept)

    @property
    def good(self) -> np.ndarray:
        """All pixels."""
        return np.ones(SHAPE, bool)

    @property
    def noise(self) -> np.ndarray:
        """The same for all pixels."""
        return np.full(SHAPE, NOISE, np.float32)


def run() -> Topic:
    """Measure."""
    rows = []
    for occupancy in LEAST:
        rows += _compare(occupancy)
    return Topic("Droplets and photons", _HOW, rows)


def _compare(occupancy: float) -> list[Row]:
    rng = np.random.default_rng(int(1e4 * occupancy))
    frames = [_frame(rng, occupancy) for _ in range(FRAMES)]
    lit = [(frame, frame >= LOW * NOISE) for frame in frames]
    times = in_turn(
        {
            "droplets": _through(frames, _function().process),
            "photons": _through(frames, _function(photons=True).process),
            "label": _through(lit, _label),
            "lit": _through(lit, _label_lit),
        },
        ROUNDS,
    )
    at = f"occupancy {occupancy:g}"
    faster = ratio(times["label"], times["droplets"])
    slower = ratio(times["photons"], times["droplets"])
    what = f"droplets and photons / droplets, {at}"
    sparse = occupancy <= SPARSE
    return [
        _per_event(f"droplets, {at}", times["droplets"]),
        _per_event(f"droplets and photons, {at}", times["photons"]),
        _per_event(f"label, {at}", times["label"]),
        _per_event(f"label, lit pixels, {at}", times["lit"]),
        at_least(f"label / droplets, {at}", faster, LEAST[occupancy]),
        Row(
            f"label, lit pixels / droplets, {at}",
            f"{ratio(times['lit'], times['droplets']):.2f}",
        ),
        at_most(what, slower, 2.5) if sparse else Row(what, f"{slower:.2f}"),
    ]


def _function(photons: bool = False) -> dropletFunc:
    func = dropletFunc(threshold=HIGH, thresholdLow=LOW)
    if photons:
        func.addFunc(droplet2Photons(aduspphot=ONE))
    func.attach(Epix100())
    func.process(np.zeros(SHAPE, np.float32))
    return func


def _through(inputs: Sequence[Any], func: Callable[[Any], Any]) -> Callable[[], Any]:
    """Return what works on one of the inputs after the other."""
    turns = itertools.cycle(inputs)
    return lambda: func(next(turns))


def _label(frame: tuple[np.ndarray, np.ndarray]) -> tuple[int, np.ndarray]:
    image, lit = frame
    labels, count = ndimage.label(lit)
    return count, np.bincount(labels.ravel(), image.ravel())


def _label_lit(frame: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    image, lit = frame
    labels, _ = ndimage.label(lit)
    pixel = np.flatnonzero(lit)
    label, value = labels.ravel()[pixel], image.ravel()[pixel]
    row, column = np.divmod(pixel, SHAPE[2])
    weights = (None, value, value * row, value * column)
    return [np.bincount(label, weight) for weight in weights]


def _frame(rng: np.random.Generator, occupancy: float) -> np.ndarray:
    image = rng.normal(0, NOISE, SHAPE)
    count = rng.poisson(occupancy * image.size)
    where = rng.uniform(0.5, np.subtract(SHAPE[1:], 1.5), (count, 2))
    image[0] += ONE * share_charge(where, SHAPE[1:], CLOUD)
    return image.astype(np.float32)


def _per_event(what: str, times: list[float]) -> Row:
    return Row(what, f"{1e3 * statistics.median(times):.2f} ms per event")
