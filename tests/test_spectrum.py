"""Histograms of pixels, against numpy and explicit loops."""

import itertools

import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.spectrum import edges_of, spectrumFunc
from smalldata_ana.errors import ParameterError

SHAPE = (2, 30, 40)


def source(shape=SHAPE, bad=0.1):
    return Images(shape, np.random.default_rng(0).random(shape) >= bad)


def frame(shape=SHAPE, dtype=np.float32):
    image = np.random.default_rng(1).normal(3, 10, shape).astype(dtype)
    image.flags.writeable = False
    return image


def counted(values, edges):
    """Return the histogram, value by value."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            last = i == len(counts) - 1
            if low <= value < high or (last and value == high):
                counts[i] += 1
    return counts


@pytest.mark.parametrize(
    ("bins", "edges"),
    [
        ([-10, 10, 5], [-10, -6, -2, 2, 6, 10]),
        ([-10, 10, 4.0], [-10, -6, -2, 2, 6, 10]),
        ([0, 0.3, 0.1], [0, 0.1, 0.2, 0.3]),
        ([0, 1, 4, 9.5], [0, 1, 4, 9.5]),
        (np.array([0, 1, 4, 9]), [0, 1, 4, 9]),
        ((np.int64(0), 8, np.int32(2)), [0, 4, 8]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("bad", [0, 0.2])
def test_bins(bins, edges, dtype, bad):
    det, image = source(bad=bad), frame(dtype=dtype)
    func = attached(spectrumFunc(bins=bins), det)
    result = func.process(image)["histogram"]
    np.testing.assert_allclose(func.params_as_dict()["edges"], edges, atol=1e-12)
    assert result.tolist() == counted(image[det.good].tolist(), edges)
    assert result.dtype == np.int64


def test_the_last_bin_holds_its_upper_edge():
    image = np.array([[0, 1, 2, 3, 4]], np.float32)
    for bins in ([0, 3, 3], [0.0, 1.0, 2.0, 3.0]):
        func = attached(spectrumFunc(bins=bins), Images(image.shape))
        assert func.process(image)["histogram"].tolist() == [1, 1, 2]


def test_what_is_not_finite_is_not_counted():
    image = frame().copy()
    det = source(bad=0)
    for bins in ([-100, 100, 1], [-100, 0, 50, 100]):
        image[0, 1, :3] = 0
        func = attached(spectrumFunc(bins=bins), det)
        before = func.process(image)["histogram"].sum()
        image[0, 1, :3] = np.nan, np.inf, -np.inf
        assert func.process(image)["histogram"].sum() == before - 3


def test_masked_pixels_are_left_out_of_a_region():
    det, image = source(), frame()
    roi = ROIFunc(ROI=[[1, 2], [3, 20], [4, 30]])
    roi.addFunc(spectrumFunc(bins=[-1000, 1000, 1]))
    result = attached(roi, det).process(image)["spectrum_histogram"]
    assert result.tolist() == [np.count_nonzero(det.good[1, 3:20, 4:30])]


def test_results_are_as_described():
    func = attached(spectrumFunc(bins=[0, 10, 7]), source())
    fields, results = func.describe(), func.process(frame())
    assert fields.keys() == results.keys()
    fields["histogram"].checked("histogram", results["histogram"])
    assert fields["histogram"].unit == "count"


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ([0, 10], "are no bins"),
        ([10, 0, 5], "low must be below high"),
        ([0, 10, 0], "0 bins"),
        ([0, 10, -1], "-1 bins"),
        ([0, 10, 10**8], "100000000 bins"),
        ([0, 10, 3.0], "10 is no whole number of bins of 3"),
        ([0, 10, 100.0], "without a decimal point"),
        ([0, 1, 1, 2], "edges must grow"),
        ([0, 1, np.nan, 2], "bins"),
        ([0, 1, "2"], "bins"),
        (5, "bins"),
    ],
)
def test_bins_that_are_refused(bins, message):
    with pytest.raises(ParameterError, match=message):
        spectrumFunc(bins=bins)


def test_an_all_masked_image():
    with pytest.raises(ParameterError, match="all are masked"):
        attached(spectrumFunc(), source(bad=2))


def test_edges_are_exact_at_both_ends():
    edges = edges_of([-1, 1, 0.001])
    assert edges[0] == -1
    assert edges[-1] == 1
    assert edges.size == 2001
