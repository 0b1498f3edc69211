"""Masks by reason, against psana's and against counts by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fake_run import FakeRun
from psana_reference import CLASSES, psana_module, with_meta

from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.detector.masks import (
    MaskCount,
    MaskParts,
    as_users,
    central,
    edges,
    pixel_areas,
    unbonded,
)
from smalldata_ana.errors import DetectorNotFound, ParameterError
from smalldata_ana.session.anaps import SmallDataAna_psana

JUNGFRAU_1M = (2, 512, 1024)
EPIX100 = (1, 704, 768)
QUAD = (4, 352, 384)
CSPAD = (32, 185, 388)
GEOMETRIES = {
    "cspad": ("SegGeometryCspad2x1V1", "cspad2x1_one"),
    "epix100": ("SegGeometryEpix100V1", "epix2x2_one"),
    "epix10ka": ("SegGeometryEpix10kaV1", "epix10ka_one"),
    "jungfrau": ("SegGeometryJungfrauV2", "jungfrau_front"),
}


def geometry(dettype):
    module, name = GEOMETRIES[dettype]
    return getattr(psana_module(f"psana.pscalib.geometry.{module}"), name)


def psana_detector(dettype, panels, constants):
    module, name = CLASSES[dettype]
    configuration = SimpleNamespace(
        configs=[],
        sorted_segment_ids=list(range(panels)),
        uniqueid="u",
        dettype=dettype,
    )
    return getattr(psana_module(module), name)(
        "det", "raw", configuration, with_meta(constants)
    )


def parts_of(dettype, shape, constants=None):
    panels = tuple(range(shape[0] if len(shape) == 3 else 1))
    run = FakeRun(dettype, np.zeros(shape, np.uint16), constants or {}, panels)
    return MaskParts.for_run(run, "det")


@pytest.mark.parametrize("dettype", GEOMETRIES)
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 0), (0, 2)])
def test_edges_are_those_of_psana(dettype, rows, cols):
    psana = geometry(dettype)
    expected = edges(kind_of(dettype), psana.shape(), rows, cols)
    if dettype == "jungfrau":
        utils = psana_module("psana.detector.UtilsMask")
        ones = np.ones(psana.shape(), np.uint8)
        theirs = utils.mask_edges(ones, edge_rows=rows, edge_cols=cols)
    else:
        theirs = psana.pixel_mask_array(
            mbits=0, edge_rows=rows, edge_cols=cols, center_rows=0, center_cols=0
        )
    np.testing.assert_array_equal(expected, theirs == 1)


@pytest.mark.parametrize("dettype", sorted(set(GEOMETRIES) - {"jungfrau"}))
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 5), (0, 1), (1, 0)])
def test_central_pixels_are_those_of_psana(dettype, rows, cols):
    psana = geometry(dettype)
    theirs = psana.pixel_mask_array(
        mbits=0, edge_rows=0, edge_cols=0, center_rows=rows, center_cols=cols
    )
    ours = central(kind_of(dettype), psana.shape(), rows, cols)
    np.testing.assert_array_equal(ours, theirs == 1)


def test_central_pixels_of_a_jungfrau():
    good = central(kind_of("jungfrau"), JUNGFRAU_1M)
    assert np.flatnonzero(~good[1].any(axis=1)).tolist() == [255, 256]
    assert np.flatnonzero(~good[1].any(axis=0)).tolist() == [
        255, 256, 511, 512, 767, 768,
    ]  # fmt: skip
    assert np.count_nonzero(~good) == 2 * (2 * 1024 + 6 * 512 - 2 * 6)


@pytest.mark.parametrize("dettype", ["cspad", "epix100", "epix10ka"])
def test_areas_are_those_of_psana(dettype):
    psana = geometry(dettype)
    ours = pixel_areas(kind_of(dettype), psana.shape())
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, psana.pixel_area_array(), rtol=1e-6)


def test_areas_of_a_jungfrau():
    # psana's are the numbers of the pixels instead.
    areas = pixel_areas(kind_of("jungfrau"), JUNGFRAU_1M)
    assert areas[0, 254:258, 254].tolist() == [1, 2, 2, 1]
    assert areas[1, 254:258, 768].tolist() == [2, 4, 4, 2]
    assert areas.sum() == 2 * (512 + 2) * (1024 + 6)


def test_areas_of_a_camera_are_1():
    assert (pixel_areas(kind_of("zyla"), (4, 5)) == 1).all()


@pytest.mark.parametrize(("neighbours", "bits"), [(0, 4), (4, 8), (8, 16)])
def test_unbonded_pixels_are_those_of_psana(neighbours, bits):
    psana = geometry("cspad")
    theirs = psana.pixel_mask_array(
        mbits=bits, edge_rows=0, edge_cols=0, center_rows=0, center_cols=0
    )
    # psana's four neighbours of the corner pixels leave these themselves good.
    theirs[0, [0, 194]] = 0
    ours = unbonded(kind_of("cspad"), (2, *psana.shape()), neighbours)
    np.testing.assert_array_equal(ours[0], theirs == 1)
    np.testing.assert_array_equal(ours[1], ours[0])


@pytest.mark.parametrize(
    ("neighbours", "per_chip"), [(0, 19), (4, 18 * 5 + 3), (8, 18 * 9 + 4)]
)
def test_unbonded_pixels_of_a_cspad_counted_by_hand(neighbours, per_chip):
    good = unbonded(kind_of("cspad"), CSPAD, neighbours)
    assert np.count_nonzero(~good) == 64 * per_chip
    assert not good[5, 10, 10]
    assert not good[5, 10, 204]


def test_columns_without_pixels_of_an_archon_are_psanas():
    archon = psana_module("psana.detector.archon")
    maker = archon.archon_raw_1_0_0._mask_fake
    sizes = SimpleNamespace(
        _fakePixelsPerBank=36, _realPixelsPerBank=264, _totPixelsPerBank=300, _nbanks=16
    )
    shape = (75, 4800)
    ours = unbonded(kind_of("archon"), shape)
    np.testing.assert_array_equal(ours, maker(sizes, shape) == 1)
    assert central(kind_of("archon"), shape).all()


@pytest.mark.parametrize("dettype", ["jungfrau", "opal", "a type that nobody knows"])
def test_other_kinds_have_no_unbonded_pixels(dettype):
    assert unbonded(kind_of(dettype), (2, 512, 1024), 8).all()


def test_a_line_camera_has_no_rim():
    assert edges(kind_of("piranha4"), (1, 2048)).all()
    assert np.count_nonzero(~edges(kind_of("zyla"), (5, 6))) == 2 * 6 + 2 * 3


@pytest.mark.parametrize("make", [central, unbonded])
def test_where_chips_meet_in_a_part_of_a_panel_is_not_known(make):
    with pytest.raises(ParameterError, match=r"\(100, 388\).*whole panels of CsPad"):
        make(kind_of("cspad"), (100, 388))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k: edges(k, CSPAD, -1), "rows = -1"),
        (lambda k: central(k, CSPAD, 1, -2), "cols = -2"),
        (lambda k: unbonded(k, CSPAD, 5), "neighbours = 5 is not 0, 4 or 8"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make(kind_of("cspad"))


@pytest.fixture
def jungfrau_constants(rng):
    status = np.zeros((3, *JUNGFRAU_1M), np.uint64)
    for stage, row in enumerate((10, 20, 30)):
        status[stage, stage % 2, row, 40] = 1 << (stage + 1)
    mask = np.ones(JUNGFRAU_1M, np.uint8)
    mask[1, 100:110, 100:120] = 0
    return {
        "pedestals": np.zeros((3, *JUNGFRAU_1M), np.float32),
        "pixel_status": status,
        "pixel_mask": mask,
    }


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    "options",
    [
        {"status": True},
        {"calib": True, "status": False},
        {"edges": True, "status": False},
        {"status": True, "edges": True, "calib": True},
    ],
)
def test_masks_are_those_of_psana(jungfrau_constants, options):
    detector = psana_detector("jungfrau", 2, jungfrau_constants)
    theirs = detector._mask_comb(**options)
    ours = parts_of("jungfrau", JUNGFRAU_1M, jungfrau_constants).good(**options)
    np.testing.assert_array_equal(ours, theirs == 1)


@pytest.mark.parametrize(
    "options",
    [
        {"status": True, "edges": True, "center": True},
        {"status": True, "edges": True, "center": True, "calib": True},
    ],
)
def test_masks_of_an_epix10ka_are_those_of_psana(rng, options):
    # The last two stages are computed, not measured: psana does not regard them.
    status = (rng.random((7, *QUAD)) < 1e-3).astype(np.uint64)
    constants = {
        "pedestals": np.zeros((7, *QUAD), np.float32),
        "pixel_status": status,
        "pixel_mask": (rng.random(QUAD) > 0.01).astype(np.uint8),
    }
    theirs = psana_detector("epix10ka", 4, constants)._mask_comb(**options)
    parts = parts_of("epix10ka", QUAD, constants)
    ours = parts.cmask() if "calib" in options else parts.mask()
    np.testing.assert_array_equal(ours, theirs == 1)


def test_masks_of_the_specification(jungfrau_constants):
    parts = parts_of("jungfrau", JUNGFRAU_1M, jungfrau_constants)
    kind = kind_of("jungfrau")
    status = np.ones(JUNGFRAU_1M, bool)
    for panel, row in ((0, 10), (1, 20), (0, 30)):
        status[panel, row, 40] = False
    mask = status & edges(kind, JUNGFRAU_1M) & central(kind, JUNGFRAU_1M)
    np.testing.assert_array_equal(parts.status_mask(), status)
    np.testing.assert_array_equal(parts.mask(), mask)
    mask[1, 100:110, 100:120] = False
    np.testing.assert_array_equal(parts.cmask(), mask)


def test_unbonded_pixels_are_in_the_mask_of_a_cspad():
    kind, parts = kind_of("cspad", CSPAD), parts_of("cspad", CSPAD)
    expected = edges(kind, CSPAD) & central(kind, CSPAD) & unbonded(kind, CSPAD, 4)
    np.testing.assert_array_equal(parts.mask(), expected)
    np.testing.assert_array_equal(parts.cmask(), expected)
    assert parts.status_mask().all()


def test_wide_pixels_can_be_kept():
    parts = parts_of("epix100", EPIX100)
    np.testing.assert_array_equal(
        parts.mask(central=False), edges(kind_of("epix100"), EPIX100)
    )
    np.testing.assert_array_equal(parts.cmask(central=False), parts.mask(False))


@pytest.mark.parametrize(
    ("option", "left_out"),
    [
        ("calib", 200),
        ("status", 3),
        ("edges", 2 * (2 * 1024 + 2 * 510)),
        ("central", 2 * (2 * 1024 + 6 * 512 - 2 * 6)),
        ("unbond", 0),
        ("unbondnbrs", 0),
        ("unbondnbrs8", 0),
    ],
)
def test_each_option_works_on_its_own(jungfrau_constants, option, left_out):
    parts = parts_of("jungfrau", JUNGFRAU_1M, jungfrau_constants)
    assert np.count_nonzero(~parts.good(**{option: True})) == left_out


def test_each_option_about_unbonded_pixels_works_on_its_own():
    parts, kind = parts_of("cspad", CSPAD), kind_of("cspad")
    for option, count in (("unbond", 0), ("unbondnbrs", 4), ("unbondnbrs8", 8)):
        np.testing.assert_array_equal(
            parts.good(**{option: True}), unbonded(kind, CSPAD, count)
        )


def test_no_option_keeps_all_pixels(jungfrau_constants):
    assert parts_of("jungfrau", JUNGFRAU_1M, jungfrau_constants).good().all()


def test_masks_are_given_away():
    parts = parts_of("epix100", EPIX100)
    parts.good(edges=True)[:] = False
    assert parts.good(edges=True).any()


def test_users_have_1_for_good():
    users = as_users(np.array([True, False]))
    assert users.dtype == np.uint8
    assert users.tolist() == [1, 0]


def test_counts_by_reason():
    shape = (32, 185, 388)
    mask = np.ones(shape, np.uint8)
    mask[0, 0, :4] = 0
    mask[0, 50, 50] = 0
    mask[0, 3, 100:103] = 0
    status = np.zeros(shape, np.uint32)
    status[0, 3, 100] = 1
    counts = parts_of("cspad", shape, {"pixel_mask": mask, "pixel_status": status})
    assert counts.counts() == [
        MaskCount("calib", 8, 2),
        # The pixel in the corner of each chip is at a rim, and so are its neighbours.
        MaskCount("unbond", 64 * 19, 64 * 18 - 1),
        MaskCount("unbondnbrs", 64 * (18 * 4 + 2), 64 * 18 * 4),
        MaskCount("status", 1, 0),
        # The rim of a panel shares 2 pixels with the unbonded ones, 3 with their
        # neighbours, 3 more with the wide ones, and 2 with the deployed mask.
        MaskCount("edges", 32 * (2 * 388 + 2 * 183), 32 * (1142 - 2 - 3 - 3) - 2),
        # The wide pixels share their 4 at the rim, and a neighbour of an unbonded one.
        MaskCount("central", 32 * 2 * 185, 32 * (2 * 185 - 4 - 1)),
    ]


def test_frames_of_a_part_of_a_panel_keep_their_wide_pixels_and_say_so():
    parts = parts_of("epix100", (1, 24, 40))
    np.testing.assert_array_equal(parts.mask(), edges(kind_of("epix100"), (1, 24, 40)))
    assert any("whole panels of ePix100" in note for note in parts.notes)


def test_constants_that_do_not_fit_are_noted():
    parts = parts_of("opal", (8, 9), {"pixel_mask": np.ones((7, 7), np.uint8)})
    assert parts.good(calib=True).all()
    assert any("pixel_mask" in note and "(7, 7)" in note for note in parts.notes)


def test_unknown_detector():
    run = FakeRun("opal", np.zeros((4, 5), np.uint16), {})
    with pytest.raises(DetectorNotFound, match="no area detector 'no'"):
        MaskParts.for_run(run, "no")


def test_status_bits_are_counted_over_the_gain_stages(rng):
    status = np.zeros((7, 2, 352, 384), np.uint64)
    status[0, 0, 5, 6:9] = 1
    status[4, 0, 5, 8:10] = 1 | 1 << 40
    status[5:] = 2  # The last two stages are not measured.
    parts = parts_of("epix10ka", (2, 352, 384), {"pixel_status": status})
    assert parts.status_bits() == {1: 4, 1 << 40: 2}
    assert np.count_nonzero(~parts.status_mask()) == 4
    assert parts_of("opal", (4, 5)).status_bits() == {}


def test_session_tells_what_is_masked(capsys):
    mask = np.ones(EPIX100, np.uint8)
    mask[0, 100, 50:60] = 0
    status = np.zeros(EPIX100, np.uint64)
    status[0, 200, 60:63] = 16
    constants = {"pixel_mask": mask, "pixel_status": status}
    run = FakeRun("epix100", np.zeros(EPIX100, np.uint16), constants)
    counts = SmallDataAna_psana(run).maskInfo("det")
    rim, wide = 2 * 768 + 2 * 702, 2 * 768 + 2 * 704 - 4
    assert counts == {
        "calib": 10,
        "unbond": 0,
        "unbondnbrs": 0,
        "status": 3,
        "edges": rim,
        "central": wide,
        "statusMask": 3,
        "mask": rim + wide - 8 + 3,
        "cmask": rim + wide - 8 + 3 + 10,
    }
    printed = capsys.readouterr().out
    assert "calib              10         10\n" in printed
    assert f"edges      {rim:>10} {rim - 8:>10}\n" in printed
    assert "status bit 0x10: 3 pixels\n" in printed
    assert f"of {704 * 768}" in printed


def test_session_tells_what_is_not_known(capsys):
    run = FakeRun("epix100", np.zeros((24, 40), np.uint16), {})
    counts = SmallDataAna_psana(run).maskInfo(maskCentral=False)
    assert "central" not in counts
    assert counts["cmask"] == 2 * 40 + 2 * 22
    assert "note: frames of (24, 40)" in capsys.readouterr().out
