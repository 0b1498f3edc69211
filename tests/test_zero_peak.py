"""The zero-photon peak, against known Gaussians."""

import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.zero_peak import getCMPeakFunc
from smalldata_ana.errors import ParameterError

SHAPE = (200, 300)
BINS = [-10.0, 30.0, 0.25]


def image(position=0.7, sigma=1.0, photons=0.3, seed=0):
    """Return an image of pixels of which some have a photon of 9."""
    rng = np.random.default_rng(seed)
    return rng.normal(position, sigma, SHAPE) + 9 * (rng.random(SHAPE) < photons)


def found(data, source=None, **parameters):
    func = getCMPeakFunc(**{"bins": BINS, **parameters})
    result = attached(func, source or Images(SHAPE)).process(data)
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


@pytest.mark.parametrize("photons", [0, 0.3, 0.7])
@pytest.mark.parametrize("position", [-3.2, 0, 0.7])
def test_the_peak_is_the_one_without_photons(position, photons):
    result = found(image(position, photons=photons))
    assert result["status"] == 1
    # The error of a mean of a few thousand pixels.
    assert result["position"] == pytest.approx(position, abs=0.04)
    assert result["sigma"] == pytest.approx(1, abs=0.05)
    assert abs(result["maximum"] - position) < 0.8


def test_the_counts_are_numpys():
    data = image().astype(np.float32)
    result = found(data)
    edges = np.arange(-10, 30.1, 0.25)
    counts, _ = np.histogram(data.astype(float), edges)
    bottom = np.searchsorted(edges, result["maximum"]) - 1
    assert result["counts"] == counts[bottom] == counts[:60].max()


def test_pixels_that_are_masked_or_not_finite_are_left_out():
    data = image()
    good = np.ones(SHAPE, bool)
    good[:50] = False
    expected = found(data, Images(SHAPE, good))
    data[:50] = -5
    data[60, :3] = [np.nan, np.inf, -np.inf]
    good[60, :3] = False
    same = found(data, Images(SHAPE, good))
    assert same["position"] == pytest.approx(expected["position"], abs=1e-3)


def test_the_bins_follow_the_noise():
    noise = np.full(SHAPE, 0.5, np.float32)
    func = attached(getCMPeakFunc(), Images(SHAPE, noise=noise))
    result = func.process(image(0.4, sigma=0.5, photons=0))
    assert result["position"] == pytest.approx(0.4, abs=0.02)


def test_too_few_pixels_are_no_peak():
    result = found(np.full(SHAPE, np.nan))
    assert (result["status"], result["counts"]) == (0, 0)
    assert np.isnan([result[key] for key in ("position", "sigma", "maximum")]).all()


def test_a_single_bin_is_no_gaussian():
    result = found(np.full(SHAPE, 0.1))
    assert (result["status"], result["counts"]) == (-1, 60000)
    assert result["maximum"] == 0.125
    assert np.isnan([result["position"], result["sigma"]]).all()


@pytest.mark.parametrize(
    "bins", [[0, 1], [1, 0, 0.1], [0, 1, 0], [0, 1, 2], [0, np.inf, 1], "x", 3]
)
def test_bins_that_are_not_possible(bins):
    with pytest.raises(ParameterError, match="bins"):
        getCMPeakFunc(bins=bins)


def test_too_many_bins():
    with pytest.raises(ParameterError, match="more than 1000000 bins"):
        getCMPeakFunc(bins=[0, 1, 1e-9])


def test_without_noise_bins_must_be_given():
    with pytest.raises(ParameterError, match="give bins"):
        getCMPeakFunc().attach(Images(SHAPE))


def test_all_masked():
    with pytest.raises(ParameterError, match="all are masked"):
        getCMPeakFunc(bins=BINS).attach(Images(SHAPE, np.zeros(SHAPE, bool)))
