"""The simulated experiment in the user's cache."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana import places
from smalldata_ana.errors import FileError, RunNotFound
from smalldata_ana.simulation import experiment
from smalldata_ana.simulation.run_spec import DetectorSpec


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", str(tmp_path / "cache"))
    runs = {
        n: dataclasses.replace(
            spec, detectors=(DetectorSpec("opal"),), events=3, steps=1
        )
        for n, spec in experiment.specs().items()
    }
    monkeypatch.setattr(experiment, "specs", lambda: runs)
    return places.experiment_root("xppsim01")


def test_is_made_once_with_truth_and_constants(tiny: Path) -> None:
    told: list[tuple[int, int]] = []
    assert experiment.ensure(1, lambda *done: told.append(done)) == tiny
    assert told == [(n, 9) for n in range(1, 10)]
    xtc = sorted(p.name for p in (tiny / "xtc").glob("*.xtc2"))
    assert len(xtc) == 6
    pedestals = places.places("xppsim01").calib / "opal/pedestals/0-end.npy"
    assert np.load(pedestals).shape == (512, 512)
    assert experiment.truth(1)["timestamp"].shape == (3,)
    assert experiment.truth(2)["opal/pedestals"].shape == (512, 512)
    text = json.loads((tiny / "truth/truth.json").read_text())
    assert text["runs"]["3"]["setup"]["tilt"] == [0.8, -0.5]
    experiment.ensure(3, lambda *done: told.append(done))
    assert len(told) == 9
    assert not list(tiny.glob(".simulation.making*"))


def test_new_version_is_made_anew_and_leaves_the_rest(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.ensure()
    own = tiny / "results/smalldata_ana/params/xppsim01.toml"
    own.parent.mkdir()
    own.write_text("mine")
    dark = tiny / "results/smalldata_ana/calib/opal/pedestals/2-end.npy"
    np.save(dark, np.zeros(3))
    old = tiny / "xtc/xppsim01-r0001-s009-c000.xtc2"
    old.write_text("of the version before")
    monkeypatch.setattr(experiment, "VERSION", experiment.VERSION + 1)
    told: list[int] = []
    experiment.ensure(1, lambda done, _: told.append(done))
    assert len(told) == 9
    assert own.read_text() == "mine"
    assert dark.exists()
    assert not old.exists()


def test_interrupted_making_leaves_nothing_half_done(tiny: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.ensure(1, interrupt)
    assert not (tiny / "xtc").exists()
    experiment.ensure(1)
    assert experiment.truth(1)["step"].tolist() == [0, 0, 0]


def test_two_at_once(tiny: Path) -> None:
    told: list[int] = []
    threads = [
        threading.Thread(
            target=experiment.ensure, args=(1, lambda done, _: told.append(done))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == list(range(1, 10))


def test_unknown_run(tiny: Path) -> None:
    with pytest.raises(RunNotFound, match="no run 7 in xppsim01; there are 1, 2, 3"):
        experiment.ensure(7)


def test_no_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FileError, match="SMALLDATA_ANA_CACHE"):
        experiment.ensure(1)


def test_whole_experiment_fits_in_800_megabytes() -> None:
    runs = experiment.specs()
    events = sum(
        2 * item.what.pixels * spec.events
        for spec in runs.values()
        for item in spec.detectors
    )
    constants = sum(np.prod(item.what.constants) for item in runs[1].detectors)
    # float32 pedestals, noise and gain, uint64 status; two of them in the truth
    # of the dark run too; photons and other truth
    assert events + 20 * constants + 8 * constants + 15e6 < 790e6


def test_calibrant_is_lab6() -> None:
    calibrants = pytest.importorskip("pyFAI.calibrant")
    spacings = calibrants.get_calibrant("LaB6").get_dSpacing()
    found = [2 * np.pi / ring.q for ring in experiment.calibrant().rings]
    np.testing.assert_allclose(found, spacings[: len(found)], rtol=2e-5)
