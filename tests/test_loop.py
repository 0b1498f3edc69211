"""The whole loop: session, parameter file, producer, small data; against psana."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from simulated import opened

from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run

CHECKOUT = Path(__file__).parents[1]
REAL = CHECKOUT.parent / "shared/data/lcls2_xtc2"
MISSING = 2


def command(*arguments: object) -> str:
    """Run a command line as users do, and return what it printed."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loop(folder: Path, detector: str, roi: list[list[int]], *source: object) -> Path:
    """Choose a region in a session, export it, produce; return the output's folder."""
    code = (
        f"anaps.AvImage({detector!r}); "
        f"anaps.SelectRegion({detector!r}, ROI={roi}).accept(name='ROI_0'); "
        "anaps.exportParams(runs='1-')"
    )
    source = (*source, "--params", folder / "params.toml")
    command(CHECKOUT / "producers/runSmallDataAna", *source, "-c", code)
    producer = CHECKOUT / "producers/smd_producer.py"
    command(sys.executable, producer, *source, "-d", folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    spec = RunSpec(
        experiment="xppsim02",
        detectors=(
            DetectorSpec("jungfrau1M", missing=(MISSING,)),
            DetectorSpec("opal"),
        ),
        events=6,
    )
    return make_run(tmp_path_factory.mktemp("loop"), spec)


def psana_sums(
    made: SimulatedRun, detector: str, window: object, **options: object
) -> list[float]:
    """Return the sums of a window of psana's own calibrated frames."""
    run = opened(made)
    raw = run.Detector(detector).raw
    frames = (raw.calib(event, **options) for event in run.events())
    return [
        np.nan if frame is None else frame[window].sum(dtype=float) for frame in frames
    ]


def test_on_a_simulated_run(tmp_path: Path, made: SimulatedRun) -> None:
    output = loop(
        tmp_path, "jungfrau1M", [[0, 1], [100, 120], [50, 60]],
        "-e", "xppsim02", "-r", 1,
        "--xtc-dir", made.xtc_dir, "--calib-dir", made.calib_dir,
    )  # fmt: skip
    expected = psana_sums(made, "jungfrau1M", np.s_[0:1, 100:120, 50:60])
    assert np.isnan(expected[MISSING])
    with h5py.File(output / "xppsim02_Run0001.h5") as file:
        found = file["jungfrau1M/ROI_0_sum"][()]
        assert len(file["timestamp"]) == made.spec.events
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_common_mode_by_psanas_parameters(tmp_path: Path, made: SimulatedRun) -> None:
    pars = (7, 3, 100, 10)
    params = tmp_path / "params.toml"
    params.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xppsim02"\n'
        "[[detector.jungfrau1M.common_mode]]\n"
        f'runs = "1-"\ncommon_mode = {list(pars)}\n'
        "[[detector.jungfrau1M.roi]]\n"
        'runs = "1-"\nROI = [[0, 1], [100, 120], [50, 60]]\n'
    )
    command(
        sys.executable, CHECKOUT / "producers/smd_producer.py",
        "-e", "xppsim02", "-r", 1, "--params", params, "-d", tmp_path,
        "--xtc-dir", made.xtc_dir, "--calib-dir", made.calib_dir,
    )  # fmt: skip
    window = np.s_[0:1, 100:120, 50:60]
    plain = psana_sums(made, "jungfrau1M", window)
    expected = psana_sums(made, "jungfrau1M", window, cversion=0, cmpars=pars)
    assert not np.allclose(plain, expected, rtol=1e-3, equal_nan=True)
    with h5py.File(tmp_path / "xppsim02_Run0001.h5") as file:
        found = file["jungfrau1M/ROI_0_sum"][()]
        recorded = file["UserDataCfg/jungfrau1M/common_mode"][()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(recorded, pars)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data in {REAL}")
def test_on_the_real_epixquad_file(tmp_path: Path) -> None:
    truth = json.loads((REAL / "epixquad_truth.json").read_text())["epixquad"]
    row = np.s_[:, 3, 7, 0:5]
    pedestals = np.zeros((7, 4, 352, 384), np.float32)
    pedestals[row] = truth["implied_pedestal_event0"]
    gain = np.full(pedestals.shape, truth["gain_adu_per_keV"], np.float32)
    for name, value in (("pedestals", pedestals), ("pixel_gain", gain)):
        folder = tmp_path / "calib/epixquad" / name
        folder.mkdir(parents=True)
        np.save(folder / "1-end.npy", value)
    output = loop(
        tmp_path, "epixquad", [[3, 4], [7, 8], [0, 5]],
        "--files", REAL / "test_epix_calib.xtc2", "--calib-dir", tmp_path / "calib",
    )  # fmt: skip
    with h5py.File(output / "ueddaq02_Run0109.h5") as file:
        found = file["epixquad/ROI_0_sum"][()]
    # the first column is the edge of the panel, which is masked
    expected = np.sum(np.array(truth["expected_keV"])[:, 1:], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
