"""Calibrated images, against psana's own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_run import (
    COLS,
    ROWS,
    FakeRun,
    any_words,
    assert_calibrated,
    calibrate,
    made_up,
)
from psana_reference import psana_calib, psana_module, with_meta

from smalldata_ana.detector import kinds
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.gain_modes import STAGES

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("common_mode", [None, 0, 30])
@pytest.mark.parametrize("blocks", [False, True])
def test_jungfrau_equals_psana_for_all_words(rng, common_mode, blocks):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2, blocks)
    constants["pixel_offset"] = rng.normal(0, 50, (3, 2, ROWS, COLS)).astype("f4")
    reference = psana_calib("jungfrau", words, constants, panels=(0, 1))
    run = FakeRun("jungfrau", words, constants, (0, 1))
    assert_calibrated(calibrate(words, run, common_mode), reference)


def test_some_panels_are_calibrated_as_psana_does_all(rng):
    # psana itself takes the status of another panel where only some are in the data.
    constants, words = made_up(rng, "jungfrau", 8), any_words(rng, 8)
    reference = psana_calib("jungfrau", words, constants, panels=tuple(range(8)))
    panels = (0, 3, 6)
    some = words[list(panels)]
    run = FakeRun("jungfrau", some, constants, panels)
    assert_calibrated(calibrate(some, run), reference[list(panels)])


def test_invalid_gain_bits_give_zero(rng):
    words = any_words(rng) & 0x3FFF | 0x8000
    run = FakeRun("jungfrau", words, made_up(rng, "jungfrau"))
    assert not calibrate(words, run).any()


@pytest.mark.parametrize("common_mode", [None, 30, 80])
def test_epix10ka_equals_psana_for_all_control_bits(rng, common_mode):
    constants, words = made_up(rng, "epix10ka", 4), any_words(rng, 4)
    meaningful = [bits for bits in range(32) if bits & 12 != 4]
    control = rng.choice(meaningful, words.shape).astype(np.uint8)
    panels = (0, 1, 2, 3)
    reference = psana_calib(
        "epix10ka", words, constants, panels=panels, control=control
    )
    run = FakeRun("epix10ka", words, constants, panels, control)
    assert_calibrated(calibrate(words, run, common_mode), reference)


def test_epix10ka_pixel_without_a_gain_stage_is_not_good(rng):
    constants, words = made_up(rng, "epix10ka"), any_words(rng)
    control = np.full(words.shape, 28, np.uint8)
    control[0, 0, :] = 4
    calibration = Calibration.for_run(
        FakeRun("epix10ka", words, constants, control=control), "det"
    )
    assert not calibration.good[0, 0].any()
    assert calibration.good[0, 1:].any()
    assert not calibration(words)[0, 0].any()


def test_epix10ka_pedestal_only_is_that_of_the_first_stage(rng):
    constants, words = made_up(rng, "epix10ka"), any_words(rng)
    run = FakeRun("epix10ka", words, constants, control=None)
    calibration = Calibration.for_run(run, "det", 0)
    good = (constants["pixel_status"][:5] == 0).all(axis=0)
    expected = ((words & 0x3FFF) - constants["pedestals"][0]) * good
    assert_calibrated(calibration(words), expected)
    assert calibration.unit == "ADU"
    assert calibration.label == "pedSub_"


def test_epix100_equals_psana(rng):
    constants, words = made_up(rng, "epix100"), any_words(rng)
    reference = psana_calib("epix100", words, constants)
    calibration = Calibration.for_run(FakeRun("epix100", words, constants), "det", 0)
    assert_calibrated(calibration(words), reference)
    assert calibration.unit == "keV"


def test_opal_with_all_corrections_equals_psana(rng):
    constants = {k: v[0] for k, v in made_up(rng, "opal").items()}
    del constants["pixel_status"]
    words = any_words(rng)[0]
    reference = psana_calib("opal", words, constants)
    assert_calibrated(
        calibrate(words, FakeRun("opal", words, constants), 30), reference
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint32, np.float32, float])
def test_camera_may_have_any_numbers(rng, dtype):
    frame = rng.integers(0, 200, (ROWS, COLS)).astype(dtype)
    pedestals = rng.normal(20, 3, (ROWS, COLS)).astype(np.float32)
    run = FakeRun("camera", frame, {"pedestals": pedestals})
    assert_calibrated(calibrate(frame, run), frame - pedestals.astype(float))
    assert_calibrated(calibrate(frame, run, -1), frame)


@pytest.fixture(scope="module")
def quad():
    """The real epixquad: raw frames, control bits, and a way to psana's calib."""
    file = REAL / "test_epix_calib.xtc2"
    if not file.exists():
        pytest.skip(f"no real data in {REAL}")
    psana = psana_module("psana")

    def events(constants):
        source = psana.DataSource(files=str(file), skip_calib_load="all")
        run = next(source.runs())
        run._calib_const["epixquad"] = with_meta(constants)
        detector = run.Detector("epixquad")
        control = detector.raw._cbits_config_detector()
        for event in run.events():
            yield detector.raw.raw(event), control, detector.raw.calib(event)

    return events


@pytest.mark.filterwarnings("ignore")
def test_real_epixquad_equals_psana(rng, quad):
    shape = (7, 4, 352, 384)
    constants = {
        "pedestals": rng.normal(2900, 300, shape).astype(np.float32),
        "pixel_gain": rng.normal(16.4, 0.5, shape).astype(np.float32),
        "pixel_status": (rng.random(shape) < 0.01).astype(np.uint64),
    }
    count = 0
    for words, control, reference in quad(constants):
        run = FakeRun("epix10ka", words, constants, (0, 1, 2, 3), control)
        assert_calibrated(calibrate(words, run), reference)
        count += 1
    assert count == 2


@pytest.mark.filterwarnings("ignore")
def test_real_epixquad_has_the_values_that_are_known(quad):
    truth = json.loads((REAL / "epixquad_truth.json").read_text())["epixquad"]
    pedestals = np.zeros((7, 4, 352, 384), np.float32)
    pixels = (3, 7, slice(0, 5))
    pedestals[STAGES.index("FL")][pixels] = truth["implied_pedestal_event0"]
    gain = np.full(pedestals.shape, truth["gain_adu_per_keV"], np.float32)
    constants = {"pedestals": pedestals, "pixel_gain": gain}
    for event, (words, control, _) in enumerate(quad(constants)):
        run = FakeRun("epix10ka", words, constants, (0, 1, 2, 3), control)
        np.testing.assert_allclose(
            calibrate(words, run)[pixels], truth["expected_keV"][event], rtol=1e-6
        )


@pytest.mark.parametrize(
    ("dettype", "common_mode", "mask"),
    [
        ("jungfrau", -1, 0xFFFF),
        ("epix10ka", -1, 0x3FFF),
        ("epix10ka", -2, 0xFFFF),
        ("epix100", -1, 0xFFFF),
        ("camera", -1, 0xFFFF),
    ],
)
def test_raw_is_raw(rng, dettype, common_mode, mask):
    words = any_words(rng)
    constants = {"pedestals": np.zeros((9, 9)), "pixel_status": np.ones((2, 2))}
    calibration = Calibration.for_run(
        FakeRun(dettype, words, constants), "det", common_mode
    )
    np.testing.assert_array_equal(calibration(words), words & mask)
    assert calibration.unit == "ADU"


def test_good_pixels_are_those_without_status_that_the_mask_keeps(rng):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    mask = (rng.random((2, ROWS, COLS)) < 0.9).astype(np.uint8)
    run = FakeRun("jungfrau", words, constants | {"pixel_mask": mask}, (0, 1))
    good = Calibration.for_run(run, "det").good
    assert good.dtype == np.bool_
    status = np.bitwise_or.reduce(constants["pixel_status"], axis=0)
    np.testing.assert_array_equal(good, (status == 0) & (mask == 1))


def test_mask_of_the_constants_leaves_the_image_as_psana_has_it(rng):
    constants, words = made_up(rng, "jungfrau"), any_words(rng)
    constants["pixel_mask"] = np.zeros((1, ROWS, COLS), np.uint8)
    reference = psana_calib("jungfrau", words, constants)
    run = FakeRun("jungfrau", words, constants)
    calibration = Calibration.for_run(run, "det", lenient=True)
    assert_calibrated(calibration(words), reference)
    assert not calibration.good.any()


def test_status_of_computed_stages_of_an_epix10ka_does_not_count(rng):
    constants, words = made_up(rng, "epix10ka"), any_words(rng)
    constants["pixel_status"][:] = 0
    constants["pixel_status"][5:] = 1
    control = np.full(words.shape, 16, np.uint8)
    run = FakeRun("epix10ka", words, constants, control=control)
    calibration = Calibration.for_run(run, "det")
    assert calibration.good.all()
    reference = psana_calib("epix10ka", words, constants, control=control)
    assert_calibrated(calibration(words), reference)


def test_rms_is_in_the_unit_of_the_image(rng):
    constants, words = made_up(rng, "jungfrau"), any_words(rng)
    constants["pixel_gain"] *= -1
    run = FakeRun("jungfrau", words, constants)
    rms = constants["pixel_rms"][0]
    in_kev = rms / np.abs(constants["pixel_gain"][0])
    assert Calibration.for_run(run, "det").rms == pytest.approx(in_kev, rel=1e-6)
    assert Calibration.for_run(run, "det", -1).rms == pytest.approx(rms)


def test_rms_of_an_epix10ka_is_that_of_the_configured_stage(rng):
    constants, words = made_up(rng, "epix10ka"), any_words(rng)
    control = np.full(words.shape, 16, np.uint8)
    run = FakeRun("epix10ka", words, constants, control=control)
    stage = STAGES.index("AHL_H")
    expected = constants["pixel_rms"][stage] / constants["pixel_gain"][stage]
    assert Calibration.for_run(run, "det").rms == pytest.approx(expected, rel=1e-6)


def test_rms_may_be_unknown(rng):
    words = any_words(rng)
    assert Calibration.for_run(FakeRun("epix100", words, {}), "det", -1).rms is None


@pytest.mark.parametrize("dettype", ["jungfrau", "epix100"])
def test_image_is_new_or_what_is_given_and_the_input_stays(rng, dettype):
    words = any_words(rng)
    before = words.copy()
    words.setflags(write=False)
    calibration = Calibration.for_run(
        FakeRun(dettype, words, made_up(rng, dettype)), "det"
    )
    first, second = calibration(words), calibration(words)
    assert not np.shares_memory(first, second)
    out = np.full(words.shape, np.nan, np.float32)
    assert calibration(words, out) is out
    np.testing.assert_array_equal(out, first)
    np.testing.assert_array_equal(words, before)


def test_threads_do_not_disturb_each_other(rng):
    frames = [any_words(rng, 2) for _ in range(64)]
    run = FakeRun("jungfrau", frames[0], made_up(rng, "jungfrau", 2), (0, 1))
    calibration = Calibration.for_run(run, "det")
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(calibration, frames))
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(image, calibration(frame))


def test_registered_kind_is_calibrated(rng, monkeypatch):
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    kinds.register_kind(
        kinds.Kind(
            "twogain",
            "a camera with one gain bit",
            gain_stages=("high", "low"),
            data_mask=0x7FFF,
            gain_bits=0x8000,
            plane_of_bits=(0, 0, 1, 1),
        )
    )
    pedestals = rng.normal(100, 3, (2, 1, ROWS, COLS)).astype(np.float32)
    words = any_words(rng)
    image = calibrate(words, FakeRun("twogain", words, {"pedestals": pedestals}))
    chosen = np.where(words & 0x8000, pedestals[1], pedestals[0])
    assert_calibrated(image, (words & 0x7FFF) - chosen)
