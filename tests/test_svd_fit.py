"""SvdFit and its basis, against linear combinations that are known."""

import h5py
import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.svd_fit import SvdFit
from smalldata_ana.ana_funcs.waveform_basis import WaveformBasis, make_basis
from smalldata_ana.errors import FileError, NoDataError, ParameterError

SAMPLES = 300
ROI, BACKGROUND = (40, 280), (0, 30)
T = np.arange(SAMPLES, dtype=np.float64)


def pulse(position=80.0, height=1.0, ringing=0.2):
    late = np.clip(T - position, 0, None)
    return height * (
        late / 10 * np.exp(1 - late / 10)
        + ringing * np.sin(late / 5) * late * np.exp(-late / 20) / 10
    )


def references(n=60, noise=0.002, seed=0):
    """Return waveforms of a single pulse, of any height and two shapes."""
    rng = np.random.default_rng(seed)
    shapes = [pulse(ringing=r) for r in rng.uniform(0.1, 0.3, n)]
    waveforms = rng.uniform(1, 5, (n, 1)) * shapes + rng.normal(0, noise, (n, SAMPLES))
    return waveforms + rng.uniform(-3, 3, (n, 1))


@pytest.fixture
def basis_file(tmp_path):
    path = tmp_path / "wave_basis.h5"
    make_basis(references(), path, roi=ROI, background_roi=BACKGROUND)
    return str(path)


def found(data, source=None, **parameters):
    func = SvdFit(**parameters)
    result = attached(func, source or Images(data.shape)).process(data)
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


# -- the basis -------------------------------------------------------------------------


def test_a_basis_is_orthonormal_and_describes_the_references():
    waveforms = references()
    basis = make_basis(waveforms, n_components=3, roi=ROI, background_roi=BACKGROUND)
    assert basis.components.shape == (3, 240)
    np.testing.assert_allclose(
        basis.components @ basis.components.T, np.eye(3), atol=1e-12
    )
    above = waveforms - np.median(waveforms[:, :30], axis=1)[:, None]
    cut = above[:, 40:280]
    np.testing.assert_allclose(
        basis.singular_values, np.linalg.svd(cut, compute_uv=False)
    )
    left = cut - cut @ basis.components.T @ basis.components
    assert np.abs(left).max() < 0.02
    for shape in basis.components:
        assert shape[np.abs(shape).argmax()] > 0


def test_a_basis_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "new" / "basis.h5"
    stack = np.stack([references(seed=1), references(seed=2)], axis=1)
    made = make_basis(stack, path, roi=ROI, background_roi=BACKGROUND, channel=1)
    read = WaveformBasis.load(path)
    np.testing.assert_array_equal(read.components, made.components)
    np.testing.assert_array_equal(read.singular_values, made.singular_values)
    assert (read.roi, read.background_roi, read.channel) == (ROI, BACKGROUND, 1)
    alone = make_basis(references(seed=2), roi=ROI, background_roi=BACKGROUND)
    np.testing.assert_array_equal(alone.components, made.components)
    assert [file.name for file in path.parent.iterdir()] == ["basis.h5"]


def test_a_basis_of_what_is_there(tmp_path):
    plain = make_basis(references(), tmp_path / "plain.h5", n_components=1000)
    assert plain.components.shape == (60, SAMPLES)
    read = WaveformBasis.load(tmp_path / "plain.h5")
    assert (read.roi, read.background_roi, read.channel) == ((0, SAMPLES), None, None)


def test_references_that_are_not_finite_are_left_out():
    waveforms = references()
    expected = make_basis(waveforms[2:])
    waveforms[:2, 7] = [np.nan, np.inf]
    np.testing.assert_array_equal(make_basis(waveforms).components, expected.components)


@pytest.mark.parametrize(
    ("waveforms", "settings", "error", "message"),
    [
        (np.ones(9), {}, ParameterError, r"must be \(events, samples\)"),
        (np.ones((5, 9)), {"channel": 0}, ParameterError, "must be"),
        (np.ones((5, 2, 9)), {"channel": 2}, ParameterError, "have 2 channels"),
        (np.ones((5, 9)), {"roi": (4, 10)}, ParameterError, "roi = .* 9 samples"),
        (np.ones((5, 9)), {"background_roi": (3, 3)}, ParameterError, "background_roi"),
        (np.full((5, 9), np.nan), {}, NoDataError, "none of 5 reference"),
        (np.zeros((5, 9)), {}, NoDataError, "all 0"),
        (np.ones((5, 9)), {"n_components": 0}, ParameterError, "at least 1"),
    ],
)
def test_references_that_make_no_basis(waveforms, settings, error, message):
    with pytest.raises(error, match=message):
        make_basis(waveforms, **settings)


def test_files_that_hold_no_basis(tmp_path, basis_file):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["components"] = np.ones((2, 3))
    with h5py.File(basis_file, "r+") as file:
        del file["components"]
    (tmp_path / "text.h5").write_text("no file of this kind")
    for name, message in {
        "missing.h5": "there is no file",
        "other.h5": "its schema is 'none'",
        "wave_basis.h5": "cannot be read",
        "text.h5": "cannot be read",
    }.items():
        with pytest.raises(FileError, match=message):
            WaveformBasis.load(tmp_path / name)


def test_a_basis_that_does_not_fit_its_range():
    with pytest.raises(ParameterError, match="have the shape"):
        WaveformBasis(np.ones((2, 5)), np.ones(2), (0, 6))
    with pytest.raises(ParameterError, match="finite"):
        WaveformBasis(np.full((2, 6), np.nan), np.ones(2), (0, 6))


# -- the fit ---------------------------------------------------------------------------


def test_the_intensity_is_the_height_of_the_pulse(basis_file):
    data = pulse(height=7.3) - 2
    result = found(data, basis_file=basis_file, return_reconstructed=True)
    largest = pulse(height=7.3).max()
    np.testing.assert_allclose(result["intensities"], [largest], rtol=2e-3)
    assert result["score"] > 0.99999
    np.testing.assert_allclose(
        result["reconstructed"], pulse(height=7.3)[40:280], atol=0.02
    )
    basis = WaveformBasis.load(basis_file)
    np.testing.assert_allclose(
        result["coefficients"][0], basis.components[:2] @ (data + 2)[40:280], rtol=1e-9
    )


@pytest.mark.parametrize("sampling", [None, 0.5])
def test_pulses_at_known_delays_are_told_apart(basis_file, sampling):
    delays = [25.0, 61.5]
    data = pulse(80, 5) + pulse(80 + 25, 3) + pulse(80 + 61.5, 1)
    result = found(
        data + 2,
        basis_file=basis_file,
        n_pulse=3,
        delay=[d * (sampling or 1) for d in delays],
        sampling=sampling,
        mode="both",
    )
    expected = np.array([5, 3, 1]) * pulse().max()
    np.testing.assert_allclose(result["intensities_max"], expected, rtol=0.02)
    np.testing.assert_allclose(
        result["intensities_norm"],
        np.linalg.norm(result["coefficients"], axis=1),
        rtol=1e-12,
    )


def test_the_fit_is_that_of_lstsq(basis_file):
    rng = np.random.default_rng(5)
    data = rng.normal(0, 1, SAMPLES).astype(np.float32)
    good = rng.random(SAMPLES) > 0.1
    data[100] = np.nan
    result = found(
        data,
        Images((SAMPLES,), good),
        basis_file=basis_file,
        n_pulse=2,
        delay=[30],
        mode="norm",
    )
    shapes = WaveformBasis.load(basis_file).components[:2]
    delayed = np.pad(shapes, ((0, 0), (30, 0)))[:, :240]
    use = good & np.isfinite(data)
    wave = data.astype(float) - np.median(data[:30][use[:30]].astype(float))
    terms, wave = np.concatenate([shapes, delayed]).T[use[40:280]], wave[40:280]
    wave = wave[use[40:280]]
    best, rest, *_ = np.linalg.lstsq(terms, wave, rcond=None)
    np.testing.assert_allclose(result["coefficients"].ravel(), best, rtol=1e-9)
    score = 1 - rest[0] / ((wave - wave.mean()) ** 2).sum()
    np.testing.assert_allclose(result["score"], score, rtol=1e-9)
    np.testing.assert_allclose(
        result["intensities"], np.linalg.norm(best.reshape(2, 2), axis=1)
    )


def test_the_channel_is_that_of_the_basis(tmp_path):
    path = tmp_path / "basis.h5"
    make_basis(np.stack([references()] * 2, axis=1), path, channel=1)
    data = np.stack([pulse(height=1), pulse(height=2), pulse(height=3)])
    result = found(data, basis_file=str(path))
    np.testing.assert_allclose(result["intensities"], 2 * pulse().max(), rtol=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_waveforms_without_anything(basis_file, value):
    result = found(
        np.full(SAMPLES, value), basis_file=basis_file, return_reconstructed=True
    )
    assert np.isnan(result["score"])
    same = np.isnan if np.isnan(value) or np.isinf(value) else (lambda v: v == 0)
    assert same(result["intensities"]).all()
    assert same(result["reconstructed"]).all()


def test_the_fit_is_linear(tmp_path):
    basis_file = str(tmp_path / "basis.h5")
    make_basis(references(), basis_file, roi=ROI)
    one, two = references(2, noise=0.1)
    parameters = {"basis_file": basis_file, "n_pulse": 2, "delay": [20]}
    sums = found(2 * one - 3 * two, **parameters)["coefficients"]
    parts = [found(w, **parameters)["coefficients"] for w in (one, two)]
    np.testing.assert_allclose(sums, 2 * parts[0] - 3 * parts[1], atol=1e-10)


@pytest.mark.parametrize(
    ("parameters", "source", "message"),
    [
        ({"n_components": 30}, Images((SAMPLES,)), "n_components = 30, but .* has 10"),
        ({"n_pulse": 2, "delay": [0]}, Images((SAMPLES,)), "cannot be told apart"),
        ({"n_pulse": 2, "delay": [999]}, Images((SAMPLES,)), "cannot be told apart"),
        ({"n_pulse": 2}, Images((SAMPLES,)), "must be 1 numbers for n_pulse = 2"),
        ({"delay": [5.0]}, Images((SAMPLES,)), "must be 0 numbers"),
        ({}, Images((100,)), "roi of the basis = .* has 100 samples"),
        ({}, Images((4, SAMPLES)), "does not say for which of the 4 channels"),
        ({}, Images((2, SAMPLES, 3)), "works on waveforms"),
        ({}, Images((SAMPLES,), T < 42), "2 good samples .* not enough for 2 shapes"),
        ({}, Images((SAMPLES,), T < 0), "all are masked"),
    ],
)
def test_a_basis_that_does_not_fit(basis_file, parameters, source, message):
    with pytest.raises(ParameterError, match=message):
        SvdFit(basis_file=basis_file, **parameters).attach(source)


def test_a_basis_for_a_channel_that_is_not_there(tmp_path):
    path = tmp_path / "basis.h5"
    make_basis(np.stack([references()] * 4, axis=1), path, channel=3)
    with pytest.raises(ParameterError, match=r"for channel 3, and .* has 2"):
        SvdFit(basis_file=str(path)).attach(Images((2, SAMPLES)))


def test_the_record_has_the_shapes(basis_file):
    func = attached(SvdFit(basis_file=basis_file), Images((SAMPLES,)))
    shapes = WaveformBasis.load(basis_file).components[:2]
    np.testing.assert_array_equal(func.params_as_dict()["components"], shapes)


def test_a_basis_must_be_given():
    with pytest.raises(ParameterError, match="needs basis_file"):
        SvdFit().attach(Images((SAMPLES,)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_pulse": 2, "delay": [np.nan]}, "delay"),
        ({"mode": "mean"}, "mode"),
    ],
)
def test_parameters_that_are_not_possible(parameters, message):
    with pytest.raises(ParameterError, match=message):
        SvdFit(**parameters)
