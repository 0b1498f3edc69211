"""Stacks and histograms against numpy on the calibrated images."""

from __future__ import annotations

import threading

import epix_run
import numpy as np
import pytest
from epix_run import ALL, DET, EVENTS, GOOD, IMAGES, MISSING, PEDESTALS, RAW, SHAPE

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.errors import NoDataError, ParameterError
from smalldata_ana.event_images import calibrated_images, get_images, pixel_histogram
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = epix_run.open_run(tmp_path_factory.mktemp("run"))
    yield run
    run.close()


def test_images_come_stacked_with_their_numbers(run):
    got, events = get_images(run, DET, events=ALL)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, IMAGES, rtol=1e-5, atol=1e-5)
    assert events.tolist() == [e for e in range(EVENTS) if e != MISSING]


def test_images_come_in_the_order_asked_for(run):
    asked = np.array([8, 1, 5])
    assert get_images(run, DET, events=asked, threads=3)[1].tolist() == [8, 1, 5]


def test_an_abandoned_stream_ends_its_threads(run):
    before = threading.active_count()
    stream = calibrated_images(run, Calibration.for_run(run, DET), ALL)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_histogram_counts_each_value_once(run):
    got = pixel_histogram(run, DET, events=ALL, bins=50, range=(-2.0, 6.0))
    values = IMAGES[:, GOOD]
    # Values at an edge may fall to either side in float32.
    expected, edges = np.histogram(values, 50, (-2, 6))
    np.testing.assert_allclose(got.edges, edges)
    assert np.abs(got.counts - expected).sum() <= 20
    total = got.counts.sum() + got.below + got.above
    assert total == values.size
    assert (got.n_used, got.unit) == (EVENTS - 1, "keV")


def test_histogram_finds_its_range(run):
    got = pixel_histogram(run, DET, events=ALL)
    assert len(got.counts) == 180
    values = IMAGES[:, GOOD]
    assert got.below + got.above <= 2e-3 * values.size
    assert np.ptp(got.edges) < 2 * np.ptp(values)
    half = pixel_histogram(run, DET, events=ALL, range=(None, 1.5))
    assert half.edges[-1] == 1.5
    assert half.edges[0] == got.edges[0]


def test_histogram_of_all_pixels(run):
    got = pixel_histogram(run, DET, events=np.arange(3), useMask=False)
    assert got.counts.sum() + got.below + got.above == 3 * np.prod(SHAPE)


@pytest.mark.parametrize("options", [{"bins": 0}, {"range": (3.0, 2.0)}])
def test_histogram_options_that_make_no_sense(run, options):
    with pytest.raises(ParameterError):
        pixel_histogram(run, DET, events=np.arange(2), **options)


def test_no_good_pixel_leaves_no_histogram(tmp_path):
    status = np.ones_like(PEDESTALS, np.uint64)
    constants = {DET: {"pedestals": PEDESTALS, "pixel_status": status}}
    path = write_run(
        tmp_path / "bad.h5",
        experiment="xppsim01",
        run=1,
        images={DET: RAW},
        dettypes={DET: "epix100"},
        constants=constants,
    )
    with pytest.raises(NoDataError, match="no good pixel"):
        pixel_histogram(Hdf5Run(path), DET, events=np.arange(2))
