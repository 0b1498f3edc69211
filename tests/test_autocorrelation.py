"""Autocorrelations, against scipy's direct correlation and explicit loops."""

import hashlib

import numpy as np
import pytest
from image_source import Images, attached
from scipy import ndimage, signal

from smalldata_ana.ana_funcs.autocorrelation import Autocorrelation, acf
from smalldata_ana.ana_funcs.correlation import MaskedCorrelation
from smalldata_ana.ana_funcs.roi import ROIFunc

SHAPE = (24, 33)
ROI = [[2, 20], [3, 30]]


def source(shape=SHAPE, bad=0.1, seed=0):
    return Images(shape, np.random.default_rng(seed).random(shape) >= bad)


def speckle(shape=SHAPE, seed=1, mean=0.0):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1)
    image = (mean + 100 * smooth**2).astype(np.float32)
    image.flags.writeable = False
    return image


def correlate(ahead, behind, largest):
    """Return Σ ahead(r)·behind(r+d) for lags up to the largest, by scipy, directly."""
    full = signal.correlate(behind, ahead, mode="full", method="direct")
    middle = np.array(ahead.shape) - 1
    pad = [(max(0, n - m), max(0, n - m)) for n, m in zip(largest, middle, strict=True)]
    full, middle = np.pad(full, pad), middle + [before for before, _ in pad]
    (row, column), (down, right) = middle, largest
    return full[row - down : row + down + 1, column - right : column + right + 1]


def reference(image, good, largest):
    m = good.astype(float)
    i = np.where(good, image, 0).astype(float)
    pairs = np.rint(correlate(m, m, largest))
    above = correlate(i, i, largest) * pairs
    below = correlate(i, m, largest) * correlate(m, i, largest)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, above / below, np.nan)


def found(det, image, save_range=(5, 7), **parameters):
    func = attached(Autocorrelation(save_range=save_range, **parameters), det)
    return func.process(image)


@pytest.mark.parametrize("bad", [0, 0.1, 0.7])
@pytest.mark.parametrize("mean", [1, 1e4])
@pytest.mark.parametrize("largest", [(5, 7), (1, 3), (23, 32), (40, 40)])
def test_it_is_scipys_direct_correlation(bad, mean, largest):
    det, image = source(bad=bad), speckle(mean=mean)
    expected = reference(image, det.good, largest)
    result = found(det, image, largest)
    # In float32, what is summed over few pairs has the error of all pixels.
    m = det.good.astype(float)
    contrast = np.var(image[det.good]) / np.mean(image[det.good]) ** 2
    error = 1e-6 * contrast * m.sum() / np.maximum(correlate(m, m, largest), 1)
    assert (np.isnan(result["autocorr"]) == np.isnan(expected)).all()
    off = np.abs(result["autocorr"] - expected)
    assert np.nanmax(off - 2e-6 * expected - 10 * error) < 0
    np.testing.assert_allclose(result["cr"], image[det.good].mean(dtype=float), 1e-7)


def test_it_is_the_sum_over_pairs():
    det, image = source((7, 9), bad=0.3), speckle((7, 9))
    for down in range(-3, 4):
        for right in range(-4, 5):
            first, second = [], []
            for row in range(max(0, -down), min(7, 7 - down)):
                for column in range(max(0, -right), min(9, 9 - right)):
                    if det.good[row, column] and det.good[row + down, column + right]:
                        first.append(float(image[row, column]))
                        second.append(float(image[row + down, column + right]))
            expected = np.mean(np.multiply(first, second))
            expected /= np.mean(first) * np.mean(second)
            result = found(det, image, (3, 4))["autocorr"][down + 3, right + 4]
            assert result == pytest.approx(expected, rel=1e-5)


def test_a_delta_has_its_peak_at_lag_0_and_nothing_wraps_round():
    image = np.zeros(SHAPE, np.float32)
    image[0, 0] = 3
    image[23, 32] = 3
    g = found(source(bad=0), image, (22, 31))["autocorr"]
    assert np.unravel_index(np.nanargmax(g), g.shape) == (22, 31)
    # Two peaks in opposite corners meet at a lag beyond the largest.
    others = np.delete(g.ravel(), 22 * 63 + 31)
    assert np.nanmax(np.abs(others)) < 1e-3 * g[22, 31]
    expected = reference(image, np.ones(SHAPE, bool), (22, 31))
    np.testing.assert_array_equal(np.isnan(g), np.isnan(expected))


def test_uncorrelated_intensity_gives_1():
    image = np.random.default_rng(3).poisson(5, (200, 200)).astype(np.float32)
    g = found(source((200, 200)), image)["autocorr"]
    assert g[5, 7] == pytest.approx(1 + 1 / 5, rel=0.02)
    g[5, 7] = 1
    np.testing.assert_allclose(g, 1, atol=0.01)


def test_lags_without_enough_pairs_are_nan():
    det = source((10, 10), bad=2)
    det.good[4:6, 2:8] = True
    g = found(det, speckle((10, 10)), (3, 8), min_pairs=4)["autocorr"]
    good = det.good.astype(float)
    few = correlate(good, good, (3, 8)) < 3.5
    np.testing.assert_array_equal(np.isnan(g), few)


def test_scaling_does_not_change_it():
    det, image = source(), speckle()
    one, other = (found(det, k * image)["autocorr"] for k in (1, 7))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_counts_as_masked(value):
    det, image = source(), speckle().copy()
    image[7, 8] = value
    result = found(det, image)["autocorr"]
    det.good[7, 8] = False
    image[7, 8] = 0
    expected = found(det, image)["autocorr"]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_masked_pixels_do_not_count_whatever_they_hold():
    det, image = source(), speckle()
    filled = np.where(det.good, image, np.nan)
    results = (found(det, i)["autocorr"] for i in (image, filled))
    np.testing.assert_array_equal(*results)


def test_nothing_but_nan_and_nothing_but_0():
    for value, mean in ((np.nan, np.nan), (0, 0)):
        result = found(source(), np.full(SHAPE, value, np.float32))
        assert np.isnan(result["autocorr"]).all()
        np.testing.assert_equal(result["cr"], np.float64(mean))


def test_thresholds():
    det, image = source(), speckle()
    kept = np.where((image >= 5) & (image <= 30), image, 0)
    result = found(det, image, thresADU=[5, 30])
    np.testing.assert_allclose(
        result["autocorr"], reference(kept, det.good, (5, 7)), rtol=1e-5
    )
    assert result["cr"] == pytest.approx(kept[det.good].mean())


# -- windows ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE)])
def test_a_region(shape):
    det, image = source(shape), speckle(shape)
    expected = reference(image[..., 2:20, 3:30].reshape(18, 27), *cut(det.good))
    np.testing.assert_allclose(found(det, image, roi=ROI)["autocorr"], expected, 1e-5)


def cut(good):
    return good[..., 2:20, 3:30].reshape(18, 27), (5, 7)


def test_several_regions_on_panels():
    shape = (2, *SHAPE)
    det, image = source(shape), speckle(shape)
    boxes = [[[0, 1], [2, 20], [3, 30]], [[1, 2], [0, 9], [10, 33]]]
    several = found(det, image, roi=boxes)
    for number, box in enumerate(boxes):
        alone = found(det, image, roi=box)
        np.testing.assert_array_equal(several["autocorr"][number], alone["autocorr"])
        assert several["cr"][number] == alone["cr"]


@pytest.mark.parametrize("as_file", [False, True])
def test_several_masks(as_file, tmp_path):
    det, image = source(), speckle()
    masks = np.zeros((2, *SHAPE), np.uint8)
    masks[0, 3:15, 4:20] = 1
    masks[1][np.hypot(*np.indices(SHAPE) - 14) < 9] = 1
    given = masks
    if as_file:
        np.save(tmp_path / "masks.npy", masks)
        given = str(tmp_path / "masks.npy")
    result = found(det, image, mask=given)["autocorr"]
    assert result.shape == (2, 11, 15)
    for number, mask in enumerate(masks):
        expected = reference(image, det.good & (mask == 1), (5, 7))
        np.testing.assert_allclose(result[number], expected, rtol=1e-5)


def test_the_file_of_a_mask_is_recorded(tmp_path):
    path = tmp_path / "mask.npy"
    np.save(path, np.ones(SHAPE, bool))
    record = attached(Autocorrelation(mask=str(path)), source()).params_as_dict()
    assert record["mask_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["lags_h"].tolist() == list(range(-50, 51))


def test_after_a_region():
    det, image = source((2, *SHAPE)), speckle((2, *SHAPE))
    roi = ROIFunc(ROI=[[1, 2], *ROI])
    roi.addFunc(Autocorrelation(save_range=(5, 7)))
    result = attached(roi, det).process(image)["autocorr_autocorr"]
    expected = found(det, image, roi=[[1, 2], *ROI])["autocorr"]
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("roi", [ROI, [ROI, [[0, 9], [0, 9]]]])
def test_lineouts_are_lines_of_the_image(roi):
    det, image = source(), speckle()
    g = found(det, image, roi=roi)["autocorr"]
    lines = found(det, image, roi=roi, save_lineout=True)
    np.testing.assert_array_equal(lines["lineout_h"], g[..., 5, :])
    np.testing.assert_array_equal(lines["lineout_v"], g[..., 7])
    assert lines.keys() == {"lineout_h", "lineout_v", "cr"}


# -- illumination ----------------------------------------------------------------------


def beam(shape=(60, 60)):
    rows, columns = np.indices(shape)
    return np.exp(-((rows - 35) ** 2 + (columns - 25) ** 2) / (2 * 20.0**2))


@pytest.mark.parametrize("as_file", [False, True])
def test_the_illumination_is_divided_out(as_file, tmp_path):
    det, even, light = source((60, 60)), speckle((60, 60)), beam()
    given = light
    if as_file:
        np.save(tmp_path / "light.npy", light)
        given = str(tmp_path / "light.npy")
    uneven = (even * light).astype(np.float32)
    result = found(det, uneven, illumination_correction=given)
    expected = reference(even, det.good, (5, 7))
    np.testing.assert_allclose(result["autocorr"], expected, rtol=1e-4)
    assert result["cr"] == pytest.approx(uneven[det.good].mean(dtype=float))
    plain = found(det, uneven)["autocorr"]
    assert plain[0, 0] > 1.05 * expected[0, 0]


def test_pixels_without_light_do_not_count():
    det, image, light = source(), speckle(), np.ones(SHAPE)
    light[:10] = 0
    light[12, 12] = np.nan
    result = found(det, image, illumination_correction=light)["autocorr"]
    lit = det.good & (light > 0)
    np.testing.assert_allclose(result, reference(image, lit, (5, 7)), rtol=1e-5)


def test_the_illumination_may_be_the_smoothed_image():
    det, even = source((60, 60)), speckle((60, 60))
    image = (even * beam()).astype(np.float32)
    result = found(det, image, illumination_correction=6)["autocorr"]
    m = det.good.astype(float)
    light = ndimage.gaussian_filter(image * m, 6) / ndimage.gaussian_filter(m, 6)
    expected = reference(image / light, det.good, (5, 7))
    np.testing.assert_allclose(result, expected, rtol=1e-4)
    assert abs(result[0, 0] - 1) < 0.2 * abs(found(det, image)["autocorr"][0, 0] - 1)


# -- acf -------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 0.2])
def test_acf_is_the_covariance_over_the_variance(bad):
    det, image = source(bad=bad), speckle(mean=1000)
    good = det.good.astype(float)
    deviation = np.where(det.good, image - image[det.good].mean(dtype=float), 0)
    pairs = correlate(good, good, (6, 9))
    expected = correlate(deviation, deviation, (6, 9)) / pairs
    expected /= expected[6, 9]
    result = attached(acf(save_range=(6, 9)), det).process(image)
    np.testing.assert_allclose(result["profile_0"], expected[:, 9], atol=1e-5)
    np.testing.assert_allclose(result["profile_1"], expected[6], atol=1e-5)


def test_acf_of_a_flat_image_is_nan():
    result = attached(acf(), source()).process(np.full(SHAPE, 3, np.float32))
    assert np.isnan(result["profile_0"]).all()


# -- what every function does ----------------------------------------------------------


@pytest.mark.parametrize(
    "func",
    [
        Autocorrelation(),
        Autocorrelation(save_lineout=True, save_range=4, illumination_correction=3.0),
        Autocorrelation(roi=[ROI, ROI]),
        acf(roi=[ROI, ROI]),
        acf(thresADU=3),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_results_are_as_described(func, dtype):
    image = speckle().astype(dtype)
    image.flags.writeable = False
    results = attached(func, source()).process(image)
    fields = func.describe()
    assert fields.keys() == results.keys()
    for key, value in results.items():
        fields[key].checked(key, value)
        assert value.dtype == fields[key].dtype
    assert "cr" not in fields or fields["cr"].unit == "keV"


def test_a_result_is_not_changed_by_the_next_event():
    func = attached(Autocorrelation(save_range=5), source())
    first = func.process(speckle())["autocorr"]
    before = first.copy()
    func.process(speckle(seed=8))
    np.testing.assert_array_equal(first, before)


def test_padding_is_for_the_largest_lag_only():
    correlation = MaskedCorrelation(np.ones((500, 500), bool), (50, 50))
    assert max(correlation._size) < 600


def test_scikit_beam_agrees():
    correlation = pytest.importorskip(
        "skbeam.core.correlation", reason="scikit-beam is not installed"
    )
    image = speckle()
    theirs = correlation.CrossCorrelator(SHAPE, normalization="symavg")(image)
    middle = np.array(theirs.shape) // 2
    ours = found(source(bad=0), image)["autocorr"]
    part = theirs[
        middle[0] - 5 : middle[0] + 6,
        middle[1] - 7 : middle[1] + 8,
    ]
    np.testing.assert_allclose(ours, part, rtol=1e-4)
