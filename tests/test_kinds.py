"""The table of kinds, and the gain stages of an epix10ka."""

from __future__ import annotations

import contextlib
import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from psana_reference import psana_module

from smalldata_ana.detector import kinds
from smalldata_ana.detector.gain_modes import NO_STAGE, epix10ka_stages
from smalldata_ana.detector.kind_table import TABLE
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
from smalldata_ana.places import places
from smalldata_ana.session.banner import banner
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

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
        "epix100": 46,
        "opal": 0,
        "rayonix": -1,
    }


def test_unknown_type_is_a_generic_camera():
    assert kind_of("newcam") is GENERIC
    assert kind_of("newcam", (4, 5, 6)) is GENERIC


def test_list_of_detectors_says_which_type_is_not_known(tmp_path):
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=1,
        images={"new": np.zeros((1, 4, 5)), "yag": np.zeros((1, 4, 5))},
        dettypes={"yag": "opal"},
    )
    with contextlib.closing(Hdf5Run(path)) as run:
        lines = banner(run, places("xpptut15", directory=tmp_path)).splitlines()
    remark = "of a type that is not known: taken as it is"
    assert [line.split()[0] for line in lines if remark in line] == ["new"]


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.title)
def test_no_kind_of_the_table_contradicts_itself(kind):
    kind.check()


@pytest.mark.parametrize(
    ("dettype", "shape", "title"),
    [
        ("jungfrau", (1, 512, 1024), "Jungfrau 0.5M"),
        ("jungfrau", (2, 512, 1024), "Jungfrau 1M"),
        ("jungfrau", (8, 512, 1024), "Jungfrau 4M"),
        ("jungfrau", (32, 512, 1024), "Jungfrau 16M"),
        ("jungfrau", (512, 1024), "Jungfrau 0.5M"),
        ("jungfrau", (5, 512, 1024), "Jungfrau"),
        ("jungfrau", None, "Jungfrau"),
        ("epix10ka", (1, 352, 384), "ePix10k135"),
        ("epix10ka", (4, 352, 384), "ePix10ka quad"),
        ("epix10ka", (16, 352, 384), "ePix10k2M"),
        ("cspad", (2, 185, 388), "CsPad140k"),
        ("cspad140k", (2, 185, 388), "CsPad140k"),
        ("cspad", (32, 185, 388), "CsPad 2.3M"),
        ("epix100", (1, 704, 768), "ePix100"),
        ("epixm320", (4, 192, 384), "ePixM320"),
        ("opal", (1024, 1024), "Opal camera"),
        ("rayonix", (960, 960), "Rayonix"),
        ("newcam", (3, 4), "area camera"),
    ],
)
def test_kinds_of_one_type_are_told_by_their_number_of_panels(dettype, shape, title):
    kind = kind_of(dettype, shape)
    assert kind.title == title
    assert shape is None or kind.has_panels_of(shape)


SEGMENTS = {
    "jungfrau": ("SegGeometryJungfrauV2", "jungfrau_front"),
    "epix10ka": ("SegGeometryEpix10kaV1", "epix10ka_one"),
    "epix100": ("SegGeometryEpix100V1", "epix2x2_one"),
    "cspad": ("SegGeometryCspad2x1V1", "cspad2x1_one"),
}


@pytest.mark.parametrize("dettype", SEGMENTS)
def test_panels_and_pixels_are_those_of_psana(dettype):
    module, name = SEGMENTS[dettype]
    psana = getattr(psana_module(f"psana.pscalib.geometry.{module}"), name)
    kind = kind_of(dettype)
    assert kind.panel_shape == psana.shape()
    # Where the chips meet is compared in the tests of the masks.
    assert kind.pixel_size == psana.pixel_scale_size()
    assert kind.wide_pixel_size == psana._pixw


def test_panels_of_an_epixm_are_those_of_psana():
    store = psana_module("psana.pscalib.geometry.SegGeometryStore")
    psana = store.sgs.Create(segname="EPIXMASIC:V1")
    assert kind_of("epixm320").panel_shape == psana.shape()
    assert kind_of("epixm320").pixel_size == psana.pixel_scale_size()


def test_pixels_of_an_archon_are_those_of_psana():
    archon = psana_module("psana.pscalib.geometry.SegGeometryArchonV1")
    psana = archon.SegGeometryArchonV1
    assert kind_of("archon").pixel_size == psana._pixsc
    assert kind_of("archon").panel_shape == (None, psana._colst * psana._nbanks)


def test_pixels_that_the_readout_joins_are_larger():
    rayonix = kind_of("rayonix")
    assert rayonix.pixel_size_in((960, 960)) == pytest.approx(177.083, abs=1e-3)
    assert rayonix.pixel_size_in((3840, 3840)) == pytest.approx(44.271, abs=1e-3)
    assert kind_of("epix100").pixel_size_in((1, 704, 768)) == 50
    assert kind_of("opal").pixel_size_in((1024, 1024)) is None


@pytest.mark.parametrize("shape", [(704, 384), (1, 352, 768), (768,)])
def test_a_part_of_a_panel_is_told(shape):
    assert not kind_of("epix100").has_panels_of(shape)


def test_env_values_are_those_of_real_files():
    layouts = Path(__file__).parents[2] / "shared/data/smalldata_h5_layouts"
    layout = layouts / "xppl1001021_Run0070_layout.txt"
    if not layout.is_file():
        pytest.skip(f"compares with {layout.name} of ../shared/data")
    group = "/epix_alc1_env/"
    there = {
        line.split()[0].removeprefix(group)
        for line in layout.read_text().splitlines()
        if line.strip().startswith(group)
    }
    assert set(kind_of("epix100").env_values) == there


@pytest.mark.parametrize("number", [46, 999, "46"])
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
def test_kind_with_a_number_of_panels_leaves_the_others():
    mine = Kind("jungfrau", "my jungfrau", panels=2)
    register_kind(mine)
    assert kind_of("jungfrau", (2, 512, 1024)) is mine
    assert kind_of("jungfrau", (8, 512, 1024)).title == "Jungfrau 4M"


@pytest.mark.usefixtures("table")
def test_kind_without_a_number_of_panels_replaces_all_of_its_type():
    mine = Kind("jungfrau", "my jungfrau")
    register_kind(mine)
    assert kind_of("jungfrau", (2, 512, 1024)) is mine


@pytest.mark.usefixtures("table")
def test_documentation_is_right():
    path = Path(__file__).parents[1] / "docs" / "kinds.md"
    done = doctest.testfile(str(path), module_relative=False)
    assert done.attempted > 5
    assert done.failed == 0


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
        (
            replace(kind_of("epix10ka"), dettype="k", nominal_factors=(1.0,)),
            "not one for each of its 7 gain stages",
        ),
        (Kind("k", "k", panel_shape=(9, 9), chip_shape=(3, 4)), "does not divide"),
        (
            Kind("k", "k", panel_shape=(9, 9), chip_shape=(3, 3), unbonded=((0, 3),)),
            r"unbonded pixel \(0, 3\) of 'k' is not on a chip of \(3, 3\)",
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
