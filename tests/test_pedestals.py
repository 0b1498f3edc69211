"""Pedestals, noise and status of dark runs, against the truth they were made from."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.errors import (
    ConstantsError,
    DetectorNotFound,
    NoDataError,
    ParameterError,
)
from smalldata_ana.pedestals import (
    Status,
    deploy,
    export_text,
    make_pedestals,
    usual_begin,
)
from smalldata_ana.pedestals.dark_frames import DarkFrames
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 40
SHAPE = (2, 30, 40)
NOISY, QUIET, HIGH, LOW = (0, 1, 2), (0, 3, 4), (1, 5, 6), (1, 7, 8)
JUNGFRAU_BITS = (0, 1 << 14, 3 << 14)
LEVELS = (2900.0, 14500.0, 14200.0)
SIGMA = 6.0

_random = np.random.default_rng(11)
TRUTH = np.stack([_random.normal(level, 20, SHAPE) for level in LEVELS])
NOISE = np.full(SHAPE, SIGMA)
NOISE[NOISY] = 60
NOISE[QUIET] = 0.2
TRUTH[:, *HIGH] += 1000
TRUTH[:, *LOW] -= 1000


def dark_words(stage: int, events: int = EVENTS, seed: int = 0) -> np.ndarray:
    """Return jungfrau words of one gain stage."""
    rng = np.random.default_rng([stage, seed])
    adu = TRUTH[stage] + NOISE * rng.standard_normal((events, *SHAPE))
    return adu.round().astype(np.uint16) | np.uint16(JUNGFRAU_BITS[stage])


def write(folder, words, *, run=5, dettype="jungfrau", **more) -> Hdf5Run:
    more = {
        name: value if name in ("steps", "event_codes") else {"det": value}
        for name, value in more.items()
    }
    path = write_run(
        folder / f"run{run}.h5",
        experiment="xpptut15",
        run=run,
        images={"det": words},
        dettypes={"det": dettype},
        **more,
    )
    return Hdf5Run(path)


def assert_true(pedestals, rms, status, truth, events, sigma=SIGMA) -> None:
    """Hold the good pixels to five standard errors of a mean, and of a noise."""
    good = status == 0
    off = np.abs(pedestals - truth)[good]
    assert off.max() < 5 * sigma / np.sqrt(events)
    assert np.mean(rms[good] ** 2) == pytest.approx(sigma**2, rel=2e-2)
    assert np.abs(rms[good] / sigma - 1).max() < 6 / np.sqrt(2 * (events - 1))


# ---- the stages ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_stages(tmp_path_factory) -> Hdf5Run:
    words = np.concatenate([dark_words(stage) for stage in range(3)])
    steps = np.arange(3).repeat(EVENTS)
    return write(tmp_path_factory.mktemp("dark"), words, steps=steps)


def test_jungfrau_stages_are_found_by_their_bits(three_stages):
    made = make_pedestals(three_stages, "det")
    assert made.pedestals.shape == (3, *SHAPE)
    assert [(s.name, s.frames, s.rejected) for s in made.stages] == [
        ("G0", EVENTS, 0),
        ("G1", EVENTS, 0),
        ("G2", EVENTS, 0),
    ]
    for stage in range(3):
        assert_true(
            made.pedestals[stage],
            made.rms[stage],
            made.status[stage],
            TRUTH[stage],
            EVENTS,
        )


def test_mean_and_noise_are_those_of_numpy(three_stages):
    made = make_pedestals(three_stages, "det", stages=["G0"])
    data = dark_words(0).astype(float)
    np.testing.assert_allclose(made.pedestals[0], data.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(made.rms[0], data.std(axis=0, ddof=1), rtol=1e-5)
    assert made.pedestals.dtype == made.rms.dtype == np.float32
    assert made.status.dtype == np.uint64


def test_bad_pixels_get_the_bit_of_their_reason(three_stages):
    status = make_pedestals(three_stages, "det").status
    for stage in range(3):
        assert status[stage][NOISY] == Status.RMS_HIGH
        assert status[stage][QUIET] == Status.RMS_LOW
        assert status[stage][HIGH] == Status.PEDESTAL_HIGH
        assert status[stage][LOW] == Status.PEDESTAL_LOW
        assert np.count_nonzero(status[stage]) == 4


def with_lines(events: int, dead: tuple[int, ...], sigma: float = 5.0) -> np.ndarray:
    """Return frames with offsets of rows and columns, as an epix100 has them."""
    rng = np.random.default_rng(events)
    shape = (events, 96, 768)
    noise = np.full(shape[1:], sigma)
    noise.flat[list(dead)] = 0.5
    adu = 2500 + rng.normal(0, 4, (events, 96, 1)) + rng.normal(0, 3, (events, 1, 768))
    return (adu + noise * rng.standard_normal(shape)).round().astype(np.uint16)


def test_dead_pixels_are_found_below_a_common_mode(tmp_path):
    dead = tuple(range(17, 96 * 768, 1401))
    words = with_lines(40, dead)
    total = words.astype(float).std(axis=0, ddof=1)
    assert total.flat[list(dead)].min() > np.median(total) / 4
    made = make_pedestals(write(tmp_path, words, dettype="epix100"), "det")
    low = (made.status & np.uint64(Status.RMS_LOW)) != 0
    np.testing.assert_array_equal(np.flatnonzero(low), dead)
    np.testing.assert_allclose(made.rms.reshape(total.shape), total, rtol=1e-5)


@pytest.mark.parametrize("events", [5, 8, 12, 40])
def test_few_frames_mark_no_good_pixels_and_say_so(tmp_path, events):
    run = write(tmp_path, with_lines(events, ()), dettype="epix100")
    made = make_pedestals(run, "det")
    assert not made.status.any()
    told = [note for note in made.notes if "too few to find all dead pixels" in note]
    assert len(told) == (events < 40)


def test_pixels_that_are_good_again_are_told(tmp_path):
    before = {"pixel_status": np.zeros((3, *SHAPE), np.uint64)}
    before["pixel_status"][0, 1, 20, 10:13] = Status.RMS_LOW
    before["pixel_status"][0][NOISY] = Status.RMS_HIGH
    made = make_pedestals(write(tmp_path, dark_words(0), constants=before), "det")
    assert made.stages[0].again_good == 3
    assert "3 pixels of G0 that were bad before are good now" in made.notes


def test_given_ranges_decide(three_stages):
    ranges = {"ped_range": (2900, 2e4), "rms_range": (0, 100)}
    made = make_pedestals(three_stages, "det", stages=["G0"], **ranges)
    low = made.pedestals[0] < 2900
    expected = np.where(low, int(Status.PEDESTAL_LOW), 0)
    np.testing.assert_array_equal(made.status[0], expected)
    (stage,) = made.stages
    assert stage.reasons[Status.PEDESTAL_LOW] == stage.bad == low.sum()


def test_one_run_for_each_stage(tmp_path):
    runs = [write(tmp_path, dark_words(k), run=5 + k) for k in range(3)]
    made = make_pedestals(runs, "det")
    assert made.runs == (5, 6, 7)
    assert all(isinstance(run, Run) for run in runs)
    for stage in range(3):
        expected = dark_words(stage).astype(float).mean(axis=0) - JUNGFRAU_BITS[stage]
        np.testing.assert_allclose(made.pedestals[stage], expected, rtol=1e-6)


def test_stages_that_were_not_taken_stay(tmp_path):
    before = {
        "pedestals": np.full((3, *SHAPE), 7.0, np.float32),
        "pixel_rms": np.full((3, *SHAPE), 6.0, np.float32),
        "pixel_status": np.full((3, *SHAPE), 32, np.uint64),
    }
    made = make_pedestals(write(tmp_path, dark_words(0), constants=before), "det")
    for name, value in made.constants().items():
        np.testing.assert_array_equal(value[1:], before[name][1:])
        assert (value[0] != before[name][0]).mean() > 0.9
    assert made.notes[0].startswith("G1, G2 stay as they are (5-5, ")


def test_never_measured_stages_are_nan_without_status(tmp_path):
    made = make_pedestals(write(tmp_path, dark_words(0)), "det")
    assert np.isnan(made.pedestals[1:]).all()
    assert not made.status[1:].any()
    assert "no constants of G1, G2" in made.notes[0]


def test_constants_that_do_not_fit_are_not_kept(tmp_path):
    before = {"pedestals": np.zeros((3, 1, 3, 3), np.float32)}
    made = make_pedestals(write(tmp_path, dark_words(0), constants=before), "det")
    assert "do not fit" in made.notes[0]


def test_panels_without_data_stay(tmp_path, three_stages, monkeypatch):
    before = {"pedestals": np.full((3, 4, *SHAPE[1:]), 7.0, np.float32)}
    run = write(tmp_path, dark_words(0), constants=before)
    from dataclasses import replace

    info = replace(run.detectors["det"], panels=(1, 3))
    monkeypatch.setattr(Hdf5Run, "detectors", {"det": info})
    made = make_pedestals(run, "det")
    assert made.pedestals.shape == (3, 4, *SHAPE[1:])
    assert (made.pedestals[0, [0, 2]] == 7).all()
    expected = dark_words(0).astype(float).mean(axis=0)
    np.testing.assert_allclose(made.pedestals[0, [1, 3]], expected, rtol=1e-6)


def test_pixels_in_another_stage_are_marked(tmp_path):
    words = dark_words(1)
    words[:, 0, 10, 10] &= 0x3FFF
    status = make_pedestals(write(tmp_path, words), "det").status[1]
    assert status[0, 10, 10] == Status.OTHER_STAGE


def test_frames_of_no_single_stage_are_left_out(tmp_path):
    words = dark_words(1)
    words[:3, 0] &= 0x3FFF
    made = make_pedestals(write(tmp_path, words), "det")
    assert made.stages[0].frames == EVENTS - 3
    assert "3 frames are in no single gain stage" in made.notes[0]


CONTROL = {"FH": 28, "FM": 12, "FL": 8, "AHL_H": 16, "AML_M": 0}


@pytest.mark.parametrize("name", CONTROL)
def test_epix10ka_stage_is_that_of_the_configuration(tmp_path, name):
    rng = np.random.default_rng(1)
    words = rng.normal(3000, 10, (10, *SHAPE)).round().astype(np.uint16)
    raised = 1 << 14 if name == "FL" else 0
    control = np.full(SHAPE, CONTROL[name], np.uint8)
    run = write(
        tmp_path, words | raised, dettype="epix10ka", gain_configuration=control
    )
    made = make_pedestals(run, "det")
    (stage,) = made.stages
    assert stage.name == name
    assert made.pedestals.shape == (7, *SHAPE)
    expected = words.astype(float).mean(axis=0)
    np.testing.assert_allclose(made.pedestals[stage.number], expected, rtol=1e-6)


def test_epix10ka_without_configuration_is_refused(tmp_path):
    run = write(tmp_path, dark_words(0), dettype="epix10ka")
    with pytest.raises(ConstantsError, match="no gain configuration of 'det'"):
        make_pedestals(run, "det")


def test_one_stage_and_no_panels(tmp_path):
    words = dark_words(0)[:, 1]
    made = make_pedestals(write(tmp_path, words, dettype="opal"), "det")
    expected = words.astype(float).mean(axis=0)
    assert made.pedestals.shape == SHAPE[1:]
    np.testing.assert_allclose(made.pedestals, expected, rtol=1e-6)


# ---- light ---------------------------------------------------------------------------


def with_lit_shots(lit: list[int], adu: float = 30) -> np.ndarray:
    words = dark_words(0)
    words[lit] += np.uint16(adu)
    return words


@pytest.mark.parametrize("lit", [[3], [0, 7, 19, 30, 39]])
@pytest.mark.parametrize("adu", [30, 1000])
def test_lit_shots_are_left_out(tmp_path, lit, adu):
    made = make_pedestals(write(tmp_path, with_lit_shots(lit, adu)), "det")
    assert made.stages[0].rejected == len(lit)
    dark = np.setdiff1d(np.arange(EVENTS), lit)
    expected = dark_words(0)[dark].astype(float)
    np.testing.assert_allclose(made.pedestals[0], expected.mean(0), rtol=1e-6)
    np.testing.assert_allclose(made.rms[0], expected.std(0, ddof=1), rtol=1e-5)


def test_stray_photons_are_left_out(tmp_path):
    words = dark_words(0)
    words[25, 1, 2, 3] += 400
    made = make_pedestals(write(tmp_path, words), "det")
    expected = np.delete(words[:, 1, 2, 3], 25).astype(float)
    assert made.pedestals[0, 1, 2, 3] == pytest.approx(expected.mean(), rel=1e-6)
    assert made.status[0, 1, 2, 3] == 0


def test_pixel_that_is_often_far_off_is_marked(tmp_path):
    words = dark_words(0)
    words[::7, 1, 2, 3] += 400
    words[::7, 1, 2, 4] -= 400
    status = make_pedestals(write(tmp_path, words), "det").status
    assert status[0, 1, 2, 3] == Status.VALUES_HIGH
    assert status[0, 1, 2, 4] == Status.VALUES_LOW


def test_slow_drift_is_not_light(tmp_path):
    rng = np.random.default_rng(2)
    drift = np.linspace(0, 12, 200).reshape(-1, 1, 1, 1)
    adu = 2900 + drift + 6 * rng.standard_normal((200, *SHAPE))
    made = make_pedestals(write(tmp_path, adu.round().astype(np.uint16)), "det")
    assert made.stages[0].rejected == 0


def photons(mean: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    pulses = rng.gamma(12, 1 / 12, (EVENTS, 1, 1, 1))
    return dark_words(0) + (400 * rng.poisson(mean * pulses, (EVENTS, *SHAPE))).astype(
        np.uint16
    )


@pytest.mark.parametrize(
    ("mean", "reason"),
    [
        (0.02, "of the values are far above or below the usual"),
        (2.0, "the mean of a frame varies by"),
    ],
)
def test_run_with_light_is_refused(tmp_path, mean, reason):
    run = write(tmp_path, photons(mean))
    with pytest.raises(NoDataError, match=rf"run 5 is not dark .*{reason}"):
        make_pedestals(run, "det")
    assert make_pedestals(run, "det", require_dark=False).stages


def test_much_more_noise_than_before_is_refused(tmp_path):
    before = {"pixel_rms": np.full((3, *SHAPE), 1.0, np.float32)}
    run = write(tmp_path, dark_words(0), constants=before)
    with pytest.raises(NoDataError, match=r"valid now say 1 ADU"):
        make_pedestals(run, "det")


def codes(xrays: np.ndarray) -> np.ndarray:
    table = np.zeros((EVENTS, 288), np.int8)
    table[:, 40] = 1
    table[xrays, 137] = 1
    return table


def test_events_with_xrays_by_their_codes(tmp_path):
    few = np.arange(EVENTS) % 4 == 0
    run = write(tmp_path, dark_words(0), event_codes=codes(few))
    made = make_pedestals(run, "det")
    assert made.stages[0].frames == 30
    assert "10 events with X-rays" in made.notes[0]
    run = write(tmp_path, dark_words(0), event_codes=codes(~few), run=6)
    with pytest.raises(NoDataError, match="30 of 40 events have X-rays"):
        make_pedestals(run, "det")
    dark = [np.flatnonzero(few)]
    assert make_pedestals(run, "det", events=dark).stages[0].frames == 10
    assert make_pedestals(run, "det", require_dark=False).stages[0].frames == EVENTS


# ---- wrong input ---------------------------------------------------------------------


def test_wrong_input_is_named(tmp_path, three_stages):
    with pytest.raises(DetectorNotFound, match="no area detector 'dett'"):
        make_pedestals(three_stages, "dett")
    with pytest.raises(ParameterError, match="no gain stage 'G7'"):
        make_pedestals(three_stages, "det", stages=["G7"])
    with pytest.raises(ParameterError, match="ped_range is two growing numbers"):
        make_pedestals(three_stages, "det", ped_range=(9, 3))
    with pytest.raises(ParameterError, match="at least one run"):
        make_pedestals([], "det")
    other = write(tmp_path, dark_words(0)[:, :1], run=9)
    with pytest.raises(ParameterError, match="not the same in all runs"):
        make_pedestals([three_stages, other], "det")
    floats = write(tmp_path, dark_words(0).astype(np.float32), run=10)
    with pytest.raises(ParameterError, match="uint16 words"):
        make_pedestals(floats, "det")


def test_too_few_frames_are_named(tmp_path):
    words = np.concatenate([dark_words(0), dark_words(1, events=3)])
    run = write(tmp_path, words)
    made = make_pedestals(run, "det")
    assert [stage.name for stage in made.stages] == ["G0"]
    assert "only 3 frames of G1" in made.notes[0]
    with pytest.raises(NoDataError, match=r"stage G1: it takes 5, .* G1 3"):
        make_pedestals(run, "det", stages=["G1"])


# ---- statistics ----------------------------------------------------------------------


def test_pixel_without_values_has_none():
    frames = DarkFrames((2,))
    for value in range(10):
        frames.add(np.array([value, np.nan], np.float32))
    found = frames.result()
    assert found.mean[0] == 4.5
    assert found.rms[0] == pytest.approx(np.std(range(10), ddof=1))
    assert np.isnan(found.mean[1])
    assert list(found.count) == [10, 0]


# ---- where they go -------------------------------------------------------------------


def test_deployed_constants_are_valid_for_their_runs(tmp_path, three_stages):
    made = make_pedestals(three_stages, "det")
    store = ConstantsStore(tmp_path / "calib")
    deploy(made, store, 3)
    assert store.get("det", 2).items == {}
    found = store.get("det", 4)
    for name, value in made.constants().items():
        np.testing.assert_array_equal(found.array(name), value)
    record = store.valid("det", 4)["pedestals"]
    assert record.validity == "3-end"
    assert record.made["origin"] == "dark frames of xpptut15 run 5"
    assert "G0: 40 frames" in record.made["stages"]


def test_first_dark_run_is_for_the_runs_before_it_too(tmp_path, three_stages):
    made = make_pedestals(three_stages, "det")
    store = ConstantsStore(tmp_path / "calib")
    assert usual_begin(made, store) == 1
    store.put("det", "pedestals", made.pedestals, 0)
    assert usual_begin(made, store) == 1
    store.put("det", "pedestals", made.pedestals, 1)
    assert usual_begin(made, store) == 5


def test_text_is_that_of_psana(tmp_path, three_stages):
    from psana.pscalib.calib.NDArrIO import load_txt
    from simulated import psana  # noqa: F401  skips where psana is not there

    made = make_pedestals(three_stages, "det")
    export_text(made, tmp_path, 3)
    store = ConstantsStore(tmp_path).get("det", 3)
    for name, value in made.constants().items():
        path = tmp_path / "det" / name / "3-end.data"
        loaded = load_txt(str(path))
        assert loaded.shape == value.shape
        np.testing.assert_allclose(loaded, value, atol=6e-4)
        np.testing.assert_allclose(store.array(name), value, atol=6e-4)
