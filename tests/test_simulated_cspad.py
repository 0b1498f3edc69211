"""Simulated CsPads and Rayonix: constants, offsets of panels, geometry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.nominal_geometry import nominal_positions
from smalldata_ana.opening import open_run
from smalldata_ana.simulation import geometry
from smalldata_ana.simulation.detectors import kind
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import DetectorInfo, Run
from smalldata_ana.sources.constants import NAMES
from smalldata_ana.sources.events import Event

DARK = 7
"""A shot without X-rays, of the first that are dropped."""
NOISE, PHOTON = 4.0, 9.5 * 3.5
"""Of a pixel of the simulated CsPad [ADU]."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    names = ("cspad140k", "cspad", "rayonix")
    spec = RunSpec(detectors=tuple(map(DetectorSpec, names)), events=8)
    return make_run(tmp_path_factory.mktemp("cspad"), spec)


@pytest.fixture(scope="module")
def run(made: SimulatedRun) -> Iterator[Run]:
    opened = open_run("xppsim01", 1, xtc_dir=made.xtc_dir, calib_dir=made.calib_dir)
    yield opened
    opened.close()


def image(run: Run, name: str, common_mode: int, event: int) -> np.ndarray:
    det = DetObject(name, run, common_mode=common_mode)
    det.getData(Event(run, event))
    return np.asarray(det.evt.dat)


def unbonded() -> np.ndarray:
    """Return the unconnected pixels of a panel, as psana's manual lists them."""
    pixels = np.zeros((185, 388), bool)
    diagonal = np.arange(0, 185, 10)
    pixels[diagonal, diagonal] = pixels[diagonal, 194 + diagonal] = True
    return pixels


@pytest.mark.parametrize("name", ["cspad", "cspad140k", "rayonix"])
def test_has_constants(made: SimulatedRun, run: Run, name: str) -> None:
    found = run.constants(name)
    needed = {"pedestals", "pixel_rms", "pixel_gain", "pixel_status"}
    assert needed <= set(found.items) <= set(NAMES)
    assert found.array("pedestals").mean() == pytest.approx(1000, abs=1)
    gain = 3.5 if name == "rayonix" else 1.0
    assert found.array("pixel_gain").mean() == pytest.approx(gain, rel=1e-3)
    hot = made.truth[f"{name}/hot"]
    assert found.array("pixel_status").ravel()[hot].all()


def test_common_mode_of_the_kind_finds_the_offsets_of_the_panels(
    made: SimulatedRun, run: Run
) -> None:
    truth = made.truth["cspad/panel_offsets"]
    assert truth.shape == (8, 32)
    assert 3 < truth.std() < 9
    use = DetObject("cspad", run).mask.astype(bool)
    assert DetObject("cspad", run).common_mode == 1
    dark = image(run, "cspad", 0, DARK)
    found = [np.median(panel[good]) for panel, good in zip(dark, use, strict=True)]
    np.testing.assert_allclose(found, truth[DARK], atol=0.15)
    for event in (0, DARK):
        for number, least in ((1, 1.0), (5, 4 * NOISE / np.sqrt(38))):
            removed = image(run, "cspad", 0, event) - image(run, "cspad", number, event)
            shift = np.median(removed, axis=(1, 2))
            np.testing.assert_allclose(shift, truth[event], atol=least)


def test_unbonded_pixels_see_no_photons(made: SimulatedRun, run: Run) -> None:
    offsets = made.truth["cspad140k/panel_offsets"]
    good = DetObject("cspad140k", run).statusMask.astype(bool)
    lit = [image(run, "cspad140k", 0, k) - offsets[k][:, None, None] for k in range(7)]
    mean = np.mean(lit, axis=0)
    blind = np.broadcast_to(unbonded(), mean.shape) & good
    assert abs(mean[blind].mean()) < 1
    assert np.std([frame[blind] for frame in lit]) == pytest.approx(NOISE, rel=0.1)
    # a tenth of a photon and more is seen everywhere else
    assert mean[~np.broadcast_to(unbonded(), mean.shape) & good].mean() > 0.1 * PHOTON


@pytest.mark.parametrize("name", ["cspad", "cspad140k", "rayonix"])
def test_rings_are_circles_in_the_assembled_image(
    made: SimulatedRun, run: Run, name: str
) -> None:
    det = DetObject(name, run, common_mode=0)
    total = np.sum([image(run, name, 0, k) for k in range(7)], axis=0)
    drawn = det.geometry.assemble(np.where(det.mask == 1, total, np.nan))
    center = det.geometry.image_from_um(*made.truth[f"{name}/center"])
    row, column = np.indices(drawn.shape)
    radius = np.hypot(row - center[0], column - center[1])
    energy, distance = made.truth["energy"], made.truth["distance"] * 1e3
    for q, _, _ in made.truth["rings"][:2]:
        angle = 2 * np.arcsin(q * 12.398419843320026 / (4 * np.pi * energy))
        at = np.tan(angle) * distance / det.pixelsize
        for half in (column < center[1], column >= center[1]):
            near = half & (np.abs(radius - at) < 20) & np.isfinite(drawn)
            bins = np.rint(radius[near] - at).astype(int) + 20
            profile = np.bincount(bins, drawn[near]) / np.bincount(bins)
            peak = profile - np.median(profile)
            peak[peak < peak.max() / 2] = 0
            place = np.average(np.arange(len(peak)) - 20, weights=peak)
            assert abs(place) < 1


@pytest.mark.parametrize(
    "name", ["cspad", "cspad140k", "epix10ka2M", "jungfrau4M", "epix100", "rayonix"]
)
def test_pixels_are_where_they_are_drawn_without_constants(name: str) -> None:
    what = kind(name)
    shape = what.frame if what.panels else what.shape
    panels = tuple(range(what.frame[0]))
    info = DetectorInfo("det", what.dettype, shape, np.dtype(np.uint16), panels)
    drawn = nominal_positions(info)
    assert drawn is not None
    for axis, simulated_axis in zip("xyz", geometry.positions(what), strict=True):
        there = getattr(drawn, axis).reshape(what.frame)
        np.testing.assert_allclose(there, simulated_axis, atol=1e-6)
