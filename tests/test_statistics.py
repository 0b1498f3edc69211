"""The streaming statistics against numpy on stacked images."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_ana.errors import NoDataError
from smalldata_ana.statistics import (
    MEDIAN_BINS,
    RunningMedian,
    RunningStatistics,
)

SHAPE = (2, 5, 7)


def stack(events: int, *, mean=50.0, sigma=2.0, seed=1, shape=SHAPE) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(mean, sigma, (events, *shape)).astype(np.float32)


def filled(images: np.ndarray, **asked: object) -> RunningStatistics:
    statistics = RunningStatistics(images.shape[1:], **asked)
    for image in images:
        statistics.add(image)
    return statistics


@pytest.mark.parametrize("std", [False, True])
def test_all_statistics_agree_with_numpy(std):
    images = stack(31)
    got = filled(images, std=std, max=True, median=True, hits_above=51.0)
    exact = images.astype(float)
    assert got.count == 31
    assert got.mean().dtype == np.float32
    np.testing.assert_allclose(got.mean(), exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(got.sum(), exact.sum(0), rtol=1e-7)
    np.testing.assert_array_equal(got.max(), images.max(0))
    np.testing.assert_array_equal(got.median().image, np.median(images, axis=0))
    np.testing.assert_array_equal(got.median().error, 0)
    np.testing.assert_array_equal(got.hits(), (images > 51).sum(0))
    if std:
        np.testing.assert_allclose(got.std(), exact.std(0), rtol=1e-6)


def test_what_was_not_asked_for_is_none():
    got = filled(stack(3))
    assert (got.std(), got.max(), got.median(), got.hits()) == (None,) * 4


def test_deviation_far_below_the_mean_is_right():
    images = stack(2000, mean=50000.0, sigma=2.0, shape=(40,))
    exact = images.astype(float).std(0)
    np.testing.assert_allclose(filled(images, std=True).std(), exact, rtol=1e-6)


def test_deviation_of_a_constant_is_zero():
    images = np.full((50, 9), 49999.9, np.float32)
    np.testing.assert_array_equal(filled(images, std=True).std(), 0)


def test_no_images_is_an_error():
    empty = RunningStatistics(SHAPE, std=True, median=True)
    for ask in (empty.mean, empty.sum, empty.std, empty.median):
        with pytest.raises(NoDataError, match="no images"):
            ask()


def test_images_are_not_changed():
    images = stack(10)
    before = images.copy()
    filled(images, std=True, max=True, median=True, hits_above=0)
    np.testing.assert_array_equal(images, before)


def histogram_median(images: np.ndarray, exact: int) -> RunningMedian:
    median = RunningMedian(images.shape[1:], exact)
    for image in images:
        median.add(image)
    return median


@pytest.mark.parametrize("events", [500, 501])
def test_median_by_histogram_is_within_its_error(events):
    images = stack(events)
    got = histogram_median(images, exact=50).result()
    true = np.median(images, axis=0)
    rounding = 4 * np.spacing(np.abs(true))
    assert np.all(np.abs(got.image - true) <= got.error + rounding)
    first = images[:50]
    span = first.max(0) - first.min(0)
    np.testing.assert_allclose(got.error, span / MEDIAN_BINS, rtol=1e-4)
    width = 2 * span / MEDIAN_BINS
    low = first.min(0) - span / 2
    outside = (images < low) | (images >= low + MEDIAN_BINS * width)
    assert abs(got.out_of_range - outside.sum()) <= 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32).map(np.float32), min_size=6, max_size=60)
)
def test_median_by_histogram_never_claims_too_much(values):
    images = np.array(values, np.float32).reshape(-1, 1)
    got = histogram_median(images, exact=5).result()
    true = np.median(images.astype(float))
    assert abs(got.image[0] - true) <= got.error[0] + 4 * np.spacing(np.float32(1e4))


def test_median_out_of_range_is_marked():
    images = np.concatenate([stack(10), stack(90, mean=500.0)])
    got = histogram_median(images, exact=10).result()
    assert np.all(np.isinf(got.error))
    assert got.out_of_range == 90 * images[0].size


def test_median_of_pixels_that_are_constant_at_first():
    images = stack(60)
    images[:, 0, 0, 0] = 7.0
    images[:10, 1] = 0
    got = histogram_median(images, exact=10).result()
    true = np.median(images, axis=0)
    assert got.image[0, 0, 0] == pytest.approx(7, abs=1e-5)
    assert got.error[0, 0, 0] < 1
    inside = np.isfinite(got.error)
    assert np.all(np.abs(got.image - true)[inside] <= got.error[inside] + 1e-4)


def test_median_of_very_many_images():
    images = np.tile(stack(7, shape=(3,)), (70000 // 7, 1))
    got = histogram_median(images, exact=7).result()
    assert np.all(np.abs(got.image - np.median(images, axis=0)) <= got.error + 1e-4)


def test_exact_median_is_limited_by_memory():
    assert RunningMedian((10, 10)).exact == 200
    assert RunningMedian((8, 512, 1024)).exact == 64


def peak_images(events: int, **asked: object) -> float:
    """Return the memory of a stream of so many images, in images."""
    image = stack(1, shape=(200, 500))[0]
    filled(image[None], **asked)  # the kernels are loaded before the count begins
    tracemalloc.start()
    statistics = RunningStatistics(image.shape, **asked)
    for _ in range(events):
        statistics.add(image)
    statistics.mean()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / image.nbytes


def test_memory_does_not_grow_with_the_number_of_images():
    assert peak_images(200) == pytest.approx(peak_images(10), abs=0.1)
    assert peak_images(50) < 3.2
    assert peak_images(50, std=True, max=True, hits_above=1.0) < 7.5
