"""Fits of pulses of a known shape, against drawn pulses and curve_fit."""

import h5py
import numpy as np
import pytest
from image_source import Images, attached
from scipy.optimize import curve_fit

from smalldata_ana.ana_funcs.template_fit import templateFitFunc
from smalldata_ana.errors import FileError, ParameterError

SAMPLES = 500
T = np.arange(SAMPLES, dtype=np.float64)


def shape(t):
    """Return a pulse with a fast rise and a slow fall, and its maximum of 1 at 0."""
    return np.exp(-((t / np.where(t < 0, 5, 12)) ** 2) / 2)


TEMPLATE = 40 * shape(np.arange(-25.0, 60.0))


def waveform(*pulses, noise=0.05, offset=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (
        offset
        + rng.normal(0, noise, SAMPLES)
        + sum(h * shape(T - p) for p, h in pulses)
    )


def found(data, source=None, **parameters):
    func = templateFitFunc(**{"template": TEMPLATE, **parameters})
    result = attached(func, source or Images(data.shape)).process(data)
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


@pytest.mark.parametrize("bkg_roi", [None, [0, 50]])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_pulse_is_found_where_it_is(bkg_roi, sign):
    data = sign * waveform((200.37, 10))
    result = found(data, bkg_roi=bkg_roi, negative_signal=sign < 0)
    assert result["status"] > 0
    np.testing.assert_allclose(result["positions"], [200.37], atol=0.02)
    np.testing.assert_allclose(result["amplitudes"], [10], rtol=0.01)
    np.testing.assert_allclose(result["baseline"], sign * 3, atol=0.03)
    np.testing.assert_allclose(result["residual"], 0.05, rtol=0.15)


def test_the_fit_is_that_of_curve_fit():
    data = waveform((200.37, 10), noise=0.3)

    def model(t, position, height, offset):
        return offset + height * shape(t - position)

    best, _ = curve_fit(model, T, data, (198, 8, 2))
    result = found(data)
    np.testing.assert_allclose(result["positions"], best[:1], atol=1e-3)
    np.testing.assert_allclose(result["amplitudes"], best[1:2], rtol=1e-3)
    np.testing.assert_allclose(result["baseline"], best[2], rtol=1e-3)


def test_pulses_on_top_of_each_other_are_told_apart():
    data = np.stack([waveform((150.2, 10), (158.7, 7)), waveform((300.5, 4), seed=1)])
    result = found(data, nPeaks=3, bkg_roi=[0, 50], sampling=0.5)
    np.testing.assert_allclose(result["positions"][0, :2] * 2, [150.2, 158.7], atol=0.1)
    np.testing.assert_allclose(result["amplitudes"][0, :2], [10, 7], rtol=0.05)
    assert np.isnan(result["positions"][0, 2])
    assert np.isnan(result["amplitudes"][1, 1:]).all()
    assert result["positions"][1, 0] * 2 == pytest.approx(300.5, abs=0.1)


def test_noise_has_no_pulses():
    for seed in range(5):
        result = found(waveform(seed=seed), nPeaks=2)
        assert np.isnan(result["positions"]).all()
        assert result["status"] == -1


def test_a_threshold():
    data = waveform((100, 10), (300, 2))
    result = found(data, nPeaks=2, threshold=3)
    np.testing.assert_allclose(result["positions"], [100, np.nan], atol=0.05)


def test_saturated_samples_are_left_out():
    data = np.minimum(waveform((200.37, 100)), 63)
    cut = found(data, saturation=63, bkg_roi=[0, 50])
    np.testing.assert_allclose(cut["positions"], [200.37], atol=0.02)
    np.testing.assert_allclose(cut["amplitudes"], [100], rtol=0.01)
    assert found(data)["amplitudes"] < 80


def test_samples_that_are_masked_or_not_finite_are_left_out():
    data = waveform((200.37, 10))
    good = np.ones(SAMPLES, bool)
    good[195:200] = False
    data[195:200] = 1e5
    data[205] = np.nan
    result = found(data, Images((SAMPLES,), good))
    np.testing.assert_allclose(result["positions"], [200.37], atol=0.03)
    np.testing.assert_allclose(result["amplitudes"], [10], rtol=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_waveforms_without_anything(value):
    result = found(np.full((2, SAMPLES), value), nPeaks=2, bkg_roi=[0, 50])
    assert result["status"].tolist() == [-1, -1]
    assert np.isnan(result["amplitudes"]).all()


def test_a_template_from_a_file(tmp_path):
    np.save(tmp_path / "template.npy", TEMPLATE)
    with h5py.File(tmp_path / "template.h5", "w") as file:
        file["template"] = TEMPLATE
    data = waveform((200.37, 10))
    expected = found(data)["positions"]
    for name in ("template.npy", "template.h5"):
        result = found(data, template=tmp_path / name)
        np.testing.assert_array_equal(result["positions"], expected)


def test_files_without_a_template(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["pulse"] = TEMPLATE
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file["template"] = ["a", "b"]
    (tmp_path / "text.h5").write_text("no file of this kind")
    for name, error, message in [
        ("missing.npy", FileError, "there is no file"),
        ("objects.npy", ParameterError, "not a plain array"),
        ("other.h5", FileError, "no dataset 'template'"),
        ("texts.h5", ParameterError, "has no numbers"),
        ("text.h5", FileError, "cannot be read"),
    ]:
        with pytest.raises(error, match=message):
            templateFitFunc(template=tmp_path / name).attach(Images((SAMPLES,)))


def test_the_record_has_the_pulse():
    func = attached(templateFitFunc(template=TEMPLATE), Images((SAMPLES,)))
    np.testing.assert_allclose(func.params_as_dict()["pulse"], TEMPLATE / 40)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "needs the template"),
        ([1, 2], "at least 4"),
        ([0, -1, -2, -1, 0], "goes up from 0"),
        (np.ones(SAMPLES + 1), "more than the 500"),
    ],
)
def test_templates_that_are_no_pulse(template, message):
    with pytest.raises(ParameterError, match=message):
        templateFitFunc(template=template).attach(Images((SAMPLES,)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"template": [0, np.nan, 1, 0]}, "finite numbers"),
        ({"template": [[1, 2], [3, 4]]}, "finite numbers"),
        ({"template": [0, "x"]}, "template"),
        ({"nPeaks": 0}, "nPeaks"),
        ({"threshold": -1}, "from 0 to"),
        ({"saturationFraction": 2}, "from 0.01 to 1"),
    ],
)
def test_parameters_that_are_not_possible(parameters, message):
    with pytest.raises(ParameterError, match=message):
        templateFitFunc(**parameters)
