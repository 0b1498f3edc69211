"""Image and panel coordinates, both ways, on panels that are turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rotated_panels import SIZE, detector, one_panel

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.panel_grid import PanelGrid
from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.sources.base import PixelPositions

POSITIONS = detector()
GEOMETRY = ImageGeometry.from_positions(POSITIONS, POSITIONS.x.shape)
PANELS, ROWS, COLS = POSITIONS.x.shape


def test_every_pixel_is_where_its_position_says():
    panel, row, col = np.indices(POSITIONS.x.shape)
    rows, cols = GEOMETRY.to_image(panel, row, col)
    x, y = GEOMETRY.um_from_image(rows, cols)
    np.testing.assert_allclose(x, POSITIONS.x, atol=1e-6)
    np.testing.assert_allclose(y, POSITIONS.y, atol=1e-6)
    np.testing.assert_array_equal(np.floor(rows + 0.5 + 1e-9), GEOMETRY.ix)
    np.testing.assert_array_equal(np.floor(cols + 0.5 + 1e-9), GEOMETRY.iy)


@given(
    st.integers(0, PANELS - 1),
    st.floats(-0.5, ROWS - 0.5),
    st.floats(-0.5, COLS - 0.5),
)
def test_points_of_panels_convert_both_ways(panel, row, col):
    back = GEOMETRY.to_raw(*GEOMETRY.to_image(panel, row, col))
    assert back.panel == panel
    np.testing.assert_allclose(back.row, row, atol=1e-6)
    # the gap in the middle of a panel is between two pixels that both end there
    on_gap = abs(col - (COLS / 2 - 0.5)) < 1e-6
    np.testing.assert_allclose(back.column, col, atol=1e-5 if on_gap else 1e-6)


@given(st.floats(-5, 60), st.floats(-5, 60))
def test_points_of_the_image_convert_both_ways(row, col):
    points = GEOMETRY.to_raw(row, col)
    back = GEOMETRY.to_image(*points)
    if points.panel < 0:
        assert np.isnan([*back, points.row, points.column]).all()
    else:
        np.testing.assert_allclose(back, (row, col), atol=1e-6)


@settings(max_examples=30)
@given(st.floats(-180, 180), st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 500))
def test_any_turn_and_tilt(rz, ry, rx, gap):
    space = one_panel(7, 9, (100.0, -50.0, 3.0), (rz, ry, rx), gap)
    grid = PanelGrid.fit(*np.moveaxis(space, -1, 0), SIZE)
    row, col = np.mgrid[:7, :9]
    np.testing.assert_allclose(grid.position(row, col), space, atol=1e-6)
    found = grid.locate(space[..., 0], space[..., 1])
    np.testing.assert_allclose(found, (row, col), atol=1e-6)


def test_the_gap_between_chips_has_no_pixel():
    grid = PanelGrid.fit(
        *np.moveaxis(one_panel(4, 6, (0, 0, 0), (0, 0, 0), 2 * SIZE), -1, 0), SIZE
    )
    y = SIZE * np.array([-0.5 - 1e-3, -0.5 + 0.4, 0.5, 1.5, 2.5])
    row, col = grid.locate(np.full(5, 0.5 * SIZE), y)
    np.testing.assert_allclose(col, [2 - 1e-3, 2.4, np.nan, np.nan, 3], atol=1e-9)
    np.testing.assert_allclose(row, [2, 2, np.nan, np.nan, 2], atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_panels_of_one_row_or_column(shape):
    space = one_panel(*shape, (0, 0, 0), (30, 0, 0))
    x, y, z = np.moveaxis(space, -1, 0)
    geometry = ImageGeometry.from_positions(PixelPositions(x, y, z, SIZE), shape)
    row, col = np.indices(shape)
    points = geometry.to_raw(*geometry.to_image(0, row, col))
    np.testing.assert_allclose(points.row, row, atol=1e-9)
    np.testing.assert_allclose(points.column, col, atol=1e-9)


@pytest.mark.parametrize("positions", [None, "of the image only"])
def test_without_positions_pixels_are_where_the_image_shows_them(positions):
    geometry = ImageGeometry.from_positions(None, (2, 3, 4))
    if positions:
        geometry = ImageGeometry(GEOMETRY.shape, GEOMETRY.ix, GEOMETRY.iy)
    index = (1, 2, 3)
    found = geometry.to_image(*index)
    np.testing.assert_allclose(found, geometry.image_pixel(*index), atol=2)
    np.testing.assert_allclose(geometry.to_raw(*found), index, atol=1e-6)


def test_panels_that_do_not_exist():
    with pytest.raises(ParameterError, match="no panel 6; there are 6"):
        GEOMETRY.to_image([0, 6], 0, 0)
    assert np.isnan(GEOMETRY.to_image(-1, 0, 0)).all()
    assert np.isnan(GEOMETRY.to_image(0, [-0.6, ROWS], 0)).all()


def test_pixels_that_lie_anyhow_are_drawn_but_not_located():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 50 * SIZE, (2, 5, 6))
    geometry = ImageGeometry.from_positions(
        PixelPositions(x, y, np.zeros_like(x), SIZE), (5, 6)
    )
    assert np.nansum(geometry.assemble(np.ones((5, 6)), shared="sum")) == 30
    with pytest.raises(GeometryError, match="not in straight rows"):
        geometry.to_raw(0, 0)
