"""Circles through bright pixels, against drawn rings and scipy."""

import numpy as np
import pytest
import rotated_panels
from hypothesis import given, settings
from hypothesis import strategies as st
from image_source import Images, attached
from scipy.optimize import minimize

from smalldata_ana.ana_funcs.fit_center import fit_circle, fitCenter
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError

SHAPE = (120, 160)
CENTER, RADIUS = (70.3, 65.8), 45.2


def ring(shape=SHAPE, center=CENTER, radius=RADIUS, noise=0.0):
    rows, columns = np.indices(shape, dtype=np.float64)
    distance = np.hypot(rows - center[0], columns - center[1])
    image = 100 * np.exp(-((distance - radius) ** 2) / 8)
    return image + np.random.default_rng(0).normal(0, noise, shape)


def found(image, source=None, **parameters):
    func = fitCenter(**parameters)
    result = attached(func, source or Images(image.shape)).process(image)
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


def circle_of(result):
    return [result[key].item() for key in ("xCen", "yCen", "R")]


def assert_not_found(result, ier):
    assert result["ier"] == ier
    keys = ("xCen", "yCen", "R", "residu")
    assert np.isnan([result[key] for key in keys]).all()


@pytest.mark.parametrize("noise", [0, 5])
def test_the_centre_of_a_ring(noise):
    result = found(ring(noise=noise), threshold=93)
    assert 1 <= result["ier"] <= 4
    np.testing.assert_allclose(circle_of(result), [*CENTER, RADIUS], atol=0.1)


def test_the_sum_is_the_smallest_one():
    image = ring(noise=20)
    result = found(image)
    rows, columns = np.nonzero(image > np.percentile(image, 90))
    assert result["n"] == rows.size

    def squares(center):
        radius = np.hypot(rows - center[0], columns - center[1])
        return ((radius - radius.mean()) ** 2).sum()

    best = minimize(squares, CENTER, method="Nelder-Mead", tol=1e-10)
    np.testing.assert_allclose(circle_of(result)[:2], best.x, atol=1e-4)
    np.testing.assert_allclose(result["residu"], best.fun, rtol=1e-8)
    radius = np.hypot(rows - best.x[0], columns - best.x[1]).mean()
    np.testing.assert_allclose(result["R"], radius, atol=1e-4)


def test_positions_give_the_centre_in_um():
    positions = rotated_panels.detector(rows=40, cols=50, tilted=False)
    middle = np.array([positions.x.mean() + 800, positions.y.mean() - 500])
    radius = 75.0 * 110
    distance = np.hypot(positions.x - middle[0], positions.y - middle[1])
    image = np.exp(-((distance - radius) ** 2) / 2 / 150**2).astype(np.float32)
    source = Images(image.shape, positions=positions)
    result = found(image, source, threshold=96)
    np.testing.assert_allclose(circle_of(result), [*middle, radius], atol=15)
    func = attached(fitCenter(), source)
    assert (func.describe()["R"].unit, func.describe()["residu"].unit) == ("um", "um2")


def test_a_part_of_a_ring_off_the_image():
    image = ring(center=(60, -30), radius=80)
    result = found(image, threshold=95)
    # The edge of the image cuts the wide ring askew.
    np.testing.assert_allclose(circle_of(result), [60, -30, 80], atol=2)


def test_indices_are_those_of_the_detector():
    roi = ROIFunc(ROI=[[20, 120], [10, 130]])
    roi.addFunc(fitCenter(threshold=93))
    result = attached(roi, Images(SHAPE)).process(ring().astype(np.float32))
    np.testing.assert_allclose(
        [result[f"fitCenter_{key}"] for key in ("xCen", "yCen", "R")],
        [*CENTER, RADIUS],
        atol=0.1,
    )
    single = found(ring()[None], threshold=93)
    np.testing.assert_allclose(circle_of(single), [*CENTER, RADIUS], atol=0.1)


def test_pixels_that_are_masked_or_not_finite_are_left_out():
    image = ring().copy()
    good = np.ones(SHAPE, bool)
    good[:30] = False
    image[:30] = 1e6
    image[60, 10:20] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    result = found(image, Images(SHAPE, good), threshold=93)
    np.testing.assert_allclose(circle_of(result), [*CENTER, RADIUS], atol=0.15)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_images_without_anything(value):
    assert_not_found(found(np.full(SHAPE, value)), 0)


def test_a_straight_line_is_no_circle():
    image = np.zeros(SHAPE)
    image[:, 40] = 1
    result = found(image, threshold=50)
    assert_not_found(result, -1)
    assert result["n"] == 120


def test_three_pixels_are_too_few():
    image = np.zeros(SHAPE)
    image[[10, 50, 90], [20, 60, 30]] = 1
    assert_not_found(found(image, threshold=50), 0)


@settings(max_examples=40, deadline=None)
@given(
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    scale=st.floats(0.01, 100),
    angle=st.floats(0, 360),
)
def test_the_circle_moves_turns_and_grows_with_its_points(shift, scale, angle):
    rng = np.random.default_rng(1)
    phi = rng.uniform(0, 4, 50)
    points = (10 + rng.normal(0, 0.3, 50)) * np.stack([np.cos(phi), np.sin(phi)])
    one, ier = fit_circle(*points)
    turn = rotated_panels.turn(angle)[:2, :2] * scale
    other, _ = fit_circle(*(turn @ points + np.reshape(shift, (2, 1))))
    assert ier in {1, 2, 3, 4}
    expected = [*(turn @ one[:2] + shift), scale * one[2], scale**2 * one[3]]
    np.testing.assert_allclose(other, expected, rtol=1e-5, atol=1e-5 * scale)


def test_points_of_a_circle_give_it_exactly():
    phi = np.linspace(0, 1, 7)
    circle, _ = fit_circle(3 + 5 * np.cos(phi), -4 + 5 * np.sin(phi))
    np.testing.assert_allclose(circle, [3, -4, 5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Images((2, 30, 40)), "deploy a geometry, or choose a panel"),
        (Images((30,)), "it is not known where the pixels"),
        (Images(SHAPE, np.zeros(SHAPE, bool)), "all are masked"),
    ],
)
def test_sources_that_do_not_fit(source, message):
    with pytest.raises(ParameterError, match=message):
        fitCenter().attach(source)


@pytest.mark.parametrize("threshold", [-1, 101, np.nan, "x"])
def test_a_percentile(threshold):
    with pytest.raises(ParameterError, match="threshold"):
        fitCenter(threshold=threshold)
