"""Lists of pixels, droplets and photons in all three lengths, and back to images."""

import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.droplet_photons import droplet2Photons
from smalldata_ana.ana_funcs.photon import photonFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.sparsify import sparsifyFunc, unsparsifyFunc
from smalldata_ana.detector.protocol import Length, stored_names
from smalldata_ana.errors import ParameterError

SHAPE = (2, 20, 30)
LENGTHS = [(None, Length.VARIABLE), (0, Length.RAGGED), (5, Length.FIXED)]


class Copy(DetObjectFunc):
    """Stores the image that it is given."""

    def process(self, data):
        return {"image": data.copy()}


def image_of(*values):
    """Return an image with values at different places."""
    image = np.zeros(SHAPE, np.float32)
    for i, value in enumerate(values):
        image[i % 2, 3 * (i // 2) + 1, 4] = value
    return image


def droplets_with(child):
    """Return droplets of photons of 10 units, with something chained to them."""
    func = dropletFunc(threshold=4.0, useRms=False)
    func.addFunc(child)
    return attached(func, Images(SHAPE))


def check_as_described(func, image):
    """Compare results with what was described; return them."""
    results, fields = func.process(image), func.describe()
    assert results.keys() == fields.keys()
    for key, value in results.items():
        array = np.asarray(value)
        assert fields[key].checked(key, value).shape == array.shape
        assert array.dtype == fields[key].dtype
    return results


@pytest.mark.parametrize(("size", "length"), LENGTHS)
@pytest.mark.parametrize("values", [(), (7,), (7, 8, 9), tuple(range(1, 10))])
def test_pixels_in_all_lengths(size, length, values):
    func = attached(sparsifyFunc(nData=size), Images(SHAPE))
    image = image_of(*values)
    results = check_as_described(func, image)
    pixel = np.flatnonzero(image)
    panel, row, column = np.unravel_index(pixel, SHAPE)
    expected = {"data": image.flat[pixel], "row": row, "col": column, "tile": panel}
    for key, listed in expected.items():
        assert func.describe()[key].length is length
        wanted = np.pad(listed, (0, size))[:size] if size else listed
        np.testing.assert_array_equal(results[key], wanted)
    if size:
        assert results["n"] == len(values)
        assert results["truncated"] == (len(values) > size)


def test_where_the_lengths_are_stored():
    stored = {}
    for size, _ in LENGTHS:
        func = attached(sparsifyFunc(nData=size, name="s"), Images(SHAPE))
        fields = {f"s_{k}": v.below("s") for k, v in func.describe().items()}
        stored[size] = set(stored_names("det", dict.fromkeys(fields), fields))
    assert "det/var_s/row" in stored[None]
    assert "det/ragged_s_row" in stored[0]
    assert {"det/s_row", "det/s_truncated"} <= stored[5]


@pytest.mark.parametrize(("size", "length"), LENGTHS)
def test_droplets_in_all_lengths(size, length):
    func = droplets_with(sparsifyFunc(nData=size, name="s"))
    image = image_of(10, 20)
    image[0, 1, 5] = 30
    results = check_as_described(func, image)
    count = 5 if size else 2
    expected = {
        "data": [40, 20],
        "row": [1, 1],
        "col": [4.75, 4],
        "tile": [0, 1],
        "npix": [2, 1],
    }
    for key, wanted in expected.items():
        found = results[f"s_{key}"]
        np.testing.assert_array_equal(found, np.pad(wanted, (0, count - 2)))
        assert func.describe()[f"s_{key}"].length is length
    assert func.describe()["s_data"].unit == "keV"


def test_photons_are_listed_one_by_one():
    photons = droplet2Photons(aduspphot=10.0, name="p")
    photons.addFunc(sparsifyFunc(name="s"))
    func = droplets_with(photons)
    results = check_as_described(func, image_of(10, 30))
    assert results["p_s_data"].tolist() == [1, 1, 1, 1]
    assert results["p_s_tile"].tolist() == [0, 1, 1, 1]
    assert results["p_s_row"].tolist() == [1, 1, 1, 1]
    assert "p_s_npix" not in results
    empty = func.process(np.zeros(SHAPE, np.float32))
    assert all(v.size == 0 for k, v in empty.items() if k.startswith("p_s_"))


def test_what_does_not_count_is_not_listed():
    good = np.ones(SHAPE, bool)
    good[0, 1, 4] = False
    image = image_of(1, 2, np.nan, -3, np.inf)
    image.flags.writeable = False
    results = attached(sparsifyFunc(), Images(SHAPE, good)).process(image)
    assert sorted(results["data"]) == [-3, 2]


def test_pixels_of_a_region_have_indices_of_the_detector():
    roi = ROIFunc(ROI=[[1, 2], [2, 20], [3, 30]], calcPars=False)
    roi.addFunc(sparsifyFunc(name="s"))
    image = np.zeros(SHAPE, np.float32)
    image[1, 7, 9] = 5
    results = attached(roi, Images(SHAPE, first=(4, 0, 0))).process(image)
    found = {key: value.tolist() for key, value in results.items()}
    assert found == {"s_data": [5], "s_row": [7], "s_col": [9], "s_tile": [5]}


@pytest.mark.parametrize("size", [None, 0, 1, 5])
def test_an_image_comes_back_from_its_list(size):
    func = sparsifyFunc(nData=size)
    func.addFunc(dense := unsparsifyFunc())
    dense.addFunc(Copy(name="copy"))
    roi = ROIFunc(ROI=[[1, 2], [2, 20], [3, 30]], calcPars=False)
    roi.addFunc(func)
    image = np.random.default_rng(1).poisson(0.1, SHAPE).astype(np.float32)
    results = attached(roi, Images(SHAPE)).process(image)
    np.testing.assert_array_equal(results["sparse_dense_copy_image"], image[1, 2:, 3:])
    assert roi.describe().keys() == results.keys()


def test_photons_and_droplets_as_images():
    photons = droplet2Photons(aduspphot=10.0, name="p")
    photons.addFunc(dense := unsparsifyFunc(name="d"))
    dense.addFunc(Copy(name="copy"))
    image = image_of(10, 30, 50)
    found = droplets_with(photons).process(image)["p_d_copy_image"]
    np.testing.assert_array_equal(found, image / 10)
    assert dense.source.unit == "photon"

    sums = sparsifyFunc(name="s")
    sums.addFunc(dense := unsparsifyFunc(name="d"))
    dense.addFunc(Copy(name="copy"))
    image[0, 1, 5] = 30
    found = droplets_with(sums).process(image)["s_d_copy_image"]
    assert found[0, 1].tolist()[3:7] == [0, 0, 40, 0]
    assert found.sum() == image.sum()


def test_counted_photons_are_listed():
    func = photonFunc(ADU_per_photon=10.0)
    func.addFunc(sparsifyFunc(name="s"))
    results = check_as_described(attached(func, Images(SHAPE)), image_of(10, 32))
    assert results["s_data"].tolist() == [1, 3]


def test_what_makes_no_sense():
    with pytest.raises(ParameterError, match="nData"):
        sparsifyFunc(nData=-1)
    with pytest.raises(ParameterError, match="Did you mean 'nData'"):
        sparsifyFunc(ndata=3)
    with pytest.raises(ParameterError, match="works on a list of positions"):
        ROIFunc().addFunc(unsparsifyFunc())
    with pytest.raises(ParameterError, match="rows and columns"):
        attached(sparsifyFunc(), Images((50,)))
