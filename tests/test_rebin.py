"""Blocks of pixels, against numpy's masked arrays and explicit loops."""

import numpy as np
import pytest
import rotated_panels
from hypothesis import given, settings
from hypothesis import strategies as st
from image_source import Images, attached

from smalldata_ana.ana_funcs.rebin import rebinFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError

SHAPE = (24, 36)


def source(shape=SHAPE, bad=0.3, seed=0, **known):
    return Images(shape, np.random.default_rng(seed).random(shape) >= bad, **known)


def frame(shape=SHAPE, seed=1, dtype=np.float32):
    image = np.random.default_rng(seed).normal(3, 10, shape).astype(dtype)
    image.flags.writeable = False
    return image


def blocks(image, good, down, right):
    """Return the means over blocks of a 2-D image, block by block."""
    rows, columns = image.shape[0] // down, image.shape[1] // right
    means = np.full((rows, columns), np.nan)
    for row in range(rows):
        for column in range(columns):
            part = np.s_[
                row * down : (row + 1) * down, column * right : (column + 1) * right
            ]
            values = image[part][good[part] & np.isfinite(image[part])]
            if values.size:
                means[row, column] = values.mean(dtype=float)
    return means


def rebinned(det, image, **parameters):
    return attached(rebinFunc(**parameters), det).process(image)["data"]


@pytest.mark.parametrize(
    ("parameters", "down", "right"),
    [
        ({"shape": [6, 9]}, 4, 4),
        ({"shape": (24, 4)}, 1, 9),
        ({"factor": 3}, 3, 3),
        ({"factor": [4, 2]}, 4, 2),
        ({"shape": np.array([1, 1])}, 24, 36),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("bad", [0, 0.8])
def test_means_of_blocks(parameters, down, right, dtype, bad):
    det, image = source(bad=bad), frame(dtype=dtype)
    expected = blocks(image, det.good, down, right)
    np.testing.assert_allclose(rebinned(det, image, **parameters), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "parameters", "result"),
    [
        ((1, *SHAPE), {"factor": 6}, (4, 6)),
        ((3, *SHAPE), {"factor": 6}, (3, 4, 6)),
        ((3, *SHAPE), {"shape": [4, 6]}, (3, 4, 6)),
        ((3, *SHAPE), {"factor": [3, 6, 6]}, (4, 6)),
        ((60,), {"factor": 6}, (10,)),
        ((60,), {"shape": 10}, (10,)),
    ],
)
def test_shapes(shape, parameters, result):
    func = attached(rebinFunc(**parameters), source(shape))
    assert func.process(frame(shape))["data"].shape == func.shape == result


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_sums_are_conserved(rows, columns, down, right):
    shape = rows * down, columns * right
    image = frame(shape, dtype=np.float64)
    means = rebinned(Images(shape), image, shape=[rows, columns])
    assert means.sum(dtype=float) * down * right == pytest.approx(image.sum(), abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_out(value):
    det, image = source(), frame().copy()
    image[4, 5] = value
    image[12:15, 12:15] = value
    result = rebinned(det, image, factor=3)
    np.testing.assert_allclose(result, blocks(image, det.good, 3, 3), rtol=1e-5)
    assert np.isnan(result[4, 4])


def test_the_blocks_are_passed_on():
    det, image = source(), frame()
    func = rebinFunc(factor=3, writeArea=False)
    func.addFunc(inner := ROIFunc(ROI=[[1, 3], [2, 5]], writeArea=True))
    found = attached(func, det).process(image)
    expected = blocks(image, det.good, 3, 3)[1:3, 2:5]
    np.testing.assert_allclose(found["ROI_area"], expected, rtol=1e-5)
    assert inner.source.shape == (8, 12)
    assert found.keys() == func.describe().keys()
    np.testing.assert_array_equal(
        inner.source.good, ~np.isnan(blocks(image, det.good, 3, 3))
    )


def test_positions_and_normals_are_those_of_the_blocks():
    positions = rotated_panels.detector(gap=0)
    det = Images(positions.x.shape, positions=positions)
    func = attached(rebinFunc(factor=4), det)
    part = positions.x[2, 4:8, 8:12].mean()
    assert func.positions.x[2, 1, 2] == pytest.approx(part)
    assert func.positions.pixel_size == 4 * positions.pixel_size
    assert func.positions.whole == positions.whole
    np.testing.assert_array_equal(func.normals, det.normals)
    assert attached(rebinFunc(factor=[4, 2]), det).positions is None


def test_noise_of_the_blocks_is_that_of_many_frames():
    noise = np.random.default_rng(5).uniform(0.5, 3, (4, 6)).astype(np.float32)
    func = attached(rebinFunc(factor=2), source((4, 6), noise=noise))
    rng = np.random.default_rng(2)
    images = [func.process(rng.normal(0, noise))["data"] for _ in range(4000)]
    np.testing.assert_allclose(func.noise, np.std(images, axis=0), rtol=0.1)


def test_results_are_as_described():
    func = attached(rebinFunc(factor=2), source())
    fields, results = func.describe(), func.process(frame())
    assert fields.keys() == results.keys()
    fields["data"].checked("data", results["data"])
    assert results["data"].dtype == np.float32
    assert func.params_as_dict()["shape"] == (12, 18)


def test_another_detector_has_another_shape():
    func = attached(rebinFunc(factor=2), source())
    assert attached(func, source((10, 10))).shape == (5, 5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "give the shape of the result, or a factor"),
        ({"shape": [2, 2], "factor": 2}, "give the shape"),
        ({"factor": 0}, "whole number above 0"),
        ({"factor": 1.5}, "whole number above 0"),
        ({"shape": []}, "whole number above 0"),
    ],
)
def test_parameters_that_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        rebinFunc(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"factor": 5}, r"factor = \[5, 5\] does not divide .*\(24, 36\)"),
        ({"shape": [7, 9]}, r"shape = \[7, 9\] does not divide"),
        ({"shape": [48, 36]}, "does not divide"),
        ({"factor": 100}, "does not divide"),
        ({"shape": [1, 6, 9]}, "is for 3 axes"),
    ],
)
def test_what_does_not_divide_the_image(parameters, message):
    with pytest.raises(ParameterError, match=message):
        attached(rebinFunc(**parameters), source())


def test_an_all_masked_image():
    with pytest.raises(ParameterError, match="all are masked"):
        attached(rebinFunc(factor=2), source(bad=2))
