"""Droplets: against scipy's labels, their sums and centres, limits and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from image_source import Images, attached
from photon_frames import NOISE, photon_frame
from scipy import ndimage
from traitlets import List

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError

SHAPE = (3, 40, 50)
CROSS = np.zeros((3, 3, 3), bool)
CROSS[1] = ndimage.generate_binary_structure(2, 1)


class Keep(DetObjectFunc):
    """Keeps what it is given."""

    takes = (Passed.DROPLETS,)
    seen = List()

    def describe(self):
        return {}

    def process(self, data):
        self.seen = [data]
        return {}


def droplets(image, source=None, **parameters):
    """Return the droplets of an image, and the results."""
    keep = Keep()
    func = dropletFunc(**{"useRms": False} | parameters)
    func.addFunc(keep)
    results = attached(func, source or Images(image.shape)).process(image)
    return keep.seen[0], results


def grown_labels(image, low, high, relabel=True):
    """Return the labels of the rule in numpy: strong pixels and their neighbours."""
    strong = image >= high
    labels, count = ndimage.label(strong, CROSS)
    weak = ndimage.binary_dilation(strong, CROSS) & (image >= low) & ~strong
    if relabel:
        return ndimage.label(strong | weak, CROSS)
    grown = labels.copy()
    for p, r, c in zip(*np.nonzero(weak), strict=True):
        best = -np.inf
        for i, j in ((r - 1, c), (r, c - 1), (r, c + 1), (r + 1, c)):
            inside = 0 <= i < image.shape[1] and 0 <= j < image.shape[2]
            if inside and strong[p, i, j] and image[p, i, j] > best:
                best, grown[p, r, c] = image[p, i, j], labels[p, i, j]
    return grown, count


def check_against_labels(found, image, labels, count):
    """Compare everything that is known of droplets with sums over labels."""
    index = np.arange(1, count + 1)
    assert len(found) == count
    np.testing.assert_array_equal(
        found.npix, ndimage.sum_labels(labels > 0, labels, index)
    )
    sums = ndimage.sum_labels(image.astype(float), labels, index)
    np.testing.assert_allclose(found.adu, sums, rtol=1e-12)
    centres = ndimage.center_of_mass(image.astype(float), labels, index)
    ours = np.stack([found.panel, found.row, found.column], axis=1)
    np.testing.assert_allclose(ours, np.reshape(centres, (-1, 3)), rtol=1e-9, atol=1e-9)
    for i, (begin, end) in enumerate(zip(found.begin, found.begin[1:], strict=False)):
        pixel = found.pixel[begin:end]
        np.testing.assert_array_equal(pixel, np.flatnonzero(labels == i + 1))
        np.testing.assert_array_equal(found.value[begin:end], image.flat[pixel])


@pytest.mark.parametrize("relabel", [True, False])
@pytest.mark.parametrize("density", [0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("low", [1.0, 2.0])
def test_labels_are_those_of_scipy_with_one_step_of_growth(density, relabel, low):
    rng = np.random.default_rng(int(100 * density))
    image = rng.exponential(2 / -np.log(density), SHAPE).astype(np.float32)
    found, results = droplets(image, threshold=2.0, thresholdLow=low, relabel=relabel)
    labels, count = grown_labels(image, low, 2.0, relabel)
    assert results == {"nDroplets_all": count, "nDroplets": count}
    check_against_labels(found, image, labels, count)


@given(
    image=arrays(
        np.float32, (2, 6, 7), elements=st.floats(-1, 4, width=16) | st.just(np.nan)
    ),
    low=st.floats(0.5, 2),
)
def test_sums_are_conserved(image, low):
    found, _ = droplets(image, threshold=2.0, thresholdLow=low)
    assert np.unique(found.pixel).size == found.pixel.size == found.npix.sum()
    np.testing.assert_array_equal(found.value, image.flat[found.pixel])
    assert found.adu.sum() == pytest.approx(found.value.sum(dtype=float))
    assert np.isin(np.flatnonzero(image >= 2), found.pixel).all()
    assert (found.value >= np.float32(low)).all()


def test_growth_is_by_one_pixel_up_down_left_and_right():
    image = np.zeros((7, 7))
    image[3, :] = [2, 2, 2, 9, 2, 2, 2]
    image[2, 2] = image[2, 3] = 2
    found, _ = droplets(image, threshold=5.0, thresholdLow=1.0)
    assert found.npix.tolist() == [4]
    assert found.adu.tolist() == [15]


def test_without_relabel_grown_droplets_stay_apart():
    image = np.zeros((5, 7), np.float32)
    image[2, 1:5] = [9, 3, 4, 8]
    settings = {"threshold": 5.0, "thresholdLow": 1.0}
    joined, _ = droplets(image, **settings)
    apart, _ = droplets(image, **settings, relabel=False)
    assert joined.adu.tolist() == [24]
    assert apart.adu.tolist() == [12, 12]


def test_panels_and_corners_are_not_neighbours():
    image = np.zeros(SHAPE, np.float32)
    image[0, -1, 5] = image[1, 0, 5] = image[1, 1, -1] = image[1, 2, 0] = 9
    image[2, 3, 3] = image[2, 4, 4] = 9
    found, _ = droplets(image, threshold=5.0)
    assert found.npix.tolist() == [1] * 6
    assert found.panel.tolist() == [0, 1, 1, 1, 2, 2]


def test_thresholds_are_in_the_noise_of_each_pixel():
    noise = np.ones(SHAPE, np.float32)
    noise[0], noise[1, 5, 5], noise[1, 6, 6] = 2, 0, np.nan
    image = np.zeros(SHAPE, np.float32)
    image[0, 3, 3], image[0, 9, 9] = 7.9, 8
    image[1, 3, 3], image[1, 5, 5], image[1, 6, 6] = 4, 100, 100
    found, _ = droplets(image, Images(SHAPE, noise=noise), threshold=4.0, useRms=True)
    assert found.adu.tolist() == [8, 4]


def test_what_does_not_count_is_left_out():
    rng = np.random.default_rng(3)
    image = rng.exponential(2.0, SHAPE).astype(np.float32)
    good, mask = rng.random(SHAPE) > 0.1, rng.random(SHAPE) > 0.1
    spoiled = image.copy()
    spoiled[0, ::7, ::5] = np.nan
    spoiled[1, ::7, ::5] = np.inf
    spoiled[2, ::7, ::5] = -np.inf
    spoiled.flags.writeable = False
    found, _ = droplets(
        spoiled,
        Images(SHAPE, good),
        threshold=3.0,
        thresholdLow=2.0,
        mask=mask,
        pixmax=8,
    )
    clean = image.copy()
    clean[:, ::7, ::5] = 0
    clean[~good | ~mask | (clean > 8)] = 0
    labels, count = grown_labels(clean, 2.0, 3.0)
    check_against_labels(found, clean, labels, count)


@pytest.mark.parametrize(
    ("limits", "kept"), [(10.0, [10, 20]), ([5.0, 10.0], [10]), ([0.0, 9.0], [4])]
)
def test_limits_of_the_sum_leave_out_droplets(limits, kept):
    image = np.zeros((20, 20))
    image[3, 3:5], image[8, 8], image[12, 12:14] = 5, 4, 10
    found, results = droplets(image, threshold=3.0, thresADU=limits)
    assert results == {"nDroplets_all": 3, "nDroplets": len(kept)}
    assert found.adu.tolist() == kept
    assert found.begin.tolist() == [0, *np.cumsum(found.npix)]
    assert found.value.sum() == sum(kept)


def test_positions_are_those_in_the_detector():
    image = np.zeros(SHAPE, np.float32)
    image[2, 30, 20:22] = 1, 3
    keep = Keep()
    roi = ROIFunc(ROI=[[1, 3], [10, 40], [5, 45]])
    roi.addFunc(func := dropletFunc(threshold=0.5, useRms=False))
    func.addFunc(keep)
    attached(roi, Images(SHAPE, first=(4, 0, 0))).process(image)
    found = keep.seen[0]
    position = found.panel[0], found.row[0], found.column[0]
    assert position == (6, 30, 20.75)
    assert found.pixel.tolist() == [
        1 * 30 * 40 + 20 * 40 + 15,
        1 * 30 * 40 + 20 * 40 + 16,
    ]


def test_the_order_of_the_panels_makes_no_difference():
    frame = photon_frame(np.random.default_rng(8), SHAPE, 0.05)
    source = Images(SHAPE, noise=np.full(SHAPE, NOISE, np.float32))
    settings = {"threshold": 10.0, "thresholdLow": 3.0, "useRms": True}
    found, _ = droplets(frame.image, source, **settings)
    turned, _ = droplets(frame.image[::-1], source, **settings)
    for panel in range(3):
        one, other = found.panel == panel, turned.panel == 2 - panel
        for name in ("adu", "npix", "row", "column"):
            a, b = getattr(found, name)[one], getattr(turned, name)[other]
            np.testing.assert_array_equal(a, b)


def test_events_do_not_know_of_each_other_and_the_image_stays():
    rng = np.random.default_rng(4)
    func = dropletFunc(threshold=2.0, thresholdLow=1.0, useRms=False)
    attached(func, Images(SHAPE))
    for _ in range(3):
        image = rng.exponential(1.0, SHAPE)
        before = image.copy()
        _, count = grown_labels(image.astype(np.float32), 1.0, 2.0)
        assert func.process(image)["nDroplets"] == count
        np.testing.assert_array_equal(image, before)


def test_an_empty_frame_and_a_full_one():
    func = attached(dropletFunc(threshold=5.0, useRms=False), Images(SHAPE))
    none = {"nDroplets_all": 0, "nDroplets": 0}
    assert func.process(np.zeros(SHAPE, np.float32)) == none
    assert func.process(np.full(SHAPE, np.nan)) == none
    assert func.process(np.full(SHAPE, 100, np.int32))["nDroplets"] == 3
    assert func.describe().keys() == none.keys()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": 0.0}, "must be above 0"),
        ({"threshold": -1.0}, "must be above 0"),
        ({"threshold": 3.0, "thresholdLow": 4.0}, "the second not above it"),
        ({"threshold": float("nan")}, "nan is no number"),
        ({"thresADU": [5.0, 1.0]}, "the lower limit comes first"),
        ({"thresADU": float("nan")}, "not a number"),
        ({"pixmax": 0.0}, "pixmax = 0 must be above 0"),
        ({"treshold": 5.0}, "Did you mean 'threshold'"),
        ({"threshold": "5"}, "threshold"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises(ParameterError, match=message):
        dropletFunc(**parameters)


@pytest.mark.parametrize(
    ("parameters", "source", "message"),
    [
        ({}, Images(SHAPE), "noise of 'jungfrau1M' is not known.*useRms=False"),
        ({}, Images(SHAPE, noise=np.zeros(SHAPE)), "not above 0 in any good pixel"),
        ({"useRms": False}, Images((100,)), "rows and columns"),
        ({"useRms": False}, Images(SHAPE, np.zeros(SHAPE, bool)), "no good pixel"),
        ({"useRms": False, "mask": np.ones((2, 2))}, Images(SHAPE), "shape"),
        ({"useRms": False, "mask": np.zeros(SHAPE)}, Images(SHAPE), "no good pixel"),
    ],
)
def test_detectors_that_do_not_fit(parameters, source, message):
    with pytest.raises(ParameterError, match=message):
        attached(dropletFunc(**parameters), source)
