"""Constants that are missing or wrong, and frames that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from fake_run import COLS, ROWS, FakeRun, any_words, assert_calibrated, made_up
from image_source import Images, attached
from psana_reference import psana_calib

from smalldata_ana.ana_funcs import projectionFunc
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.errors import ConstantsError, DetectorNotFound, ParameterError


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("dettype", ["jungfrau", "epix10ka", "epix100", "camera"])
def test_without_pedestals_the_data_are_raw_and_said_to_be(rng, dettype):
    words = any_words(rng)
    control = np.zeros(words.shape, np.uint8)
    calibration = Calibration.for_run(
        FakeRun(dettype, words, {}, control=control), "det", lenient=True
    )
    assert "no pedestals: raw data" in calibration.notes
    assert (calibration.label, calibration.unit) == ("raw_", "ADU")
    assert calibration.common_mode == -1
    expected = Calibration.for_run(FakeRun(dettype, words, {}), "det", -1)(words)
    np.testing.assert_array_equal(calibration(words), expected)


def test_without_gain_configuration_the_data_are_raw_and_said_to_be(rng):
    words = any_words(rng)
    calibration = Calibration.for_run(
        FakeRun("epix10ka", words, made_up(rng, "epix10ka")), "det", lenient=True
    )
    assert "no gain configuration of the pixels: raw data" in calibration.notes
    assert (calibration.label, calibration.unit) == ("raw_", "ADU")


@pytest.mark.parametrize("dettype", ["jungfrau", "epix100"])
def test_without_gain_pedestals_are_subtracted_in_adu(rng, dettype):
    words, constants = any_words(rng) & 0x3FFF, made_up(rng, dettype)
    del constants["pixel_gain"], constants["pixel_status"]
    run = FakeRun(dettype, words, constants)
    calibration = Calibration.for_run(run, "det", 0, lenient=True)
    first = constants["pedestals"].reshape(-1, ROWS, COLS)[0]
    assert_calibrated(calibration(words)[0], words[0] - first)
    assert (calibration.label, calibration.unit) == ("pedSub_", "ADU")
    assert any("no gain" in note for note in calibration.notes)


def test_notes_of_the_store_are_kept(rng):
    words = any_words(rng)
    notes = Calibration.for_run(FakeRun("camera", words, {}), "det").notes
    assert notes[0] == "a note of the store"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["pedestals", "pixel_gain"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_constants_that_are_not_numbers_give_zero_and_a_note(rng, name, value):
    constants, words = made_up(rng, "jungfrau"), any_words(rng)
    constants[name][:, 0, 3] = value
    before = constants[name].copy()
    calibration = Calibration.for_run(FakeRun("jungfrau", words, constants), "det")
    image = calibration(words)
    assert not image[0, 3].any()
    assert np.isfinite(image).all()
    assert not calibration.good[0, 3].any()
    assert any(note.startswith(f"{COLS} pixels") for note in calibration.notes)
    np.testing.assert_array_equal(constants[name], before)


@pytest.mark.filterwarnings("error")
def test_zero_gain_gives_zero_as_psana_does(rng):
    constants, words = made_up(rng, "jungfrau"), any_words(rng)
    constants["pixel_gain"][1] = 0
    calibration = Calibration.for_run(FakeRun("jungfrau", words, constants), "det")
    assert_calibrated(calibration(words), psana_calib("jungfrau", words, constants))
    assert calibration.good.any()


WRONG_SHAPES = [(3, 1, ROWS, COLS), (2, 2, ROWS, COLS), (3, 2, COLS, ROWS), (5,), ()]


@pytest.mark.parametrize("name", ["pedestals", "pixel_gain", "pixel_status"])
@pytest.mark.parametrize("shape", WRONG_SHAPES)
def test_constants_of_the_wrong_shape_are_left_out_and_named(rng, name, shape):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants[name] = np.ones(shape, np.float32)
    run = FakeRun("jungfrau", words, constants, (0, 1))
    calibration = Calibration.for_run(run, "det", lenient=True)
    (note,) = [n for n in calibration.notes if "left out" in n]
    for part in ("'det'", name, str(shape), str(words.shape), f"store/{name}.npy"):
        assert part in note


@pytest.mark.parametrize("shape", WRONG_SHAPES)
def test_with_pedestals_of_the_wrong_shape_images_are_raw(rng, shape):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants["pedestals"] = np.ones(shape, np.float32)
    calibration = Calibration.for_run(
        FakeRun("jungfrau", words, constants, (0, 1)), "det", lenient=True
    )
    np.testing.assert_array_equal(calibration(words), words)
    assert (calibration.label, calibration.unit) == ("raw_", "ADU")


def test_with_gains_of_the_wrong_shape_only_pedestals_are_subtracted(rng):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants["pixel_gain"] = np.ones((5,), np.float32)
    run = FakeRun("jungfrau", words, constants, (0, 1))
    assert Calibration.for_run(run, "det", lenient=True).unit == "ADU"


def test_camera_leaves_out_what_does_not_fit_and_says_so(rng):
    words = any_words(rng)[0]
    run = FakeRun("opal", words, {"pedestals": np.ones((5, 6))})
    calibration = Calibration.for_run(run, "det", lenient=True)
    np.testing.assert_array_equal(calibration(words), words)
    assert calibration.label == "raw_"
    assert any("(5, 6)" in note and "left out" in note for note in calibration.notes)


def test_gain_configuration_of_another_shape_is_an_error(rng):
    words = any_words(rng, 2)
    run = FakeRun(
        "epix10ka",
        words,
        made_up(rng, "epix10ka", 2),
        (0, 1),
        np.zeros((1, ROWS, COLS), np.uint8),
    )
    with pytest.raises(ConstantsError, match="gain configuration of 'det'"):
        Calibration.for_run(run, "det")


def test_common_mode_that_does_not_exist_is_an_error(rng):
    words = any_words(rng)
    with pytest.raises(ParameterError, match="no common mode 84 for 'epix100'"):
        Calibration.for_run(FakeRun("epix100", words, {}), "det", 84)


def test_detector_that_does_not_exist_is_an_error(rng):
    run = FakeRun("epix100", any_words(rng), {})
    with pytest.raises(DetectorNotFound, match=r"xpptut15 run 7.*Did you mean 'det'"):
        Calibration.for_run(run, "dett")


def test_frames_that_are_not_words_are_an_error(rng):
    frame = any_words(rng).astype(np.float32)
    with pytest.raises(ParameterError, match=r"uint16 words.*float32"):
        Calibration.for_run(FakeRun("jungfrau", frame, made_up(rng, "jungfrau")), "det")


@pytest.mark.parametrize(
    "frame", [np.zeros((2, ROWS, COLS), np.uint16), np.zeros((1, ROWS, COLS))]
)
def test_frame_that_is_not_the_detectors_is_an_error(rng, frame):
    run = FakeRun("jungfrau", any_words(rng), made_up(rng, "jungfrau"))
    with pytest.raises(ParameterError, match="'det'"):
        Calibration.for_run(run, "det")(frame)


@pytest.mark.parametrize(
    "out", [np.empty((1, ROWS, COLS)), np.empty((1, COLS, ROWS), "f4").swapaxes(1, 2)]
)
def test_output_that_cannot_hold_the_image_is_an_error(rng, out):
    words = any_words(rng)
    run = FakeRun("jungfrau", words, made_up(rng, "jungfrau"))
    with pytest.raises(ParameterError, match="contiguous float32"):
        Calibration.for_run(run, "det")(words, out)


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("number", [0, 7])
def test_common_mode_asked_for_without_its_constants_is_an_error(rng, number, lenient):
    run = FakeRun("jungfrau", any_words(rng, 2), {}, (0, 1))
    with pytest.raises(ConstantsError, match=f"common mode {number} of 'det' cannot"):
        Calibration.for_run(run, "det", number, lenient=lenient)


def test_46_without_noise_is_an_error_unless_another_one_will_do(rng):
    constants, words = made_up(rng, "epix100", 1), any_words(rng)[0]
    del constants["pixel_rms"]
    run = FakeRun("epix100", words, constants)
    for common_mode, lenient in ((46, True), (46, False), (None, False)):
        with pytest.raises(ConstantsError, match=r"common mode 46 .* no pixel_rms"):
            Calibration.for_run(run, "det", common_mode, lenient=lenient)
    calibration = Calibration.for_run(run, "det", lenient=True)
    assert calibration.common_mode == 0
    assert "no noise of the pixels: without common mode" in calibration.notes
    assert Calibration.for_run(run, "det", 30).common_mode == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [("pedestals", np.nan), ("pixel_gain", 0), ("pixel_gain", np.nan)],
)
def test_constants_that_leave_no_pixel_are_an_error(rng, name, value):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants[name] = np.full_like(constants[name], value)
    run = FakeRun("jungfrau", words, constants, (0, 1))
    with pytest.raises(ConstantsError, match="leave no pixel"):
        Calibration.for_run(run, "det")
    assert Calibration.for_run(run, "det", -1).unit == "ADU"


# ---- noise ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0, -3, np.nan, np.inf])
@pytest.mark.parametrize("number", [45, 46, 47, 145, 6, (6, 1)])
def test_noise_that_is_not_usable_is_an_error_where_it_is_needed(rng, number, value):
    constants, words = made_up(rng, "epix100"), any_words(rng)
    constants["pixel_rms"][:] = value
    run = FakeRun("epix100", words, constants)
    message = (
        r"pixel_rms of 'det' is in no pixel a number above 0; from store/pixel_rms.npy"
        r"\. .*makePedestal\('det'\)"
    )
    for lenient in (False, True):
        with pytest.raises(ConstantsError, match=message):
            Calibration.for_run(run, "det", number, lenient=lenient)
    with pytest.raises(ConstantsError, match=message):
        Calibration.for_run(run, "det")
    calibration = Calibration.for_run(run, "det", lenient=True)
    assert calibration.common_mode == 0
    assert "no usable noise of the pixels: without common mode" in calibration.notes
    assert Calibration.for_run(run, "det", 0).rms is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0, -3, np.nan, np.inf])
@pytest.mark.parametrize("number", [45, 46, 47])
def test_pixels_of_unusable_noise_take_no_part_in_the_common_mode(value, number):
    shape = (1, ROWS, COLS)
    columns = np.random.default_rng(5).integers(-9, 9, (2, 1, COLS))
    offsets = np.repeat(columns, ROWS // 2, axis=1).reshape(shape)
    unknown = np.zeros(shape, np.bool_)
    unknown[0, 0:8, 2] = unknown[0, 12:20, 33] = True
    constants = {
        "pedestals": np.full(shape, 1000, np.float32),
        "pixel_rms": np.where(unknown, value, 3).astype(np.float32),
        "pixel_gain": np.full(shape, 2, np.float32),
    }
    words = (1000 + offsets + 20 * unknown).astype(np.uint16)
    calibration = Calibration.for_run(
        FakeRun("epix100", words, constants), "det", number
    )
    np.testing.assert_allclose(calibration(words), 10 * unknown, atol=1e-5)
    (note,) = [note for note in calibration.notes if "noise" in note]
    assert note.startswith("16 pixels with a noise that is not a number above 0; they")
    np.testing.assert_array_equal(np.isnan(calibration.rms), unknown)
    np.testing.assert_allclose(calibration.rms[~unknown], 1.5)
    assert calibration.good.all()


# ---- what is told --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("pedestals", np.nan), ("pixel_gain", 0), ("pixel_mask", 0), ("pixel_status", 1)],
)
def test_the_constant_that_leaves_no_pixel_is_named_with_its_file(rng, name, value):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants["pixel_mask"] = np.ones((2, ROWS, COLS), np.uint8)
    constants[name] = np.full_like(constants[name], value)
    run = FakeRun("jungfrau", words, constants, (0, 1))
    with pytest.raises(ConstantsError) as error:
        Calibration.for_run(run, "det")
    pixels = words.size
    assert f"in {pixels} of {pixels} pixels (store/{name}.npy)" in str(error.value)
    assert str(error.value).count("store/") == 1


def test_constants_that_leave_no_pixel_together_are_all_named(rng):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants["pixel_status"][:] = 0
    constants["pixel_mask"] = np.zeros((2, ROWS, COLS), np.uint8)
    constants["pixel_mask"][0] = 1
    constants["pixel_gain"][:, 0] = 0
    run = FakeRun("jungfrau", words, constants, (0, 1))
    half = words.size // 2
    with pytest.raises(ConstantsError) as error:
        Calibration.for_run(run, "det")
    for name in ("pixel_mask", "pixel_gain"):
        assert f"in {half} of {2 * half} pixels (store/{name}.npy)" in str(error.value)
    assert "pedestals" not in str(error.value)


@pytest.mark.parametrize(
    ("dettype", "name", "panels", "wanted"),
    [
        ("epix100", "pedestals", 0, "(1, 24, 40) (at least 1 panel, rows, columns)"),
        ("opal", "pedestals", 0, "(24, 40) (rows, columns)"),
        ("opal", "pixel_mask", 0, "(24, 40) (rows, columns)"),
        ("jungfrau", "pixel_mask", 2, "(2, 24, 40) (at least 2 panels, rows, columns)"),
        ("jungfrau", "pixel_gain", 2, "(3, 2, 24, 40) (gain stages, at least 2 panels"),
    ],
)
def test_shapes_are_told_as_the_store_has_them(rng, dettype, name, panels, wanted):
    words = any_words(rng, panels or 1)
    words = words if panels else words[0]
    run = FakeRun(dettype, words, {name: np.ones((5, 6))}, tuple(range(panels or 1)))
    with pytest.raises(ConstantsError) as error:
        Calibration.for_run(run, "det")
    assert (
        f"have the shape (5, 6), but frames of the shape {words.shape} need {wanted}"
        in str(error.value)
    )


def test_mask_of_other_values_is_an_error(rng):
    constants, words = made_up(rng, "jungfrau", 2), any_words(rng, 2)
    constants["pixel_mask"] = np.ones((2, ROWS, COLS), np.int16)
    constants["pixel_mask"][1, 3, 4:6] = 256
    run = FakeRun("jungfrau", words, constants, (0, 1))
    message = (
        r"pixel_mask of 'det' has the value 256 \(in all 2 values other than 0 and"
    )
    with pytest.raises(ConstantsError, match=message):
        Calibration.for_run(run, "det")
    notes = Calibration.for_run(run, "det", lenient=True).notes
    assert sum("value 256" in note and "left out" in note for note in notes) == 1


def test_pixels_of_unknown_noise_are_not_above_a_threshold():
    noise = np.full((1, 4, 6), 2, np.float32)
    noise[0, 1, 2] = np.nan
    source = Images((1, 4, 6), noise=noise)
    image = np.full((1, 4, 6), 50, np.float32)
    projected = attached(projectionFunc(axis=-1, thresRms=3.0), source).process(image)
    np.testing.assert_allclose(projected["data"], 50 * 23)
