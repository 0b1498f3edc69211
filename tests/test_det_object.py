"""DetObject: images and results of each event, and of no other."""

import numpy as np
import pytest
from small_run import MISSING, frames, small_run

from smalldata_ana.ana_funcs import ROIFunc
from smalldata_ana.detector.det_object import DetObject, getUserData
from smalldata_ana.errors import DetectorNotFound, ParameterError
from smalldata_ana.sources.events import Event

BOX = [[0, 1], [4, 20], [5, 15]]


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


def results(det, number):
    det.getData(Event(det.run, number))
    det.processFuncs()
    return getUserData(det)


def test_the_images_are_calibrated_frames(run):
    det = DetObject("jungfrau1M", run, 12, common_mode=-1)
    det.getData(Event(run, 2))
    assert det.evt.dat.dtype == np.float32
    np.testing.assert_array_equal(det.evt.dat, frames()["jungfrau1M"][2])


def test_results_are_those_of_the_functions(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    det.addFunc(ROIFunc(ROI=BOX))
    det.addFunc(ROIFunc(name="all"))
    found = results(det, 2)
    image = frames()["jungfrau1M"][2]
    assert found["ROI_sum"] == image[0, 4:20, 5:15].sum()
    assert found["all_max"] == image.max()
    assert found.keys() == det.describe().keys()


def test_an_event_without_data_has_fill_values_and_never_the_last_ones(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    det.addFunc(ROIFunc(ROI=BOX, writeArea=True))
    before = results(det, MISSING - 1)
    found = results(det, MISSING)
    assert det.evt.dat is None
    assert found.keys() == before.keys()
    assert all(np.isnan(value).all() for value in found.values())
    assert {k: np.shape(v) for k, v in found.items()} == {
        k: np.shape(v) for k, v in before.items()
    }


def test_a_new_event_has_no_results_before_they_are_made(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    det.addFunc(ROIFunc(ROI=BOX))
    results(det, 0)
    det.getData(Event(run, 1))
    assert getUserData(det) == {}


def test_an_image_that_was_kept_is_not_overwritten(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    det.getData(Event(run, 0))
    kept = det.evt.dat
    det.getData(Event(run, 1))
    np.testing.assert_array_equal(kept, frames()["jungfrau1M"][0])


def test_it_has_the_name_that_it_was_given(run):
    assert DetObject("opal", run, name="camera")._name == "camera"
    assert DetObject("opal", run)._name == "opal"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("jungfrau",), {}, DetectorNotFound, r"no area detector 'jungfrau' in "
         r"xpptut15 run 12; there are .*Did you mean 'jungfrau1M'\?"),
        (("opal", 13), {}, ParameterError, "13 was given with xpptut15 run 12"),
        (("opal",), {"applyMask": 3}, ParameterError, "applyMask = 3"),
        (("opal",), {"maskCentral": False}, ParameterError, "maskCentral"),
    ],
)  # fmt: skip
def test_wrong_arguments(run, arguments, options, error, message):
    with pytest.raises(error, match=message):
        DetObject(arguments[0], run, *arguments[1:], **options)


def test_a_name_can_be_taken_once(run):
    det = DetObject("opal", run)
    det.addFunc(ROIFunc())
    with pytest.raises(ParameterError, match="'ROI' already"):
        det.addFunc(ROIFunc())
