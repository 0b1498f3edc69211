"""Autocorrelations that cannot be computed: parameters, detectors, files of masks."""

import numpy as np
import pytest
from image_source import Images, attached

from smalldata_ana.ana_funcs.autocorrelation import Autocorrelation, acf
from smalldata_ana.errors import ParameterError

SHAPE = (24, 33)
ROI = [[2, 20], [3, 30]]


def source(shape=SHAPE, bad=0.1):
    return Images(shape, np.random.default_rng(0).random(shape) >= bad)


@pytest.mark.parametrize("kind", [Autocorrelation, acf])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"save_range": 0}, "save_range"),
        ({"save_range": 2.5}, "save_range"),
        ({"save_range": [1, 2, 3]}, "not a largest lag"),
        ({"thresADU": [9, 1]}, "the lower limit comes first"),
        ({"roi": [[5, 3], [0, 4]]}, "begin < end"),
        ({"min_pairs": 0}, "min_pairs"),
        ({"saverange": 5}, "Did you mean 'save_range'"),
    ],
)
def test_parameters_that_are_refused(kind, parameters, message):
    with pytest.raises(ParameterError, match=message):
        kind(**parameters)


NOT_A_MASK = np.full(SHAPE, 2)
TWO_MASKS = np.ones((2, *SHAPE))


@pytest.mark.parametrize(
    ("func", "det", "message"),
    [
        (Autocorrelation(), source((50,)), "one axis"),
        (Autocorrelation(), source((2, *SHAPE)), "from panel 0 to 1"),
        (Autocorrelation(), source(bad=2), "all are masked"),
        (Autocorrelation(roi=[[0, 25], [0, 5]]), source(), "does not lie"),
        (Autocorrelation(mask=np.ones((3, 3))), source(), r"has shape \(3, 3\)"),
        (Autocorrelation(mask=NOT_A_MASK), source(), "it has the value 2"),
        (Autocorrelation(mask=np.zeros(SHAPE)), source(), "all are masked"),
        (Autocorrelation(mask=np.full(SHAPE, "a")), source(), "has no numbers"),
        (Autocorrelation(mask="no.npy"), source(), "'no.npy' cannot be read"),
        (acf(mask=TWO_MASKS, roi=[ROI, ROI]), source(), "2 boxes in roi and 2 masks"),
        (
            Autocorrelation(illumination_correction=np.ones(SHAPE).T),
            source(),
            r"illumination_correction has shape \(33, 24\)",
        ),
        (Autocorrelation(illumination_correction=-1), source(), "not a width above 0"),
        (
            Autocorrelation(illumination_correction=np.zeros(SHAPE)),
            source(),
            "all are masked",
        ),
    ],
)
def test_what_does_not_fit_the_detector(func, det, message):
    with pytest.raises(ParameterError, match=message):
        attached(func, det)


def test_files_that_are_no_masks(tmp_path):
    np.save(tmp_path / "pickle.npy", np.array([{}], object))
    np.savez(tmp_path / "several.npz", a=np.ones(3))
    (tmp_path / "text.npy").write_text("1 1 0")
    for name, message in (
        ("pickle.npy", "not a plain array"),
        ("several.npz", "several arrays"),
        ("text.npy", "not a plain array"),
    ):
        func = Autocorrelation(mask=str(tmp_path / name))
        with pytest.raises(ParameterError, match=message):
            attached(func, source())
