"""Integrals, hits and times of pulses in waveforms, against numpy and known pulses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_source import Images, attached

from smalldata_ana.ana_funcs.hit_finder import SimpleHitFinder, hitFinderCFDFunc
from smalldata_ana.ana_funcs.projection import projectionFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.waveforms import WaveformFunc, WfIntegration
from smalldata_ana.detector.protocol import Length
from smalldata_ana.errors import ParameterError

SAMPLES = 400
SHAPE = (3, SAMPLES)
BACKGROUND = [0, 50]
T = np.arange(SAMPLES, dtype=np.float64)

FUNCTIONS = [
    WfIntegration(sig_roi=[100, 300], bkg_roi=BACKGROUND),
    SimpleHitFinder(threshold=3, bkg_roi=BACKGROUND),
    hitFinderCFDFunc(convFilterLength=3, threshold=3, bkg_roi=BACKGROUND),
]


def pulse(position, height=10.0, width=6.0):
    return height * np.exp(-((T - position) ** 2) / (2 * width**2))


def triangle(position, height, base):
    return height * np.clip(1 - np.abs(T - position) / base, 0, None)


def noisy(shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(5, 0.1, shape)
    waveform = (noise + pulse(180.3)).astype(np.float32)
    waveform.flags.writeable = False
    return waveform


def as_described(func, result):
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


def no_pulse_where(result):
    """Return the channels without hits."""
    return np.flatnonzero(result["nHits"] == 0).tolist()


# -- integrals -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [SHAPE, (SAMPLES,), (1, SAMPLES)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_integral_is_numpys_above_the_median(shape, sign):
    waveform = (sign * noisy(shape)).astype(np.float32)
    func = WfIntegration(
        sig_roi=[150, 210], bkg_roi=BACKGROUND, negative_signal=sign < 0
    )
    result = as_described(func, attached(func, Images(shape)).process(waveform))
    median = np.median(waveform[..., :50].astype(float), axis=-1)
    expected = sign * (waveform[..., 150:210].astype(float) - median[..., None]).sum(-1)
    assert result["integral"].shape == shape[:-1]
    np.testing.assert_allclose(result["integral"], expected, rtol=1e-12)
    np.testing.assert_allclose(result["baseline"], median, rtol=1e-12)
    assert (result["samples"] == 60).all()


def test_the_integral_of_a_pulse_is_its_area():
    func = WfIntegration(bkg_roi=BACKGROUND, sampling=0.25)
    result = attached(func, Images((SAMPLES,), unit="mV")).process(pulse(200) + 7)
    np.testing.assert_allclose(result["integral"], 10 * 6 * np.sqrt(2 * np.pi) / 4)
    assert func.describe()["integral"].unit == "mV ns"


def test_samples_that_are_masked_or_not_finite_are_left_out():
    good = np.ones(SHAPE, bool)
    good[0, 160:170] = False
    good[1, :50] = False
    waveform = noisy().copy()
    waveform[0, 160:170] = 1e6
    waveform[0, 20] = np.inf
    waveform[0, 200] = np.nan
    waveform[2, 100:] = np.nan
    func = attached(
        WfIntegration(sig_roi=[150, 210], bkg_roi=BACKGROUND), Images(SHAPE, good)
    )
    result = func.process(waveform)
    quiet = np.delete(waveform[0, :50].astype(float), 20)
    used = np.delete(waveform[0, 150:210].astype(float), [*range(10, 20), 50])
    np.testing.assert_allclose(
        result["integral"][0], (used - np.median(quiet)).sum(), rtol=1e-12
    )
    assert result["samples"].tolist() == [49, 0, 0]
    assert np.isnan(result["integral"][1:]).all()
    assert np.isnan(result["baseline"][1])


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(-100, 100), scale=st.floats(0.1, 10), cut=st.integers(101, 299))
def test_integrals_add_up_and_do_not_depend_on_the_offset(offset, scale, cut):
    def integral(sig_roi, waveform):
        func = WfIntegration(sig_roi=sig_roi, bkg_roi=BACKGROUND)
        return attached(func, Images(SHAPE)).process(waveform)["integral"]

    waveform = noisy().astype(np.float64)
    whole = integral([100, 300], scale * waveform + offset)
    np.testing.assert_allclose(whole, scale * integral([100, 300], waveform), rtol=1e-6)
    parts = integral([100, cut], waveform) + integral([cut, 300], waveform)
    np.testing.assert_allclose(parts, integral([100, 300], waveform), rtol=1e-9)


def test_waveforms_are_chained_to_a_region_of_them():
    roi = ROIFunc(ROI=[[1, 2], [100, 300]])
    roi.addFunc(WfIntegration())
    result = attached(roi, Images(SHAPE)).process(noisy())
    expected = noisy()[1, 100:300].sum(dtype=np.float64)
    np.testing.assert_allclose(result["wfintegrate_integral"], expected, rtol=1e-6)


def test_a_projection_is_a_waveform():
    projection = projectionFunc(axis=0, name="pj")
    projection.addFunc(WfIntegration(sig_roi=[100, 300], bkg_roi=BACKGROUND))
    result = attached(projection, Images(SHAPE)).process(noisy())
    line = noisy().sum(axis=0, dtype=np.float64)
    expected = (line[100:300] - np.median(line[:50])).sum()
    np.testing.assert_allclose(result["wfintegrate_integral"], expected, rtol=1e-6)


# -- hits above a threshold ------------------------------------------------------------


def test_times_and_widths_of_triangles_are_exact():
    waveform = np.zeros((2, SAMPLES))
    waveform[0] = triangle(100.25, 8, 20) + triangle(300.5, 6, 20)
    waveform[1] = triangle(50.75, 4, 10)
    func = SimpleHitFinder(threshold=2, sampling=0.5)
    result = attached(func, Images(waveform.shape)).process(waveform + 0.0)
    result = as_described(func, result)
    assert result["nHits"].tolist() == [2, 1]
    assert result["channel"].tolist() == [0, 0, 1]
    heights, bases = np.array([8, 6, 4]), np.array([20, 20, 10])
    over = 2 * bases * (1 - 2 / heights)
    rise = np.array([100.25, 300.5, 50.75]) - over / 2
    np.testing.assert_allclose(result["time"], rise / 2, rtol=1e-12)
    np.testing.assert_allclose(result["width"], over / 2, rtol=1e-12)
    np.testing.assert_array_equal(result["hits"], waveform >= 2)
    expected = [waveform[0, 100], waveform[0, 300], waveform[1, 51]]
    np.testing.assert_array_equal(result["amplitude"], expected)
    assert func.describe()["time"].unit == "ns"
    assert func.describe()["time"].length is Length.VARIABLE


def test_a_sample_at_the_threshold_is_a_hit_of_1():
    waveform = np.zeros(SAMPLES)
    waveform[[7, 20, 21]] = 3
    result = attached(SimpleHitFinder(threshold=3), Images((SAMPLES,))).process(
        waveform
    )
    assert np.flatnonzero(result["hits"]).tolist() == [7, 20, 21]
    assert set(result["hits"]) == {0, 1}
    assert result["nHits"] == 2
    assert result["time"].tolist() == [7, 20]


def test_hits_at_the_ends_begin_with_the_first_sample():
    waveform = np.zeros((2, 30))
    waveform[:, :3] = waveform[:, -2:] = 5
    result = attached(SimpleHitFinder(), Images((2, 30))).process(waveform)
    assert result["nHits"].tolist() == [2, 2]
    np.testing.assert_allclose(result["time"], [0, 27.2] * 2)
    np.testing.assert_allclose(result["width"], [2.8, 1.8] * 2)


def test_pulses_above_the_maximum_are_no_hits():
    waveform = pulse(100, 10) + pulse(300, 30)
    func = SimpleHitFinder(threshold=2, threshold_max=20)
    result = attached(func, Images((SAMPLES,))).process(waveform)
    assert result["nHits"] == 1
    np.testing.assert_array_equal(result["hits"][200:], 0)
    np.testing.assert_allclose(result["amplitude"], 10)


def test_the_threshold_may_be_in_standard_deviations():
    waveform = noisy()
    func = SimpleHitFinder(threshold=8, use_rms=True, bkg_roi=BACKGROUND)
    result = attached(func, Images(SHAPE)).process(waveform)
    quiet = waveform[:, :50].astype(float)
    level = quiet.mean(axis=1) + 8 * quiet.std(axis=1)
    np.testing.assert_array_equal(result["hits"], waveform >= level[:, None])
    flat = np.ones(SHAPE)
    assert attached(func, Images(SHAPE)).process(flat)["nHits"].tolist() == [0, 0, 0]


def test_a_lost_sample_ends_a_hit():
    waveform = pulse(100, 10).copy()
    waveform[100] = np.nan
    result = attached(SimpleHitFinder(), Images((SAMPLES,))).process(waveform)
    assert result["nHits"] == 2
    assert result["hits"][100] == 0


# -- constant fraction -----------------------------------------------------------------


def test_the_constant_fraction_does_not_depend_on_the_height():
    positions = np.array([100.3, 180.8, 300.1])
    heights = [100, 20, 5]
    pulses = zip(positions, heights, strict=True)
    waveform = sum(pulse(p, h) for p, h in pulses)
    func = hitFinderCFDFunc(convFilterLength=1, CFDOffset=8, threshold=1)
    result = attached(func, Images((SAMPLES,))).process(waveform)
    assert result["nHits"] == 3
    delay = 8 / 2 + 6**2 * np.log(0.75) / 8
    np.testing.assert_allclose(result["time"] - positions, delay, atol=0.02)
    np.testing.assert_allclose(result["amplitude"], heights, rtol=0.01)


def test_smoothing_does_not_shift_the_times():
    waveform = np.stack([pulse(100.3, 50), pulse(200.8, 50), pulse(300.25, 9)])
    func = hitFinderCFDFunc(convFilterLength=9, CFDOffset=10, sampling=2.0)
    result = as_described(func, attached(func, Images(SHAPE)).process(waveform))
    delay = result["time"] / 2 - [100.3, 200.8, 300.25]
    # A box of n samples adds (n² - 1)/12 to the variance.
    expected = 10 / 2 + (6**2 + 80 / 12) * np.log(0.75) / 10
    np.testing.assert_allclose(delay, expected, atol=0.05)


def test_no_more_than_nmax_hits_of_a_channel_are_listed():
    waveform = np.stack([pulse(100) + pulse(200) + pulse(300), pulse(150), 0 * T])
    func = hitFinderCFDFunc(convFilterLength=1, CFDOffset=8, nmax=2)
    result = attached(func, Images(SHAPE)).process(waveform)
    assert result["nHits"].tolist() == [3, 1, 0]
    assert result["channel"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(result["time"], [100, 200, 150], atol=5)


def test_a_step_has_no_fraction_that_is_reached_late():
    # At the end of the waveform the delayed step is not seen.
    waveform = np.where(T >= 395, 10.0, 0.0)
    func = hitFinderCFDFunc(convFilterLength=1, CFDOffset=8)
    result = attached(func, Images((SAMPLES,))).process(waveform)
    assert result["nHits"] == 1
    assert np.isnan(result["time"]).all()
    assert result["amplitude"].tolist() == [10]


FINDERS = [
    SimpleHitFinder(threshold=3, bkg_roi=BACKGROUND),
    hitFinderCFDFunc(convFilterLength=3, CFDOffset=8, bkg_roi=BACKGROUND),
]


@pytest.mark.parametrize("func", FINDERS, ids=lambda f: f.name)
@settings(max_examples=20, deadline=None)
@given(shift=st.integers(-60, 100), offset=st.integers(-50, 50))
def test_hits_move_with_their_pulses(func, shift, offset):
    attached(func, Images((SAMPLES,)))
    expected = func.process(pulse(150.3) + pulse(220.8, 20))
    moved = func.process(pulse(150.3 + shift) + pulse(220.8 + shift, 20) + offset)
    np.testing.assert_allclose(moved["time"], expected["time"] + shift, atol=1e-6)
    np.testing.assert_allclose(moved["amplitude"], expected["amplitude"], atol=1e-6)


@pytest.mark.parametrize("kind", [SimpleHitFinder, hitFinderCFDFunc])
def test_pulses_may_go_down(kind):
    waveform = pulse(150.3) + pulse(220.8, 20)
    expected = attached(kind(threshold=3), Images((SAMPLES,))).process(waveform)
    assert expected["nHits"] == 2
    down = kind(threshold=3, bkg_roi=BACKGROUND, negative_signal=True)
    result = attached(down, Images((SAMPLES,))).process(7 - waveform)
    for key, value in expected.items():
        np.testing.assert_allclose(result[key], value, atol=1e-6)


# -- input that is not good ------------------------------------------------------------


@pytest.mark.parametrize("func", FUNCTIONS, ids=lambda f: f.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0])
def test_waveforms_without_anything_give_what_was_described(func, value):
    empty = np.full(SHAPE, value, np.float32)
    result = as_described(func, attached(func, Images(SHAPE)).process(empty))
    if "nHits" in result:
        assert no_pulse_where(result) == [0, 1, 2]
    else:
        assert np.isnan(result["integral"]).all() == (value != 0)


@pytest.mark.parametrize("func", FUNCTIONS, ids=lambda f: f.name)
def test_results_do_not_depend_on_the_type(func):
    waveform = np.round(noisy(seed=3) * 10)
    expected = attached(func, Images(SHAPE)).process(waveform)
    for dtype in (np.int16, np.uint16, np.float64):
        given = waveform.astype(dtype)
        before = given.copy()
        result = func.process(given)
        np.testing.assert_array_equal(given, before)
        for key, value in expected.items():
            np.testing.assert_array_equal(result[key], value)


@pytest.mark.parametrize("func", FUNCTIONS, ids=lambda f: f.name)
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Images((2, 30, 40)), "works on waveforms.*chain it to a projection"),
        (Images((30,)), r"does not lie in 'jungfrau1M', which has 30 samples"),
        (Images(SHAPE, np.zeros(SHAPE, bool)), "all are masked"),
    ],
)
def test_sources_that_do_not_fit(func, source, message):
    with pytest.raises(ParameterError, match=message):
        func.attach(source)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (WfIntegration, {"sig_roi": [5, 5]}, "0 <= begin < end"),
        (WfIntegration, {"sig_roi": [1.5, 3]}, "in samples"),
        (WfIntegration, {"bkg_roi": [1, 2, 3]}, "in samples"),
        (WfIntegration, {"sampling": 0}, "must be above 0"),
        (WfIntegration, {"sig_rio": [0, 5]}, "Did you mean 'sig_roi'"),
        (SimpleHitFinder, {"threshold": np.nan}, "finite number"),
        (hitFinderCFDFunc, {"convFilterLength": 4}, "must be odd"),
        (hitFinderCFDFunc, {"inverseMultiplier": 0.75}, "from -1 to -0.01"),
        (hitFinderCFDFunc, {"CFDOffset": 0}, "CFDOffset"),
        (hitFinderCFDFunc, {"threshold": 0}, "above 0"),
    ],
)
def test_parameters_that_are_not_possible(kind, parameters, message):
    with pytest.raises(ParameterError, match=message):
        kind(**parameters)


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (SimpleHitFinder(use_rms=True), "give them as bkg_roi"),
        (SimpleHitFinder(threshold=5, threshold_max=5), "must be below"),
        (hitFinderCFDFunc(convFilterLength=101), "convFilterLength"),
        (hitFinderCFDFunc(CFDOffset=101), "CFDOffset"),
    ],
)
def test_parameters_that_do_not_fit(func, message):
    with pytest.raises(ParameterError, match=message):
        func.attach(Images((100,)))


def test_time_units():
    assert attached(WaveformFunc(), Images(SHAPE)).time_unit == "sample"
    assert attached(WaveformFunc(sampling=2), Images(SHAPE)).time_unit == "ns"
