"""ROIFunc, against numpy."""

import numpy as np
import pytest
import rotated_panels
from image_source import Images, attached
from traitlets import Int, TraitError

from smalldata_ana.ana_funcs import DetObjectFunc, ROIFunc
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import ParameterError

SHAPE = (2, 30, 40)
BOX = [[0, 1], [10, 20], [5, 15]]
BOXES = [BOX, [[1, 2], [0, 7], [30, 40]]]


def source(shape=SHAPE, bad=0.0, seed=0):
    good = np.random.default_rng(seed).random(shape) >= bad
    return Images(shape, good)


def frame(shape=SHAPE, seed=1):
    image = np.random.default_rng(seed).normal(3, 10, shape).astype(np.float32)
    image.flags.writeable = False
    return image


def prepared(det, **parameters):
    return attached(ROIFunc(**parameters), det)


def reference(image, good, boxes, low=-np.inf, high=np.inf):
    """Return what a ROI has to give, pixel by pixel with an index grid."""
    inside = np.zeros(image.shape, bool)
    for box in boxes:
        inside[tuple(slice(b, e) for b, e in box)] = True
    inside &= good
    values = image[inside].astype(np.float64)
    values[(values < low) | (values > high)] = 0
    rows_columns = np.indices(image.shape)[-2:, inside]
    return {
        "sum": values.sum(),
        "mean": values.mean(),
        "max": values.max(),
        "com": (rows_columns * values).sum(axis=1) / values.sum(),
    }


@pytest.mark.parametrize("bad", [0, 0.1])
@pytest.mark.parametrize(
    ("threshold", "limits"), [(None, []), (5.0, [5.0]), ([0.0, 9.0], [0.0, 9.0])]
)
@pytest.mark.parametrize("boxes", [[BOX], BOXES])
def test_numbers_are_numpys(bad, threshold, limits, boxes):
    det, image = source(bad=bad), frame()
    result = prepared(det, ROI=boxes, thresADU=threshold).process(image)
    expected = reference(image, det.good, boxes, *limits)
    assert result.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(result[key], value, rtol=1e-12)


def test_no_region_is_the_whole_detector():
    det, image = source(), frame()
    result = prepared(det).process(image)
    np.testing.assert_allclose(result["sum"], image.sum(dtype=np.float64))


@pytest.mark.parametrize(
    ("shape", "roi", "window"),
    [
        ((30, 40), [[2, 5], [3, 9]], np.s_[2:5, 3:9]),
        ((30, 40), [2, 5, 3, 9], np.s_[2:5, 3:9]),
        ((30, 40), np.array([[2, 5], [3, 9]]), np.s_[2:5, 3:9]),
        ((30, 40), ((2, 5), (3, 9)), np.s_[2:5, 3:9]),
        (SHAPE, [1, 2, 2, 5, 3, 9], np.s_[1, 2:5, 3:9]),
        (SHAPE, [[[1, 2], [2, 5], [3, 9]]], np.s_[1, 2:5, 3:9]),
        ((1, 30, 40), [[2, 5], [3, 9]], np.s_[0, 2:5, 3:9]),
        ((50,), [4, 9], np.s_[4:9]),
    ],
)
def test_forms_of_a_region(shape, roi, window):
    image = frame(shape)
    result = prepared(source(shape), ROI=roi, writeArea=True).process(image)
    np.testing.assert_array_equal(result["area"], image[window])
    np.testing.assert_allclose(result["sum"], image[window].sum(dtype=np.float64))


def test_centre_of_mass_of_a_point_is_its_raw_index():
    image = np.zeros(SHAPE, np.float32)
    image[0, 13, 8] = 5
    result = prepared(source(), ROI=BOX).process(image)
    assert result["com"].tolist() == [13, 8]


def test_nothing_in_the_region():
    result = prepared(source(), ROI=BOX).process(np.zeros(SHAPE, np.float32))
    assert result["sum"] == result["mean"] == result["max"] == 0
    assert np.isnan(result["com"]).all()


def test_masked_pixels_do_not_count_whatever_they_hold():
    det, image = source(), frame().copy()
    det.good[0, 12, 7] = False
    image[0, 12, 7] = np.nan
    result = prepared(det, ROI=BOX, writeArea=True).process(image)
    expected = np.delete(image[0, 10:20, 5:15].ravel(), 22)
    np.testing.assert_allclose(result["sum"], expected.sum(dtype=np.float64))
    np.testing.assert_allclose(result["mean"], expected.mean(dtype=np.float64))
    assert np.argwhere(np.isnan(result["area"])).tolist() == [[2, 2]]
    assert result["area"].dtype == np.float32


def test_the_largest_of_negative_pixels_is_not_that_of_masked_ones():
    det = source()
    det.good[0, 12, 7] = False
    result = prepared(det, ROI=BOX).process(np.full(SHAPE, -2, np.float32))
    assert result["max"] == -2


def test_user_mask():
    det, image = source(), frame()
    mask = np.random.default_rng(3).integers(0, 2, SHAPE)
    result = prepared(det, ROI=BOX, userMask=mask).process(image)
    expected = reference(image, mask == 1, [BOX])
    np.testing.assert_allclose(result["mean"], expected["mean"])


def test_results_are_as_described():
    func = prepared(source(), ROI=BOX, writeArea=True)
    fields, results = func.describe(), func.process(frame())
    assert fields.keys() == results.keys()
    for key, value in results.items():
        assert np.shape(value) == fields[key].shape
        assert np.asarray(value).dtype == fields[key].dtype
    assert fields["sum"].unit == "keV"
    assert fields["com"].unit == "pixel"
    assert np.isnan(fields["area"].missing()).all()


class Brightest(DetObjectFunc):
    """The largest pixel, as a user would write it."""

    above = Int(0)

    def process(self, data):
        return {"value": np.int64(data.max()), "count": np.sum(data > self.above)}


def test_a_chained_function_gets_the_pixels_of_the_region():
    func = ROIFunc(ROI=BOX, calcPars=False)
    func.addFunc(Brightest(name="top", above=2))
    func.setFromDet(source())
    image = frame()
    area = image[0, 10:20, 5:15]
    assert func.process(image) == {
        "top_value": int(area.max()),
        "top_count": np.sum(area > 2),
    }
    assert func.describe()["top_value"].missing() == -99999


def test_a_function_chained_after_the_set_up_is_set_up():
    func = prepared(source(), ROI=BOX)
    inner = ROIFunc(ROI=[[2, 4], [1, 3]], name="inner")
    func.addFunc(inner)
    image = frame()
    expected = image[0, 12:14, 6:8].sum(dtype=np.float64)
    np.testing.assert_allclose(func.process(image)["inner_sum"], expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"writeAera": True}, r"no parameter 'writeAera' in ROIFunc.*'writeArea'\?"),
        ({"writeArea": "yes"}, "'writeArea'.*boolean"),
        ({"thresADU": "high"}, "'thresADU'"),
        ({"thresADU": [5, 1]}, "lower limit comes first"),
        ({"ROI": [[5, 5], [1, 2]]}, "0 <= begin < end"),
        ({"ROI": [[-1, 5], [1, 2]]}, "0 <= begin < end"),
        ({"ROI": [[0, 5.5], [1, 2]]}, "whole numbers"),
        ({"ROI": [[0, 5, 6], [1, 2, 3]]}, "whole numbers"),
        ({"ROI": [1, 2, 3]}, "whole numbers"),
        ({"ROI": 7}, "not a region"),
        ({"ROI": []}, "not a region"),
        ({"ROI": [[[0, 1]], [[0, 1], [0, 1]]]}, "not a region"),
        ({"ROI": BOXES, "writeArea": True}, "single box"),
    ],
)
def test_wrong_parameters_are_refused_when_it_is_made(parameters, message):
    with pytest.raises(ParameterError, match=message):
        ROIFunc(**parameters)


def test_a_wrong_value_is_refused_later_too():
    with pytest.raises(TraitError, match="begin < end"):
        ROIFunc().ROI = [[5, 5], [1, 2]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ROI": [[0, 1], [0, 31], [0, 5]]}, r"\[0, 31\].*'jungfrau1M'.*\(2, 30, 40\)"),
        ({"ROI": [[0, 31], [0, 5]]}, r"panels, rows, columns\) is \(2, 30, 40\)"),
        ({"ROI": [[0, 31], [0, 5]]}, r"which panels\? e.g. \[\[0, 2\], \[0, 31\], "),
        ({"userMask": np.ones((3, 3))}, r"\(3, 3\).*\(2, 30, 40\)"),
        ({"userMask": np.zeros(SHAPE)}, "no pixel of ROI .* is good"),
    ],
)
def test_what_does_not_fit_the_detector_is_refused_at_set_up(parameters, message):
    with pytest.raises(ParameterError, match=message):
        prepared(source(), **parameters)


def test_chains_that_cannot_work_are_refused():
    with pytest.raises(ParameterError, match="several boxes"):
        ROIFunc(ROI=BOXES).addFunc(Brightest(name="top"))
    with pytest.raises(ParameterError, match="passes nothing on"):
        Brightest(name="top").addFunc(ROIFunc())
    func = ROIFunc(ROI=BOX)
    func.addFunc(Brightest(name="top"))
    with pytest.raises(ParameterError, match="'top' already"):
        func.addFunc(Brightest(name="top"))


def test_a_function_without_a_detector_says_so():
    with pytest.raises(ParameterError, match="belongs to no detector yet"):
        Brightest(name="top").describe()


def test_saturated_pixels_are_counted():
    det, image = source(bad=0.1), frame()
    func = ROIFunc(ROI=BOXES)
    func.addNsat(12)
    found = attached(func, det).process(image)
    expected = sum(
        np.count_nonzero(image[index][det.good[index]] >= 12)
        for box in BOXES
        if (index := tuple(slice(b, e) for b, e in box))
    )
    assert found["nsat"] == expected > 0
    assert func.describe().keys() == found.keys()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_do_not_count(bad):
    det, image = source(bad=0.1), frame().copy()
    image[0, 12, 5:9] = bad
    result = prepared(det, ROI=BOX).process(image)
    expected = reference(image, det.good & np.isfinite(image), [BOX])
    for key, value in expected.items():
        np.testing.assert_allclose(result[key], value, rtol=1e-6)


def test_without_a_finite_pixel_the_numbers_are_missing():
    result = prepared(source(), ROI=BOX).process(np.full(SHAPE, np.nan, "f4"))
    assert all(np.isnan(value).all() for value in result.values())


def test_a_rectangle_of_the_image_is_a_box_of_each_panel_that_it_touches():
    panels = rotated_panels.detector(tilted=False)
    shape = panels.x.shape
    geometry = ImageGeometry.from_positions(panels, shape)
    rows, columns = (0, geometry.shape[0]), (10, 60)
    func = prepared(Images(shape, positions=panels), imageROI=[rows, columns])
    image = frame(shape)
    inside = (geometry.iy >= 10) & (geometry.iy < 60)
    boxes = geometry.boxes(rows, columns)
    held = np.zeros(shape, bool)
    for box in boxes:
        held[tuple(slice(b, e) for b, e in box)] = True
        panel = inside[box[0][0]]
        assert panel[box[1][0] : box[1][1]].any(axis=1).all()
    assert not (inside & ~held).any()
    assert [box[0][0] for box in boxes] == np.unique(np.nonzero(inside)[0]).tolist()
    np.testing.assert_allclose(
        func.process(image)["sum"], reference(image, held, boxes)["sum"]
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"imageROI": BOX}, "not a rectangle"),
        ({"imageROI": BOXES}, "not a rectangle"),
        ({"imageROI": [[0, 5], [0, 5]], "ROI": BOX}, "not both"),
        ({"imageROI": [[900, 905], [0, 5]]}, "touches no panel of 'jungfrau1M'"),
        ({"imageROI": [[0, 60], [0, 5]], "writeArea": True}, "touches 2 panels"),
    ],
)
def test_rectangles_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        prepared(source(), **parameters)


def test_users_find_its_bound_and_mask_again():
    good = np.ones((2, 20, 30), bool)
    good[1, 5, 6] = False
    box = [[1, 2], [4, 8], [5, 10]]
    func = attached(ROIFunc(ROI=box), Images(good.shape, good=good))
    known = func.params_as_dict()
    assert known["bound"].tolist() == box
    np.testing.assert_array_equal(known["mask"], good[1, 4:8, 5:10])
