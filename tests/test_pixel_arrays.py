"""Constants, masks and positions of a detector, as real small-data files have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana.ana_funcs import ROIFunc
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.detector.user_data import getUserEnvData
from smalldata_ana.errors import ParameterError
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event

LAYOUTS = Path(__file__).parents[2] / "shared/data/smalldata_h5_layouts"
LAYOUT = LAYOUTS / "xppl1001021_Run0070_layout.txt"

# Of the serial numbers we have one, and how long reading took is no parameter.
NOT_OURS = re.compile("(analogCardId|carrierId|digitalCardId).|dataAccessTime")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    spec = RunSpec(
        detectors=(DetectorSpec("jungfrau1M"), DetectorSpec("epix100")), events=2
    )
    return make_run(tmp_path_factory.mktemp("run"), spec)


@pytest.fixture(scope="module")
def run(made: SimulatedRun) -> Iterator[Run]:
    opened = open_run(
        made.spec.experiment, 1, xtc_dir=made.xtc_dir, calib_dir=made.calib_dir
    )
    yield opened
    opened.close()


def layout_of(detector: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a real file has in a group of ``UserDataCfg``."""
    if not LAYOUT.exists():
        pytest.skip(f"{LAYOUT} is not there")
    line = re.compile(rf"\s*/UserDataCfg/{detector}/(\w+) \(([\d, ]+)\)")
    found = map(line.match, LAYOUT.read_text().splitlines())
    return {
        match[1]: tuple(int(n) for n in match[2].split(",") if n.strip())
        for match in found
        if match
    }


@pytest.mark.parametrize(
    ("detector", "real"),
    [("jungfrau1M", "jungfrau1M_alcove"), ("epix100", "epix_alc1")],
)
def test_names_and_shapes_are_those_of_real_files(
    run: Run, detector: str, real: str
) -> None:
    det = DetObject(detector, run, 1)
    if detector == "jungfrau1M":
        # The simulated constants have none, and real ones do.
        det.offset = np.zeros_like(det.ped)
    ours = det.params_as_dict()
    expected = {k: v for k, v in layout_of(real).items() if not NOT_OURS.fullmatch(k)}
    assert set(expected) <= set(ours)
    shapes = {name: np.shape(ours[name]) or (1,) for name in expected}
    assert shapes == expected


def test_constants_are_those_of_the_run(made: SimulatedRun, run: Run) -> None:
    names = {
        "ped": "pedestals",
        "rms": "pixel_rms",
        "gain": "pixel_gain",
        "pixel_status": "pixel_status",
    }
    for detector, stages in (("jungfrau1M", slice(None)), ("epix100", 0)):
        det = DetObject(detector, run)
        for ours, name in names.items():
            expected = made.constants[detector][name][stages]
            np.testing.assert_array_equal(getattr(det, ours), expected)
            assert getattr(det, ours).dtype == expected.dtype
        status = made.constants[detector]["pixel_status"]
        np.testing.assert_array_equal(det.statusMask, (status == 0).all(axis=0))
        assert det.isGainswitching == (detector == "jungfrau1M")
        assert det.common_mode_pars.dtype == np.float64


def test_parameters_of_the_common_mode_are_as_long_as_in_files(run: Run) -> None:
    det = DetObject("jungfrau1M", run, common_mode=(7, 2, 10, 10))
    assert det.common_mode_pars.shape == (16,)
    np.testing.assert_array_equal(det.common_mode_pars[:5], [7, 2, 10, 10, 0])


def test_masks_are_numbers_and_each_is_within_the_other(run: Run) -> None:
    det = DetObject("jungfrau1M", run)
    for mask in (det.statusMask, det.mask, det.cmask):
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
    assert (det.cmask <= det.mask).all()
    assert (det.mask <= det.statusMask).all()
    assert not det.mask[:, 0].any()
    assert not det.mask[:, 255:257].any()
    np.testing.assert_array_equal(det.good, det.cmask != 0)
    np.testing.assert_array_equal(det.psana_mask(status=True), det.statusMask)
    wide = DetObject("jungfrau1M", run, maskCentral=False)
    assert wide.mask[0, 255:257, 10:200].any()


def test_a_mask_for_an_unknown_reason(run: Run) -> None:
    with pytest.raises(ParameterError, match=r"'edge'; .* Did you mean 'edges'\?"):
        DetObject("jungfrau1M", run).psana_mask(edge=True)


def test_simulated_epix_has_all_values_of_its_environment(run: Run) -> None:
    det = DetObject("epix100", run)
    det.getData(Event(run, 0))
    found = getUserEnvData(det)
    assert tuple(found) == kind_of("epix100").env_values
    assert found["temp0"] == run.scalar("epics/epix100_temp0", np.array([0]))[0] == 24
    assert run.aliases["epix100_temp0"] == "XPP:EPIX100:TEMP0"


def test_positions(run: Run) -> None:
    det = DetObject("jungfrau1M", run)
    positions = run.pixel_positions("jungfrau1M")
    assert positions is not None
    for axis in "xyz":
        np.testing.assert_array_equal(getattr(det, axis), getattr(positions, axis))
    assert det.pixelsize == positions.pixel_size == 75
    assert det.imgShape == (det.ix.max() + 1, det.iy.max() + 1)
    rows = (det.x - det.x.min()) / 75
    np.testing.assert_allclose(det.ix, rows, atol=0.51)


def test_wide_pixels_are_divided_by_their_areas(run: Run) -> None:
    masked, wide = (
        DetObject("jungfrau1M", run, maskCentral=central) for central in (True, False)
    )
    for det in (masked, wide):
        det.getData(Event(run, 0))
    np.testing.assert_array_equal(
        wide.evt.dat[0, 255], masked.evt.dat[0, 255] / wide.areas[0, 255]
    )
    np.testing.assert_array_equal(np.unique(wide.areas), [1, 2, 4])


class TestReplaced:
    def test_pedestals(self, made: SimulatedRun, run: Run) -> None:
        det = DetObject("epix100", run, common_mode=0)
        func = ROIFunc(ROI=[[10, 20], [10, 20]])
        det.addFunc(func)
        det.getData(Event(run, 0))
        before = det.evt.dat
        det.setPed(det.ped - 16)
        det.getData(Event(run, 0))
        np.testing.assert_array_equal(
            det.ped, made.constants["epix100"]["pedestals"][0] - 16
        )
        gain = made.constants["epix100"]["pixel_gain"][0]
        shifted = (before + 16 / gain) * det.statusMask
        np.testing.assert_allclose(det.evt.dat, shifted, atol=1e-4)

    def test_pedestals_of_stages_and_the_run_stays(self, run: Run) -> None:
        det = DetObject("jungfrau1M", run)
        det.setPed(np.zeros_like(det.ped))
        det.getData(Event(run, 0))
        other = DetObject("jungfrau1M", run)
        assert other.ped.all()
        raw = run.read("jungfrau1M", 0)
        stage = np.array([0, 1, 0, 2])[raw >> 14]
        gain = np.take_along_axis(det.gain, stage[None], axis=0)[0]
        expected = (raw & 0x3FFF) / gain * det.statusMask
        np.testing.assert_allclose(det.evt.dat, expected, rtol=1e-6)

    def test_gain(self, run: Run) -> None:
        det = DetObject("epix100", run)
        det.getData(Event(run, 0))
        before = det.evt.dat
        factor = np.random.default_rng(1).uniform(0.9, 1.1, det.shape)
        det.setGain(factor)
        det.getData(Event(run, 0))
        np.testing.assert_allclose(det.evt.dat, before * factor, rtol=1e-6)
        assert det.params_as_dict()["local_gain"].dtype == np.float32

    @pytest.mark.parametrize(("number", "name"), [(1, "mask"), (2, "cmask")])
    def test_masks(self, run: Run, number: int, name: str) -> None:
        det = DetObject("epix100", run, applyMask=number)
        mask = np.ones(det.shape)
        mask[100:200] = 0
        (det.setMask if name == "mask" else det.setcMask)(mask)
        det.getData(Event(run, 0))
        kept = getattr(det, name)
        assert not kept[100:200].any()
        plain = DetObject("epix100", run)
        plain.getData(Event(run, 0))
        np.testing.assert_array_equal(det.evt.dat, plain.evt.dat * kept)

    def test_functions_learn_of_a_mask(self, run: Run) -> None:
        det = DetObject("epix100", run)
        det.addFunc(ROIFunc(ROI=[[100, 110], [10, 20]]))
        mask = np.ones(det.shape)
        mask[100:109] = 0
        det.setcMask(mask)
        det.getData(Event(run, 0))
        det.processFuncs()
        row = det.evt.dat[109, 10:20][det.good[109, 10:20]]
        np.testing.assert_allclose(det.evt.results["ROI_sum"], row.sum(), rtol=1e-5)

    @pytest.mark.parametrize("name", ["setPed", "setGain", "setMask", "setcMask"])
    def test_wrong_shapes(self, run: Run, name: str) -> None:
        det = DetObject("jungfrau1M", run)
        with pytest.raises(ParameterError, match=r"must have the shape .*not \(3, 4\)"):
            getattr(det, name)(np.ones((3, 4)))
