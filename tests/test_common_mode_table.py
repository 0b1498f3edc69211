"""The table of common modes: every number, its parameters, unit and refusal."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.detector.common_mode_steps import corrector
from smalldata_ana.detector.common_mode_table import COMMON_MODES, common_modes_of
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
        ("epix10ka", LCLS2, 82, (), "ADU"),
        ("epix10ka", LCLS1, 180, (7, 0, 100), "keV"),
        ("epix10ka", LCLS1, 181, (), "ADU"),
        ("icarus", LCLS1, 81, (81, 30, 0, 30, 0.05), "ADU"),
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
    ("dettype", "needs"),
    [
        ("epix10ka", {180: "ghost", 181: "ghost"}),
        ("icarus", {80: "region", 81: "region"}),
        ("jungfrau", {}),
    ],
)
def test_what_is_needed_beside_a_number(dettype, needs):
    modes = kind_of(dettype).common_modes
    assert {number: m.needs for number, m in modes.items() if m.needs} == needs


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
        ("epix100", (6, 2, 8, 20, 0.5), Algorithm.NEIGHBOUR_EXCLUSION),
        ("icarus", (81, 20, 1, 20, 0.05), Algorithm.REGION_AND_HALF_ROWS),
        ("cspad", (5, 50), Algorithm.UNBONDED),
        ("cspad", (1, 25, 40, 100), Algorithm.ZERO_PEAK),
    ],
)
def test_parameters_of_psana_are_taken_as_they_are(dettype, pars, algorithm):
    mode = kind_of(dettype).common_mode(pars)
    assert (mode.number, mode.pars, mode.algorithm) == (pars, pars, algorithm)
    assert f"AvImg_{mode.label}det".isidentifier()


def test_parameters_of_6_may_be_left_out_from_the_end():
    mode = kind_of("epix100").common_mode((6, 1))
    assert (mode.number, mode.pars) == ((6, 1), (6, 1, 10, 30, 0.25))
    assert kind_of("epix100").common_mode((6,)).pars == (6, 0, 10, 30, 0.25)


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
        ("epix100", (6, 3)),
        ("epix100", (6, 1, 10, 30, 0.25, 1)),
        ("icarus", (81, 30)),
        ("icarus", (80,)),
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


@pytest.mark.parametrize(
    "number", [np.int64(46), np.uint8(46), 46.0, np.float32(46), np.array(46)]
)
def test_numbers_as_they_are_read_from_a_file(number):
    mode = kind_of("epix100").common_mode(number)
    assert (mode.number, type(mode.number)) == (46, int)


@pytest.mark.parametrize(
    "pars",
    [(7.0, 2, 100.0, 10), np.array([7.0, 2, 100, 10]), [7, np.int32(2), 100, 10]],
)
def test_parameters_as_they_are_read_from_a_file(pars):
    mode = kind_of("jungfrau").common_mode(pars)
    assert mode.pars == mode.number == (7, 2, 100, 10)
    assert mode.label == "cm7_2_100_10_"


@pytest.mark.parametrize("number", ["46", np.str_("46")])
def test_a_text_is_no_number_and_said_to_be_one(number):
    with pytest.raises(
        ParameterError, match=r"'46' \(a text: write it without quotes\)"
    ):
        kind_of("epix100").common_mode(number)


@pytest.mark.parametrize("number", [True, 46.5, np.bool_(True)])
def test_what_is_no_whole_number_is_no_common_mode(number):
    with pytest.raises(ParameterError, match="no common mode"):
        kind_of("cspad").common_mode(number)


def test_labels_of_parameters():
    assert label_of((7, 2, 100, 10)) == "cm7_2_100_10_"
    assert label_of((6, 0.25, -1)) == "cm6_0p25_m1_"


@pytest.mark.parametrize("dettype", list(FRAMES))
def test_every_common_mode_can_be_set_up_and_done(dettype):
    kind, shape = kind_of(dettype), FRAMES[dettype]
    image = np.random.default_rng(1).normal(5, 3, shape).astype("f4")
    use = np.ones(shape, bool)
    noise = np.full(shape, 3, np.float32)
    for mode in kind.common_modes.values():
        correct = corrector(mode, kind, shape, lambda: noise, region=use)
        if correct is None:
            assert mode.algorithm in {Algorithm.NONE, Algorithm.GHOST}
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
