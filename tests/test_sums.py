"""Sums over events: every word against numpy, alone and together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.shots import Shot
from smalldata_ana.detector.sums import Sums
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import PixelPositions

SHAPE = (2, 40, 37)
EVENTS = 9
_random = np.random.default_rng(3)
IMAGES = _random.normal(1, 4, (EVENTS, *SHAPE)).astype(np.float32)
DROPPED = np.array([1, 0, 0, 1, 0, 1, 0, 0, 0], bool)
LASER = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1], bool)
ALL = np.ones(EVENTS, bool)

VALUES = {
    "": lambda v: v,
    "thresADU2.5": lambda v: np.where(v < 2.5, 0, v),
    "nhits": lambda v: np.where(v > 0, 1, 0),
    "square": np.square,
    "thresADU2.5_square": lambda v: np.where(v < 2.5, 0, v) ** 2,
    "thresADU-1_nhits": lambda v: np.where(np.where(v < -1, 0, v) > 0, 1, 0),
    "square_thresADU2.5_nhits": lambda v: np.where(v < 2.5, 0, 1),
}
EVENTS_OF = {
    "": ALL,
    "skip": np.arange(EVENTS) > 0,
    "dropped": DROPPED,
    "on": ~DROPPED & LASER,
    "off": ~DROPPED & ~LASER,
    "dropped_off": DROPPED & ~LASER,
    "off_skip_dropped": DROPPED & ~LASER & (np.arange(EVENTS) > 0),
}
KEYS = {
    "_".join(filter(None, ("calib", value, largest, events))): (value, largest, events)
    for value, largest, events in itertools.product(VALUES, ("", "max"), EVENTS_OF)
}


def geometry() -> ImageGeometry:
    """Two panels with a gap, whose edges fall into the same pixels of the image."""
    rows, cols = np.indices(SHAPE[1:]).astype(float)
    x = np.stack([rows, rows + 39]) * 10.0
    y = np.stack([cols, cols + 50]) * 10.0
    y[:, :, 1] = y[:, :, 0]
    positions = PixelPositions(x, y, np.zeros(SHAPE), 10.0)
    return ImageGeometry.from_positions(positions, SHAPE)


def summed(keys, events=range(EVENTS)) -> Sums:
    sums = Sums(SHAPE, geometry)
    for key in keys:
        sums.define(key)
    for n in events:
        sums.add(IMAGES[n], Shot(n, bool(DROPPED[n]), bool(LASER[n])))
    return sums


def reference(key: str) -> np.ndarray:
    value, largest, events = KEYS[key]
    values = VALUES[value](IMAGES[EVENTS_OF[events]].astype(float))
    return values.max(axis=0) if largest else values.sum(axis=0)


@pytest.fixture(scope="module")
def every() -> Sums:
    return summed(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_all_words_at_once_against_numpy(every, key):
    assert every[key].dtype == np.float64
    np.testing.assert_allclose(every[key], reference(key), rtol=1e-13, atol=1e-13)
    assert every[f"{key}_nEvents"] == EVENTS_OF[KEYS[key][2]].sum()


def test_a_sum_is_the_same_alone_and_with_others(every):
    for key in ("calib", "calib_thresADU2.5", "calib_square_max_on"):
        np.testing.assert_array_equal(summed([key])[key], every[key])


def test_the_image_is_not_changed():
    before = IMAGES.copy()
    summed(KEYS)
    np.testing.assert_array_equal(IMAGES, before)


def test_the_order_of_the_words_makes_no_difference():
    sums = summed(["calib_square_dropped", "dropped_square", "square_calib_dropped"])
    first, *others = (sums[key] for key in sums if not key.endswith("_nEvents"))
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("key", ["calib_img", "calib_max_img", "calib_img_square"])
def test_assembled_images_show_the_sum_of_the_panels(key):
    panels = summed([key.replace("_img", "")])[key.replace("_img", "")]
    sums = summed([key])
    where = geometry()
    together = max if "max" in key else sum
    expected = np.zeros(where.shape)
    for place in set(zip(where.ix.ravel(), where.iy.ravel(), strict=True)):
        shared = (where.ix == place[0]) & (where.iy == place[1])
        expected[place] = together(panels[shared])
    assert where.shared
    np.testing.assert_allclose(sums[key], expected, rtol=1e-14)
    if "max" not in key:
        np.testing.assert_allclose(sums[key].sum(), panels.sum())


def test_what_is_stored_has_its_count_beside_it():
    sums = summed(["calib", "calib_img"], events=[1, 2])
    assert list(sums) == [
        "calib", "calib_nEvents", "calib_img", "calib_img_nEvents"
    ]  # fmt: skip
    assert len(sums) == 4
    assert sums["calib_img_nEvents"] == 2


def test_without_events_a_sum_is_0_and_a_maximum_is_not_a_number():
    sums = summed(["calib", "calib_max", "calib_max_on"], events=[0])
    assert not np.isnan(sums["calib_max"]).any()
    assert np.isnan(sums["calib_max_on"]).all()
    assert sums["calib_max_on_nEvents"] == 0
    assert not summed(["calib"], events=[])["calib"].any()


def test_events_whose_light_is_not_known_are_in_no_sum_that_needs_it():
    sums = Sums(SHAPE, geometry)
    for key in ("calib", "calib_dropped", "calib_on", "calib_off"):
        sums.define(key)
    sums.add(IMAGES[0], Shot(0, None, None))
    sums.add(IMAGES[1], Shot(1, dropped=False, laser=None))
    sums.add(IMAGES[2], Shot(2, dropped=None, laser=True))
    sums.add(IMAGES[2], Shot(3, dropped=-1, laser=-1))
    assert [int(sums[key]) for key in sums if key.endswith("_nEvents")] == [4, 0, 0, 0]


def test_numbers_and_numpy_booleans_tell_the_light_too():
    sums = Sums(SHAPE, geometry)
    sums.define("calib_on")
    sums.add(IMAGES[0], Shot(0, dropped=np.False_, laser=np.True_))
    sums.add(IMAGES[0], Shot(1, dropped=0, laser=1))
    assert sums["calib_on_nEvents"] == 2


def test_a_threshold_keeps_values_that_equal_it():
    image = np.full(SHAPE, 0.1, np.float32)
    sums = Sums(SHAPE, geometry)
    sums.define("calib_thresADU0.1")
    sums.add(image, Shot(0))
    np.testing.assert_array_equal(sums["calib_thresADU0.1"], image)


class TestStored:
    def test_parts_are_the_whole(self, every):
        total = summed(KEYS, [])
        for events in ([0, 1, 2], [], [3], range(4, EVENTS)):
            total.add_stored(*summed(KEYS, events).stored())
        for key in every:
            np.testing.assert_allclose(total[key], every[key], rtol=1e-13, atol=1e-13)

    def test_what_was_stored_does_not_change(self):
        keys = ["calib", "calib_max_img"]
        total, part = summed(keys, []), summed(keys, [2, 3])
        before = {key: part[key] for key in part}
        total.add_stored(*part.stored())
        total.add(IMAGES[4], Shot(4))
        for key, value in before.items():
            np.testing.assert_array_equal(part[key], value)
        np.testing.assert_array_equal(total["calib"], IMAGES[2:5].astype(float).sum(0))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("calib_squared", r"no word 'squared' .*there are 'calib', 'img', 'skip', .*"
         r"'thresADU<number>'\. Did you mean 'square'\?"),
        ("calib_thresADU", "'thresADU' in the sum 'calib_thresADU' needs a number"),
        ("calib_thresADUx5", "needs a number"),
        ("calib_thresADUnan", "needs a number"),
        ("calib_thresADU1_thresADU2", "a word twice"),
        ("calib_square_square", "a word twice"),
        ("calib_on_off", "both on and off"),
        ("calib__square", "no word ''"),
        ("", "no word ''"),
        ("variance", "no word 'variance'"),
    ],
)  # fmt: skip
def test_wrong_keys(key, message):
    with pytest.raises(ParameterError, match=message):
        Sums(SHAPE, geometry).define(key)


def test_a_sum_cannot_begin_late():
    sums = summed(["calib"], [0])
    sums.define("calib")
    with pytest.raises(
        ParameterError, match="'calib_max' cannot begin after the first"
    ):
        sums.define("calib_max")


def test_images_of_another_shape_are_refused():
    with pytest.raises(ParameterError, match=r"\(3, 3\) cannot be added"):
        summed(["calib"], []).add(np.zeros((3, 3), np.float32), Shot(0))


@pytest.mark.parametrize(
    ("key", "unit", "meaning"),
    [
        ("calib", "keV", "sum of the values"),
        ("calib_square", "keV2", "sum of the squares of the values"),
        (
            "thresADU2.5_dropped_off",
            "keV",
            "sum of the values, values below 2.5 keV count as 0, X-rays dropped, "
            "laser off",
        ),
        (
            "nhits_skip",
            "count",
            "number of events in which the value is above 0, without the first event",
        ),
        ("calib_max_on", "keV", "largest of the values, with X-rays, laser on"),
    ],
)
def test_each_says_what_it_is(key, unit, meaning):
    sums = Sums(SHAPE, geometry)
    sums.define(key)
    field = sums.field(key, "keV")
    assert (field.shape, field.unit, field.long_name) == (SHAPE, unit, meaning)
    assert (field.shape, field.dtype) == (sums[key].shape, sums[key].dtype)
    count = sums.field(f"{key}_nEvents", "keV")
    assert (count.shape, count.unit) == ((), "")
    assert count.long_name.startswith("number of events in the sum")


def test_an_assembled_sum_has_the_shape_of_the_image():
    sums = Sums(SHAPE, geometry)
    for key in ("calib_img", "calib"):
        sums.define(key)
        assert sums.field(key, "ADU").shape == sums[key].shape
