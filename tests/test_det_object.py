"""DetObject: images and results of each event, and of no other."""

import copy

import numpy as np
import pytest
from small_run import EVENTS, MISSING, frames, small_run

from smalldata_ana.ana_funcs import ROIFunc
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.user_data import checkDet, getUserData, getUserEnvData
from smalldata_ana.errors import DetectorNotFound, NameNotFound, ParameterError
from smalldata_ana.sources.events import Event
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

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
    # the pixels at the edge of a panel are masked
    assert found["all_max"] == image[:, 1:-1, 1:-1].max()
    assert found.keys() == det.fields.keys()


def test_functions_are_attributes(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    func, hidden = ROIFunc(name="beam", ROI=BOX), ROIFunc(name="rms", ROI=BOX)
    det.addFunc(func)
    det.addFunc(hidden)
    assert det.beam is func
    assert "beam" in dir(det)
    assert det.rms is None  # its own attributes win
    assert det.funcs["rms"] is hidden
    with pytest.raises(AttributeError, match=r"'bean'.*Did you mean 'beam'\?"):
        _ = det.bean
    assert copy.copy(det).beam is func


def test_results_of_the_same_name_are_refused(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    outer = ROIFunc(name="a", ROI=BOX)
    outer.addFunc(ROIFunc(name="b", ROI=[[0, 4], [0, 4]]))
    det.addFunc(outer)
    with pytest.raises(
        ParameterError, match=r"'a_b' gives \['a_b_com', .*another name"
    ):
        det.addFunc(ROIFunc(name="a_b"))
    assert list(det.funcs) == ["a"]


def test_the_record_has_the_whole_path_of_a_function(run):
    det = DetObject("jungfrau1M", run, common_mode=-1)
    outer, middle = (ROIFunc(name=n, ROI=BOX, writeArea=True) for n in "ab")
    middle.ROI = [[0, 8], [0, 8]]
    middle.addFunc(ROIFunc(name="c", ROI=[[0, 2], [0, 2]]))
    outer.addFunc(middle)
    outer.addFunc(ROIFunc(name="c", ROI=[[0, 3], [0, 3]]))
    det.addFunc(outer)
    record = det.params_as_dict()
    assert record["a__b_c_ROI"] == [[0, 2], [0, 2]]
    assert record["a__c_ROI"] == [[0, 3], [0, 3]]


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


def test_an_event_of_another_run_is_refused(tmp_path, run):
    det = DetObject("opal", run)
    other = small_run(tmp_path, 13)
    with pytest.raises(
        ParameterError, match="run 12, and the event of xpptut15 run 13"
    ):
        det.getData(Event(other, 0))
    other.close()


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


def test_a_function_makes_room_for_another_of_its_name(run):
    det = DetObject("opal", run)
    det.addFunc(ROIFunc(ROI=[[0, 4], [0, 4]]))
    assert "ROI_sum" in det.fields
    det.removeFunc("ROI")
    assert not det.fields
    det.addFunc(ROIFunc(calcPars=False, ROI=[[0, 4], [0, 4]]))
    with pytest.raises(NameNotFound, match=r"no function 'ROY'.*mean 'ROI'"):
        det.removeFunc("ROY")


def test_parameters_are_told_with_those_of_chained_functions(run):
    det = DetObject("jungfrau1M", run, 12, common_mode=-1, name="jungfrau")
    outer, inner = ROIFunc(ROI=BOX), ROIFunc(name="inner", ROI=[[0, 3], [0, 4]])
    outer.addFunc(inner)
    det.addFunc(outer)
    params = det.params_as_dict()
    assert params["ROI__ROI_ROI"] == BOX
    assert params["ROI__inner_ROI"] == [[0, 3], [0, 4]]
    assert (params["name"], params["detname"]) == ("jungfrau", "jungfrau1M")
    assert params["common_mode"] == -1
    assert "ped" not in params


class Environment:
    """What LCLS-I's scripts hand on."""

    def __init__(self, run):
        self.run = run


def test_an_environment_stands_for_its_run(run):
    det = DetObject("opal", Environment(run), 12)
    assert det.run is run
    assert checkDet(Environment(run), "opal")


def test_a_missing_detector_is_reported_once_for_a_run(tmp_path, run, caplog):
    for _ in range(3):
        assert not checkDet(run, "jungfrau")
    assert not checkDet(Environment(run), "jungfrau")
    assert [record.getMessage() for record in caplog.records] == [
        "no area detector 'jungfrau' in xpptut15 run 12; there are 'jungfrau1M', "
        "'opal'. Did you mean 'jungfrau1M'?"
    ]
    other = small_run(tmp_path, 13)
    assert not checkDet(run, "epix")
    assert not checkDet(other, "jungfrau")
    assert len(caplog.records) == 3
    other.close()


def run_with(tmp_path, **options):
    """Return a run of an epix100 with what else is given."""
    path = write_run(
        tmp_path / "more.h5",
        experiment="xpptut15",
        run=14,
        images={"epix": frames()["opal"]},
        dettypes={"epix": "epix100"},
        **options,
    )
    return Hdf5Run(path)


class TestEnvironmentData:
    def test_values_of_the_kind_at_the_event(self, tmp_path):
        temperature = np.linspace(20, 21, EVENTS)
        temperature[2] = np.nan
        scalars = {
            "epix/temp0": temperature,
            "epix/humidity": np.arange(EVENTS),
            "epix/frame_number": np.arange(EVENTS),
            "other/temp1": temperature,
        }
        run = run_with(tmp_path, scalars=scalars)
        det = DetObject("epix", run, common_mode=-1)
        assert getUserEnvData(det) == {}
        for n in (1, 2):
            det.getData(Event(run, n))
            found = getUserEnvData(det)
            assert list(found) == ["temp0", "humidity"]
            np.testing.assert_array_equal(found["temp0"], temperature[n])
            assert found["humidity"] == n
            assert found["humidity"].dtype == np.int64
        run.close()

    def test_epics_values_stand_in_for_scalars_of_the_detector(self, tmp_path):
        scalars = {
            "epics/epix_temp0": np.arange(EVENTS, dtype=float),
            "epics/epix_temp1": np.full(EVENTS, 7.0),
            "epix/temp1": np.full(EVENTS, 8.0),
            "epics/other_humidity": np.zeros(EVENTS),
        }
        run = run_with(tmp_path, scalars=scalars)
        det = DetObject("epix", run, common_mode=-1)
        det.getData(Event(run, 2))
        assert getUserEnvData(det) == {"temp0": 2.0, "temp1": 8.0}
        run.close()

    def test_a_kind_without_has_none(self, run):
        det = DetObject("opal", run)
        det.getData(Event(run, 0))
        assert getUserEnvData(det) == {}


class TestSums:
    # codes of xpp: 137 requests X-rays and 162 drops them; 91 drops the laser
    DROPPED = np.array([0, 1, 0, 0, 1, 0, 0], bool)
    LASER = np.array([1, 1, 0, 1, 0, 0, 1], bool)
    UNKNOWN = 6

    @pytest.fixture
    def lit(self, tmp_path):
        codes = np.zeros((EVENTS, 288), np.int8)
        codes[:, 137] = 1
        codes[self.DROPPED, 162] = 1
        codes[~self.LASER, 91] = 1
        codes[self.UNKNOWN] = -1
        run = run_with(tmp_path, event_codes=codes)
        yield run
        run.close()

    def summed(self, run, detector, keys, **given):
        det = DetObject(detector, run, common_mode=-1)
        for key in keys:
            det.storeSum(sumAlgo=key)
        for n in range(EVENTS):
            det.getData(Event(run, n))
            det.processSums(**{k: bool(v[n]) for k, v in given.items()})
        return det.storeSum()

    def test_light_is_taken_from_the_event_codes(self, lit):
        keys = ("calib", "calib_dropped", "calib_on", "calib_off_square")
        sums = self.summed(lit, "epix", keys)
        images = frames()["opal"].astype(float)
        known = np.arange(EVENTS) != self.UNKNOWN
        on = ~self.DROPPED & known & self.LASER
        off = ~self.DROPPED & known & ~self.LASER
        for key, expected in {
            "calib": images.sum(axis=0),
            "calib_dropped": images[self.DROPPED].sum(axis=0),
            "calib_on": images[on].sum(axis=0),
            "calib_off_square": (images[off] ** 2).sum(axis=0),
        }.items():
            np.testing.assert_array_equal(sums[key], expected)
        assert sums["calib_on_nEvents"] == on.sum()

    def test_what_is_said_goes_before_the_event_codes(self, lit):
        all_dropped = np.ones(EVENTS, bool)
        sums = self.summed(lit, "epix", ["calib_dropped"], dropped=all_dropped)
        assert sums["calib_dropped_nEvents"] == EVENTS

    def test_an_event_without_data_is_not_counted(self, run):
        sums = self.summed(run, "jungfrau1M", ["calib", "calib_skip"])
        images = np.delete(frames()["jungfrau1M"], MISSING, axis=0).astype(float)
        np.testing.assert_array_equal(sums["calib"], images.sum(axis=0))
        np.testing.assert_array_equal(sums["calib_skip"], images[1:].sum(axis=0))
        assert sums["calib_nEvents"] == EVENTS - 1

    def test_the_image_that_functions_see_is_not_changed(self, run):
        det = DetObject("jungfrau1M", run, common_mode=-1)
        det.storeSum(sumAlgo="calib_thresADU1000_nhits_img")
        det.getData(Event(run, 0))
        det.processSums()
        np.testing.assert_array_equal(det.evt.dat, frames()["jungfrau1M"][0])
