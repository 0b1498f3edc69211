from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.errors import NoDataError
from smalldata_ana.photon_peaks import photon_peaks

EDGES = np.linspace(-10, 40, 251)


def histogram(rng, pixels=200_000, photons=20_000, energy=9.5, noise=1.2, zero=0.3):
    """Return counts of pixels with noise, of which some hold (part of) a photon."""
    values = rng.normal(zero, noise, pixels)
    shared = rng.uniform(0, 1, photons) < 0.3
    values[:photons] += energy * np.where(shared, rng.uniform(0, 1, photons), 1)
    return np.histogram(values, EDGES)[0]


@pytest.mark.parametrize("seed", range(5))
def test_both_peaks_are_found_within_their_errors(seed):
    peaks = photon_peaks(histogram(np.random.default_rng(seed)), EDGES, "keV")
    assert abs(peaks.zero.position - 0.3) < 5 * peaks.zero.position_err + 0.01
    assert peaks.zero.sigma == pytest.approx(1.2, rel=0.03)
    assert abs(peaks.one.position - 9.8) < 5 * peaks.one.position_err
    assert peaks.one.sigma == pytest.approx(1.2, rel=0.15)
    assert 0 < peaks.one.position_err < 0.1


def test_the_errors_are_those_of_many_repetitions():
    rng = np.random.default_rng(1)
    found = [photon_peaks(histogram(rng), EDGES) for _ in range(40)]
    scatter = np.std([p.zero.position for p in found])
    stated = np.median([p.zero.position_err for p in found])
    assert 0.6 < scatter / stated < 1.6


def test_noise_alone_has_no_photon_peak():
    for seed in range(10):
        counts = histogram(np.random.default_rng(seed), photons=0)
        peaks = photon_peaks(counts, EDGES, "ADU")
        assert peaks.one is None
        assert "no peak stands out" in str(peaks)


def test_text_names_positions_and_unit():
    text = str(photon_peaks(histogram(np.random.default_rng(3)), EDGES, "keV"))
    assert "one photon is 9." in text
    assert "keV" in text


@pytest.mark.parametrize("counts", [np.zeros(250), np.eye(1, 250)[0] * 50])
def test_without_a_zero_peak_it_says_so(counts):
    with pytest.raises(NoDataError, match="no zero-photon peak"):
        photon_peaks(counts, EDGES)
