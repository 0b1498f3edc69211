"""`makePedestal` and its company, on a simulated dark run and the run before it."""

from __future__ import annotations

import re
import warnings
from contextlib import closing

import matplotlib.pyplot as plt
import numpy as np
import pytest
from simulated import good

from smalldata_ana.common_mode_noise import (
    ModeNoise,
    compare_common_modes,
    recommend,
)
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import NoDataError, ParameterError, UsageError
from smalldata_ana.line_noise import LineNoise
from smalldata_ana.opening import open_run
from smalldata_ana.pedestals import make_pedestals
from smalldata_ana.places import places
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 60
DETECTORS = (DetectorSpec("epix100"), DetectorSpec("opal"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the experiment's folder: run 1 with light, run 2 dark, and the truth."""
    folder = tmp_path_factory.mktemp("experiment")
    lit = RunSpec(run=1, detectors=DETECTORS, events=12, with_constants=False)
    dark = RunSpec(
        run=2, detectors=DETECTORS, events=EVENTS, dark=True, with_constants=False
    )
    make_run(folder, lit)
    return folder, make_run(folder, dark)


@pytest.fixture
def session(made, tmp_path, monkeypatch):
    """Return a function that starts a session on a run."""
    monkeypatch.chdir(tmp_path)
    opened = []

    def start(number: int) -> SmallDataAna_psana:
        (tmp_path / "calib").mkdir(exist_ok=True)
        where = {"xtc_dir": made[0] / "xtc", "calib_dir": tmp_path / "calib"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened.append(open_run("xppsim01", number, **where))
        return SmallDataAna_psana(
            opened[-1],
            places_of=lambda name: places(name, directory=tmp_path, **where),
        )

    yield start
    plt.close("all")
    for run in opened:
        run.close()


def test_what_a_dark_run_made_calibrates_the_run_before_it(session, made, capsys):
    dark, lit = session(2), session(1)
    assert "pedestals" not in lit.run.constants("opal").items
    before = DetObject("opal", dark.run)
    pedestals = dark.makePedestal("opal")
    truth = made[1].constants["opal"]
    good = pedestals.status == 0
    off = np.abs(pedestals.pedestals - truth["pedestals"])[good]
    error = truth["pixel_rms"][good] / np.sqrt(EVENTS)
    assert (off < 5 * error + 0.1).mean() > 0.9999
    assert pedestals.rms[good].mean() == pytest.approx(3.0, rel=0.01)

    raw = session(1).run.read("opal", 3)
    again = session(1)
    image = again.getImages("opal", 4)[3]
    expected = (raw.astype(float) - pedestals.pedestals)[good]
    np.testing.assert_allclose(image[good], expected, atol=1e-3)
    # in the same session, a detector made afterwards
    np.testing.assert_array_equal(
        np.squeeze(DetObject("opal", dark.run).ped), pedestals.pedestals
    )
    assert before.ped is None or not np.array_equal(before.ped, pedestals.pedestals)
    printed = capsys.readouterr().out
    assert "no dark run comes before it, so it is also for the runs from 1" in printed
    assert "valid for runs 1-end" in printed
    assert "opal/pedestals/1-end.npy" in printed


def test_bad_pixels_of_the_dark_run_are_found(session, made):
    status = session(2).makePedestal("epix100", dirname=None, plot=False).status
    for what in ("hot", "noisy"):
        assert (status.reshape(-1)[made[1].truth[f"epix100/{what}"]] != 0).all()


def test_validity_and_files_are_as_asked(session, tmp_path, capsys):
    anaps = session(2)
    assert "\n" not in repr(anaps.makePedestal("opal", begin=2, end=7, dirname="text"))
    assert "no dark run comes before it" not in capsys.readouterr().out
    assert (tmp_path / "text/opal/pedestals/2-7.data").exists()
    assert (tmp_path / "calib/opal/pixel_status/2-7.npy").exists()
    assert session(1).run.constants("opal").items == {}
    anaps.makePedestal("opal", deploy=False, dirname="calib", plot=False)
    assert not (tmp_path / "calib/opal/pedestals/2-end.npy").exists()


def test_lit_run_is_refused_and_nothing_is_written(session, tmp_path):
    with pytest.raises(NoDataError, match="run 1 is not dark"):
        session(1).makePedestal("opal")
    assert not any((tmp_path / "calib").iterdir())


def test_dark_run_is_found_from_another_session(session, capsys):
    anaps = session(1)
    made = anaps.makePedestal("opal", runs=[2], begin=2, plot=False, dirname=None)
    assert made.runs == (2,)
    assert "run 1 itself has other pedestals: none" in capsys.readouterr().out
    with pytest.raises(UsageError, match="name of a selection"):
        anaps.makePedestal("opal", runs=[2], useFilter=np.ones(EVENTS, bool))


def test_several_dark_runs_in_one_call(session, made):
    dark = RunSpec(
        run=3, detectors=DETECTORS, events=20, dark=True, with_constants=False
    )
    make_run(made[0], dark)
    anaps = session(1)
    pedestals = anaps.makePedestal("opal", runs=[2, 3], dirname=None)
    assert pedestals.runs == (2, 3)
    assert [stage.frames for stage in pedestals.stages] == [EVENTS + 20]
    with closing(open_run("xppsim01", 3, xtc_dir=made[0] / "xtc")) as third:
        frames = [session(2).run.read("opal", e) for e in range(EVENTS)]
        frames += [third.read("opal", e) for e in range(20)]
    expected = np.mean(frames, axis=0)[pedestals.status == 0]
    found = pedestals.pedestals[pedestals.status == 0]
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert np.mean(np.abs(found - expected) < 1e-3) > 0.999
    assert plt.gcf().get_suptitle().startswith("xppsim01 run 2, 3, opal")


def test_epix10ka_stages_are_those_of_the_steps(tmp_path):
    quad = (DetectorSpec("epixquad", streams=2),)
    spec = RunSpec(detectors=quad, events=60, steps=5, dark=True, with_constants=False)
    made = make_run(tmp_path, spec)
    truth, use = made.constants["epixquad"], good(made, "epixquad")
    with closing(open_run("xppsim01", 1, xtc_dir=tmp_path / "xtc")) as run:
        found = make_pedestals(run, "epixquad")
    assert [(s.name, s.frames) for s in found.stages] == [
        (name, 12) for name in ("FH", "FM", "FL", "AHL_H", "AML_M")
    ]
    for stage in found.stages:
        n = stage.number
        off = (found.pedestals[n] - truth["pedestals"][n])[use]
        error = truth["pixel_rms"][n][use] / np.sqrt(stage.frames)
        assert np.sqrt(np.mean((off / error) ** 2)) == pytest.approx(1, abs=0.02)
    assert np.isnan(found.pedestals[5:]).all()
    assert any("no constants of AHL_L, AML_L" in note for note in found.notes)


def test_state_of_the_session_stays(session):
    anaps = session(2)
    image = anaps.AvImage("opal", 5, common_mode=-1)
    anaps.makePedestal("opal", plot=False, dirname=None)
    assert list(anaps.images) == [image.name]
    assert anaps.AvImage("opal", 5).made["common_mode"] == 0


def test_constants_are_shown(session, capsys):
    anaps = session(2)
    with pytest.raises(NoDataError, match="no pedestals of 'opal'"):
        anaps.plotCalib("opal")
    with pytest.raises(NoDataError, match="has no pedestals of 'opal'"):
        anaps.plotCalibHisto("opal")
    made = anaps.makePedestal("opal", dirname=None, plot=False)
    figure = anaps.plotCalib("opal")
    assert "constants of runs 1-end" in figure.get_suptitle()
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.squeeze(shown), made.pedestals)
    anaps.makePedestal("opal", dirname=None, plot=False, begin=4)
    history = anaps.plotCalibHisto("opal")
    medians = [line.get_ydata()[0] for line in history.axes[0].lines[:2]]
    assert medians == pytest.approx([np.median(made.pedestals)] * 2)


def test_corrections_are_compared(session, capsys):
    anaps = session(2)
    anaps.makePedestal("opal", dirname=None, plot=False)
    comparison = anaps.compareCommonMode("opal", [0, 30], 20)
    assert [mode.number for mode in comparison.modes] == [0, 30]
    assert comparison.modes[0].noise == pytest.approx(3.0, rel=0.05)
    assert str(comparison.modes[0].row_noise).startswith("< 0.")
    assert comparison.recommended == 0
    printed = capsys.readouterr().out
    assert "recommended: 0, because none of the others lowers its noise" in printed
    assert "note:" not in printed[printed.index("recommended") :]
    assert re.fullmatch(
        "<Comparison of 2 .*recommended 0, because .*>", f"{comparison}"
    )


def test_comparison_tells_of_light(session, capsys):
    anaps = session(1)
    told = anaps.compareCommonMode("epix100", [-1], 6, plot=False).notes
    assert told[0].startswith("6 of the 6 events had X-rays")
    dark = np.count_nonzero(anaps.selections["xoff"])
    assert dark == 1
    assert "this one has no such events" in told[0]
    assert f"note: {told[0]}" in capsys.readouterr().out


# ---- recommendations -----------------------------------------------------------------


def mode(number, noise, signal=np.nan, unit="keV") -> ModeNoise:
    image = np.zeros((2, 2), np.float32)
    good = np.ones((2, 2), bool)
    lines = LineNoise(0, 0.1)
    return ModeNoise(
        number, "", unit, image, image, good, 0, noise, lines, lines, signal
    )


@pytest.mark.parametrize(
    ("modes", "best", "why"),
    [
        ([mode(0, 1.0), mode(46, 0.7)], 46, "noise 0.7 keV instead of 1 with 0"),
        ([mode(0, 1.0), mode(46, 0.99)], 0, "none of the others"),
        ([mode(0, 1, 1), mode(6, 0.5, 0.8), mode(46, 0.7, 1)], 46, "only 80% of the"),
        ([mode(0, 1.0), mode(1, 0.1, unit="ADU")], 0, "the only one in keV"),
        ([mode(0, 1.0), mode(45, 0.703), mode(46, 0.7)], 45, "noise 0.703"),
    ],
)
def test_recommendation_and_its_reason(modes, best, why):
    number, reason = recommend(modes, "keV")
    assert number == best
    assert why in reason


def test_row_noise_and_lost_signal_are_measured(tmp_path):
    rng = np.random.default_rng(4)
    shape = (30, 90, 120)
    signal = np.zeros(shape[1:])
    signal[40:44, 50:54] = 50
    frames = 1000 + 5 * rng.standard_normal(shape) + signal
    rows = 4 * rng.standard_normal((30, 90, 1))
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=3,
        images={"det": (frames + rows).astype(np.float32)},
        constants={"det": {"pedestals": np.full(shape[1:], 1000, np.float32)}},
    )
    events = np.arange(30)
    compared = compare_common_modes(Hdf5Run(path), "det", [0, 30], events=events)
    first = compared.modes[0]
    assert first.noise == pytest.approx(np.hypot(5, 4), rel=0.02)
    assert first.row_noise.value == pytest.approx(4, rel=0.05)
    assert str(first.column_noise) == "< 0.3"
    assert first.signal == pytest.approx(1)
    with pytest.raises(ParameterError, match="at least two events"):
        compare_common_modes(Hdf5Run(path), "det", events=events[:1])
