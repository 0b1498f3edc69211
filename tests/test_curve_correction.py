"""Curved lines that are drawn where a polynomial says, and made straight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_source import Images, attached
from scipy.ndimage import map_coordinates

from smalldata_ana.ana_funcs.curve_correction import PolynomialCurveCorrection
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import PixelPositions

SHAPE = (60, 80)
CURVE = [0.004, -0.2, 30.0]
"""A column that depends on the row: smallest, 27.5, at row 25."""

SMALLEST = 27.5


def lines(shape=SHAPE, curve=CURVE, axis=1):
    """Return an image of a curved line, 2 pixels wide (sigma)."""
    rows, columns = np.indices(shape, dtype=np.float64)
    across, along = (columns, rows) if axis else (rows, columns)
    return np.exp(-((across - np.polyval(curve, along)) ** 2) / 8).astype(np.float32)


def noise_image(seed=0, shape=SHAPE):
    image = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    image.flags.writeable = False
    return image


def found(image, source=None, **parameters):
    func = PolynomialCurveCorrection(**{"polynomial_coefficients": CURVE, **parameters})
    result = attached(func, source or Images(image.shape)).process(image)
    fields = func.describe()
    assert fields.keys() == result.keys()
    checked = {key: fields[key].checked(key, value) for key, value in result.items()}
    return func, checked["corrected_image"]


@pytest.mark.parametrize("axis", [1, 0])
def test_a_curved_line_comes_out_straight_at_its_smallest_index(axis):
    image = lines(SHAPE if axis else SHAPE[::-1], axis=axis)
    _, straight = found(image, axis=axis)
    straight = straight if axis else straight.T
    weight = np.nan_to_num(straight[:, :50]).astype(np.float64)
    position = weight @ np.arange(50) / weight.sum(axis=1)
    np.testing.assert_allclose(position, SMALLEST, atol=2e-3)


def test_a_line_that_only_moves_by_whole_pixels_keeps_its_shape():
    image = lines(curve=[1.0, 5.0])
    _, straight = found(image, polynomial_coefficients=[1.0, 5.0])
    for row in range(50):
        np.testing.assert_array_equal(straight[row, :20], image[row, row : row + 20])


@pytest.mark.parametrize("axis", [1, 0])
def test_pixels_are_those_of_map_coordinates(axis):
    image = noise_image()
    func, corrected = found(image, axis=axis)
    rows, columns = np.indices(SHAPE, dtype=np.float64)
    along = rows if axis else columns
    shift = np.polyval(CURVE, along) - np.polyval(CURVE, np.unique(along)).min()
    where = (rows, columns + shift) if axis else (rows + shift, columns)
    expected = map_coordinates(
        image.astype(np.float64), where, order=1, mode="constant", cval=np.nan
    )
    np.testing.assert_array_equal(np.isnan(corrected), np.isnan(expected))
    np.testing.assert_allclose(corrected, expected, atol=1e-5)
    np.testing.assert_array_equal(func.good, np.isfinite(expected))


def test_nothing_wraps_around():
    image = np.zeros(SHAPE, np.float32)
    image[:, :3] = 1000
    _, corrected = found(image, polynomial_coefficients=[1.0, 0.0])
    np.testing.assert_array_equal(corrected[3:, :][np.isfinite(corrected[3:, :])], 0)
    assert np.isnan(corrected[40, 40:]).all()
    assert np.isfinite(corrected[40, :40]).all()


@pytest.mark.parametrize("axis", [1, 0])
def test_a_constant_polynomial_changes_nothing(axis):
    image = noise_image()
    func, corrected = found(image, polynomial_coefficients=[12.7], axis=axis)
    np.testing.assert_array_equal(corrected, image)
    assert func.good.all()


@settings(max_examples=40, deadline=None)
@given(
    coefficients=st.lists(st.floats(-1, 1), min_size=1, max_size=4),
    axis=st.integers(0, 1),
)
def test_sums_are_conserved_and_constants_do_not_matter(coefficients, axis):
    scaled = [c / 40.0**k for k, c in enumerate(reversed(coefficients))][::-1]
    image = np.zeros((40, 40))
    image[10:30, 10:30] = noise_image(shape=(20, 20))
    parameters = {"axis": axis}
    _, corrected = found(image, polynomial_coefficients=scaled, **parameters)
    lines_before, lines_after = image.sum(axis=axis), np.nansum(corrected, axis=axis)
    np.testing.assert_allclose(lines_after, lines_before, atol=1e-4)
    shifted = [*scaled[:-1], scaled[-1] + 3]
    _, same = found(image, polynomial_coefficients=shifted, **parameters)
    images = np.nan_to_num(same), np.nan_to_num(corrected)
    np.testing.assert_allclose(*images, atol=1e-5)


def test_pixels_that_are_masked_or_not_finite():
    good = np.ones(SHAPE, bool)
    good[5, 40] = False
    image = noise_image().copy()
    image[10, 50] = np.nan
    image[11, 50] = np.inf
    curve = [0.5, 0.0]
    func, corrected = found(image, Images(SHAPE, good), polynomial_coefficients=curve)
    # Row 5 moves by 2.5 and row 10 by 5, row 11 by 5.5 pixels.
    inside = func.good.copy()
    assert np.flatnonzero(~inside[5, :60]).tolist() == [37, 38]
    assert inside[10:12, :60].all()
    lost = [np.flatnonzero(~np.isfinite(corrected[row, :60])) for row in (5, 10, 11)]
    assert [list(columns) for columns in lost] == [[37, 38], [45], [44, 45]]


def test_what_is_passed_on():
    x, y = np.indices(SHAPE) * 100.0
    source = Images(
        SHAPE,
        noise=np.full(SHAPE, 2, np.float32),
        positions=PixelPositions(x, y, np.zeros(SHAPE), 100.0),
    )
    func = PolynomialCurveCorrection(
        polynomial_coefficients=[0.5, 0.0], writeArea=False
    )
    func.addFunc(inner := ROIFunc(ROI=[[4, 6], [20, 30]]))
    image = noise_image()
    result = attached(func, source).process(image)
    row4, row5 = image[4, 22:32], (image[5, 22:32] + image[5, 23:33]) / 2
    np.testing.assert_allclose(result["ROI_sum"], (row4 + row5).sum(), rtol=1e-5)
    assert func.describe().keys() == result.keys()
    np.testing.assert_allclose(inner.noise[0], 2)
    np.testing.assert_allclose(inner.noise[1], np.sqrt(2))
    np.testing.assert_allclose(inner.positions.y[:, 0], [2200, 2250])
    np.testing.assert_allclose(inner.positions.x[:, 0], [400, 500])
    assert inner.positions.whole == source.positions.whole


def test_a_region_that_is_shifted_out_of_the_image_is_masked():
    func = PolynomialCurveCorrection(polynomial_coefficients=[0.5, 0.0])
    func.addFunc(ROIFunc(ROI=[[40, 50], [70, 80]]))
    with pytest.raises(ParameterError, match="all are masked"):
        func.attach(Images(SHAPE))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float64, np.float32])
def test_types(dtype):
    image = np.arange(np.prod(SHAPE)).reshape(1, *SHAPE).astype(dtype)
    before = image.copy()
    _, corrected = found(image)
    _, expected = found(image[0].astype(np.float64))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(corrected, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"polynomial_coefficients": 3}, "line of finite numbers"),
        ({"polynomial_coefficients": [np.nan]}, "finite"),
        ({"polynomial_coefficients": [1.0], "axis": 2}, "axis"),
        ({"polynomial_coefficients": [1.0], "method": "roll"}, "no parameter 'method'"),
    ],
)
def test_parameters_that_are_not_possible(parameters, message):
    with pytest.raises(ParameterError, match=message):
        PolynomialCurveCorrection(**parameters)


@pytest.mark.parametrize(
    ("source", "curve", "message"),
    [
        (Images(SHAPE), None, "needs polynomial_coefficients"),
        (Images(SHAPE), np.array([]), "highest power first"),
        (Images((2, 30, 40)), CURVE, "choose a panel with a ROI"),
        (Images((30,)), CURVE, "works on a single image"),
        (
            Images(SHAPE, np.zeros(SHAPE, bool)),
            CURVE,
            "no pixel of 'jungfrau1M' is good",
        ),
        (Images(SHAPE), [1e300, 1e300, 1e300] * 60, "too large"),
    ],
)
def test_sources_that_do_not_fit(source, curve, message):
    with pytest.raises(ParameterError, match=message):
        PolynomialCurveCorrection(polynomial_coefficients=curve).attach(source)


def test_a_shift_out_of_the_image_keeps_the_line_that_does_not_move():
    func, corrected = found(noise_image(), polynomial_coefficients=[1e6, 0.0])
    assert func.good[0].all()
    assert not func.good[1:].any()
    assert np.isnan(corrected[1:]).all()
