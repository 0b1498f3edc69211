"""The table of common modes: every number, its parameters, unit and refusal."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.detector.common_mode_steps import corrector
from smalldata_ana.detector.common_mode_table import (
    COMMON_MODES,
    common_modes_of,
    refused_modes_of,
)
from smalldata_ana.detector.kind_model import Algorithm, Generation, label_of
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import ParameterError

LCLS1, LCLS2 = Generation.LCLS1, Generation.LCLS2
NUMBERS = {
    *(-2, -1, 0, 1, 4, 5, 6, 7, 10, 30, 34, 36, 45, 46, 47, 55, 71, 72),
    *(80, 81, 82, 83, 84, 85, 98, 99, 105, 110, 145, 146, 147, 180, 181),
}
FRAMES = {
    "jungfrau": (2, 512, 1024),
    "epix10ka": (4, 352, 384),
    "epix100": (1, 704, 768),
    "cspad": (2, 185, 388),
    "icarus": (2, 1024, 512),
}


def test_every_number_of_the_specification_is_there():
    there = {number for modes in COMMON_MODES.values() for number in modes}
    assert there == NUMBERS


@pytest.mark.parametrize(
    ("kind", "generation", "number", "pars", "unit"),
    [
        ("jungfrau", LCLS2, 7, (7, 3, 10, 10), "keV"),
        ("jungfrau", LCLS2, 71, (7, 1, 10, 10), "keV"),
        ("jungfrau", LCLS1, 72, (7, 2, 10, 10), "keV"),
        ("epix10ka", LCLS1, 84, (7, 2, 10, 10), "keV"),
        ("epix10ka", LCLS2, 84, (7, 2, 100, 10), "keV"),
        ("epix10ka", LCLS1, 85, (7, 3, 10, 10), "keV"),
        ("epix10ka", LCLS2, 85, (7, 3, 100, 10), "keV"),
        ("epix10ka", LCLS2, 83, (7, 1, 100, 10), "keV"),
        ("epix10ka", LCLS2, 80, (7, 0, 100), "keV"),
        ("epix100", LCLS2, 4, (4, 6, 30, 10), "keV"),
        ("epix100", LCLS2, 34, (4, 6, 100, 100), "keV"),
        ("epix100", LCLS2, 46, (6, 1, 10, 30, 0.25), "keV"),
        ("epix100", LCLS2, 147, (6, 2, 10, 30, 0.25), "ADU"),
        ("cspad", LCLS1, 1, (1, 25, 40, 100, 0), "ADU"),
        ("cspad", LCLS1, 5, (5, 100), "ADU"),
        ("cspad", LCLS1, 55, (5, 5000), "ADU"),
        ("cspad", LCLS1, 10, (1, 25, 40, 100, 1), "ADU"),
    ],
)
def test_parameters_and_unit_by_generation(kind, generation, number, pars, unit):
    mode = common_modes_of(kind, generation)[number]
    assert (mode.pars, mode.unit) == (pars, unit)
    assert mode.source


def test_83_is_of_lcls2_only():
    assert 83 not in common_modes_of("epix10ka", LCLS1)


@pytest.mark.parametrize(
    ("dettype", "number", "reason"),
    [
        ("epix10ka", 81, "nominal gains"),
        ("epix10ka", 82, "calibration rows"),
        ("epix10ka", 180, "the event before"),
        ("epix10ka", 181, "the event before"),
        ("icarus", 80, "region without light"),
        ("icarus", 81, "region without light"),
    ],
)
def test_what_is_not_documented_is_refused_with_the_reason(dettype, number, reason):
    with pytest.raises(ParameterError, match=f"common mode {number} .*{reason}"):
        kind_of(dettype).common_mode(number)


def test_ghost_correction_says_that_it_looks_back():
    assert {refused_modes_of("epix10ka")[n].lookback for n in (180, 181)} == {1}


def test_unknown_kind_is_an_error():
    with pytest.raises(ParameterError, match=r"no common modes of 'x'.*jungfrau"):
        common_modes_of("x")


@pytest.mark.parametrize(
    ("dettype", "panels", "default"),
    [
        ("epix100", 1, 46),
        ("epix10ka", 1, 80),
        ("epix10ka", 4, 80),
        ("epix10ka", 16, 84),
        ("jungfrau", 2, 0),
        ("cspad", 32, 1),
        ("opal", 1, 0),
    ],
)
def test_defaults_are_those_of_the_specification(dettype, panels, default):
    assert kind_of(dettype, (panels, 8, 8)).common_mode().number == default


def test_jungfrau_suggests_7():
    assert kind_of("jungfrau").suggested_common_mode == 7


@pytest.mark.parametrize(
    ("dettype", "pars", "algorithm"),
    [
        ("jungfrau", (7, 2, 100, 10), Algorithm.MEDIANS),
        ("jungfrau", (0, 0), Algorithm.MEDIANS),
        ("epix10ka", (7, 2, 100), Algorithm.MEDIANS),
        ("epix100", (0, 7, 100, 10), Algorithm.MEDIANS),
        ("epix100", (4, 6, 30, 10), Algorithm.EPIX100_MEDIANS),
        ("cspad", (5, 50), Algorithm.UNBONDED),
        ("cspad", (1, 25, 40, 100), Algorithm.ZERO_PEAK),
    ],
)
def test_parameters_of_psana_are_taken_as_they_are(dettype, pars, algorithm):
    mode = kind_of(dettype).common_mode(pars)
    assert (mode.number, mode.pars, mode.algorithm) == (pars, pars, algorithm)
    assert f"AvImg_{mode.label}det".isidentifier()


@pytest.mark.parametrize(
    ("dettype", "pars"),
    [
        ("jungfrau", ()),
        ("jungfrau", (7,)),
        ("jungfrau", (7, 8, 10, 10)),
        ("jungfrau", (7, 2.5, 10, 10)),
        ("jungfrau", (7, 2, -10, 10)),
        ("jungfrau", (7, 2, float("nan"), 10)),
        ("jungfrau", (7, "2", 10)),
        ("jungfrau", (5, 100)),
        ("epix10ka", (0, 2, 100, 10)),
        ("epix100", (0, 7)),
        ("cspad", (7, 2, 10, 10)),
    ],
)
def test_parameters_that_are_none_are_an_error_with_the_form(dettype, pars):
    with pytest.raises(ParameterError, match=r"is not of the form \(\d"):
        kind_of(dettype).common_mode(pars)


@pytest.mark.parametrize("number", [(7, 2, 100, 10), "7", None.__class__, 7.5])
def test_camera_has_none_of_these(number):
    with pytest.raises(
        ParameterError, match=r"no common mode .*'opal'.*0 \(pedestal\)"
    ):
        kind_of("opal").common_mode(number)


def test_labels_of_parameters():
    assert label_of((7, 2, 100, 10)) == "cm7_2_100_10_"
    assert label_of((6, 0.25, -1)) == "cm6_0p25_m1_"


@pytest.mark.parametrize("dettype", list(FRAMES))
def test_every_common_mode_can_be_set_up_and_done(dettype):
    kind, shape = kind_of(dettype), FRAMES[dettype]
    image = np.random.default_rng(1).normal(5, 3, shape).astype("f4")
    use = np.ones(shape, bool)
    for mode in kind.common_modes.values():
        correct = corrector(mode, kind, shape, lambda: np.full(shape, 3, np.float32))
        if correct is None:
            assert mode.algorithm is Algorithm.NONE
            continue
        corrected = image.copy()
        correct(corrected, use)
        assert np.isfinite(corrected).all()
        assert abs(np.median(corrected)) < 1.5


def test_frames_that_do_not_have_the_banks_are_an_error():
    kind = kind_of("epix100")
    with pytest.raises(ParameterError, match="do not divide"):
        corrector(kind.common_mode(46), kind, (1, 30, 20), lambda: None)
    with pytest.raises(ParameterError, match="needs the noise"):
        corrector(kind.common_mode(46), kind, (1, 704, 768), lambda: None)
