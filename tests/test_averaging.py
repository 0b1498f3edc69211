"""Average images against numpy on the calibrated images."""

from __future__ import annotations

import _thread
import threading
import time
import tracemalloc

import epix_run
import numpy as np
import pytest
from epix_run import (
    ALL,
    BARE,
    DET,
    EVENTS,
    GAIN,
    GOOD,
    IMAGES,
    MISSING,
    NOISE,
    RAW,
    SHAPE,
)

from smalldata_ana import averaging
from smalldata_ana.average_image import AverageImage, derived_name, image_name
from smalldata_ana.averaging import average
from smalldata_ana.errors import NameNotFound, NoDataError, ParameterError
from smalldata_ana.event_images import (
    get_images,
    pixel_histogram,
)
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run
from smalldata_ana.statistics import RunningStatistics


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = epix_run.open_run(tmp_path_factory.mktemp("run"))
    yield run
    run.close()


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_average_agrees_with_numpy(run, threads):
    got = average(
        run,
        DET,
        events=ALL,
        std=True,
        median=True,
        max=True,
        threads=threads,
    )
    assert isinstance(got, AverageImage)
    assert got.n_used == EVENTS - 1
    assert got.unit == "keV"
    np.testing.assert_array_equal(got.good, GOOD)
    np.testing.assert_allclose(got.data, IMAGES.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.std, IMAGES.std(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.median, np.median(IMAGES, 0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.max, IMAGES.max(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got.median_error, 0)
    assert np.asarray(got).shape == got.shape == SHAPE
    assert np.asarray(got, float).dtype == float


def test_the_order_of_threads_changes_nothing(run):
    one, many = (average(run, DET, events=ALL, std=True, threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.data, many.data)
    np.testing.assert_array_equal(one.std, many.std)


def test_events_without_data_do_not_count(run):
    got = average(run, DET, events=np.array([2, MISSING, 4]))
    assert got.events.tolist() == [2, 4]
    assert got.timestamps.tolist() == run.timestamps[[2, 4]].tolist()
    assert (got.made["asked"], got.made["used"]) == (3, 2)


def test_pixels_below_the_threshold_count_as_zero(run):
    got = average(run, DET, events=ALL, thresADU=3.0, hits=True)
    kept = np.where(IMAGES < 3, 0, IMAGES)
    np.testing.assert_allclose(got.data, kept.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got.hits, (IMAGES >= 3).sum(0))
    assert got.name == "AvImg_thresADU3_pedSub_epix"


def test_a_negative_threshold_counts_pixels(run):
    got = average(run, DET, events=ALL, thresADU=-3.0)
    np.testing.assert_array_equal(got.data, (IMAGES >= 3).sum(0))
    assert (got.statistic, got.unit) == ("sum", "")


def test_a_threshold_in_units_of_the_noise(run):
    noise = NOISE[0] / GAIN
    got = average(run, DET, events=ALL, thresRms=2.0)
    kept = np.where(2 * noise > IMAGES, 0, IMAGES)
    np.testing.assert_allclose(got.data, kept.mean(0), rtol=1e-5, atol=1e-5)
    both = average(run, DET, events=ALL, thresRms=-2.0, thresADU=3.0)
    reached = np.maximum(3, 2 * noise) <= IMAGES
    np.testing.assert_array_equal(both.data, reached.sum(0))


def test_masked_pixels_are_zero_in_all_images(run):
    options = {"common_mode": -1, "std": True, "median": True, "max": True}
    masked = average(run, DET, events=ALL, **options)
    for image in (masked.data, masked.std, masked.median, masked.max):
        assert not image[~GOOD].any()
        assert image[GOOD].all()
    plain = average(run, DET, events=ALL, useMask=False, **options)
    assert plain.data[~GOOD].all()
    np.testing.assert_array_equal(plain.data[GOOD], masked.data[GOOD])


def test_without_constants_raw_data_are_averaged_and_it_is_said(run):
    got = average(run, BARE, events=ALL)
    np.testing.assert_allclose(got.data, RAW.mean(0), rtol=1e-6)
    assert got.name == "AvImg_raw_bare"
    assert got.lacks_constants
    assert any("pedestals" in note for note in got.made["notes"])
    assert not average(run, BARE, events=ALL, common_mode=-1).lacks_constants
    assert not average(run, DET, events=ALL).lacks_constants


def test_how_it_was_made_is_kept(run):
    got = average(
        run,
        DET,
        events=ALL,
        selection="x_on",
        more={"skip": 0, "uniform": True},
    )
    assert got.name == "AvImg_Filterx_on_pedSub_epix"
    kept = {
        "experiment": "xppsim01",
        "run": 7,
        "detector": DET,
        "selection": "x_on",
        "uniform": True,
        "skip": 0,
        "interrupted": False,
        "first_timestamp": int(run.timestamps[0]),
        "last_timestamp": int(run.timestamps[-1]),
        "how": "AvImage",
    }
    assert kept.items() <= got.made.items()
    assert got.made["constants"]["pedestals"]["validity"] == "7-7"


def test_progress_is_told(run):
    calls = []
    average(run, DET, events=np.arange(4), progress=lambda *n: calls.append(n))
    # The last may be told again while the statistics are finished.
    assert calls[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert set(calls[4:]) <= {(4, 4)}


def interrupt_at(count: int):
    def progress(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_an_interrupt_keeps_the_events_so_far(run):
    got = average(run, DET, events=ALL, progress=interrupt_at(3))
    assert got.made["interrupted"] is True
    assert got.events.tolist() == [0, 1, 2]
    assert (got.made["asked"], got.made["used"]) == (EVENTS, 3)
    np.testing.assert_allclose(got.data, IMAGES[:3].mean(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("event", range(2, EVENTS))
def test_a_real_interrupt_leaves_whole_images(run, event):
    class Interrupting(Hdf5Run):
        def read(self, detector, number, out=None):
            if number == event:
                _thread.interrupt_main()
            return super().read(detector, number, out)

    slow = Interrupting(run.origin)
    try:
        got = average(slow, DET, events=ALL, std=True, max=True)
        time.sleep(0)  # an interrupt at the very end comes here
    except KeyboardInterrupt:
        return
    finally:
        slow.close()
    frames, _ = get_images(run, DET, events=got.events)
    np.testing.assert_allclose(got.data, frames.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.std, frames.std(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(got.max, frames.max(0))


def slow_median(monkeypatch, interrupts: int) -> None:
    """Let the median take a second, and interrupt the main thread meanwhile."""
    median = RunningStatistics.median

    def slow(statistics: RunningStatistics):
        for _ in range(interrupts):
            time.sleep(0.4)
            _thread.interrupt_main()
        time.sleep(0.4)
        return median(statistics)

    monkeypatch.setattr(RunningStatistics, "median", slow)


def test_an_interrupt_while_finishing_keeps_all_events(run, monkeypatch):
    slow_median(monkeypatch, 1)
    monkeypatch.setattr(averaging, "_TICK", 0.02)
    calls = []
    got = average(
        run, DET, events=ALL, median=True, progress=lambda *n: calls.append(n)
    )
    assert got.made["interrupted"] is True
    np.testing.assert_allclose(got.data, IMAGES.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.median, np.median(IMAGES, 0), rtol=1e-5, atol=1e-5)
    assert calls.count((got.n_used, got.n_used)) >= 2


def test_a_second_interrupt_while_finishing_gives_up(run, monkeypatch):
    slow_median(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        average(run, DET, events=ALL, median=True)


def test_an_interrupt_before_any_event_stays_one(run):
    with pytest.raises(KeyboardInterrupt):
        average(run, DET, events=np.array([MISSING, 4]), progress=interrupt_at(1))


def test_no_event_with_data_is_an_error(run):
    with pytest.raises(
        NoDataError, match=r"none of the 1 events .* has data of 'epix'"
    ):
        average(run, DET, events=np.array([MISSING]))
    with pytest.raises(NoDataError, match="has 12 events"):
        average(run, DET, events=np.array([], int))
    with pytest.raises(NoDataError, match="choose other events"):
        get_images(run, DET, events=np.array([MISSING]))
    with pytest.raises(NoDataError, match="choose other events"):
        pixel_histogram(run, DET, events=np.array([MISSING]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hits": True}, "needs a threshold"),
        ({"thresADU": np.nan}, "not a finite number"),
        ({"threads": 0}, "less than 1"),
    ],
)
def test_options_that_make_no_sense(run, options, text):
    with pytest.raises(ParameterError, match=text):
        average(run, DET, events=np.arange(2), **options)


def test_a_noise_threshold_needs_the_noise(run):
    with pytest.raises(ParameterError, match="pixel_rms"):
        average(run, BARE, events=np.arange(2), thresRms=3)


def test_an_error_in_a_thread_ends_it(run):
    class Failing(Hdf5Run):
        def read(self, detector, event, out=None):
            if event == 5:
                raise NoDataError("event 5 fails")
            return super().read(detector, event, out)

    before = threading.active_count()
    failing = Failing(run.origin)
    with pytest.raises(NoDataError, match="event 5 fails"):
        average(failing, DET, events=ALL)
    failing.close()
    assert threading.active_count() == before


def test_other_statistics_are_images_of_their_own(run):
    got = average(run, DET, events=ALL, std=True, thresADU=1, hits=True)
    std = got.of("std")
    assert std.name == "AvImg_std_thresADU1_pedSub_epix"
    assert std.data is got.std
    assert std.statistics() == ("std",)
    assert got.of("hits").unit == ""
    assert got.statistics() == ("mean", "std", "hits")
    assert got.of("mean") is got
    with pytest.raises(NameNotFound, match="there are 'mean', 'std', 'hits'"):
        got.of("median")


def test_it_is_locked_and_short_in_print(run):
    got = average(run, DET, events=np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        got.data[0] = 1
    assert repr(got) == (
        "<AverageImage AvImg_pedSub_epix: mean [keV] of 3 events, shape (2, 30, 40)>"
    )


def test_without_geometry_panels_are_put_below_each_other(run):
    got = average(run, DET, events=np.arange(3))
    np.testing.assert_array_equal(got.image, got.data.reshape(60, 40))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "AvImg_pedSub_jungfrau1M"),
        ({"selection": "x_on"}, "AvImg_Filterx_on_pedSub_jungfrau1M"),
        ({"thresADU": 10}, "AvImg_thresADU10_pedSub_jungfrau1M"),
        ({"thresADU": -10.0}, "AvImg_thresADUm10_pedSub_jungfrau1M"),
        ({"thresRms": 3}, "AvImg_thresRms30_pedSub_jungfrau1M"),
        ({"thresRms": 0.7}, "AvImg_thresRms7_pedSub_jungfrau1M"),
    ],
)
def test_names_are_those_that_users_know(options, name):
    assert image_name("jungfrau1M", "pedSub_", **options) == name


def test_names_never_collide():
    numbers = [0, 1, 1.5, -1.5, 15, 1e-7, 1.0000001, 100, 1e20, -1]
    names = {
        image_name(det, label, selection=selection, thresADU=adu, thresRms=rms)
        for det in ("epix", "epix_2")
        for label in ("pedSub_", "raw_")
        for selection in ("", "on", "x_on")
        for adu in numbers
        for rms in numbers
    }
    assert len(names) == 2 * 2 * 3 * len(numbers) ** 2
    assert all(name.isidentifier() for name in names)


def test_a_derived_name_is_upstreams():
    assert derived_name("AvImg_raw_cs", "median") == "AvImg_median_raw_cs"


def peak_memory(run, events: np.ndarray, **options) -> float:
    """Return the memory that an average takes beside constants, in float32 images."""
    tracemalloc.start()
    average(run, DET, events=events, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * np.prod(SHAPE_LARGE))


SHAPE_LARGE = (4, 256, 512)


@pytest.fixture(scope="module")
def large_run(tmp_path_factory):
    random = np.random.default_rng(1)
    raw = random.integers(90, 110, (4, *SHAPE_LARGE), np.uint16)
    path = write_run(
        tmp_path_factory.mktemp("large") / "run.h5",
        experiment="xppsim01",
        run=1,
        images={DET: raw},
        dettypes={DET: "epix100"},
    )
    run = Hdf5Run(path)
    yield run
    run.close()


def test_memory_does_not_grow_with_the_number_of_events(large_run):
    few, many = np.arange(4), np.arange(100) % 4
    peak_memory(large_run, few)  # kernels are loaded before the comparison
    assert peak_memory(large_run, many) == pytest.approx(
        peak_memory(large_run, few), abs=0.3
    )
    assert peak_memory(large_run, many) < 6
