"""Geometries by design, and what is known of a geometry text, against psana."""

from __future__ import annotations

import numpy as np
import pytest
from fake_run import FakeRun
from psana_reference import psana_module

from smalldata_ana.detector.geometry import STACKED, ImageGeometry
from smalldata_ana.detector.nominal_geometry import (
    flat_positions,
    nominal_positions,
    positions_of,
    text,
)
from smalldata_ana.errors import GeometryError
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.constants import Constant
from smalldata_ana.sources.psana2.geometry import (
    NOMINAL,
    default_text,
    pixel_positions,
    positions_from_text,
)


def info(dettype, shape, panels=None):
    if panels is None:
        panels = tuple(range(shape[0])) if len(shape) == 3 else (0,)
    return DetectorInfo("det", dettype, shape, np.dtype(np.uint16), panels)


@pytest.fixture(scope="module")
def access():
    return psana_module("psana.pscalib.geometry.GeometryAccess").GeometryAccess


@pytest.mark.parametrize(
    ("dettype", "frame", "image"),
    [
        ("jungfrau", (1, 512, 1024), (514, 1030)),
        ("jungfrau", (2, 512, 1024), (1064, 1030)),
        ("jungfrau", (8, 512, 1024), (2203, 2299)),
        ("epix10ka", (4, 352, 384), (775, 793)),
        ("epix100", (1, 704, 768), (709, 773)),
        ("cspad", (32, 185, 388), (1942, 1940)),
    ],
)
def test_image_shapes(access, dettype, frame, image):
    positions = nominal_positions(info(dettype, frame))
    geometry = ImageGeometry.from_positions(positions, frame)
    assert geometry.shape == image
    assert geometry.note == NOMINAL
    assert len(geometry.panels) == frame[0]


def test_quads_stand_around_a_square_hole(access):
    frame = (16, 352, 384)
    positions = nominal_positions(info("epix10ka", frame))
    geometry = ImageGeometry.from_positions(positions, frame)
    assert geometry.shape[0] == geometry.shape[1]
    # a quarter turn of the detector is the detector
    x, y = positions.x.reshape(4, -1), positions.y.reshape(4, -1)
    np.testing.assert_allclose(x[1], -y[0], atol=1e-6)
    np.testing.assert_allclose(y[1], x[0], atol=1e-6)
    middle = geometry.to_raw(*geometry.image_from_um([0.0, 4000.0], [0.0, 4000.0]))
    np.testing.assert_array_equal(middle.panel, -1)
    # no pixel of one panel is on another: a pixel shared is one at the seam of panels
    assert geometry.shared < 500


def test_panels_of_a_cspad140k_come_first(access):
    positions = nominal_positions(info("cspad", (2, 185, 388)))
    theirs = access()
    theirs.load_pars_from_str(default_text("cspad2x2"))
    x, y, _ = theirs.get_pixel_coords()
    for panel in range(2):
        np.testing.assert_array_equal(positions.x[panel], x[..., panel])
        np.testing.assert_array_equal(positions.y[panel], y[..., panel])


def test_some_panels_are_drawn_on_the_whole_canvas(access):
    theirs = access()
    theirs.load_pars_from_str(default_text("jungfrau4M"))
    rows, cols = (a.reshape(8, 512, 1024) for a in theirs.get_pixel_coord_indexes())
    some = info("jungfrau", (3, 512, 1024), (1, 4, 6))
    constant = Constant("geometry", default_text("jungfrau4M"), 0, None, "a test")
    for positions in (nominal_positions(some), pixel_positions(None, some, constant)):
        geometry = ImageGeometry.from_positions(positions, some.shape)
        assert geometry.shape == (2203, 2299)
        np.testing.assert_array_equal(geometry.ix, rows[[1, 4, 6]])
        np.testing.assert_array_equal(geometry.iy, cols[[1, 4, 6]])
    _, _, z = theirs.get_pixel_coords()
    assert positions.whole.mean_z == pytest.approx(z.mean())


@pytest.mark.parametrize(
    ("dettype", "shape"),
    [
        ("opal", (4, 6)),
        ("of nobody", (3, 4, 6)),
        ("jungfrau", (3, 4, 6)),
        ("jungfrau", (64, 512, 1024)),
    ],
)
def test_detectors_of_which_nothing_is_known(dettype, shape):
    assert nominal_positions(info(dettype, shape)) is None


def test_camera_of_known_pixels_is_a_plane():
    positions = nominal_positions(info("zyla", (5, 4)))
    np.testing.assert_allclose(positions.x[:, 0], 6.5 * np.arange(-2, 3))
    np.testing.assert_allclose(positions.y[0], 6.5 * (np.arange(4) - 1.5))
    assert positions.note == ""
    geometry = ImageGeometry.from_positions(positions, (5, 4))
    frame = np.arange(20.0).reshape(5, 4)
    np.testing.assert_array_equal(geometry.assemble(frame), frame)
    np.testing.assert_allclose(geometry.image_from_um(0.0, 0.0), (2, 1.5))


def test_geometry_of_the_run_comes_first():
    shape = (3, 4)
    mine = flat_positions(shape, 9.0)
    run = FakeRun("zyla", np.zeros(shape, np.uint16), {})
    run.pixel_positions = lambda detector: None
    assert positions_of(run, "det").pixel_size == 6.5
    run.pixel_positions = lambda detector: mine
    assert positions_of(run, "det") is mine


def test_unknown_arrangement_is_said():
    run = FakeRun("of nobody", np.zeros((2, 3, 4), np.uint16), {}, (0, 1))
    run.pixel_positions = lambda detector: None
    geometry = ImageGeometry.from_positions(positions_of(run, "det"), (2, 3, 4))
    assert geometry.note == STACKED


@pytest.mark.parametrize(
    "broken", ["", "hello", "IP 0 JUNGFRAU:V2 0", "IP 0 FOO:V1 0" + " 0" * 9]
)
def test_text_that_is_no_geometry(access, broken):
    with pytest.raises(GeometryError, match=r"not a geometry text.*from a letter"):
        positions_from_text(broken, info("jungfrau", (1, 512, 1024)), "from a letter")


@pytest.mark.parametrize(
    ("shape", "panels"), [((1, 512, 1024), (2,)), ((2, 512, 1000), (0, 1))]
)
def test_geometry_of_another_detector(access, shape, panels):
    constant = Constant("geometry", default_text("jungfrau1M"), 0, None, "a test")
    with pytest.raises(GeometryError, match="the geometry of 'det'"):
        pixel_positions(None, info("jungfrau", shape, panels), constant)


def test_unknown_name(access):
    with pytest.raises(GeometryError, match="no default geometry 'jungfrau3M'"):
        text("jungfrau3M")


@pytest.mark.parametrize(
    ("dettype", "shape"),
    [("opal", (512, 512)), ("opal", (512, 1024)), ("epix100", (704, 768))],
)
def test_camera_with_a_geometry_of_panels(access, dettype, shape):
    constant = Constant("geometry", default_text("jungfrau4M"), 0, None, "a test")
    with pytest.raises(GeometryError, match="8 panels of 512 x 1024; its data have"):
        pixel_positions(None, info(dettype, shape), constant)


@pytest.mark.parametrize(
    ("shape", "panels", "fits"),
    [
        ((2, 512, 1024), (0, 1), False),
        ((1, 512, 1024), (0,), False),
        ((2, 512, 1024), (2, 3), True),
        ((5, 512, 1024), tuple(range(5)), True),
        ((8, 512, 1024), tuple(range(8)), True),
    ],
)
def test_geometry_of_more_panels_than_the_kind_has(access, shape, panels, fits):
    one = info("jungfrau", shape, panels)
    constant = Constant("geometry", default_text("jungfrau4M"), 0, None, "a test")
    run = FakeRun("jungfrau", np.zeros(shape, np.uint16), {}, panels)
    run.pixel_positions = lambda detector: pixel_positions(None, one, constant)
    if fits:
        assert positions_of(run, "det").x.shape == shape
        return
    message = r"'det' \(a test\) has 8 panels; a Jungfrau \S+ has \d, and its data"
    with pytest.raises(GeometryError, match=message):
        positions_of(run, "det")
