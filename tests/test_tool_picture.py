"""The figure of a tool: what is over the image, large images, windows and tools."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
from mouse import Mouse
from rings_image import GAP, PANEL, ring_image
from tool_figures import BOX, COLUMNS, NEAR, ROWS, A, B, drawn, note

from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.base import Tool
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.outlines import (
    Rectangle,
    circle_line,
    rectangle_line,
    region_lines,
)

pytest_plugins = ["tool_fixtures"]
pytestmark = pytest.mark.usefixtures("plt")


# ---- over the image ------------------------------------------------------------------


def pixels(figure: ToolFigure) -> np.ndarray:
    figure.figure.canvas.draw()
    return np.asarray(figure.figure.canvas.buffer_rgba()).astype(int)


def colour_at(figure: ToolFigure, point: tuple[float, float]) -> list[int]:
    seen = pixels(figure)
    x, y = Mouse(figure.ax).on_screen(point)
    return seen[seen.shape[0] - 1 - int(y), int(x), :3].tolist()


def test_lines_are_replaced_and_removed_by_key(figure):
    figure.outline("ring", [circle_line((40, 30), 10)], "white", label="q = 1")
    assert len(drawn(figure)) == 1
    assert "q = 1" in [text.get_text() for text in figure.ax.texts]
    figure.outline("ring", [circle_line((40, 30), r) for r in (5, 15)], "white")
    figure.outline("box", [rectangle_line(BOX)], "black")
    assert len(drawn(figure)) == 3
    assert "q = 1" not in [text.get_text() for text in figure.ax.texts]
    figure.outline("ring", None)
    (left,) = drawn(figure)
    np.testing.assert_array_equal(left, rectangle_line(BOX))


def test_lines_are_seen_and_do_not_move_the_view(figure):
    limits = figure.ax.get_xlim(), figure.ax.get_ylim()
    figure.outline("ring", [circle_line((40, 30), 300)], "white")
    figure.outline("box", [rectangle_line(BOX)], (0.0, 1.0, 0.0))
    assert (figure.ax.get_xlim(), figure.ax.get_ylim()) == limits
    assert colour_at(figure, (10, 20))[1] > 200


def test_pixels_are_coloured_and_the_colour_goes(figure):
    plain = colour_at(figure, (20, 5))
    shown = np.zeros((ROWS, COLUMNS), bool)
    shown[15:25, 2:9] = True
    figure.overlay("mask", shown, (1.0, 0.0, 0.0, 1.0))
    assert colour_at(figure, (20, 5)) == [255, 0, 0]
    np.testing.assert_allclose(colour_at(figure, (30, 5)), plain, atol=2)
    figure.overlay("mask", ~shown, "blue")
    assert colour_at(figure, (20, 5)) == plain
    assert colour_at(figure, (30, 5)) == [0, 0, 255]
    figure.overlay("mask", None)
    np.testing.assert_allclose(colour_at(figure, (30, 5)), plain, atol=2)


def test_a_picture_file_has_shape_and_read_out(figure, tmp_path, plt):
    def saved() -> np.ndarray:
        figure.figure.savefig(tmp_path / "a.png")
        return plt.imread(tmp_path / "a.png")

    figure.no_selector()
    before = saved()
    figure.say("sum 3 keV")
    with_text = saved()
    assert (with_text != before).any()
    figure.rectangle(lambda box: None, BOX)
    figure.say("sum 3 keV")
    assert (saved() != with_text).any()


def test_a_change_is_noticed_by_those_who_write_picture_files(figure):
    pixels(figure)
    assert not figure.figure.stale
    figure.say("something else")
    assert figure.figure.stale


def test_what_moves_is_drawn_over_what_does_not(figure):
    figure.rectangle(lambda box: None)
    mouse = Mouse(figure.ax)
    mouse.press(A)
    mouse.move((60, 30))
    mouse.move(B)
    held = np.asarray(figure.figure.canvas.buffer_rgba()).copy()
    figure.refresh()
    anew = pixels(figure)
    # Both drawings are the same: nothing of the first place is left.
    assert (held != anew).any(axis=-1).mean() < 0.001


def test_the_raw_pixel_under_the_cursor_is_told(figure):
    assert figure.ax.format_coord(7, PANEL[0] + GAP + 5) == (
        "panel 1, row 5, column 7 = 1e+06 keV (masked)"
    )


# ---- several, and how long -----------------------------------------------------------


def test_several_windows_at_once(plt):
    got = {0: [], 1: []}
    figures = [ToolFigure(ring_image(), Display(), "test") for _ in got]
    for number, figure in enumerate(figures):
        figure.rectangle(got[number].append)
    Mouse(figures[1].ax).drag(A, B)
    assert (len(got[0]), len(got[1])) == (0, 1)
    Mouse(figures[0].ax).drag(A, B)
    assert (len(got[0]), len(got[1])) == (1, 1)
    assert len(set(plt.get_figlabels())) == 2


class Boxes(Tool[Rectangle]):
    """A tool of a rectangle, with nothing else."""

    def draw(self, box: Rectangle) -> None:
        self.value = box

    def accept(self, name=None):
        raise NotImplementedError

    def scripted(self):
        raise NotImplementedError


def test_the_figure_keeps_the_tool_alive_as_long_as_it_is_open(plt):
    tool = Boxes()
    figure = ToolFigure(ring_image(), Display(), "test")
    figure.keep(tool)
    figure.rectangle(tool.draw)
    seen, held = weakref.ref(tool), weakref.ref(figure)
    ax = figure.ax
    del tool, figure
    gc.collect()
    Mouse(ax).drag(A, B)
    np.testing.assert_allclose(seen().value, BOX, atol=NEAR)
    del ax
    plt.close("all")
    gc.collect()
    assert held() is None
    assert seen() is None


def test_ctrl_z_undoes_and_ctrl_y_redoes(figure):
    tool, mouse = Boxes(), Mouse(figure.ax)
    figure.keep(tool)
    figure.rectangle(tool.draw)
    mouse.drag(A, B)
    value = tool.value
    mouse.key("ctrl+z")
    assert tool.value is None
    mouse.key("ctrl+z")
    assert note(figure) == "there is nothing to undo"
    mouse.key("ctrl+y")
    assert tool.value == value


# ---- large images --------------------------------------------------------------------


@pytest.fixture
def large(plt):
    return ToolFigure(ring_image((1200, 2400)), Display(), "test")


def shown_array(figure: ToolFigure, number: int = 0) -> np.ndarray:
    return figure.ax.images[number].get_array()


def test_of_a_large_image_little_is_drawn(large):
    Mouse(large.ax)
    assert shown_array(large).shape == (601, 600)
    left, right, bottom, top = large.ax.images[0].get_extent()
    assert left == top == -0.5
    assert (right, bottom) == (2399.5, 2403.5)


def test_what_is_drawn_of_it_are_means_without_gaps(large):
    image = large.average.image
    Mouse(large.ax)
    blocks = image.reshape(601, 4, 600, 4).transpose(0, 2, 1, 3).reshape(601, 600, 16)
    gaps = np.isnan(blocks).all(axis=-1)
    seen = shown_array(large).filled(np.nan)
    assert gaps.any()
    np.testing.assert_array_equal(np.isnan(seen), gaps)
    np.testing.assert_allclose(seen[~gaps], blocks[~gaps].mean(axis=-1), atol=1e-6)


def test_zoomed_it_is_drawn_pixel_by_pixel(large):
    large.ax.set(xlim=(100, 199), ylim=(1249, 1150))
    Mouse(large.ax)
    left, right, bottom, top = (
        int(edge + 0.5) for edge in large.ax.images[0].get_extent()
    )
    expected = large.average.image[top:bottom, left:right]
    np.testing.assert_array_equal(shown_array(large), expected)
    assert (left, right, bottom, top) == (100, 200, 1250, 1150)


def test_single_coloured_pixels_of_a_large_image_are_seen(large):
    shown = np.zeros(large.average.geometry.shape, bool)
    shown[1001, 7] = shown[1503, 1403] = True
    large.overlay("mask", shown, "red")
    Mouse(large.ax)
    assert np.count_nonzero(shown_array(large, 1)[..., 3]) == 2
    large.ax.set(xlim=(0, 20), ylim=(1010, 990))
    Mouse(large.ax)
    assert np.count_nonzero(shown_array(large, 1)[..., 3]) == 1
    large.overlay("mask", None)
    assert len(large.ax.images) == 1


# ---- arithmetic ----------------------------------------------------------------------


EDGES = list(itertools.product((0, 3), (1, 9), (0, 5), (1, 60)))


@pytest.mark.parametrize("edges", EDGES)
def test_pixels_and_edges_are_inverse(edges):
    rows, columns = (edges[0], edges[0] + edges[1]), (edges[2], edges[2] + edges[3])
    assert Rectangle.of_pixels(rows, columns).pixels() == (rows, columns)


def test_pixels_count_whose_middles_are_inside():
    assert Rectangle(10, 20, 3.4, 5.6).pixels() == ((10, 20), (4, 6))
    assert Rectangle(9.6, 10.1, -0.5, 0.4).pixels() == ((10, 11), (0, 1))


def test_there_is_at_least_one_pixel():
    assert Rectangle(10.6, 10.6, 3.1, 3.2).pixels() == ((11, 12), (3, 4))
    assert Rectangle(83.2, 83.5, -0.5, -0.2).pixels() == ((83, 84), (0, 1))


def test_the_line_around_a_box_on_each_panel():
    geometry = ring_image().geometry
    lines = region_lines(geometry, [((0, 2), (0, 10), (5, 60))])
    expected = [Rectangle(-0.5, 9.5, 4.5, 59.5), Rectangle(43.5, 53.5, 4.5, 59.5)]
    np.testing.assert_allclose(lines, [rectangle_line(box) for box in expected])
    assert Rectangle.enclosing(lines) == Rectangle(-0.5, 53.5, 4.5, 59.5)
