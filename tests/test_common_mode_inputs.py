"""Common modes that take more than a number: regions, nominal factors, ghosts."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from fake_run import FakeRun

from smalldata_ana.averaging import average
from smalldata_ana.common_mode_noise import compare_common_modes
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.common_mode_inputs import recorded
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.event_images import calibrated_images
from smalldata_ana.sources.events import Event
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

NOISE = 3.0


@pytest.fixture
def rng():
    return np.random.default_rng(4)


# -- Icarus: regions -------------------------------------------------------------------

ICARUS = (2, 1024, 512)
BOX = [[10, 60], [100, 400]]


def icarus(rng):
    """Return frames' pedestals, their noise with a median of 0, and photons.

    Half of the pixels are exactly 0, so that medians of 0 need no statistics.
    """
    pedestal = rng.uniform(900, 1100, ICARUS).astype("f4")
    row, column = np.indices(ICARUS)[1:]
    sign = np.where((row + column) // 2 % 2, 1, -1) * ((row + column) % 2)
    noise = (sign * np.abs(rng.normal(0, NOISE, ICARUS))).astype("f4")
    signal = np.where(rng.random(ICARUS) < 0.02, np.float32(200), np.float32(0))
    signal[:, BOX[0][0] : BOX[0][1], BOX[1][0] : BOX[1][1]] = 0
    return pedestal, noise, signal


@pytest.mark.parametrize("form", ["box", "boxes", "panel", "mask"])
def test_region_takes_the_offset_of_each_panel_and_leaves_photons(rng, form):
    pedestal, noise, signal = icarus(rng)
    offset = np.array([40, -70], "f4").reshape(2, 1, 1)
    mask = np.zeros(ICARUS, bool)
    mask[:, slice(*BOX[0]), slice(*BOX[1])] = True
    region = {
        "box": BOX,
        "boxes": [[[0, 1], *BOX], [[1, 2], *BOX]],
        "panel": mask[0],
        "mask": mask,
    }[form]
    frame = pedestal + noise + signal + offset
    run = FakeRun("icarus", frame, {"pedestals": pedestal}, (0, 1))
    calibration = Calibration.for_run(run, "det", {"number": 80, "region": region})
    assert np.abs(calibration(frame) - noise - signal).max() <= 0.01 * NOISE
    assert (calibration.common_mode, calibration.label) == (80, "cm80_")
    np.testing.assert_array_equal(calibration.inputs.region, mask)


def test_half_rows_are_corrected_after_the_region(rng):
    pedestal, noise, signal = icarus(rng)
    halves = np.repeat(rng.uniform(-9, 9, (2, 1024, 2)), 256, axis=2).astype("f4")
    halves[:, slice(*BOX[0])] = 0
    frame = pedestal + noise + signal + halves + 50
    run = FakeRun("icarus", frame, {"pedestals": pedestal}, (0, 1))
    choice = {"number": 81, "region": BOX}
    found = Calibration.for_run(run, "det", choice)(frame)
    # photons pull a row's median as little as they are few
    residual = np.median((found - noise - signal).reshape(2, 1024, 2, 256), axis=-1)
    assert np.abs(residual).mean() <= 0.01 * NOISE
    assert (found - noise)[signal > 0].mean() == pytest.approx(200, abs=0.1)


def test_limits_of_81_can_be_given(rng):
    pedestal, noise, _ = icarus(rng)
    frame = pedestal + noise
    frame[:, 500] += 5
    run = FakeRun("icarus", frame, {"pedestals": pedestal}, (0, 1))
    pars = (81, 30, 0, 4, 0.05)
    choice = {"number": list(pars), "region": BOX}
    calibration = Calibration.for_run(run, "det", choice)
    assert calibration.common_mode_pars == calibration.common_mode == pars
    assert np.median(calibration(frame)[:, 500]) == pytest.approx(5, abs=1e-3)
    usual = Calibration.for_run(run, "det", {"number": 81, "region": BOX})
    assert np.median(usual(frame)[:, 500]) == pytest.approx(0, abs=1e-3)


def test_98_is_the_pedestal_and_99_takes_the_unbonded_columns(rng):
    pedestal, noise, signal = icarus(rng)
    signal[..., 255:257] = 0
    frame = pedestal + noise + signal + 12
    run = FakeRun("icarus", frame, {"pedestals": pedestal}, (0, 1))
    found = {n: Calibration.for_run(run, "det", n)(frame) for n in (0, 98, 99)}
    np.testing.assert_array_equal(found[98], found[0])
    assert np.abs(found[99] - noise - signal).max() <= 0.01 * NOISE


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (80, r'region without light.*write common_mode=\{"number": 80, "region": \[\['),
        ({"number": 81}, "is not given"),
        ({"number": 99, "region": BOX}, "takes no region; leave it out"),
        ({"number": 80, "ghost": "x.npz"}, "takes no ghost"),
        ({"number": 80, "regoin": BOX}, "'regoin'.*Did you mean 'region'"),
        ({"region": BOX}, 'has no "number"'),
        ({"number": 80, "region": [[0, 5], [0, 513]]}, "does not lie in"),
        ({"number": 80, "region": [[5, 5], [0, 3]]}, "does not lie in"),
        ({"number": 80, "region": [[0, 5]]}, r"write \[\[r0, r1\]"),
        ({"number": 80, "region": [[0, 5], [0]]}, r"write \[\[r0, r1\]"),
        ({"number": 80, "region": [[0.5, 5], [0, 3]]}, r"write \[\[r0, r1\]"),
        ({"number": 80, "region": [[0, 1], *BOX]}, "no pixels in some panel"),
        ({"number": 80, "region": np.ones((3, 3), bool)}, r"not \(3, 3\)"),
    ],
)
def test_wrong_regions_are_an_error_that_says_what_to_write(choice, message):
    frame = np.zeros(ICARUS, np.float32)
    run = FakeRun("icarus", frame, {"pedestals": frame}, (0, 1))
    with pytest.raises(ParameterError, match=message):
        Calibration.for_run(run, "det", choice)


# -- epix10ka: nominal factors ---------------------------------------------------------

SHAPE = (2, 352, 384)
BITS = np.array([28, 12, 8, 16, 0], np.uint8)
"""Control bits of fixed high, medium, low, and automatic from high and from medium."""


def epix10ka_constants(rng):
    gain = np.array([16.4, 5.466, 0.164, 16.4, 5.466, 0.164, 0.164])
    shape = (7, *SHAPE)
    return {
        "pedestals": rng.normal(2900, 300, shape).astype("f4"),
        "pixel_rms": np.full(shape, NOISE, "f4"),
        "pixel_gain": np.broadcast_to(gain.reshape(7, 1, 1, 1), shape).astype("f4"),
    }


@pytest.mark.parametrize("number", [81, 82])
def test_nominal_factors_of_the_stage_of_each_pixel(rng, number):
    constants = epix10ka_constants(rng)
    choice = rng.integers(0, len(BITS), SHAPE)
    switched = (rng.random(SHAPE) < 0.3) & (choice >= 3)
    stage = np.where(switched, choice + 2, choice)
    words = rng.integers(0, 1 << 14, SHAPE).astype(np.uint16)
    words |= (switched.astype(np.uint16) << 14).astype(np.uint16)
    run = FakeRun("epix10ka", words, constants, (0, 1), control=BITS[choice])
    calibration = Calibration.for_run(run, "det", number)
    factor = np.array([1, 3, 100, 1, 3, 100, 100])[stage]
    pedestal = np.take_along_axis(constants["pedestals"], stage[None], axis=0)[0]
    expected = ((words & 0x3FFF) - pedestal) * factor
    np.testing.assert_allclose(calibration(words), expected, rtol=1e-5, atol=1e-3)
    assert calibration.unit == "ADU"
    unswitched = np.array([1, 3, 100, 1, 3])[choice]
    np.testing.assert_allclose(calibration.rms, NOISE * unswitched, rtol=1e-6)


# -- epix10ka: ghosts ------------------------------------------------------------------

EVENTS = 7
MISSING, INCOMPLETE = 3, 5


class GhostRun(FakeRun):
    """Frames each of which leaves something in the next one."""

    def __init__(self, rng):
        constants = epix10ka_constants(rng)
        high = constants["pedestals"][0]
        self.p0 = rng.normal(0.5, 0.1, SHAPE).astype("f4")
        self.p1 = rng.normal(0.0073, 0.001, SHAPE).astype("f4")
        self.clean, self.frames = [], []
        before = None
        for event in range(EVENTS):
            clean = rng.normal(0, NOISE, SHAPE) / 16.4
            clean += 300 * (rng.random(SHAPE) < 0.1)
            ghost = 0 if before is None else self.p0 + self.p1 * before
            words = np.rint(high + 16.4 * (clean + ghost)).astype(np.uint16)
            self.clean.append(clean)
            self.frames.append(words)
            if event != MISSING:
                before = (words - high) / 16.4
        control = np.full(SHAPE, BITS[0])
        super().__init__("epix10ka", self.frames[0], constants, (0, 1), control)
        self.timestamps = np.arange(1, EVENTS + 1, dtype=np.uint64)
        self.reads = []

    def __len__(self):
        return EVENTS

    def event_codes(self, events=None):
        return np.full((EVENTS, 288), -1, np.int8)

    def contributed(self, detector):
        return np.arange(EVENTS) != MISSING

    def read(self, detector, event, out=None):
        self.reads.append(event)
        return None if event in {MISSING, INCOMPLETE} else self.frames[event].copy()


@pytest.fixture(scope="module")
def ghosts():
    return GhostRun(np.random.default_rng(8))


def det_of(run, number=180, ghost=None):
    ghost = (run.p0, run.p1) if ghost is None else ghost
    return DetObject("det", run, common_mode={"number": number, "ghost": ghost})


def images_of(det, events):
    found = {}
    for event in events:
        det.getData(Event(det.run, event))
        found[event] = det.evt.dat
    return found


def test_ghosts_are_removed_and_photons_stay(ghosts):
    found = images_of(det_of(ghosts), range(EVENTS))
    assert found[MISSING] is None
    step = 1 / 16.4
    for event in (1, 2, 4):
        # what the frame before, or the last one that there was, left is gone
        error = found[event] - ghosts.clean[event]
        assert np.abs(error).max() <= 0.51 * step  # words are whole numbers
        lit = ghosts.clean[event - 1 if event != MISSING + 1 else MISSING - 1] > 100
        assert abs(error[lit].mean()) <= 0.01 * NOISE * step
        assert abs(error[~lit].mean()) <= 0.01 * NOISE * step


def test_without_a_frame_before_no_ghost_is_subtracted(ghosts):
    found = images_of(det_of(ghosts), [0, INCOMPLETE + 1])
    plain = images_of(DetObject("det", ghosts, common_mode=80), [0, INCOMPLETE + 1])
    for event, image in found.items():
        np.testing.assert_array_equal(image, plain[event])


def test_the_order_of_events_does_not_matter(ghosts):
    found = images_of(det_of(ghosts), range(EVENTS))
    for event, image in images_of(det_of(ghosts), [4, 0, 6, 2, 1]).items():
        np.testing.assert_array_equal(image, found[event])


def test_averages_are_those_of_the_detector(ghosts):
    choice = {"number": 180, "ghost": (ghosts.p0, ghosts.p1)}
    events = np.array([4, 1, 2, MISSING])
    found = images_of(det_of(ghosts), events)
    calibration = Calibration.for_run(ghosts, "det", choice)
    with_threads = calibrated_images(ghosts, calibration, events, threads=3)
    for event, image in with_threads:
        assert (image is None) == (found[event] is None)
        if image is not None:
            np.testing.assert_array_equal(image, found[event])
    averaged = average(ghosts, "det", events=events, common_mode=choice)
    expected = np.mean([i for i in found.values() if i is not None], axis=0, dtype="f8")
    np.testing.assert_allclose(averaged.data, expected, rtol=1e-6, atol=1e-6)
    assert averaged.made["common_mode"] == 180
    assert averaged.made["common_mode_asked"] == {"number": 180, "ghost": "arrays"}


def test_181_is_81_less_its_ghost(ghosts):
    scaled = (ghosts.p0 * np.float32(16.4), ghosts.p1)
    found = images_of(det_of(ghosts, 181, scaled), [2])[2]
    expected = images_of(det_of(ghosts), [2])[2] * np.float32(16.4)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0.01)


def test_pixels_without_a_fit_are_not_good_and_keep_their_value(ghosts):
    p0, p1 = ghosts.p0.copy(), ghosts.p1.copy()
    p0[0, 0, 0] = p1[1, 5, 7] = np.nan
    det = det_of(ghosts, ghost=(p0, p1))
    plain = images_of(DetObject("det", ghosts, common_mode=80), [1])[1]
    image = images_of(det, [1])[1]
    unknown = np.isnan(p0) | np.isnan(p1)
    np.testing.assert_array_equal(image[unknown], plain[unknown])
    np.testing.assert_array_equal(det.calibration.good, ~unknown)


def test_only_frames_that_are_needed_are_read(ghosts):
    ghosts.reads.clear()
    images_of(DetObject("det", ghosts, common_mode=80), [2])
    assert ghosts.reads == [2]
    images_of(det_of(ghosts), [2])
    assert ghosts.reads == [2, 2, 1]


def test_the_record_says_what_was_used(ghosts):
    det = det_of(ghosts)
    values = {
        name: getattr(det, name)
        for name in ("common_mode", "ghost_p0", "ghost_p1", "ghost_origin")
    }
    assert (values["common_mode"], values["ghost_origin"]) == (180, "given as arrays")
    assert tuple(det.common_mode_pars[:3]) == (7, 0, 100)
    np.testing.assert_array_equal(values["ghost_p1"], ghosts.p1)
    plain = DetObject("det", ghosts, common_mode=80)
    assert plain.ghost_p0 is plain.ghost_p1 is plain.ghost_origin is None
    assert plain.cm_region is None


def test_the_region_is_in_the_parameters_of_the_detector(tmp_path):
    frames = np.full((2, *ICARUS), 7, np.float32)
    path = write_run(
        tmp_path / "run.h5",
        experiment="xppsim01",
        run=3,
        images={"uxi": frames},
        dettypes={"uxi": "icarus"},
        constants={"uxi": {"pedestals": np.zeros(ICARUS, np.float32)}},
    )
    choice = {"number": 80, "region": BOX}
    det = DetObject("uxi", Hdf5Run(path), common_mode=choice)
    assert not images_of(det, [1])[1].any()
    parameters = det.params_as_dict()
    assert parameters["common_mode"] == 80
    assert parameters["cm_region"].dtype == np.uint8
    assert parameters["cm_region"].sum() == 2 * 50 * 300
    assert "ghost_p0" not in parameters


def test_choices_can_be_recorded_as_json():
    choice = {"number": 80, "region": np.ones((2, 3), bool)}
    text = json.dumps([recorded(choice), recorded(7), recorded(None)])
    assert "bool array of shape (2, 3)" in text


def test_comparison_leaves_out_what_needs_more_and_takes_it_when_given(ghosts):
    events = np.array([1, 2, 4])
    usual = compare_common_modes(ghosts, "det", events=events)
    assert not {180, 181} & {mode.number for mode in usual.modes}
    choice = {"number": 180, "ghost": (ghosts.p0, ghosts.p1)}
    given = compare_common_modes(ghosts, "det", [80, 80, choice], events=events)
    assert [mode.number for mode in given.modes] == [80, 180]


# -- files of ghosts -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "h5", "tools"])
def test_ghosts_are_read_from_files(tmp_path, ghosts, form):
    # of more panels than the data hold
    p0, p1 = (np.concatenate([p, p + 1]) for p in (ghosts.p0, ghosts.p1))
    path = tmp_path / f"ghost.{'npz' if form == 'npz' else 'h5'}"
    if form == "npz":
        np.savez(path, p0=p0, p1=p1)
    else:
        before = "epix10ka2m_OLS_" if form == "tools" else ""
        with h5py.File(path, "w") as file:
            file[f"{before}p0"], file[f"{before}p1"] = p0, p1
            file["epix10ka2m_Huber135_p0"] = p0
    det = det_of(ghosts, ghost=str(path))
    expected = images_of(det_of(ghosts), [2])[2]
    np.testing.assert_array_equal(images_of(det, [2])[2], expected)
    assert det.ghost_origin == str(path)


def test_files_that_hold_no_ghosts_are_an_error(tmp_path, ghosts):
    with pytest.raises(FileError, match="cannot read"):
        det_of(ghosts, ghost=tmp_path / "none.h5")
    np.savez(tmp_path / "other.npz", p0=ghosts.p0)
    with pytest.raises(FileError, match=r"must have one 'p1'.*p0"):
        det_of(ghosts, ghost=tmp_path / "other.npz")
    objects = np.array([{}], object)
    np.savez(tmp_path / "pickled.npz", p0=objects, p1=objects)
    with pytest.raises(FileError, match="cannot read"):
        det_of(ghosts, ghost=tmp_path / "pickled.npz")


@pytest.mark.parametrize(
    ("ghost", "message"),
    [
        (3, r"not a file, nor the two arrays"),
        ((np.zeros((2, 3)), np.zeros((2, 3))), r"p0 .* must be numbers in the shape"),
    ],
)
def test_ghosts_that_do_not_fit_are_an_error(ghosts, ghost, message):
    with pytest.raises(ParameterError, match=message):
        det_of(ghosts, ghost=ghost)


def test_a_ghost_that_is_not_given_is_an_error_that_says_what_to_write(ghosts):
    with pytest.raises(
        ParameterError, match=r'write common_mode=.*"ghost": "file with'
    ):
        Calibration.for_run(ghosts, "det", 180)


def test_arrays_are_not_dumped_into_errors(ghosts):
    for choice in (
        {"number": 180, "ghost": (ghosts.p0,)},
        {"ghost": (ghosts.p0, ghosts.p1)},
        {"number": 180, "ghots": ghosts.p0},
    ):
        with pytest.raises(ParameterError) as error:
            DetObject("det", ghosts, common_mode=choice)
        assert len(str(error.value)) < 300
