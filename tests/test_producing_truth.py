"""What the producer writes is what was simulated, and what psana sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.special import ndtr
from simulated import opened

from smalldata_ana.commands.producer import main
from smalldata_ana.simulation import experiment
from smalldata_ana.simulation.physics import delay_response
from smalldata_ana.simulation.run_spec import PULSE_ENERGY, DetectorSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run

EVENTS, STEPS = 30, 3
MISSING = 16
"""The event in which the jungfrau1M has no data."""

ROI = np.s_[0:1, 360:380, 350:430]
RING = 1
"""Number of the ring that the laser excites."""

JOULES = 1e-6 * PULSE_ENERGY
"""What the monitor shows of a pulse of mean energy."""

MONITOR = 0.005
"""Noise of the monitors of the pulse energy [mJ]."""

PARAMETERS = """\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[[detector.jungfrau1M.geometry]]
runs = "1-"
center = {center}
dis_to_sam = {distance}
eBeam = {energy}
[[detector.jungfrau1M.azav]]
runs = "1-"
name = "azav"
qbin = 0.005
polarization = "vertical"
[[detector.jungfrau1M.roi]]
runs = "1-"
ROI = [[0, 1], [360, 380], [350, 430]]
[[detector.jungfrau1M.sums]]
runs = "1-"
sums = ["calib", "calib_on", "calib_off", "calib_dropped"]
[[detector.epix100.droplet]]
runs = "1-"
name = "droplet"
threshold = 10.0
thresholdLow = 3.0
[[detector.epix100.photons]]
runs = "1-"
name = "phot"
of = "droplet"
aduspphot = {energy}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    detectors = (
        DetectorSpec("jungfrau1M", missing=(MISSING,)),
        DetectorSpec("epix100"),
    )
    spec = replace(
        experiment.specs()[1], detectors=detectors, events=EVENTS, steps=STEPS
    )
    return make_run(tmp_path_factory.mktemp("truth"), spec)


@pytest.fixture(scope="module")
def produced(
    made: SimulatedRun, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[h5py.File]:
    """The file that the producer makes."""
    folder = tmp_path_factory.mktemp("produced")
    truth = made.truth
    text = PARAMETERS.format(
        center=truth["jungfrau1M/center"].tolist(),
        distance=float(truth["distance"]),
        energy=float(truth["energy"]),
    )
    (folder / "p.toml").write_text(text)
    words = (
        "-e", "xppsim01", "-r", "1", "--params", folder / "p.toml", "-d", folder,
        "--xtc-dir", made.xtc_dir, "--calib-dir", made.calib_dir, "--nproc", "1",
    )  # fmt: skip
    assert main([str(word) for word in words]) == 0
    with h5py.File(folder / "xppsim01_Run0001.h5") as file:
        yield file


@pytest.fixture(scope="module")
def psanas(made: SimulatedRun) -> SimpleNamespace:
    """What numpy makes of psana's calibrated frames of the jungfrau1M.

    ``roi``: their sums in the region; ``sums``, ``counts``: by key of the parameters.
    """
    truth = made.truth
    lit, laser = truth["xrays"], truth["laser"]
    taken = {
        "calib": np.ones(EVENTS, bool),
        "calib_on": lit & laser,
        "calib_off": lit & ~laser,
        "calib_dropped": ~lit,
    }
    run = opened(made)
    raw = run.Detector("jungfrau1M").raw
    sums = dict.fromkeys(taken, np.zeros(()))
    roi = np.full(EVENTS, np.nan)
    for number, event in enumerate(run.events()):
        frame = raw.calib(event)
        if frame is None:
            assert number == MISSING
            continue
        roi[number] = frame[ROI].sum(dtype=float)
        for key, events in taken.items():
            if events[number]:
                sums[key] = sums[key] + frame.astype(float)
    with_data = np.arange(EVENTS) != MISSING
    counts = {key: int((events & with_data).sum()) for key, events in taken.items()}
    return SimpleNamespace(roi=roi, sums=sums, counts=counts)


def test_light_scan_and_encoder(made: SimulatedRun, produced: h5py.File) -> None:
    truth = made.truth
    exact = {
        "timestamp": "timestamp",
        "lightStatus/xray": "xrays",
        "lightStatus/laser": "laser",
        "evr/code_90": "laser",
        "evr/code_137": "xrays",
        "scan/varStep": "step",
        "scan/lxt": "lxt",
    }
    for path, name in exact.items():
        np.testing.assert_array_equal(produced[path][()], truth[name], err_msg=path)
    lxt = truth["lxt"] * 1e12
    np.testing.assert_allclose(produced["enc/lasDelay"][()], lxt, atol=1e-9)
    assert len(np.unique(produced["scan/varStep"][()])) == STEPS
    intact = np.arange(EVENTS) != MISSING
    np.testing.assert_array_equal(produced["damage/jungfrau1M"][()], intact)


def test_pulse_energy(made: SimulatedRun, produced: h5py.File) -> None:
    truth = made.truth["pulse_energy"]
    for found in (
        produced["gmd/millijoulesperpulse"][()],
        produced["ipm2/sum"][()] * 1e6,
    ):
        np.testing.assert_allclose(found, truth, atol=5 * MONITOR)


def ring_area(edges: Any, made: SimulatedRun) -> Any:
    """Return the mean of the excited ring in bins of q [keV in a pixel]."""
    ring = made.spec.sample.rings[RING]
    area = np.diff(ndtr((edges - ring.q) / ring.width)) * ring.width
    photons = ring.photons * np.sqrt(2 * np.pi) * area / np.diff(edges)
    return photons * made.spec.setup.energy


def test_the_ring_follows_the_delay(made: SimulatedRun, produced: h5py.File) -> None:
    truth, sample = made.truth, made.spec.sample
    configuration = "UserDataCfg/jungfrau1M/azav__azav"
    q, edges = (produced[f"{configuration}_{key}"][:] for key in ("q", "qbins"))
    ring = sample.rings[RING]
    near = np.abs(q - ring.q) < 2 * ring.width
    intensity = produced["jungfrau1M/azav_azav"][:, 0, near].mean(axis=1)
    assert np.isnan(intensity[MISSING])
    intensity /= produced["ipm2/sum"][()] / JOULES

    lit = (produced["lightStatus/xray"][()] == 1) & np.isfinite(intensity)
    laser = produced["lightStatus/laser"][()] == 1
    on, off = lit & laser, lit & ~laser
    change = intensity - intensity[off].mean()
    response = delay_response(truth["delay"], sample.amplitude, sample.rise)
    expected = response * ring_area(edges, made)[near].mean()
    for step in range(STEPS):
        these = on & (produced["scan/varStep"][()] == step)
        difference = (change - expected)[these]
        error = np.hypot(standard_error(difference), standard_error(change[off]))
        assert abs(difference.mean()) < 3 * error
    # so that the errors are small enough to mean something
    assert change[these].mean() > 50 * error


def standard_error(values: Any) -> float:
    """Return that of their mean, from their scatter."""
    return float(values.std(ddof=1) / np.sqrt(values.size))


def test_each_photon_is_counted(made: SimulatedRun, produced: h5py.File) -> None:
    truth = made.truth
    good = produced["UserDataCfg/epix100/good"][()].reshape(-1, 768).astype(bool)
    event = np.repeat(np.arange(EVENTS), truth["epix100/photon_counts"])
    row, column = np.rint(truth["epix100/photons"]).astype(int).T
    seen = good[row, column]
    expected = np.bincount(event[seen], minlength=EVENTS)
    found = produced["epix100/droplet_phot_nPhotons"][()]
    np.testing.assert_array_equal(found == 0, ~truth["xrays"])
    np.testing.assert_allclose(found, expected, rtol=0.01)
    # one photon in a pixel, two, ...
    pixels = np.ravel_multi_index((event, row, column), (EVENTS, *good.shape))[seen]
    truly = np.bincount(np.unique(pixels, return_counts=True)[1], minlength=4)[1:4]
    share = produced["epix100/droplet_phot_prob"][:, 1:4].sum(axis=0) * good.sum()
    one, two, three = share / truly
    assert one == pytest.approx(1, rel=0.01)
    assert 0.9 < two < 1  # charge is shared, as the documentation of the function says
    assert three == pytest.approx(1, abs=3 / np.sqrt(truly[2]))


def test_region_sums_are_psanas(produced: h5py.File, psanas: SimpleNamespace) -> None:
    found = produced["jungfrau1M/ROI_0_sum"][()]
    assert np.isnan(found[MISSING])
    np.testing.assert_allclose(found, psanas.roi, rtol=1e-5, atol=1e-2)


def test_sums_of_images_are_psanas(
    produced: h5py.File, psanas: SimpleNamespace
) -> None:
    for key, expected in psanas.sums.items():
        found = produced[f"Sums/jungfrau1M_{key}"][()]
        assert produced[f"Sums/jungfrau1M_{key}_nEvents"][()] == psanas.counts[key]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-2)
    assert all(psanas.counts.values())
