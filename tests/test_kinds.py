"""The table of kinds, and the gain stages of an epix10ka."""

from __future__ import annotations

import numpy as np
import pytest
from psana_reference import psana_module

from smalldata_ana.detector import kinds
from smalldata_ana.detector.gain_modes import NO_STAGE, epix10ka_stages
from smalldata_ana.detector.kinds import (
    GENERIC,
    CommonMode,
    Correction,
    Kind,
    kind_of,
    label_of,
    register_kind,
)
from smalldata_ana.errors import ParameterError

KNOWN = ["jungfrau", "epix10ka", "epix100", "opal", "rayonix"]


@pytest.fixture
def table(monkeypatch):
    """Let a test register kinds without leaving them behind."""
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))


@pytest.mark.parametrize(
    ("number", "label"),
    [
        (-1, "raw_"),
        (0, "pedSub_"),
        (1, "hist_"),
        (4, "cm4_"),
        (5, "unb_"),
        (6, "median_"),
        (30, "calib_"),
        (46, "medianSN_"),
        (7, "cm7_"),
        (84, "cm84_"),
    ],
)
def test_labels_are_those_that_users_know(number, label):
    assert label_of(number) == label


def test_labels_never_collide_and_make_names():
    labels = [label_of(number) for number in range(-2, 200)]
    assert len(set(labels)) == len(labels)
    assert all(f"AvImg_{label}det".isidentifier() for label in labels)


@pytest.mark.parametrize(
    ("dettype", "number", "unit"),
    [
        ("jungfrau", None, "keV"),
        ("jungfrau", -1, "ADU"),
        ("epix10ka", None, "keV"),
        ("epix10ka", 80, "keV"),
        ("epix10ka", 0, "ADU"),
        ("epix10ka", -1, "ADU"),
        ("epix100", 0, "keV"),
        ("opal", 0, "ADU"),
    ],
)
def test_unit_belongs_to_kind_and_common_mode(dettype, number, unit):
    assert kind_of(dettype).common_mode(number).unit == unit


@pytest.mark.parametrize("dettype", KNOWN)
def test_every_kind_has_raw_and_its_default(dettype):
    kind = kind_of(dettype)
    assert kind.common_mode(-1).unit == "ADU"
    assert kind.common_mode(-1).is_raw
    assert kind.common_mode().number == kind.default_common_mode


def test_default_common_modes():
    defaults = {name: kind_of(name).default_common_mode for name in KNOWN}
    assert defaults == {
        "jungfrau": 0,
        "epix10ka": 80,
        "epix100": 0,
        "opal": 0,
        "rayonix": 0,
    }


def test_unknown_type_is_a_generic_camera():
    assert kind_of("rayonix") is GENERIC


@pytest.mark.parametrize("number", [46, 7, 999, "46"])
def test_common_mode_that_is_not_there_is_an_error_with_the_list(number):
    with pytest.raises(ParameterError) as error:
        kind_of("jungfrau").common_mode(number)
    text = str(error.value)
    assert repr(number) in text
    assert "'jungfrau'" in text
    assert "-1 (raw words)" in text
    assert "0 (pedestal and gain)" in text


@pytest.mark.usefixtures("table")
def test_registered_kind_is_found():
    mine = Kind("mycam", "my camera", pixel_size=5.5)
    register_kind(mine)
    assert kind_of("mycam") is mine
    assert kind_of("mycam").common_mode().label == "pedSub_"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Kind("k", "k", default_common_mode=46), "no common mode 46"),
        (
            Kind("k", "k", common_modes={0: CommonMode(0, Correction.PEDESTAL, "p")}),
            "no common mode -1",
        ),
        (Kind("k", "k", gain_bits=0x4000), "no data_mask"),
        (
            Kind("k", "k", data_mask=0x3FFF, plane_of_bits=(0, 1, 0, 1)),
            "more gain stages than the 1",
        ),
    ],
)
def test_kind_that_contradicts_itself_is_refused(kind, message):
    with pytest.raises(ParameterError, match=message):
        register_kind(kind)
    assert kind_of("k") is GENERIC


def test_epix10ka_stages_are_those_of_psana():
    utils = psana_module("psana.detector.UtilsEpix10ka")
    control = np.arange(32, dtype=np.uint8)
    stages = epix10ka_stages(control)
    for switched in (0, 1):
        words = np.full(control.shape, switched << 14, np.uint16)
        bits = utils.cbits_config_and_data_detector_alg(words, control, 1 << 14, 9)
        maps = np.array(utils.gain_maps_epix10ka_any_alg(bits))
        expected = np.where(maps.any(axis=0), maps.argmax(axis=0), NO_STAGE)
        np.testing.assert_array_equal(stages[switched], expected)
