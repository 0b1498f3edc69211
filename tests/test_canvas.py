"""The figure of the tools, driven with the mouse, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backend_bases import NavigationToolbar2
from mouse import Mouse
from tool_figures import BOX, COLUMNS, NEAR, ROWS, A, B, drawn, note

from smalldata_ana.errors import UsageError
from smalldata_ana.session.tools.outlines import (
    Rectangle,
    rectangle_line,
)

pytest_plugins = ["tool_fixtures"]
pytestmark = pytest.mark.usefixtures("plt")


@pytest.fixture
def mouse(figure):
    return Mouse(figure.ax)


@pytest.fixture
def got():
    return []


# ---- rectangles ----------------------------------------------------------------------


CORNERS = [A, (A[0], B[1]), B, (B[0], A[1])]


@pytest.mark.parametrize("number", range(4))
def test_a_rectangle_in_each_direction(figure, mouse, got, number):
    figure.rectangle(got.append)
    mouse.drag(CORNERS[number], CORNERS[(number + 2) % 4])
    (box,) = got
    np.testing.assert_allclose(box, BOX, atol=NEAR)
    assert isinstance(box, Rectangle)


def test_it_is_told_while_it_is_drawn(figure, mouse, got):
    moving = []
    figure.rectangle(got.append, moving=moving.append)
    mouse.drag(A, B, steps=5)
    assert len(got) == 1
    assert len(moving) >= 5
    ends = [box.row1 for box in moving]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ((-60, -70), (20, 30), (-0.5, 20, -0.5, 30)),
        ((20, 30), (500, 500), (20, ROWS - 0.5, 30, COLUMNS - 0.5)),
        ((-60, 20), (500, 30), (-0.5, ROWS - 0.5, 20, 30)),
        ((-2, -2), (ROWS, COLUMNS), (-0.5, ROWS - 0.5, -0.5, COLUMNS - 0.5)),
    ],
)
def test_drags_that_begin_or_end_outside(figure, mouse, got, begin, end, expected):
    figure.rectangle(got.append)
    mouse.drag(begin, end)
    np.testing.assert_allclose(got[-1], expected, atol=NEAR)


def test_a_drag_that_stays_outside_says_so(figure, mouse, got):
    figure.rectangle(got.append)
    mouse.drag((-50, -50), (-20, -20))
    assert got == []
    assert note(figure) == "this is outside of the image"
    assert drawn(figure) == []


def test_a_click_is_no_rectangle(figure, mouse, got):
    figure.rectangle(got.append, BOX)
    mouse.click((60, 30))
    mouse.click(A)
    assert got == []
    assert len(drawn(figure)) == 2


def test_other_buttons_do_nothing(figure, mouse, got):
    figure.rectangle(got.append)
    mouse.press(A, button=3)
    mouse.move(B)
    mouse.release(B, button=3)
    assert got == []


@pytest.mark.parametrize(
    ("handle", "to", "expected"),
    [
        ((10, 8), (12, 4), (12, 30, 4, 48)),
        ((30, 48), (35, 50), (10, 35, 8, 50)),
        ((10, 28), (14, 50), (14, 30, 8, 48)),
        ((20, 48), (44, 20), (10, 30, 8, 20)),
        ((30, 28), (2, 28), (2, 10, 8, 48)),
        ((20, 28), (25, 30), (15, 35, 10, 50)),
        ((20, 28), (-90, 28), (-0.5, 19.5, 8, 48)),
        ((20, 28), (20, 500), (10, 30, COLUMNS - 40.5, COLUMNS - 0.5)),
    ],
)
def test_handles_are_moved(figure, mouse, got, handle, to, expected):
    figure.rectangle(got.append, BOX)
    mouse.drag(handle, to)
    np.testing.assert_allclose(got[-1], expected, atol=2 * NEAR)


def test_away_from_handles_a_new_one_begins(figure, mouse, got):
    figure.rectangle(got.append, BOX)
    mouse.drag((25, 20), (40, 30))
    np.testing.assert_allclose(got[-1], (25, 40, 20, 30), atol=NEAR)


def test_escape_leaves_the_drag_and_then_the_shape(figure, mouse, got):
    figure.rectangle(got.append, BOX)
    mouse.press((60, 20))
    mouse.move((70, 30))
    mouse.key("escape")
    mouse.release((70, 30))
    assert got == []
    np.testing.assert_allclose(drawn(figure)[0], rectangle_line(BOX))
    mouse.key("escape")
    assert drawn(figure) == []
    mouse.drag(A, B)
    np.testing.assert_allclose(got[-1], BOX, atol=NEAR)


def test_what_is_refused_is_told_and_undrawn(figure, mouse):
    def refuse(box: Rectangle) -> None:
        raise UsageError("not there")

    figure.rectangle(refuse, BOX)
    mouse.drag((60, 20), (70, 40))
    assert note(figure) == "not there"
    np.testing.assert_allclose(drawn(figure)[0], rectangle_line(BOX))


@pytest.mark.parametrize("mode", ["zoom", "pan"])
def test_a_mode_of_the_toolbar_is_not_fought(figure, got, mode):
    figure.rectangle(got.append)
    toolbar = NavigationToolbar2(figure.figure.canvas)
    getattr(toolbar, mode)()
    mouse = Mouse(figure.ax)
    mouse.drag(A, B)
    assert got == []
    assert "is on in the toolbar; switch it off" in note(figure)
    assert mode in note(figure)
    getattr(toolbar, mode)()
    mouse.drag(A, (20, 20))
    assert len(got) == 1


def test_another_tool_that_holds_the_mouse_is_told(figure, mouse, got):
    figure.rectangle(got.append)
    figure.figure.canvas.widgetlock(mouse)
    mouse.drag(A, B)
    assert got == []
    assert "another tool is on" in note(figure)


def test_rectangles_on_a_zoomed_image(figure, mouse, got):
    figure.ax.set(xlim=(0, 12), ylim=(20, 8))
    figure.rectangle(got.append)
    mouse = Mouse(figure.ax)
    mouse.drag((10.25, 3.5), (14.5, 7.75))
    np.testing.assert_allclose(got[-1], (10.25, 14.5, 3.5, 7.75), atol=0.05)
    mouse.drag((9, 9), (-40, 40))
    np.testing.assert_allclose(got[-1], (-0.5, 9, 9, 40), atol=0.05)


# ---- ellipses and circles ------------------------------------------------------------


def test_an_ellipse_may_reach_out_of_the_image(figure, mouse, got):
    figure.ellipse(got.append)
    mouse.drag((-10, -20), (30, 20))
    np.testing.assert_allclose(got[-1], (-10, 30, -20, 20), atol=NEAR)
    mouse.drag((10, 20), (10, 40))
    np.testing.assert_allclose(got[-1], (-10, 30, -20, 40), atol=2 * NEAR)


def test_a_circle_from_its_centre_is_moved_and_widened(figure, mouse, got):
    moving = []
    figure.ellipse(got.append, circle=True, moving=moving.append)
    mouse.drag((40, 30), (40 + 9, 30 + 12))
    np.testing.assert_allclose(got[-1], (25, 55, 15, 45), atol=NEAR)
    mouse.drag((25, 30), (40, 10))
    np.testing.assert_allclose(got[-1], (20, 60, 10, 50), atol=2 * NEAR)
    mouse.drag((40, 30), (45, 20))
    np.testing.assert_allclose(got[-1], (25, 65, 0, 40), atol=2 * NEAR)
    assert len(got) == 3
    assert len(moving) > 3


# ---- polygons ------------------------------------------------------------------------

TRIANGLE = [(10.0, 10.0), (10.0, 50.0), (35.0, 30.0)]


def click_all(mouse: Mouse, points) -> None:
    for point in points:
        mouse.click(point)


@pytest.mark.parametrize("how", ["enter", "double", "first", "command"])
def test_polygons_are_closed_in_four_ways(figure, mouse, got, how):
    figure.polygon(got.append)
    if how == "double":
        click_all(mouse, TRIANGLE[:-1])
        mouse.double_click(TRIANGLE[-1])
    else:
        click_all(mouse, TRIANGLE)
    if how == "enter":
        mouse.key("enter")
    elif how == "first":
        mouse.click(TRIANGLE[0])
    elif how == "command":
        figure.close_polygon()
    (corners,) = got
    np.testing.assert_allclose(corners, TRIANGLE, atol=NEAR)
    assert len(drawn(figure)[0]) == 4


def test_a_browsers_double_click_is_one_corner(figure, mouse, got):
    figure.polygon(got.append)
    click_all(mouse, TRIANGLE)
    # JupyterLab tells of two clicks before it tells of the double click.
    mouse.click(TRIANGLE[-1])
    mouse.press(TRIANGLE[-1], dblclick=True)
    (corners,) = got
    np.testing.assert_allclose(corners, TRIANGLE, atol=NEAR)


def test_two_corners_are_no_polygon(figure, mouse, got):
    figure.polygon(got.append)
    click_all(mouse, TRIANGLE[:2])
    mouse.key("enter")
    assert got == []
    assert note(figure) == "a polygon has at least 3 corners"
    mouse.click(TRIANGLE[2])
    mouse.key("enter")
    assert len(got) == 1


def test_the_next_edge_follows_the_mouse(figure, mouse):
    figure.polygon(lambda corners: None)
    mouse.click(TRIANGLE[0])
    mouse.move((22, 33))
    np.testing.assert_allclose(drawn(figure)[0], [TRIANGLE[0], (22, 33)], atol=NEAR)


def test_corners_are_taken_back_and_begun_anew(figure, mouse, got):
    figure.polygon(got.append)
    click_all(mouse, [*TRIANGLE, (70, 5)])
    mouse.key("delete")
    mouse.key("enter")
    np.testing.assert_allclose(got[-1], TRIANGLE, atol=NEAR)
    mouse.key("delete")
    assert len(drawn(figure)[0]) == 4
    mouse.key("escape")
    assert drawn(figure) == []
    other = [(50, 10), (50, 20), (60, 20), (60, 10)]
    click_all(mouse, other)
    mouse.key("enter")
    np.testing.assert_allclose(got[-1], other, atol=NEAR)


def test_corners_of_a_closed_polygon_are_moved(figure, mouse, got):
    figure.polygon(got.append, TRIANGLE)
    mouse.drag(TRIANGLE[2], (70, 40))
    np.testing.assert_allclose(got[-1], [*TRIANGLE[:2], (70, 40)], atol=NEAR)
    mouse.click((50, 5))
    assert len(got) == 1
    assert "the polygon is closed" in note(figure)


# ---- strokes and points --------------------------------------------------------------


def test_a_stroke_is_the_path_of_the_mouse(figure, mouse, got):
    figure.brush(got.append, width=4)
    mouse.drag((10, 10), (10, 30), (20, 30), steps=2)
    (path,) = got
    expected = [(10, 10), (10, 20), (10, 30), (15, 30), (20, 30)]
    np.testing.assert_allclose(path, expected, atol=NEAR)
    mouse.press((10, 10))
    mouse.key("escape")
    mouse.release((20, 20))
    assert len(got) == 1
    mouse.click((50, 50))
    assert len(got[-1]) == 1
    assert drawn(figure) == []


def test_points_are_clicks_but_not_drags(figure, mouse, got):
    figure.points(lambda row, column: got.append((row, column)))
    mouse.click((12, 34))
    mouse.drag((12, 34), (40, 50))
    mouse.click((60, 5))
    np.testing.assert_allclose(got, [(12, 34), (60, 5)], atol=NEAR)


@pytest.mark.parametrize("kind", ["points", "polygon"])
def test_clicks_beside_the_picture_are_none(figure, mouse, kind):
    getattr(figure, kind)(lambda *point: pytest.fail(f"clicked at {point}"))
    for point in [(-90, 20), (20, 500), (40, COLUMNS + 6)]:
        mouse.click(point)
    assert drawn(figure) == []


def test_no_selector_draws_nothing(figure, mouse, got):
    figure.rectangle(got.append, BOX)
    figure.no_selector()
    mouse.drag(A, B)
    mouse.key("enter")
    figure.close_polygon()
    assert got == []
    assert drawn(figure) == []
