"""Entries of a parameter file for functions of waveforms, lines and edges."""

import contextlib

import numpy as np
import pytest
from small_run import EVENTS, MISSING, small_run

from smalldata_ana.ana_funcs import (
    curve_correction,
    fit_center,
    hit_finder,
    mectt,
    svd_fit,
    template_fit,
    waveforms,
    zero_peak,
)
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.user_data import getUserData
from smalldata_ana.parameters.entry import problems_of
from smalldata_ana.parameters.model import model_of
from smalldata_ana.sources.events import Event

ENTRIES = {
    "wfintegration": {"sig_roi": [100, 300], "bkg_roi": [0, 50], "sampling": 0.5},
    "hitfinder": {"threshold": 5e6, "threshold_max": 1e7, "use_rms": True},
    "hitfinder_cfd": {"convFilterLength": 9, "inverseMultiplier": -0.5},
    "cmpeak": {"bins": [-10, 30, 0.25]},
    "templatefit": {"template": [0, 1, 2, 1, 0], "nPeaks": 2},
    "svdfit": {"basis_file": "basis.h5", "n_pulse": 2, "delay": [30]},
    "curve_correction": {"polynomial_coefficients": [1, 0], "axis": 0},
    "fit_center": {"threshold": 95},
    "mectt": {"sm": 3, "roi_s": [[30, 70], [50, 270]], "bkgfile": "bkg.npy"},
}

MODULES = (
    waveforms,
    hit_finder,
    zero_peak,
    template_fit,
    svd_fit,
    curve_correction,
    fit_center,
    mectt,
)


def test_each_function_is_registered():
    known = {model_of(kind).__module__ for kind in ENTRIES}
    assert known == {module.__name__ for module in MODULES}


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_is_read_as_it_is_written(kind):
    table = {"runs": "12-", **ENTRIES[kind]}
    assert list(problems_of(kind, table)) == []
    func = model_of(kind)(**ENTRIES[kind])
    assert func.trait_values().items() >= ENTRIES[kind].items()


def test_a_wrong_value_is_told_by_its_key():
    table = {"runs": "12-", "n_pulse": 2, "delay": [30, "x"], "basis_file": "b.h5"}
    assert [key for key, _ in problems_of("svdfit", table)] == ["delay"]


def test_a_detector_has_their_results_in_every_event(tmp_path):
    with contextlib.closing(small_run(tmp_path)) as run:
        det = DetObject("jungfrau1M", run, common_mode=-1)
        roi = ROIFunc(ROI=[[0, 1], [0, 24], [0, 16]])
        det.addFunc(roi)
        curve = curve_correction.PolynomialCurveCorrection(
            polynomial_coefficients=[0.1, 0]
        )
        curve.addFunc(fit_center.fitCenter())
        roi.addFunc(curve)
        roi.addFunc(mectt.mecttFunc(roi_s=[[0, 24], [2, 14]]))
        roi.addFunc(hit_finder.SimpleHitFinder(threshold=1000))
        roi.addFunc(zero_peak.getCMPeakFunc(bins=[0, 3000, 100]))
        for number in range(EVENTS):
            det.getData(Event(run, number))
            det.processFuncs()
            found = getUserData(det)
            circle = found["ROI_curve_correction_fitCenter_R"]
            assert np.isfinite(circle) == (number != MISSING)
            assert len(found["var_ROI_hitfinder"]["time"]) == (
                0 if number == MISSING else found["ROI_hitfinder_nHits"].sum()
            )
        assert det.params_as_dict()["ROI__mectt_sigma_TT"] == 18
