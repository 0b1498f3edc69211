"""Azimuthal averages of an epix10k2M and a jungfrau4M, ``np.bincount`` and pyFAI."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio
from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.nominal_geometry import nominal_positions
from smalldata_ana.detector.panel_grid import panel_normals
from smalldata_ana.detector.protocol import Array, Kept
from smalldata_ana.detector.pyfai_geometry import pyfai_parameters
from smalldata_ana.sources.base import DetectorInfo, PixelPositions

IMAGES = 12
ROUNDS = 31
ROUNDS_OF_PYFAI = 5
PHI_BINS = 11
INVALID = 1e-3

DETECTORS = {
    "epix10k2M": ("epix10ka", (16, 352, 384)),
    "jungfrau4M": ("jungfrau", (8, 512, 1024)),
}
BEAM = {"center": (0.0, 0.0), "dis_to_sam": 100.0, "eBeam": 9.5}
ALGORITHMS = "csc", "csr", "histogram"

_HOW = f"""\
Calibrated float32 images ({IMAGES} in turn, so that none is in the cache), nominal
geometry, 100 mm, 9.5 keV, qbin 0.005 1/angstrom, solid angle and polarization on, 1 %
of the pixels masked, {ROUNDS} rounds, one thread. *bincount*: `np.bincount` of the
image alone, with int64 indices. *limit*: the time to read image, weights and uint16
indices once, 10 bytes per pixel, by `max` of each; ours reads 6, and 10 with errors
from the scatter. *invalid*: {INVALID:.1%} of the pixels are NaN, at random places.
*pyFAI*: the fastest of {len(ALGORITHMS)} algorithms, without splitting of pixels, with
its own threads, {ROUNDS_OF_PYFAI} rounds."""


@dataclass
class Detector:
    """A detector in memory; see `smalldata_ana.detector.protocol.ImageSource`."""

    name: str
    shape: tuple[int, ...]
    positions: PixelPositions
    good: Array
    unit: str = "keV"
    noise: Array | None = None
    first: tuple[int, int, int] = (0, 0, 0)
    shared: Kept = field(default_factory=Kept)

    @property
    def normals(self) -> Array:
        """Normals of the panels."""
        return panel_normals(self.positions)


def run() -> Topic:
    """Measure, in memory."""
    rows = [row for name in DETECTORS for row in _of_detector(name)]
    return Topic("Azimuthal averages", _HOW, rows)


def _of_detector(name: str) -> list[Row]:
    detector = _detector(name)
    images, invalid = _images(detector)
    rows = _set_up(detector)
    for phi in (1, PHI_BINS):
        what = f"{name}, {phi} φ bin{'s' if phi > 1 else ''}"
        times = in_turn(_things(detector, phi, images, invalid), ROUNDS)
        rows += [
            Row(f"{what}: {key}", f"{1e3 * statistics.median(times[key]):.2f} ms")
            for key in times
        ]
        bincount, limit = times["bincount"], times["limit"]
        mean, theirs = times["average"], _pyfai_ratio(detector, phi, images)
        rows += [
            at_least(f"{what}: bincount / average", ratio(bincount, mean), 2),
            at_least(f"{what}: pyFAI / average", theirs, 8),
            at_most(f"{what}: average / limit", ratio(mean, limit), 2.5),
            at_most(
                f"{what}: invalid pixels, scatter errors / bincount",
                ratio(times["invalid, scatter errors"], bincount),
                1,
            ),
        ]
    return rows


def _detector(name: str) -> Detector:
    kind, shape = DETECTORS[name]
    panels = tuple(range(shape[0]))
    info = DetectorInfo(name, kind, shape, np.dtype(np.uint16), panels)
    good = np.random.default_rng(0).uniform(size=shape) > 0.01
    return Detector(name, shape, nominal_positions(info), good)


def _images(detector: Detector) -> tuple[Iterator[Array], Iterator[Array]]:
    rng = np.random.default_rng(1)
    images = [
        rng.normal(5, 2, detector.shape).astype(np.float32) for _ in range(IMAGES)
    ]
    invalid = [image.copy() for image in images]
    for image in invalid:
        image[rng.uniform(size=image.shape) < INVALID] = np.nan
    return itertools.cycle(images), itertools.cycle(invalid)


def _function(detector: Detector, phi: int, **parameters: Any) -> azimuthalBinning:
    func = azimuthalBinning(
        phiBins=phi, polarization="horizontal", **BEAM, **parameters
    )
    func.attach(detector)
    return func


def _set_up(detector: Detector) -> list[Row]:
    """Return time and memory of the set-up, with all that is shared."""
    _function(detector, 1)
    detector.shared.clear()
    begin = time.perf_counter()
    _function(detector, PHI_BINS)
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    _function(detector, 1)
    second = time.perf_counter() - begin
    detector.shared.clear()
    tracemalloc.start()
    func = _function(detector, PHI_BINS)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pixels = func.source.good.size
    return [
        at_most(f"{detector.name}: set-up", first, 1, " s"),
        Row(f"{detector.name}: set-up of a second function", f"{second:.2f} s"),
        at_most(f"{detector.name}: memory at most", peak / pixels, 60, " bytes/pixel"),
        Row(f"{detector.name}: memory kept", f"{kept / pixels:.1f} bytes/pixel"),
    ]


def _things(
    detector: Detector, phi: int, images: Iterator[Array], invalid: Iterator[Array]
) -> Mapping[str, Callable[[], object]]:
    mean = _function(detector, phi)
    counted = _function(detector, phi, errors=True, ADU_per_Photon=9.5)
    scatter = _function(detector, phi, errors=True)
    bins = mean._ready.bins  # noqa: SLF001
    index = bins.index.astype(np.int64)
    weights = np.ones(index.size, np.float32)

    def limit() -> object:
        return next(images).max(), weights.max(), bins.index.max()

    return {
        "average": lambda: mean.process(next(images)),
        "counting errors": lambda: counted.process(next(images)),
        "scatter errors": lambda: scatter.process(next(images)),
        "invalid": lambda: mean.process(next(invalid)),
        "invalid, scatter errors": lambda: scatter.process(next(invalid)),
        "bincount": lambda: np.bincount(index, next(images).reshape(-1), bins.size + 1),
        "limit": limit,
    }


def _pyfai_ratio(detector: Detector, phi: int, images: Iterator[Array]) -> float:
    """Return how many times longer pyFAI's fastest method takes, in turn with ours."""
    mean = _function(detector, phi)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        methods = _pyfai_methods(detector, mean.describe()["azav"].shape, images)
        trial = in_turn(methods, ROUNDS_OF_PYFAI)
        fastest = min(trial, key=lambda name: statistics.median(trial[name]))
        things = {
            "pyFAI": methods[fastest],
            "average": lambda: mean.process(next(images)),
        }
        times = in_turn(things, ROUNDS_OF_PYFAI)
    return ratio(times["pyFAI"], times["average"])


def _pyfai_methods(
    detector: Detector, shape: tuple[int, ...], images: Iterator[Array]
) -> dict[str, Callable[[], object]]:
    """Return what averages an image through pyFAI, by the name of the algorithm."""
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    beam = BeamGeometry(BEAM["center"], BEAM["dis_to_sam"], BEAM["eBeam"])
    integrator = AzimuthalIntegrator(**pyfai_parameters(detector.positions, beam))
    flat = -1, detector.shape[-1]
    phi, q = shape
    integrate = integrator.integrate1d if phi == 1 else integrator.integrate2d
    prepared = functools.partial(
        integrate,
        **{"npt": q} if phi == 1 else {"npt_rad": q, "npt_azim": phi},
        unit="q_A^-1",
        mask=~detector.good.reshape(flat),
        polarization_factor=1,
    )

    def through(algorithm: str) -> Callable[[], object]:
        method = "no", algorithm, "cython"
        return lambda: prepared(next(images).reshape(flat), method=method)

    methods = {algorithm: through(algorithm) for algorithm in ALGORITHMS}
    for method in methods.values():
        method()
    return methods
