"""Cubes of a simulated delay scan: the truth of the sample comes out of them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from simulated import good, ours

from smalldata_ana.commands.cube import main
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.simulation.physics import HC, Setup
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.events import Event

DETECTOR = "cspad140k"
STEPS = 6

PARAMETERS = f"""\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[cube.delay]
add = ["ipm2/sum"]
[cube.delay.detectors.{DETECTOR}]
functions = ["azav"]
[cube.other]
laser = false
bins = {{ var = "delay", from = -1.5, to = 4.5, n = 3 }}
[[detector.{DETECTOR}.geometry]]
runs = "1-"
center = CENTER
dis_to_sam = 75.0
eBeam = 9.5
[[detector.{DETECTOR}.azav]]
runs = "1-"
name = "azav"
qbin = 0.02
polarization = "vertical"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    spec = RunSpec(
        detectors=(DetectorSpec(DETECTOR),),
        events=120,
        steps=STEPS,
        setup=Setup(center=(0.0, 0.0)),
    )
    return make_run(tmp_path_factory.mktemp("cubes"), spec)


@pytest.fixture
def arguments(made, tmp_path):
    run = ours(made)
    positions = run.pixel_positions(DETECTOR)
    center = [float(positions.x.mean()), float(positions.y.mean())]
    run.close()
    params = tmp_path / "params.toml"
    params.write_text(PARAMETERS.replace("CENTER", str(center)))
    return [
        *("-e", "xppsim01", "-r", "1", "--params", str(params), "-d", str(tmp_path)),
        *("--xtc-dir", str(made.xtc_dir), "--calib-dir", str(made.calib_dir)),
        *("--indirectory", str(tmp_path)),
    ]


def ring(made, run):
    """Return the good pixels of the ring that the laser changes."""
    positions = run.pixel_positions(DETECTOR)
    x, y = positions.x - positions.x.mean(), positions.y - positions.y.mean()
    two_theta = np.arctan(np.hypot(x, y) / 75e3)
    q = 4 * np.pi * 9.5 / HC * np.sin(two_theta / 2)
    place, width, _ = made.truth["rings"][1]
    return good(made, DETECTOR) & (np.abs(q - place) < width)


def test_the_ring_follows_the_delay(made, arguments, tmp_path):
    assert main([*arguments, "--cube", "delay", "--nproc", "2"]) == 0
    run, truth = ours(made), made.truth
    pixels = ring(made, run)
    assert pixels.sum() > 1000
    light = {"on": truth["laser"], "off": ~truth["laser"]}
    images = {}
    detector = DetObject(DETECTOR, run)
    for suffix, laser in light.items():
        with h5py.File(tmp_path / f"Cube_xppsim01_Run0001_delay_{suffix}.h5") as file:
            images[suffix] = file[f"{DETECTOR}_data"][()]
            counts = file["nEntries"][()]
            profile = file[f"{DETECTOR}_azav_azav"][()]
            monitor = file["ipm2__sum"][()]
            np.testing.assert_allclose(
                file["scan__lxt"][()], np.unique(truth["lxt"]), atol=1e-18
            )
        for step in range(STEPS):
            which = truth["xrays"] & laser & (truth["step"] == step)
            assert counts[step] == which.sum()
            total = np.zeros(detector.shape)
            for number in np.flatnonzero(which):
                detector.getData(Event(run, int(number)))
                total += detector.evt.dat
            np.testing.assert_allclose(images[suffix][step], total, rtol=1e-12)
            expected = 1e-6 * truth["pulse_energy"][which].sum()
            np.testing.assert_allclose(monitor[step], expected, rtol=0.02)
        assert np.isfinite(profile).any(axis=(1, 2)).all()
    run.close()
    shown, expected = [], []
    energy = truth["pulse_energy"] * truth["xrays"]
    still = images["off"][:, pixels].sum() / energy[light["off"]].sum()
    for step in range(STEPS):
        which = light["on"] & (truth["step"] == step)
        per_energy = images["on"][step][pixels].sum() / energy[which].sum()
        shown.append(per_energy / still - 1)
        expected.append(np.average(truth["change"][which], weights=energy[which]))
    assert np.corrcoef(shown, expected)[0, 1] > 0.99
    share = np.polyfit(expected, shown, 1)[0]
    assert 0.6 < share < 1.0  # the rest of the light there is the liquid's


def test_workers_and_reading_by_number_make_no_difference(made, arguments, tmp_path):
    found = []
    for nproc in ("1", "2"):
        assert main([*arguments, "--cube", "delay", "--nproc", nproc]) == 0
        with h5py.File(tmp_path / "Cube_xppsim01_Run0001_delay_on.h5") as file:
            found.append([file[f"{DETECTOR}_{k}"][()] for k in ("data", "square")])
    np.testing.assert_array_equal(*found)


def test_options(made, arguments, tmp_path, capsys):
    assert main([*arguments, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "cube delay: " in told
    assert "scan/lxt: 6 values" in told
    assert not list(tmp_path.glob("Cube*"))
    assert main([*arguments, "--cube", "delays", "--dry-run"]) == 2
    assert "Did you mean 'delay'" in capsys.readouterr().err
    assert main([*arguments, "--cube", "other", "--nevents", "5"]) == 0
    with h5py.File(tmp_path / "Cube_xppsim01_Run0001_other.h5") as file:
        assert file["nEntries"][()].tolist() == [5, 5, 5]
        assert file["delay_bins"][()].tolist() == [-1.5, 0.5, 2.5, 4.5]


def test_a_run_that_fails_does_not_end_the_others(arguments, capsys):
    runs = [*arguments, "-r", "7,1", "--cube", "other", "--nevents", "1"]
    assert main(runs) == 2
    told = capsys.readouterr()
    assert "xppsim01 run 1, cube other: " in told.out
    assert "error: run 7: no files of xppsim01 run 7" in told.err
    assert told.err.endswith("1 of 2 runs failed: 7\n")
    assert main([*arguments, "--files", "a.xtc2"]) == 2
    assert "--files and --xtc-dir cannot both" in capsys.readouterr().err


def test_a_config_in_the_place_of_the_table(made, arguments, tmp_path):
    config = tmp_path / "cube_config_xpp.py"
    config.write_text(
        "laser = False\n"
        "filters = [['lightStatus/xray', 0.5, 1.5, 'filter1']]\n"
        "def binBoundaries(run):\n    return [-1.5, 1.0, 4.5, 9.0]\n"
        f"varList = ['ipm2/sum', {{'source': '{DETECTOR}', 'full': 1}}]\n"
    )
    text = config.read_text()
    assert main([*arguments, "--config", str(config), "--nproc", "1"]) == 0
    assert config.read_text() == text
    with h5py.File(tmp_path / "Cube_xppsim01_Run0001_cube.h5") as file:
        counts = file["nEntries"][()]
        assert counts.tolist() == file[f"{DETECTOR}_nEntries"][()].tolist()
        assert counts.sum() == made.truth["xrays"].sum()
        assert counts[2] == 0
        assert not file[f"{DETECTOR}_data"][2].any()
        assert "delay_bins" in file
