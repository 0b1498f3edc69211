"""Assembled images of events, against a loop over the pixels."""

import numpy as np
import pytest
import rotated_panels
from image_source import Images, attached

from smalldata_ana.ana_funcs.image_func import imageFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.sparsify import sparsifyFunc, unsparsifyFunc
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import ParameterError

POSITIONS = rotated_panels.detector()
SHAPE = POSITIONS.x.shape
GEOMETRY = ImageGeometry.from_positions(POSITIONS, SHAPE)


def source(bad=0.1, **known):
    good = np.random.default_rng(0).random(SHAPE) >= bad
    return Images(SHAPE, good, positions=POSITIONS, **known)


def frame(shape=SHAPE, dtype=np.float32, seed=1):
    image = np.random.default_rng(seed).normal(30, 10, shape).astype(dtype)
    image.flags.writeable = False
    return image


def assembled(image, good, ix, iy, shape, mean):
    """Return the image, pixel by pixel."""
    sums, count = np.zeros(shape), np.zeros(shape)
    for index in np.ndindex(image.shape):
        if good[index] and np.isfinite(image[index]):
            sums[ix[index], iy[index]] += float(image[index])
            count[ix[index], iy[index]] += 1
    if mean:
        sums /= np.maximum(count, 1)
    return np.where(count > 0, sums, np.nan)


def test_some_pixels_share_one_of_the_image():
    assert GEOMETRY.shared > 20


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("bad", [0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_each_pixel_is_in_the_image(mean, bad, dtype):
    det, image = source(bad), frame(dtype=dtype)
    func = attached(imageFunc(normalize=mean), det)
    result = func.process(image)["img"]
    where = GEOMETRY.ix, GEOMETRY.iy, GEOMETRY.shape
    expected = assembled(image, det.good, *where, mean)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_array_equal(func.good, np.isfinite(expected))
    if not mean:
        total = image[det.good].sum(dtype=float)
        assert np.nansum(result, dtype=float) == pytest.approx(total, rel=1e-6)


def test_it_is_the_image_of_the_geometry():
    image = frame()
    result = attached(imageFunc(), source(0)).process(image)["img"]
    np.testing.assert_allclose(result, GEOMETRY.assemble(image), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_out(value):
    det, image = source(), frame().copy()
    image[:, ::3, ::2] = value
    result = attached(imageFunc(), det).process(image)["img"]
    where = GEOMETRY.ix, GEOMETRY.iy, GEOMETRY.shape
    expected = assembled(image, det.good, *where, mean=True)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_indices_that_are_given():
    shape = (3, 5, 7)
    rng = np.random.default_rng(3)
    ix, iy = rng.integers(0, 6, shape), rng.integers(0, 4, shape)
    det, image = Images(shape, rng.random(shape) > 0.2), frame(shape)
    func = attached(imageFunc(ix=ix, iy=iy, imgShape=[8, 9]), det)
    expected = assembled(image, det.good, ix, iy, (8, 9), mean=True)
    np.testing.assert_allclose(func.process(image)["img"], expected, rtol=1e-6)
    small = attached(imageFunc(ix=ix, iy=iy), det)
    assert small.shape == (ix.max() + 1, iy.max() + 1)
    assert small.positions is None
    assert small.normals is None


def test_a_mask():
    det, image = source(), frame()
    mask = np.random.default_rng(7).integers(0, 2, SHAPE)
    result = attached(imageFunc(mask=mask), det).process(image)["img"]
    where = GEOMETRY.ix, GEOMETRY.iy, GEOMETRY.shape
    expected = assembled(image, det.good & (mask == 1), *where, mean=True)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_a_camera_is_its_own_image():
    image = frame((6, 8))
    result = attached(imageFunc(), Images((6, 8))).process(image)["img"]
    np.testing.assert_array_equal(result, image)


def test_the_image_is_passed_on():
    det, image = source(), frame()
    func = imageFunc(writeArea=False)
    func.addFunc(roi := ROIFunc(ROI=[[20, 40], [10, 50]], writeArea=True))
    found = attached(func, det).process(image)
    whole = attached(imageFunc(), det).process(image)["img"]
    np.testing.assert_array_equal(found["ROI_area"], whole[20:40, 10:50])
    assert found.keys() == func.describe().keys()
    assert roi.source.shape == GEOMETRY.shape


def test_photons_are_drawn_from_their_positions():
    image = np.zeros(SHAPE, np.float32)
    image[3, 5, 6], image[4, 1, 2] = 2, 3
    sparse, dense = sparsifyFunc(), unsparsifyFunc()
    sparse.addFunc(dense)
    dense.addFunc(imageFunc(normalize=False))
    drawn = attached(sparse, source(0)).process(image)["dense_image_img"]
    whole = GEOMETRY.assemble(image, shared="sum")
    np.testing.assert_array_equal(drawn, whole)


def test_positions_of_the_image_are_near_those_of_its_pixels():
    func = attached(imageFunc(), source())
    found = func.positions
    x, y = found.x[GEOMETRY.ix, GEOMETRY.iy], found.y[GEOMETRY.ix, GEOMETRY.iy]
    assert np.abs(x - POSITIONS.x).max() <= POSITIONS.pixel_size / 2 + 1e-6
    assert np.abs(y - POSITIONS.y).max() <= POSITIONS.pixel_size / 2 + 1e-6
    assert func.normals.tolist() == [[0, 0, 1]]
    assert func.first == (0, 0, 0)


@pytest.mark.parametrize("mean", [True, False])
def test_noise_of_the_image(mean):
    noise = np.random.default_rng(5).uniform(0.5, 3, SHAPE).astype(np.float32)
    det = source(0, noise=noise)
    func = attached(imageFunc(normalize=mean), det)
    rng = np.random.default_rng(2)
    images = [
        func.process(rng.normal(0, noise).astype(np.float32))["img"]
        for _ in range(2000)
    ]
    spread = np.std(images, axis=0)
    np.testing.assert_allclose(func.noise, spread, rtol=0.15)
    assert attached(imageFunc(), source()).noise is None


def test_results_are_as_described():
    func = attached(imageFunc(), source())
    fields, results = func.describe(), func.process(frame())
    assert fields.keys() == results.keys()
    fields["img"].checked("img", results["img"])
    assert fields["img"].unit == "keV"


def test_a_result_is_not_changed_by_the_next_event():
    func = attached(imageFunc(), source())
    first = func.process(frame())["img"]
    before = first.copy()
    func.process(frame(seed=9))
    np.testing.assert_array_equal(first, before)


INDEX = np.zeros(SHAPE, int)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ix": INDEX}, "ix and iy belong together"),
        ({"imgShape": [5, 5]}, "imgShape is for ix and iy"),
        ({"ix": [0], "iy": [0]}, "ix"),
        ({"normalise": True}, "Did you mean 'normalize'"),
    ],
)
def test_parameters_that_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        imageFunc(**parameters)


@pytest.mark.parametrize(
    ("func", "det", "message"),
    [
        (imageFunc(), Images(SHAPE), "where the pixels of .* are is not known"),
        (imageFunc(), source(2), "all are masked"),
        (imageFunc(mask=np.ones((3, 3))), source(), r"mask of .* has shape \(3, 3\)"),
        (imageFunc(ix=INDEX[0], iy=INDEX), source(), "ix is int64 of"),
        (imageFunc(ix=INDEX, iy=INDEX - 1), source(), "iy is int64 of"),
        (imageFunc(ix=INDEX, iy=INDEX + 0.5), source(), "iy is float64 of"),
        (
            imageFunc(ix=INDEX, iy=INDEX + 6, imgShape=[3, 3]),
            source(),
            r"imgShape = \[3, 3\] has no room .* need \[1, 7\]",
        ),
        (
            imageFunc(),
            Images((2, 3, 4), positions=POSITIONS),
            "the geometry is for frames of",
        ),
    ],
)
def test_what_does_not_fit_the_detector(func, det, message):
    with pytest.raises(ParameterError, match=message):
        attached(func, det)
