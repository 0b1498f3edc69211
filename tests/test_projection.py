"""Projections and lineouts, against numpy's masked arrays."""

import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.peak_shape import peak_shape
from smalldata_ana.ana_funcs.projection import lineoutFunc, projectionFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.spectrum import spectrumFunc
from smalldata_ana.errors import ParameterError

SHAPE = (30, 40)
SHAPES = [SHAPE, (1, *SHAPE), (3, *SHAPE), (50,)]


def source(shape=SHAPE, bad=0.1, seed=0, **known):
    return Images(shape, np.random.default_rng(seed).random(shape) >= bad, **known)


def frame(shape=SHAPE, seed=1, dtype=np.float32):
    image = np.random.default_rng(seed).normal(3, 10, shape).astype(dtype)
    image.flags.writeable = False
    return image


def masked(det, image):
    """Return the squeezed image as numpy masks it."""
    bad = ~det.good | ~np.isfinite(image)
    return np.ma.masked_array(image.astype(float), bad).squeeze()


def projected(det, image, **parameters):
    return attached(projectionFunc(**parameters), det).process(image)["data"]


CASES = [
    (shape, axis)
    for shape in SHAPES
    for axis in (None, *range(np.squeeze(np.empty(shape)).ndim))
]


@pytest.mark.parametrize(("shape", "axis"), CASES)
@pytest.mark.parametrize("bad", [0, 0.6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_sums_and_means_are_those_of_masked_arrays(shape, axis, bad, dtype):
    det, image = source(shape, bad), frame(shape, dtype=dtype)
    given = {"axis": -1 if axis is None else axis}
    expected = masked(det, image)
    np.testing.assert_allclose(
        projected(det, image, **given), expected.sum(axis), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        projected(det, image, mean=True, **given), expected.mean(axis), rtol=1e-12
    )


def test_a_line_without_good_pixels():
    det = source(bad=0)
    det.good[:, 7] = False
    image = frame()
    mean = projected(det, image, axis=0, mean=True)
    assert np.flatnonzero(np.isnan(mean)).tolist() == [7]
    assert projected(det, image, axis=0)[7] == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sums_are_conserved(axis):
    shape = (3, *SHAPE)
    det, image = source(shape, bad=0.4), frame(shape)
    one, whole = projected(det, image, axis=axis), projected(Images(shape), image)
    other = projected(Images(shape, ~det.good), image, axis=axis)
    assert one.sum() == pytest.approx(projected(det, image))
    assert one.sum() + other.sum() == pytest.approx(whole)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "limits", [{}, {"thresADU": [-1e9, 1e9]}, {"singlePhoton": True}]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_not_finite_is_left_out(value, limits, axis):
    det, image = source(), frame().copy()
    image[5, 6] = value
    values = masked(det, image)
    if "singlePhoton" in limits:
        values = (values > 0).astype(float)
    found = projected(det, image, axis=axis, mean=True, **limits)
    np.testing.assert_allclose(found, values.mean(axis), rtol=1e-12)


@pytest.mark.parametrize(
    ("limits", "low", "high"),
    [
        ({"thresADU": 4.0}, 4, np.inf),
        ({"thresADU": [0, 9]}, 0, 9),
        ({"thresRms": 3.0}, "noise", np.inf),
        ({"thresRms": 3.0, "thresADU": [4.0, 9.0]}, "both", 9),
    ],
)
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("photons", [False, True])
def test_thresholds(limits, low, high, mean, photons):
    noise = np.random.default_rng(5).uniform(0.5, 3, SHAPE).astype(np.float32)
    det, image = source(noise=noise), frame()
    lower = {"noise": 3 * noise, "both": np.maximum(3 * noise, 4)}.get(low, low)
    expected = np.zeros((40,))
    for column in range(40):
        values = []
        for row in range(30):
            if not det.good[row, column]:
                continue
            value = float(image[row, column])
            floor = lower if np.isscalar(lower) else lower[row, column]
            value = value if floor <= value <= high else 0.0
            values.append(float(value > 0) if photons else value)
        expected[column] = np.mean(values) if mean else np.sum(values)
    found = projected(det, image, axis=0, mean=mean, singlePhoton=photons, **limits)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("mean", [False, True])
def test_noise_of_a_projection_is_that_of_many_frames(mean):
    noise = np.random.default_rng(5).uniform(0.5, 3, (8, 5)).astype(np.float32)
    det = source((8, 5), noise=noise)
    func = attached(projectionFunc(axis=0, mean=mean), det)
    rng = np.random.default_rng(2)
    lines = [func.process(rng.normal(0, noise))["data"] for _ in range(4000)]
    np.testing.assert_allclose(func.noise, np.std(lines, axis=0), rtol=0.1)
    assert attached(projectionFunc(axis=0, thresADU=1), det).noise is None


@pytest.mark.parametrize("axis", [0, 1])
def test_a_lineout_is_one_line(axis):
    det, image = source(), frame()
    found = attached(lineoutFunc(axis=axis, idx=4), det).process(image)
    expected = masked(det, image).filled(np.nan).take(4, axis)
    np.testing.assert_array_equal(found["data"], expected.astype(np.float32))
    assert found.keys() == {"data"}


@pytest.mark.parametrize("axis", [0, 1])
def test_a_lineout_through_the_brightest_good_pixel(axis):
    det, image = source(), frame().copy()
    image[12, 17], det.good[12, 17] = 500, True
    image[3, 3], det.good[3, 3] = 9000, False
    image[4, 4], det.good[4, 4] = np.inf, True
    found = attached(lineoutFunc(axis=axis), det).process(image)
    assert found["idx"] == (12, 17)[axis]
    assert np.nanmax(found["data"]) == 500


def test_a_lineout_of_nothing():
    found = attached(lineoutFunc(), source()).process(np.full(SHAPE, np.nan))
    assert found["idx"] == -99999
    assert np.isnan(found["data"]).all()


def test_a_line_is_passed_on_as_an_image():
    det, image = source(), frame()
    func = projectionFunc(axis=0)
    func.addFunc(part := ROIFunc(ROI=[5, 20], writeArea=True))
    func.addFunc(spectrumFunc(bins=[-1e4, 1e4, 1]))
    found = attached(func, det).process(image)
    line = masked(det, image).sum(axis=0)
    np.testing.assert_allclose(found["ROI_area"], line[5:20], rtol=1e-6)
    assert found["spectrum_histogram"].tolist() == [40]
    assert part.source.shape == (40,)
    assert func.describe().keys() == found.keys()


def test_a_projection_of_a_region():
    det, image = source((2, *SHAPE)), frame((2, *SHAPE))
    roi = ROIFunc(ROI=[[1, 2], [3, 20], [4, 30]])
    roi.addFunc(projectionFunc(axis=1))
    found = attached(roi, det).process(image)["pj_ax_1_data"]
    expected = masked(det, image)[1, 3:20, 4:30].sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "func",
    [
        projectionFunc(),
        projectionFunc(axis=1, mean=True, calcPars=True, singlePhoton=True),
        lineoutFunc(axis=1, calcPars=True),
        lineoutFunc(idx=3),
    ],
)
def test_results_are_as_described(func):
    results = attached(func, source((1, *SHAPE))).process(frame((1, *SHAPE)))
    fields = func.describe()
    assert fields.keys() == results.keys()
    for key, value in results.items():
        fields[key].checked(key, value)
        assert np.asarray(value).dtype == fields[key].dtype
    assert fields["data"].unit == ("count" if func.singlePhoton else "keV")


def test_names_and_record():
    assert projectionFunc(axis=1).name == "pj_ax_1"
    assert lineoutFunc().name == "lineout"
    assert projectionFunc(thresADU=(1, 2)).params_as_dict()["thresADU"] == [1, 2]


@pytest.mark.parametrize("func", [projectionFunc(axis=0), lineoutFunc(axis=0)])
def test_a_result_is_not_changed_by_the_next_event(func):
    attached(func, source())
    first = func.process(frame())["data"]
    before = first.copy()
    func.process(frame(seed=9))
    np.testing.assert_array_equal(first, before)


# -- the peak of a line ----------------------------------------------------------------


@pytest.mark.parametrize("centre", [60.0, 60.3, 59.6])
def test_peak_of_a_gaussian(centre):
    x = np.arange(40, 90)
    shape = peak_shape(7 * np.exp(-((x - centre) ** 2) / (2 * 5.0**2)), 40)
    assert shape["peak"] == pytest.approx(centre, abs=0.01)
    assert shape["height"] == pytest.approx(7, rel=0.01)
    assert shape["fwhm"] == pytest.approx(5 * 2.354820045, rel=0.01)
    assert shape["com"] == pytest.approx(centre, abs=0.01)
    assert shape["std"] == pytest.approx(5, rel=0.01)


def test_peak_of_a_triangle_with_a_hole():
    line = np.array([0, 1, 2, np.nan, 4, 2, 0, 0])
    shape = peak_shape(line)
    assert shape["peak"] == 4
    assert shape["fwhm"] == pytest.approx(5 - 2)
    assert shape["com"] == pytest.approx((1 + 4 + 16 + 10) / 9)


@pytest.mark.parametrize(
    ("line", "lacking"),
    [
        ([np.nan, np.nan], {"peak", "height", "fwhm", "com", "std"}),
        ([0, 0, 0], {"fwhm", "com", "std"}),
        ([-1, -3, -2], {"fwhm", "com", "std"}),
        ([4, 1, 0], {"fwhm"}),
        ([3, 3, 4], {"fwhm"}),
        ([9, -4, -4], {"fwhm", "std"}),
    ],
)
def test_what_a_line_has_not_is_nan(line, lacking):
    shape = peak_shape(np.array(line, float))
    assert {key for key, value in shape.items() if np.isnan(value)} == lacking


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", [projectionFunc, lineoutFunc])
def test_positions_are_indices_of_the_detector(axis, kind):
    image = np.zeros((2, *SHAPE), np.float32)
    image[1, 13, 21] = 5
    roi = ROIFunc(ROI=[[1, 2], [3, 20], [4, 30]])
    roi.addFunc(kind(name="line", axis=axis, calcPars=True))
    found = attached(roi, source(image.shape, bad=0)).process(image)
    assert found["line_com"] == found["line_peak"] == (21, 13)[axis]
    assert found["line_height"] == 5


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [projectionFunc, lineoutFunc])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"thresADU": "much"}, "thresADU"),
        ({"thresADU": [1, 2, 3]}, "thresADU"),
        ({"thresADU": [3, 1]}, "the lower limit comes first"),
        ({"thresADU": np.nan}, "thresADU"),
        ({"threshADU": 3}, "Did you mean 'thresADU'"),
        ({"axis": 0.5}, "axis"),
    ],
)
def test_parameters_that_are_refused(kind, parameters, message):
    with pytest.raises(ParameterError, match=message):
        kind(**parameters)


@pytest.mark.parametrize(
    ("func", "det", "message"),
    [
        (projectionFunc(axis=2), source(), "axis = 2.*axes 0 to 1"),
        (projectionFunc(axis=-2), source(), "axis = -2"),
        (lineoutFunc(axis=2), source((1, *SHAPE)), "axis = 2.*axes 0 to 1"),
        (lineoutFunc(idx=30), source(), "idx = 30.*indices 0 to 29"),
        (projectionFunc(thresRms=3.0), source(), "noise of .* is not known"),
        (projectionFunc(), source(bad=2), "all are masked"),
        (lineoutFunc(), source(bad=2), "all are masked"),
        (projectionFunc(axis=0, calcPars=True), source((3, 4, 5)), "needs a line"),
        (projectionFunc(calcPars=True), source(), "needs a line"),
    ],
)
def test_what_does_not_fit_the_detector(func, det, message):
    with pytest.raises(ParameterError, match=message):
        attached(func, det)


def test_a_lineout_of_masked_pixels():
    det = source(bad=0)
    det.good[4] = False
    with pytest.raises(ParameterError, match=r"index 4 of axis 0.*all are masked"):
        attached(lineoutFunc(idx=4), det)


def test_nothing_works_on_a_single_number():
    func = projectionFunc()
    func.addFunc(ROIFunc())
    with pytest.raises(ParameterError, match="one number, which 'ROI' cannot work on"):
        attached(func, source())
    func = attached(projectionFunc(), source())
    with pytest.raises(ParameterError, match="one number, which 'ROI' cannot work on"):
        func.addFunc(ROIFunc())
    assert not func.funcs
