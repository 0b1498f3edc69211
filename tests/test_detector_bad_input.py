"""Constants, masks and geometries that are not there, or not this detector's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fake_run import FakeRun

from smalldata_ana.ana_funcs import ROIFunc
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.kind_table import TABLE
from smalldata_ana.errors import (
    ConstantsError,
    DetectorNotFound,
    GeometryError,
    ParameterError,
)
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.sources.constants import Constants, valid_constants
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.events import Event
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

DET = "jungfrau1M"
FRAME = (2, 24, 16)
STAGES = (3, *FRAME)
GAIN = 40.0
NEXT = r"calib put jungfrau1M {} FILE --begin RUN.*common_mode=-1 gives raw data"


def good_constants():
    """Return constants that fit, of a detector without bad pixels."""
    return {
        "pedestals": np.full(STAGES, 100, np.float32),
        "pixel_rms": np.full(STAGES, 3, np.float32),
        "pixel_gain": np.full(STAGES, GAIN, np.float32),
        "pixel_offset": np.zeros(STAGES, np.float32),
        "pixel_status": np.zeros(STAGES, np.uint64),
        "pixel_mask": np.ones(STAGES, np.uint8),
    }


@pytest.fixture
def opened(tmp_path):
    """Return a function that opens a run whose detector has some constants."""
    runs = []

    def open_it(constants, dettype="jungfrau", frame=FRAME):
        words = np.arange(2 * np.prod(frame)).reshape(2, *frame).astype(np.uint16)
        path = write_run(
            tmp_path / f"run{len(runs)}.h5",
            experiment="xpptut15",
            run=12,
            images={DET: words},
            dettypes={DET: dettype},
            constants={DET: constants},
        )
        runs.append(Hdf5Run(path))
        return runs[-1]

    yield open_it
    for run in runs:
        run.close()


def image_of(det):
    det.getData(Event(det.run, 0))
    det.processFuncs()
    return det.evt.dat


class TestMissing:
    def test_pedestals(self, opened):
        run = opened({})
        message = (
            r"common mode 0 of 'jungfrau1M' cannot be done: there are no pedestals of "
            r"'jungfrau1M' in .*run0.h5:/constants/jungfrau1M; their shape would be "
            r"\(3, 2, 24, 16\) \(gain stages, at least 2 panels, rows, columns\).*"
            r"anaps.makePedestal\('jungfrau1M'\).*" + NEXT.format("pedestals")
        )
        with pytest.raises(ConstantsError, match=message):
            DetObject(DET, run)
        np.testing.assert_array_equal(
            image_of(DetObject(DET, run, common_mode=-1)), run.read(DET, 0)
        )

    def test_where_constants_are_looked_for(self, tmp_path):
        store = ConstantsStore(tmp_path / "calib")
        folder = str(tmp_path / "calib" / "cam")
        assert store.get("cam", 3).places == (folder,)
        both = valid_constants(
            "cam", 3, store=store, given=False, database=lambda: Constants("cam", {})
        )
        assert both.places == (folder, "psana's constants database")

    def test_gains_of_a_detector_with_gain_stages(self, opened):
        constants = good_constants()
        del constants["pixel_gain"]
        run = opened(constants)
        message = r"common mode 0 .* no pixel_gain of .*" + NEXT.format("pixel_gain")
        with pytest.raises(ConstantsError, match=message):
            DetObject(DET, run)
        assert Calibration.for_run(run, DET, lenient=True).unit == "ADU"

    def test_gains_of_a_detector_without_gain_stages(self, opened, caplog):
        dark = {"pedestals": np.ones(FRAME[1:]), "pixel_rms": np.ones(FRAME[1:])}
        det = DetObject(DET, opened(dark, "epix100", FRAME[1:]))
        assert (det.common_mode, det.unit) == (46, "ADU")
        assert "no gain: pedestals subtracted only, in ADU" in caplog.text

    def test_gain_configuration(self):
        shape = 1, 24, 40
        names = ("pedestals", "pixel_gain")
        constants = {name: np.ones((7, *shape), np.float32) for name in names}
        run = FakeRun("epix10ka", np.zeros(shape, np.uint16), constants)
        message = "common mode 80 .* there is no gain configuration of the pixels"
        with pytest.raises(ConstantsError, match=message):
            Calibration.for_run(run, "det")

    def test_what_is_not_needed_may_be_missing(self, opened):
        constants = good_constants()
        for name in ("pixel_rms", "pixel_offset", "pixel_status", "pixel_mask"):
            del constants[name]
        det = DetObject(DET, opened(constants))
        assert (det.common_mode, det.unit, det.rms) == (0, "keV", None)

    def test_the_producer_tells_them_with_the_other_problems(self, opened):
        head = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        lost = f'[[detector.{DET}.roi]]\nruns = "1-"\nname = "in"\nof = "out"\n'
        other = '[[detector.opl.roi]]\nruns = "1-"\n'
        parameters = ParameterFile.parse(head + lost + other, Path("a.toml"))
        with pytest.raises(ParameterError) as error:
            build_detectors(opened({}), parameters.resolve(12))
        told = str(error.value).splitlines()
        expected = "no function 'out'", f"there are no pedestals of {DET!r}", "'opl'"
        assert len(told) == len(expected)
        assert all(part in line for part, line in zip(expected, told, strict=True))

    @pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.title)
    def test_only_cameras_have_raw_data_instead(self, kind):
        panels = () if kind.panels is None else (kind.panels,)
        frame = np.zeros((*panels, 20, 10), np.uint16)
        control = np.zeros(frame.shape, np.uint8)
        run = FakeRun(kind.dettype, frame, {}, tuple(range(kind.panels or 1)), control)
        if re.match("jungfrau|epix|cspad", kind.dettype):
            with pytest.raises(ConstantsError, match="there are no pedestals of 'det'"):
                Calibration.for_run(run, "det")
        else:
            assert Calibration.for_run(run, "det").common_mode == -1


class TestWrongShape:
    @pytest.mark.parametrize("name", good_constants())
    def test_a_constant_of_another_detector(self, opened, name):
        run = opened(good_constants() | {name: np.ones((3, 1, 24, 16))})
        needed = r"\(3, 2, 24, 16\) \(gain stages, at"
        if name == "pixel_mask":
            needed = r"\(2, 24, 16\) \(at"
        message = (
            rf"^{name} of 'jungfrau1M' have the shape \(3, 1, 24, 16\), but frames of "
            rf"the shape \(2, 24, 16\) need {needed} least 2 panels, .*; from "
            r".*run0.h5:/constants/jungfrau1M.*" + NEXT.format("CONSTANT")
        )
        with pytest.raises(ConstantsError, match=message):
            DetObject(DET, run)
        assert DetObject(DET, run, common_mode=-1).unit == "ADU"

    def test_all_are_named_at_once(self, opened):
        wrong = {name: np.ones((4, 5)) for name in ("pixel_mask", "pixel_rms")}
        with pytest.raises(ConstantsError, match=r"pixel_rms of .*; pixel_mask of "):
            DetObject(DET, opened(good_constants() | wrong))

    @pytest.mark.parametrize("name", ["pedestals", "pixel_status", "pixel_mask"])
    @pytest.mark.parametrize("dettype", ["opal", "zyla", "alvium", "rayonix", "camera"])
    def test_cameras_too(self, opened, dettype, name):
        run = opened({name: np.ones((5, 6))}, dettype, FRAME[1:])
        with pytest.raises(ConstantsError, match=rf"^{name} of .* \(5, 6\), but"):
            DetObject(DET, run)
        assert DetObject(DET, run, common_mode=-1).good.any()


class TestNotNumbers:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("pedestals", np.nan), ("pixel_offset", np.inf), ("pixel_gain", np.nan),
         ("pixel_gain", 0)],
    )  # fmt: skip
    def test_such_pixels_are_not_good_and_counted(self, opened, caplog, name, value):
        constants = good_constants()
        constants[name][:, 1, 5, 4:7] = value
        det = DetObject(DET, opened(constants))
        plain = DetObject(DET, opened(good_constants()))
        expected = plain.good.copy()
        expected[1, 5, 4:7] = False
        np.testing.assert_array_equal(det.good, expected)
        assert "jungfrau1M: 3 pixels with, in some gain stage" in caplog.text
        assert not image_of(det)[1, 5, 4:7].any()

    def test_masks_that_leave_nothing(self, opened):
        nothing = {"pixel_mask": np.zeros(STAGES, np.uint8)}
        run = opened(good_constants() | nothing)
        with pytest.raises(
            ConstantsError, match=r"leave no pixel: pixel_mask are 0 in 768"
        ):
            DetObject(DET, run)
        assert not Calibration.for_run(run, DET, lenient=True).good.any()


class TestReplaced:
    @pytest.fixture
    def det(self, opened):
        det = DetObject(DET, opened(good_constants()))
        det.addFunc(ROIFunc(ROI=[[0, 1], [4, 20], [5, 15]]))
        image_of(det)
        return det

    @pytest.mark.parametrize("value", [0, np.nan, np.inf])
    def test_a_gain_that_is_not_usable(self, det, value):
        before, good = image_of(det), det.good.copy()
        factor = np.full(det.shape, 2.0)
        factor[0, 5, 6] = value
        det.setGain(factor)
        good[0, 5, 6] = False
        expected = before * 2
        expected[0, 5, 6] = 0
        np.testing.assert_array_equal(det.good, good)
        np.testing.assert_allclose(image_of(det), expected, rtol=1e-6)
        window = np.s_[0, 4:20, 5:15]
        total = expected[window][good[window]].sum()
        np.testing.assert_allclose(det.evt.results["ROI_sum"], total, rtol=1e-5)
        np.testing.assert_allclose(det.noise[good], 2 * 3 / GAIN, rtol=1e-6)

    def test_a_pedestal_that_is_not_a_number(self, det, caplog):
        pedestals, good = det.ped.copy(), det.good.copy()
        pedestals[:, 0, 5, 6] = np.nan
        det.setPed(pedestals)
        good[0, 5, 6] = False
        np.testing.assert_array_equal(det.good, good)
        assert image_of(det)[0, 5, 6] == 0
        assert "1 pixel with" in caplog.text

    @pytest.mark.parametrize(
        ("name", "value", "error", "message"),
        [
            ("setGain", 0, ParameterError, "new local_gain of 'jungfrau1M' leaves no"),
            ("setGain", np.nan, ParameterError, "new local_gain of .* the former one"),
            (
                "setPed",
                np.nan,
                ConstantsError,
                r"leave no pixel: pedestals are not numbers .*setPed",
            ),
            ("setMask", 0, ParameterError, "new mask of 'jungfrau1M' leaves no good"),
            ("setcMask", 0, ParameterError, "new cmask of 'jungfrau1M' leaves no good"),
        ],
    )
    def test_what_leaves_no_pixel_changes_nothing(
        self, det, name, value, error, message
    ):
        before, results = image_of(det), dict(det.evt.results)
        params = det.params_as_dict()
        shape = STAGES if name == "setPed" else FRAME
        with pytest.raises(error, match=message):
            getattr(det, name)(np.full(shape, value))
        np.testing.assert_array_equal(image_of(det), before)
        assert str(det.evt.results) == str(results)
        assert str(det.params_as_dict()) == str(params)
        assert det.local_gain is None

    def test_what_a_function_refuses_changes_nothing(self, det):
        class NeedsAll(ROIFunc):
            def setFromDet(self, source):
                super().setFromDet(source)
                if not source.good[0, 10].any():
                    raise ParameterError("row 10 is needed")

        det.addFunc(NeedsAll(name="all"))
        good, mask = det.good, np.ones(FRAME)
        mask[0, 10] = 0
        with pytest.raises(ParameterError, match="row 10 is needed"):
            det.setMask(mask)
        assert det.mask[0, 10].any()
        assert det.good is good
        assert det.funcs["ROI"].source is det

    def test_cmask_stays_within_mask(self, det):
        first, second = np.ones(FRAME), np.ones(FRAME)
        first[0, 4:10], second[0, 12:14] = 0, 0
        before = det.cmask
        det.setMask(first)
        det.setMask(second)
        np.testing.assert_array_equal(det.mask, second)
        np.testing.assert_array_equal(det.cmask, before * first * second)
        np.testing.assert_array_equal(det.good, det.cmask != 0)
        image = image_of(det)[0, 4:20, 5:15]
        used = det.good[0, 4:20, 5:15]
        np.testing.assert_allclose(det.evt.results["ROI_sum"], image[used].sum())
        det.setcMask(np.ones(FRAME))
        np.testing.assert_array_equal(det.cmask, second)

    def test_a_mask_of_another_detector(self, det):
        before = det.mask
        message = (
            r"mask of 'jungfrau1M' must have the shape \(2, 24, 16\), "
            r"not \(1, 704, 768\)"
        )
        with pytest.raises(ParameterError, match=message):
            det.setMask(np.ones((1, 704, 768)))
        assert det.mask is before


def test_an_unknown_common_mode(opened):
    message = r"no common mode 84 for 'jungfrau'; there are -1 \(.*7 \("
    with pytest.raises(ParameterError, match=message):
        DetObject(DET, opened(good_constants()), common_mode=84)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    import simulated  # noqa: F401  (skips where psana is not there)

    from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
    from smalldata_ana.simulation.run_writer import make_run

    spec = RunSpec(detectors=(DetectorSpec("epix100"),), events=1)
    return make_run(tmp_path_factory.mktemp("run"), spec)


class TestGeometry:
    @pytest.fixture
    def run_with(self, made, tmp_path):
        """Return a function that opens the run with another geometry."""
        from smalldata_ana.opening import open_run
        from smalldata_ana.simulation.run_writer import deploy

        runs = []

        def open_it(geometry):
            constants = {k: dict(v) for k, v in made.constants.items()}
            del constants["epix100"]["geometry"]
            deploy(constants, tmp_path)
            if geometry is not None:
                store = ConstantsStore(tmp_path)
                store.put("epix100", "geometry", geometry, 0)
                store.put("gone", "geometry", geometry, 0)
            exp = made.spec.experiment
            runs.append(open_run(exp, 1, xtc_dir=made.xtc_dir, calib_dir=tmp_path))
            return runs[-1]

        yield open_it
        for run in runs:
            run.close()

    @pytest.mark.parametrize("common_mode", [None, -1])
    def test_of_another_detector(self, run_with, common_mode):
        from smalldata_ana.detector.nominal_geometry import text

        run = run_with(text("jungfrau05M"))
        message = (
            r"the geometry of 'epix100' \(.*epix100/geometry/0-end.data\) has 524288 "
            r"pixels.*frames of \(704, 768\).*calib put epix100 geometry FILE"
        )
        with pytest.raises(GeometryError, match=message):
            DetObject("epix100", run, common_mode=common_mode)

    def test_that_is_none(self, run_with):
        with pytest.raises(GeometryError, match="not a geometry text of psana"):
            DetObject("epix100", run_with("IP 0 WHAT:V1 0 1 2\n"))

    def test_without_the_detector(self, run_with):
        from smalldata_ana.detector.nominal_geometry import text

        run = run_with(text("epix100a"))
        message = "no area detector 'gone' in .* run 1; there is 'epix100'"
        with pytest.raises(DetectorNotFound, match=message):
            DetObject("gone", run)

    def test_may_be_missing(self, run_with):
        det = DetObject("epix100", run_with(None))
        assert "positions" not in vars(det)
        assert det.x.shape == (704, 768)
