"""Common modes: exact medians, known offsets, and psana's own corrections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_run import FakeRun
from hypothesis import given, settings
from hypothesis import strategies as st
from psana_reference import psana_calib

from smalldata_ana.detector import common_mode as cm
from smalldata_ana.detector import common_mode_panels as panels
from smalldata_ana.detector import median_kernels as kernels
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.common_mode import Bits, Epix100Bits, Level
from smalldata_ana.errors import ParameterError

SHAPE = (2, 352, 384)
BANKS = (2, 8)
BLOCKS = {  # what shares an offset: axes of (panel, half, row, bank, column)
    Bits.ROWS: (2, 2, 176, 8, 1),
    Bits.COLUMNS: (2, 2, 1, 8, 48),
    Bits.BANKS: (2, 2, 1, 8, 1),
}
PHOTON = 150.0
NOISE = 3.0


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def offsets(rng, bit: Bits, size: float) -> np.ndarray:
    """Return random offsets that rows, columns or banks share."""
    values = rng.uniform(-size, size, BLOCKS[bit])
    return np.broadcast_to(values, (2, 2, 176, 8, 48)).reshape(SHAPE).astype("f4")


def photons(rng, share: float = 0.01) -> np.ndarray:
    """Return photons in some pixels, none of them beside another."""
    hit = rng.random(SHAPE) < share
    hit[:, 1::2] = hit[..., 1::2] = False
    return np.where(hit, np.float32(PHOTON), np.float32(0))


def symmetric_noise(rng) -> np.ndarray:
    """Return noise whose median is 0 in each row, column and bank: no statistics.

    Half of the pixels are exactly 0, in a checkerboard; the others have signs that
    alternate along rows and columns, two by two.
    """
    p, r, c = np.indices(SHAPE)
    sign = np.where(((r + c) // 2 + p) % 2, 1, -1) * ((r + c) % 2)
    return (sign * np.abs(rng.normal(0, NOISE, SHAPE))).astype("f4")


# -- medians ---------------------------------------------------------------------------


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80),
    st.integers(0, 9),
    st.floats(0.125, 1000, width=32),
)
def test_median_is_that_of_numpy(values, unused, guess):
    array = np.array(values, np.float32)
    padded = np.append(array, np.full(unused, np.inf, np.float32))
    assert kernels.median(padded, array.size, guess) == np.median(array)


@pytest.mark.parametrize("count", [1, 2, 47, 48, 64, 96, 176, 352, 1000])
@pytest.mark.parametrize("spread", ["normal", "whole", "photons"])
def test_median_of_detector_values_is_that_of_numpy(rng, count, spread):
    values = rng.normal(0, NOISE, count)
    if spread == "whole":
        values = np.rint(values)
    if spread == "photons":
        values[::3] += 500
    array = values.astype(np.float32)
    assert kernels.median(array.copy(), count, 10.0) == np.median(array)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([Bits.ROWS, Bits.COLUMNS, Bits.BANKS]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_blocks_lose_the_median_of_their_good_pixels(seed, bit, whole):
    rng = np.random.default_rng(seed)
    shape, banks = (1, 12, 24), (2, 3)
    adu = rng.normal(2, 4, shape).astype("f4")
    adu = np.where(rng.random(shape) < whole, np.rint(adu), adu)
    use = rng.random(shape) > 0.3
    found = cm.psana_medians(adu, use, banks=banks, bits=bit, limit=1e6, least=0)
    rows = 1 if bit is Bits.ROWS else 6
    columns = 1 if bit is Bits.COLUMNS else 8
    for r in range(0, 12, rows):
        for c in range(0, 24, columns):
            block = np.s_[0, r : r + rows, c : c + columns]
            good = use[block]
            shift = np.median(adu[block][good]) if good.any() else 0
            np.testing.assert_array_equal(
                found[block], np.where(good, adu[block] - shift, adu[block])
            )


# -- known offsets ---------------------------------------------------------------------


@pytest.mark.parametrize("bit", list(BLOCKS))
def test_offsets_are_removed_and_photons_stay(rng, bit):
    signal, noise = photons(rng), symmetric_noise(rng)
    adu = signal + noise + offsets(rng, bit, 20)
    good = signal == 0
    found = cm.psana_medians(adu, good, banks=BANKS, bits=bit, limit=100)
    assert np.abs(found - noise)[good].max() <= 0.01 * NOISE
    lit = cm.psana_medians(adu, np.ones_like(good), banks=BANKS, bits=bit, limit=100)
    assert np.abs(lit - noise - signal).mean() <= 0.05 * NOISE
    assert np.abs(lit[~good] - noise[~good] - PHOTON).max() < 3 * NOISE


def test_offsets_of_banks_rows_and_columns_are_removed_together(rng):
    noise = symmetric_noise(rng)
    adu = noise + sum(offsets(rng, bit, 5) for bit in (Bits.BANKS, Bits.ROWS))
    use = np.ones(SHAPE, bool)
    found = cm.psana_medians(
        adu, use, banks=BANKS, bits=Bits.BANKS | Bits.ROWS, limit=9e9
    )
    assert np.abs(found - noise).max() <= 0.01 * NOISE


@pytest.mark.parametrize("bit", list(BLOCKS))
def test_offsets_at_the_limit_are_left(rng, bit):
    adu = np.full(SHAPE, 10, np.float32)
    use = np.ones(SHAPE, bool)
    left = cm.psana_medians(adu, use, banks=BANKS, bits=bit, limit=10)
    np.testing.assert_array_equal(left, adu)
    assert not cm.psana_medians(adu, use, banks=BANKS, bits=bit, limit=10.001).any()


def test_too_few_pixels_leave_a_row_alone():
    adu = np.full(SHAPE, 5, np.float32)
    use = np.zeros(SHAPE, bool)
    use[0, 0, :10] = use[0, 1, :11] = True
    found = cm.psana_medians(adu, use, banks=BANKS, bits=Bits.ROWS, limit=100, least=10)
    assert (found[0, 0] == 5).all()
    assert (found[0, 1, :11] == 0).all()
    assert (found[0, 1, 11:] == 5).all()


def test_input_is_kept_and_out_may_be_the_input(rng):
    adu = rng.normal(4, 3, SHAPE).astype("f4")
    before, use = adu.copy(), np.ones(SHAPE, bool)
    pars = {"banks": BANKS, "bits": 7, "limit": 100}
    found = cm.psana_medians(adu, use, **pars)
    np.testing.assert_array_equal(adu, before)
    assert cm.psana_medians(adu, use, out=adu, **pars) is adu
    np.testing.assert_array_equal(adu, found)


def test_panels_that_do_not_divide_into_banks_are_an_error():
    adu = np.zeros((1, 30, 20), np.float32)
    with pytest.raises(ParameterError, match="30 x 20 pixels do not divide into 2 x 8"):
        cm.psana_medians(adu, adu == 0, banks=BANKS, bits=1, limit=10)


# -- epix100 ---------------------------------------------------------------------------


def numpy_cm_epix(adu, noise, use, level):
    """Correct one panel as reference/smalldata_tools.md section 3.4 says, in numpy."""
    data = adu.astype(np.float64)
    if level is Level.BANKS:
        for rows in np.split(np.arange(data.shape[0]), BANKS[0]):
            for columns in np.split(np.arange(data.shape[1]), BANKS[1]):
                at = np.ix_(rows, columns)
                data[at] -= np.median(data[at][use[at]])
    hit = data >= 10 * noise
    near = np.pad(hit, 1)
    near = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
    mask = hit | near | (np.abs(data) > 30) | ~use
    if level is Level.MEAN:
        data -= data[~mask].mean()
    half, width = data.shape[0] // BANKS[0], data.shape[1] // BANKS[1]
    for view, good in (
        (data.reshape(BANKS[0], half, -1), ~mask.reshape(BANKS[0], half, -1)),
        (
            data.reshape(-1, BANKS[1], width).swapaxes(1, 2),
            ~mask.reshape(-1, BANKS[1], width).swapaxes(1, 2),
        ),
    ):
        shift = np.ma.median(np.ma.array(view, mask=~good), axis=1).filled(0)
        count = good.sum(axis=1)
        shift[(np.abs(shift) > 30) | (count < 0.25 * view.shape[1])] = 0
        np.subtract(view, shift[:, None], out=view)
    return data


@pytest.mark.parametrize("level", list(Level))
def test_neighbour_exclusion_is_that_of_numpy(rng, level):
    adu = rng.normal(3, NOISE, (1, 704, 768)).astype("f4")
    adu += np.float32(PHOTON) * (rng.random(adu.shape) < 0.005)
    adu[0, :352, 5] += 80  # beyond the limit
    adu[0, 400:700, 7] += PHOTON  # too few pixels without signal
    noise = rng.uniform(2.5, 3.5, adu.shape).astype("f4")
    use = rng.random(adu.shape) > 0.01
    found = cm.neighbour_exclusion(adu, use, noise, banks=BANKS, level=level)
    expected = numpy_cm_epix(adu[0], noise[0], use[0], level)
    np.testing.assert_allclose(found[0], expected, atol=2e-4)


def test_46_leaves_photons_and_removes_rows_and_columns(rng):
    # Dense photons pull a plain median; their pixels and neighbours leave this one.
    # Offsets are in fewer than half of the rows, so that columns have a median of 0.
    signal = photons(rng, 0.3)
    rows, columns = offsets(rng, Bits.ROWS, 8).copy(), offsets(rng, Bits.COLUMNS, 8)
    rows[:, np.arange(SHAPE[1]) % 4 > 0] = 0
    noise = np.full(SHAPE, NOISE, np.float32)
    use = np.ones(SHAPE, bool)
    for shift in (rows, columns):
        found = cm.neighbour_exclusion(signal + shift, use, noise, banks=BANKS)
        assert np.abs(found - signal).max() <= 0.01 * NOISE


def test_epix100_medians_have_their_own_bits_and_reach(rng):
    adu = np.zeros((1, 704, 768), np.float32)
    adu[0, 3, :96] = 8
    adu[0, 3, :60] = 31  # beyond the reach: the others tell
    use = np.ones(adu.shape, bool)
    pars = {"banks": BANKS, "reach": 30, "limit": 10}
    rows = cm.epix100_medians(adu, use, bits=Epix100Bits.ROWS, **pars)
    assert (rows[0, 3, 60:96] == 0).all()
    assert (rows[0, 3, :60] == 23).all()
    columns = cm.epix100_medians(adu, use, bits=Epix100Bits.COLUMNS, **pars)
    np.testing.assert_array_equal(columns, adu)


# -- CsPad -----------------------------------------------------------------------------

DIAGONAL = np.zeros((185, 388), bool)
for _i in range(10, 185, 10):
    DIAGONAL[_i, _i] = DIAGONAL[_i, _i + 194] = True


def two_panels() -> np.ndarray:
    adu = np.empty((2, 185, 388), np.float32)
    adu[0], adu[1] = 30, 20
    adu[:, DIAGONAL] = 3
    return adu


def test_panel_beyond_the_limit_is_corrected_by_its_unbonded_pixels():
    # Panels of 30 and 20 ADU, a limit of 25, unbonded pixels of 3: -3 and -20.
    adu = two_panels()
    use = np.ones(adu.shape, bool)
    mixed = panels.zero_peak(adu, use, limit=25, sigma=40, least=100, unbonded=DIAGONAL)
    np.testing.assert_allclose(mixed[0] - adu[0], -3, atol=1e-5)
    np.testing.assert_allclose(mixed[1] - adu[1], -20, atol=1e-5)
    alone = panels.zero_peak(adu, use, limit=25, sigma=40, least=100)
    np.testing.assert_array_equal(alone[0], adu[0])


def test_unbonded_pixels_alone():
    adu = two_panels()
    found = panels.unbonded_mean(adu, unbonded=DIAGONAL, limit=100)
    np.testing.assert_allclose(found, adu - 3)
    left = panels.unbonded_mean(adu, unbonded=DIAGONAL, limit=2.9)
    np.testing.assert_array_equal(left, adu)


def test_zero_peak_is_found_below_photons(rng):
    adu = rng.normal(7.3, 4, (1, 185, 388)).astype("f4")
    adu[rng.random(adu.shape) < 0.3] += 60
    peak = panels.find_zero_peak(adu[0], np.ones((185, 388), bool))
    assert peak is not None
    assert peak.mean == pytest.approx(7.3, abs=0.05 * 4)
    assert panels.find_zero_peak(adu[0] * 1000, np.ones((185, 388), bool)) is None
    wide = panels.zero_peak(adu, np.ones(adu.shape, bool), limit=25, sigma=1)
    np.testing.assert_array_equal(wide, adu)


# -- the others ------------------------------------------------------------------------


def test_region_and_half_rows(rng):
    adu = rng.normal(0, NOISE, (1, 64, 512)).astype("f4")
    use = np.ones(adu.shape, bool)
    region = np.zeros((64, 512), bool)
    region[:, 255:257] = True
    found = panels.region_median(adu + 9, use, region=region)
    assert np.median(found[0][region]) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ParameterError, match="no pixels"):
        panels.region_median(adu, use, region=~use[0])
    halves = cm.half_row_medians(adu + 9, use, neighbours=1)
    assert np.abs(np.median(halves.reshape(64, 2, 256), axis=2)).max() < 1e-5


def test_ghost_of_the_event_before():
    ones = np.ones((1, 2, 2), np.float32)
    found = cm.subtract_ghost(5 * ones, 10 * ones, p0=ones, p1=0.1 * ones)
    np.testing.assert_allclose(found, 3)


# -- psana's own -----------------------------------------------------------------------

PSANA = {
    "jungfrau": (512, 1024, 3, 41.0),
    "epix10ka": (352, 384, 7, 16.4),
    "epix100": (704, 768, 1, 16.4),
}


def made_up(rng, dettype):
    rows, columns, stages, gain = PSANA[dettype]
    shape = (stages, 1, rows, columns) if stages > 1 else (1, rows, columns)
    constants = {
        "pedestals": rng.normal(2900, 300, shape).astype("f4"),
        "pixel_rms": np.full(shape, NOISE, "f4"),
        "pixel_gain": (gain * rng.normal(1, 0.02, shape)).astype("f4"),
        "pixel_status": (rng.random(shape) < 0.002).astype(np.uint64),
    }
    frame = constants["pedestals"].reshape(stages, 1, rows, columns)[0]
    adu = rng.normal(2, NOISE, frame.shape) + rng.normal(0, 4, (1, rows, 1))
    adu += 600 * (rng.random(frame.shape) < 0.01)
    words = np.clip(np.rint(frame + adu), 0, 0x3FFF).astype(np.uint16)
    if dettype != "epix100":
        words |= np.where(rng.random(words.shape) < 0.01, 0x4000, 0).astype("u2")
    control = rng.choice([28, 12, 8, 16, 0], words.shape).astype(np.uint8)
    return constants, words, control if dettype == "epix10ka" else None


@pytest.mark.parametrize(
    ("dettype", "pars"),
    [
        ("jungfrau", (7, 3, 10, 10)),
        ("jungfrau", (7, 1, 100)),
        ("jungfrau", (7, 6, 100, 10)),
        ("epix10ka", (7, 2, 100, 10)),
        ("epix10ka", (7, 5, 10, 10)),
        ("epix100", (0, 7, 100, 10)),
        ("epix100", (0, 3, 4, 10)),
    ],
)
def test_parameters_do_what_they_do_in_psana(rng, dettype, pars):
    constants, words, control = made_up(rng, dettype)
    reference = psana_calib(dettype, words, constants, control=control, cmpars=pars)
    run = FakeRun(dettype, words, constants, control=control)
    calibration = Calibration.for_run(run, "det", pars)
    error = np.abs(calibration(words) - reference) / np.maximum(1, np.abs(reference))
    assert error.max() <= 1e-6
    assert calibration.common_mode_pars == pars
    plain = Calibration.for_run(run, "det", 30)(words)
    assert np.abs(calibration(words) - plain).max() > 0.01


def test_neighbour_exclusion_divides_by_the_gain(rng):
    constants, words, _ = made_up(rng, "epix100")
    run = FakeRun("epix100", words, constants)
    calibration = Calibration.for_run(run, "det")
    assert (calibration.common_mode, calibration.unit) == (46, "keV")
    good = constants["pixel_status"] == 0
    adu = words - constants["pedestals"]
    noise = np.full((704, 768), NOISE)
    expected = numpy_cm_epix(adu[0], noise, good[0], Level.MEAN)
    expected = expected / constants["pixel_gain"][0] * good[0]
    np.testing.assert_allclose(calibration(words)[0], expected, atol=2e-5)
    in_adu = Calibration.for_run(run, "det", 146)
    assert in_adu.unit == "ADU"
    del constants["pixel_rms"]
    without = FakeRun("epix100", words, constants)
    plain = Calibration.for_run(without, "det", lenient=True)
    assert plain.common_mode == 0
    assert "no noise of the pixels: without common mode" in plain.notes


@pytest.mark.parametrize(("number", "level"), [(45, 0), (46, 1), (47, 2)])
def test_parameters_of_6_do_what_the_numbers_do(rng, number, level):
    constants, words, _ = made_up(rng, "epix100")
    run = FakeRun("epix100", words, constants)
    numbered = Calibration.for_run(run, "det", number)
    given = Calibration.for_run(run, "det", (6, level, 10, 30, 0.25))
    np.testing.assert_array_equal(given(words), numbered(words))
    assert given.common_mode_pars == numbered.common_mode_pars
    assert given.common_mode == (6, level, 10, 30, 0.25)
    other = Calibration.for_run(run, "det", (6, level, 10, 0.5, 0.25))
    assert (other(words) != numbered(words)).any()


@pytest.mark.parametrize(("dettype", "number"), [("epix100", 47), ("jungfrau", 7)])
def test_threads_do_what_one_does(rng, dettype, number):
    constants, words, _ = made_up(rng, dettype)
    calibration = Calibration.for_run(FakeRun(dettype, words, constants), "det", number)
    frames = [np.roll(words, n, axis=-1) for n in range(24)]
    expected = [calibration(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(calibration, frames))
    np.testing.assert_array_equal(found, expected)


def cspad_run(frame: np.ndarray) -> FakeRun:
    run = FakeRun("cspad", frame, {"pedestals": np.zeros(frame.shape, "f4")})
    run.contributed = lambda detector: np.ones(1, bool)
    run.read = lambda detector, event, out=None: frame.copy()
    return run


def test_cspad_looks_for_its_zero_photon_peaks(rng):
    frame = np.rint(rng.normal(1000, 4, (1, 185, 388))).astype(np.int16)
    shown = cspad_run(frame - np.int16(1000))
    assert Calibration.for_run(shown, "det").common_mode == 1
    hidden = Calibration.for_run(cspad_run(frame * np.int16(30)), "det")
    assert hidden.common_mode == 0
    assert any("no zero-photon peak" in note for note in hidden.notes)
    assert Calibration.for_run(cspad_run(frame), "det", 5).common_mode_pars == (5, 100)
