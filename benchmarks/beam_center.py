"""The beam centre on drawn scenes, on pictures without rings and on real ones."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_most
from smalldata_ana.beam_center import CenterFit, find_center
from smalldata_ana.errors import BeamCenterError

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from ring_scenes import (  # noqa: E402
    LIMITS,
    RINGLESS,
    SIZE,
    scene,
    without_rings,
)

SEEDS = 20
PICTURES = 100
_PULL = 0.7, 1.5
_REAL = 0.7
_SECONDS = 4.0

_HOW = f"""\
`find_center` on the drawn scenes of `tests/ring_scenes.py`, {SIZE} x {SIZE} pixels,
{SEEDS} seeds each: the largest distance from the true centre. *pull*: root of the mean
square of error by standard error, over rows and columns of all seeds. The first scenes
are those on which other methods were measured. *without rings*: {PICTURES} pictures of
{len(RINGLESS)} kinds, of a third of the edge. Real pictures: the distance from the
published centre. Times are medians, one thread."""


@dataclass(frozen=True)
class _Measured:
    """What came out of all seeds of a scene."""

    errors: list[float]
    pulls: list[float]
    times: list[float]


def run() -> Topic:
    """Measure."""
    _centre(scene("clean", 0, 400).image)
    found = {kind: _scene(kind) for kind in LIMITS}
    rows = [_error_row(kind, of) for kind, of in found.items()]
    rows += [_pull_row(kind, of) for kind, of in found.items()]
    times = [statistics.median(of.times) for of in found.values()]
    rows.append(at_most("time, slowest scene", max(times), _SECONDS, " s"))
    rows.append(Row("time, all scenes", f"{statistics.median(times):.2f} s"))
    rows.append(at_most("false centres without rings", _false_centres(), 0))
    rows += list(_real_rows())
    return Topic("Beam centre", _HOW, rows)


def _scene(kind: str) -> _Measured:
    errors, pulls, times = [], [], []
    for seed in range(SEEDS):
        truth = scene(kind, seed)
        begin = time.perf_counter()
        fit = _centre(truth.image, truth.good)
        times.append(time.perf_counter() - begin)
        if fit is None:
            errors.append(math.inf)
            continue
        offset = np.subtract(fit.center_px, truth.center)
        errors.append(float(np.hypot(*offset)))
        pulls += list(offset / fit.center_px_err)
    return _Measured(errors, pulls, times)


def _centre(image: Any, good: Any = None) -> CenterFit | None:
    try:
        return find_center(image, good)
    except BeamCenterError:
        return None


def _error_row(kind: str, of: _Measured) -> Row:
    largest, median = max(of.errors), statistics.median(of.errors)
    value = f"{largest:.3f} px (median {median:.3f})"
    limit = LIMITS[kind]
    reached = largest <= limit
    return Row(f"{kind}: largest error", value, f"at most {limit:g} px", reached)


def _pull_row(kind: str, of: _Measured) -> Row:
    pull = math.sqrt(statistics.fmean(p**2 for p in of.pulls))
    low, high = _PULL
    return Row(
        f"{kind}: pull", f"{pull:.2f}", f"{low:g} to {high:g}", low <= pull <= high
    )


def _false_centres() -> int:
    kinds = list(RINGLESS)
    pictures = (
        without_rings(kinds[n % len(kinds)], n, SIZE // 3) for n in range(PICTURES)
    )
    return sum(_centre(picture) is not None for picture in pictures)


def _real_rows() -> Iterator[Row]:
    data = ROOT.parent / "shared" / "data"
    for name, (read, published) in _PUBLISHED.items():
        try:
            image = read(data)
        except OSError:
            yield Row(name, "not there")
            continue
        fit = _centre(image, image >= 0)
        distance = math.dist(fit.center_px, published) if fit else math.inf
        yield at_most(f"{name}: from the published centre", distance, _REAL, " px")


def _agbh(detector: str) -> Callable[[Path], Any]:
    def read(data: Path) -> Any:
        import h5py

        path = data / "agbh_lix_pilatus" / "AgBH-2020Aug16.h5"
        with h5py.File(path) as file:
            return file[f"AgBH_2020Aug16/primary/data/{detector}_image"][0]

    return read


def _pixium(data: Path) -> Any:
    import fabio

    return fabio.open(str(data / "ring_i12_pixium" / "pixium_03150.tif")).data


_PUBLISHED: dict[str, tuple[Callable[[Path], Any], tuple[float, float]]] = {
    "agbh_lix_pilatus SAXS": (_agbh("pil1M"), (488.07, 204.15)),
    "agbh_lix_pilatus WAXS": (_agbh("pilW2"), (577.0, 648.88)),
    "ring_i12_pixium": (_pixium, (724.15, 711.66)),
}
