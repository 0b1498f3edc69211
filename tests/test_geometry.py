"""Image geometry, against psana's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from psana_reference import psana_module
from rotated_panels import detector

from smalldata_ana.detector.geometry import STACKED, ImageGeometry
from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.sources.base import PixelPositions

GEOMETRIES = Path(__file__).parents[2] / "shared/data/psana_geometries/psana2"
SIZE = 75.0


def positions_of(x, y, size=SIZE):
    x, y = np.asarray(x, float), np.asarray(y, float)
    return PixelPositions(x, y, np.zeros_like(x), size, "made up")


def panel(rows, cols, x=0.0, y=0.0, turns=0):
    """Return x and y of one panel, turned by quarter turns."""
    row, col = np.mgrid[:rows, :cols] * SIZE
    for _ in range(turns):
        row, col = col, -row
    return row + x, col + y


@pytest.fixture
def two_panels():
    """Two panels of 3 x 4 pixels with a gap between, the second turned."""
    (xa, ya), (xb, yb) = panel(3, 4), panel(3, 4, x=0.0, y=10 * SIZE, turns=1)
    return ImageGeometry.from_positions(positions_of([xa, xb], [ya, yb]), (2, 3, 4))


@pytest.fixture(scope="module")
def geometry_access():
    return psana_module("psana.pscalib.geometry.GeometryAccess").GeometryAccess


@pytest.mark.skipif(not GEOMETRIES.is_dir(), reason=f"no geometries in {GEOMETRIES}")
@pytest.mark.parametrize(
    ("name", "frame", "image"),
    [
        ("jungfrau05M", (1, 512, 1024), (514, 1030)),
        ("jungfrau1M", (2, 512, 1024), (1064, 1030)),
        ("jungfrau4M", (8, 512, 1024), (2203, 2299)),
        ("jungfrau16M", (32, 512, 1024), (4432, 4216)),
        ("epix10kaquad", (4, 352, 384), (775, 793)),
        ("epix100a", (1, 704, 768), (709, 773)),
        ("cspad", (32, 185, 388), (1942, 1940)),
    ],
)
def test_pixels_lie_where_psana_puts_them(geometry_access, name, frame, image):
    access = geometry_access(str(GEOMETRIES / f"geometry-def-{name}.data"))
    x, y, z = (a.reshape(frame) for a in access.get_pixel_coords())
    positions = PixelPositions(x, y, z, access.get_pixel_scale_size(), name)
    geometry = ImageGeometry.from_positions(positions, frame)
    rows, cols = access.get_pixel_coord_indexes()
    assert geometry.shape == image
    assert geometry.ix.dtype == geometry.iy.dtype == np.int32
    np.testing.assert_array_equal(geometry.ix, rows.reshape(frame))
    np.testing.assert_array_equal(geometry.iy, cols.reshape(frame))


def test_image_shows_each_panel_and_the_gap(two_panels):
    frame = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    image = two_panels.assemble(frame)
    assert image.dtype == np.float32
    assert image.shape == two_panels.shape == (4, 11)
    np.testing.assert_array_equal(image[:3, :4], frame[0])
    np.testing.assert_array_equal(image[:, -3:], frame[1].T[:, ::-1])
    assert np.isnan(image[:, 4:8]).all()
    np.testing.assert_array_equal(two_panels.covered, np.isfinite(image))


def test_image_is_filled_into_what_is_given(two_panels):
    frame = np.ones((2, 3, 4), np.float32)
    out = np.empty(two_panels.shape, np.float32)
    image = two_panels.assemble(frame, fill=-1, out=out)
    assert image is out
    assert out.sum() == 24 - np.count_nonzero(~two_panels.covered)


@pytest.mark.parametrize("order", ["C", "F"])
def test_image_does_not_depend_on_the_memory_layout(two_panels, order):
    frame = np.arange(24.0).reshape(2, 3, 4)
    image = two_panels.assemble(np.asarray(frame, order=order))
    np.testing.assert_array_equal(image, two_panels.assemble(frame))


@pytest.mark.parametrize("index", [(0, 0, 0), (0, 2, 3), (1, 0, 0), (1, 2, 1)])
def test_panel_and_image_pixels_convert_both_ways(two_panels, index):
    assert two_panels.panel_pixel(*two_panels.image_pixel(*index)) == index


def test_every_covered_pixel_converts_both_ways(two_panels):
    for row, col in np.argwhere(two_panels.covered):
        index = two_panels.panel_pixel(row, col)
        assert two_panels.image_pixel(*index) == (row, col)


@pytest.mark.parametrize("pixel", [(0, 5), (3, 0), (-1, 0), (0, -1), (4, 0), (0, 11)])
def test_gaps_and_the_outside_have_no_panel_pixel(two_panels, pixel):
    assert two_panels.panel_pixel(*pixel) is None


@pytest.mark.parametrize("index", [(2, 0, 0), (0, 3, 0), (0, 0), (0, 0, -1)])
def test_panel_pixel_that_does_not_exist_is_an_error(two_panels, index):
    with pytest.raises(ParameterError, match="no pixel"):
        two_panels.image_pixel(*index)


def test_frame_without_geometry_is_the_image():
    frame = np.arange(12.0).reshape(3, 4)
    geometry = ImageGeometry.from_positions(None, frame.shape)
    np.testing.assert_array_equal(geometry.assemble(frame), frame)
    assert geometry.covered.all()
    assert geometry.panel_pixel(2, 1) == (2, 1)


def test_panels_without_geometry_are_stacked():
    frame = np.arange(24.0).reshape(2, 3, 4)
    geometry = ImageGeometry.from_positions(None, frame.shape)
    np.testing.assert_array_equal(geometry.assemble(frame), frame.reshape(6, 4))
    assert geometry.panel_pixel(4, 1) == (1, 1, 1)
    assert geometry.note == geometry.origin == STACKED
    single = ImageGeometry.from_positions(None, (1, 3, 4))
    assert single.note == ""


@pytest.fixture
def sharing():
    """Two of three pixels fall into the first pixel of the image."""
    x, y = [[0, 0.2 * SIZE, SIZE]], [[0, 0, 0]]
    return ImageGeometry.from_positions(positions_of(x, y), (1, 3))


@pytest.mark.parametrize(
    ("shared", "first"), [("mean", 1.5), ("sum", 3.0), ("last", 2.0)]
)
def test_shared_image_pixel(sharing, shared, first):
    image = sharing.assemble(np.array([[1.0, 2.0, 3.0]]), shared=shared)
    np.testing.assert_array_equal(image, [[first], [3]])
    assert sharing.shared == 2
    assert sharing.panel_pixel(0, 0) == (0, 1)


def test_sum_over_the_image_is_that_over_the_frame():
    positions = detector()
    geometry = ImageGeometry.from_positions(positions, positions.x.shape)
    frame = np.random.default_rng(1).poisson(3, positions.x.shape).astype(np.uint16)
    image = geometry.assemble(frame, shared="sum")
    assert geometry.shared > 50
    assert np.nansum(image, dtype=float) == frame.sum()
    assert np.nansum(geometry.assemble(frame), dtype=float) != frame.sum()


def test_no_pixel_is_shared_on_straight_panels(two_panels):
    assert two_panels.shared == 0


def test_unknown_word_for_shared_pixels_is_an_error(sharing):
    with pytest.raises(ParameterError, match="'mean', 'sum' or 'last'"):
        sharing.assemble(np.zeros((1, 3)), shared="max")


def test_image_has_room_for_panels_that_are_not_in_the_data():
    whole = detector()
    part = PixelPositions(
        *(axis[[1, 4]] for axis in (whole.x, whole.y, whole.z)), SIZE, "", whole.whole
    )
    expected = ImageGeometry.from_positions(whole, whole.x.shape)
    found = ImageGeometry.from_positions(part, part.x.shape)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.ix, expected.ix[[1, 4]])
    np.testing.assert_array_equal(found.iy, expected.iy[[1, 4]])
    assert found.corner == expected.corner


def test_micrometres_and_image_coordinates(two_panels):
    row, col = two_panels.image_from_um(2 * SIZE, [0.0, 3.5 * SIZE])
    np.testing.assert_allclose(row, 2, atol=1e-12)
    np.testing.assert_allclose(col, [0, 3.5], atol=1e-12)
    x, y = two_panels.um_from_image(row, col)
    np.testing.assert_allclose(x, 2 * SIZE)
    np.testing.assert_allclose(y, [0, 3.5 * SIZE], atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_micrometres_need_a_geometry(shape):
    geometry = ImageGeometry.from_positions(None, shape)
    with pytest.raises(GeometryError, match="not known"):
        geometry.image_from_um(0.0, 0.0)
    with pytest.raises(GeometryError, match="not known"):
        geometry.um_from_image(0, 0)


@pytest.mark.parametrize(
    ("positions", "shape", "message"),
    [
        (positions_of([[0, 1]], [[0, 1]]), (2, 1), r"for frames of \(1, 2\)"),
        (positions_of([[0, np.nan]], [[0, 1]]), (1, 2), "not numbers"),
        (positions_of([[0, 1]], [[0, 1]], size=0.0), (1, 2), "pixel size 0.0"),
    ],
)
def test_geometry_that_does_not_fit_is_an_error(positions, shape, message):
    with pytest.raises(GeometryError, match=message) as error:
        ImageGeometry.from_positions(positions, shape)
    assert "made up" in str(error.value)


def test_frame_of_another_shape_is_an_error(two_panels):
    with pytest.raises(ParameterError, match="cannot be assembled"):
        two_panels.assemble(np.zeros((3, 4)))


@pytest.mark.parametrize(
    "out", [np.empty((4, 10), np.float32), np.empty((4, 11)), np.empty((11, 4), "f4").T]
)
def test_output_that_cannot_hold_the_image_is_an_error(two_panels, out):
    with pytest.raises(ParameterError, match="contiguous float32"):
        two_panels.assemble(np.zeros((2, 3, 4)), out=out)
