"""Regions that are drawn with the mouse, and the commands for it."""

from __future__ import annotations

import ast
import dataclasses

import numpy as np
import pytest
from mouse import Mouse
from region_session import (
    BOX,
    COLUMNS,
    DETECTOR,
    PANELS,
    ROWS,
    SECOND,
    lines,
    texts,
)
from rings_image import ring_image
from small_run import JUNGFRAU
from tool_figures import note

from smalldata_ana.ana_funcs.regions import boxes_within, region_numbers
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import NameNotFound, ParameterError, UsageError
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.live_numbers import LiveNumbers
from smalldata_ana.session.tools.roi import RoiTool
from smalldata_ana.sources.base import PixelPositions

pytest_plugins = ["tool_fixtures"]
pytestmark = pytest.mark.usefixtures("plt")


@pytest.fixture
def mouse(tool):
    return Mouse(tool.figure.ax)


# ---- drawn ---------------------------------------------------------------------------


def test_a_rectangle_is_a_half_open_box(tool, mouse):
    mouse.drag((3.6, 1.6), (9.4, 12.3))
    assert tool.value == [[0, 1], [4, 10], [2, 13]]


def test_the_same_rectangle_in_each_direction(tool, mouse):
    corners = [(3.6, 1.6), (3.6, 12.4), (9.4, 12.4), (9.4, 1.6)]
    for number in range(4):
        mouse.key("escape")
        mouse.drag(corners[number], corners[(number + 2) % 4])
        assert tool.value == [[0, 1], [4, 10], [2, 13]]


def test_one_box_for_each_panel_that_is_touched(tool, mouse):
    mouse.drag((19.6, 2.6), (SECOND + 5.4, 9.4))
    assert tool.value == [
        [[0, 1], [20, 24], [3, 10]],
        [[1, 2], [0, 6], [3, 10]],
    ]


def test_from_outside_to_outside_is_all_of_it(tool, mouse):
    mouse.drag((-9, -9), (ROWS + 9, COLUMNS + 9))
    assert tool.value == [
        [[0, 1], [0, PANELS[0]], [0, PANELS[1]]],
        [[1, 2], [0, PANELS[0]], [0, PANELS[1]]],
    ]


def test_a_rectangle_in_the_gap_leaves_the_region(tool, mouse):
    mouse.drag((3.6, 2.6), (9.4, 9.4))
    value = tool.value
    mouse.drag((PANELS[0] + 0.6, 3), (SECOND - 1.4, 9))
    assert tool.value == value
    assert "touches no panel" in texts(tool.figure.ax)[0]


def test_the_region_is_drawn_back_on_the_image(tool):
    tool.value = [[[0, 1], [20, 24], [3, 10]], [[1, 2], [0, 6], [3, 10]]]
    drawn = lines(tool.figure.ax)
    edges = [(line.min(axis=0).tolist(), line.max(axis=0).tolist()) for line in drawn]
    assert ([19.5, 2.5], [23.5, 9.5]) in edges
    assert ([SECOND - 0.5, 2.5], [SECOND + 5.5, 9.5]) in edges
    # The rectangle with the handles is around both.
    assert edges.count(([19.5, 2.5], [SECOND + 5.5, 9.5])) == 2


def test_edits_are_steps_that_are_undone_and_redone(tool, mouse):
    mouse.drag((3.6, 2.6), (9.4, 9.4))
    mouse.drag((9.5, 9.5), (14.4, 12.4))
    assert tool.value == [[0, 1], [4, 15], [3, 13]]
    mouse.drag((SECOND + 2.6, 1.6), (SECOND + 6.4, 8.4))
    assert tool.value == [[1, 2], [3, 7], [2, 9]]
    mouse.key("ctrl+z")
    assert tool.value == [[0, 1], [4, 15], [3, 13]]
    assert tool.undo() == [[0, 1], [4, 10], [3, 10]]
    assert ([3.5, 2.5], [9.5, 9.5]) in [
        (line.min(axis=0).tolist(), line.max(axis=0).tolist())
        for line in lines(tool.figure.ax)
    ]
    assert tool.undo() is None
    assert lines(tool.figure.ax) == []
    mouse.key("ctrl+y")
    assert tool.redo() == [[0, 1], [4, 15], [3, 13]]
    assert tool.reset() is None


def test_moved_by_its_middle_it_keeps_its_size(tool, mouse):
    tool.value = [[0, 1], [4, 10], [2, 8]]
    mouse.drag((6.5, 4.5), (16.7, 8.3))
    assert tool.value == [[0, 1], [14, 20], [6, 12]]


def test_the_read_out_follows_the_mouse(tool, mouse, average):
    mouse.press((3.6, 2.6))
    mouse.move((12, 4))
    mouse.move((9.4, 9.4))
    part = average.data[0, 4:10, 3:10]
    (note,) = texts(tool.figure.ax)
    assert note == f"sum {part.sum():.6g} keV, mean {part.mean():.4g} keV, 42 pixels"
    mouse.release((9.4, 9.4))
    (note,) = texts(tool.figure.ax)
    assert note.replace("\n", " ").startswith("ROI=[[0, 1], [4, 10], [3, 10]], sum ")
    assert tool.summary() in repr(tool)


def test_pixels_that_do_not_count_are_left_out_and_counted(tool, average):
    tool.value = [[1, 2], [4, 7], [5, 10]]
    numbers = tool.numbers()
    part = average.data[1, 4:7, 5:10].astype(float)
    assert average.data[1, 5, 7] == 1e6
    assert numbers.sum == pytest.approx(part.sum() - 1e6, rel=1e-5)
    assert (numbers.size, numbers.left_out) == (15, 1)
    assert numbers.mean == pytest.approx(numbers.sum / 14)
    assert "15 pixels, 1 of them left out" in tool.summary()


def test_numbers_of_a_region_without_a_pixel_that_counts():
    image, good = np.full((4, 5), np.nan), np.ones((4, 5), bool)
    numbers = region_numbers(image, good, boxes_within([[0, 2], [1, 3]], (4, 5), "d"))
    assert (numbers.sum, numbers.size, numbers.left_out) == (0, 4, 4)
    assert np.isnan(numbers.mean)


@pytest.mark.parametrize("turns", range(4))
def test_there_and_back_on_panels_that_are_turned(session, turns):
    """A rectangle on the image, its boxes, and their outlines on the image."""
    rows, columns = np.indices((40, 60), np.float64)
    grids = [(rows, columns), (columns, -rows), (-rows, -columns), (-columns, rows)]
    x, y = (75 * axis for axis in grids[turns])
    x, y = np.stack([x, x + 75 * 64]), np.stack([y, y])
    geometry = ImageGeometry.from_positions(
        PixelPositions(x, y, np.zeros_like(x), 75.0), x.shape
    )
    average = ring_image((40, 60), find_geometry=lambda: geometry)
    session.run.detectors[DETECTOR] = dataclasses.replace(
        session.run.detectors[DETECTOR], shape=x.shape
    )
    tool = RoiTool(session, DETECTOR, average=average)
    tool.show(Display())
    Mouse(tool.figure.ax).drag((9.6, 11.6), (20.4, 31.4))
    panel, r, c = tool.value
    inside = np.zeros(x.shape, bool)
    inside[slice(*panel), slice(*r), slice(*c)] = True
    expected = (geometry.ix >= 10) & (geometry.ix <= 20)
    expected &= (geometry.iy >= 12) & (geometry.iy <= 31)
    np.testing.assert_array_equal(inside, expected)
    around = lines(tool.figure.ax)[0]
    np.testing.assert_allclose(around.min(axis=0), (9.5, 11.5))
    np.testing.assert_allclose(around.max(axis=0), (20.5, 31.5))


def test_two_tools_at_once(session, average):
    tools = [RoiTool(session, DETECTOR, average=average) for _ in range(2)]
    mice = [Mouse(tool.show(Display()).ax) for tool in tools]
    mice[0].drag((3.6, 2.6), (9.4, 9.4))
    assert tools[1].value is None
    mice[1].drag((1.6, 2.6), (9.4, 9.4))
    assert tools[0].value == [[0, 1], [4, 10], [3, 10]]
    assert tools[1].value == [[0, 1], [2, 10], [3, 10]]


def test_a_picture_needs_an_image(session):
    tool = RoiTool(session, DETECTOR)
    with pytest.raises(UsageError, match=r"make one: AvImage\('jungfrau1M'\)"):
        tool.show(Display())
    assert tool.numbers() is None


def test_scripted_it_is_the_same(session, tool, mouse):
    mouse.drag((19.6, 2.6), (SECOND + 5.4, 9.4))
    call = ast.parse(tool.scripted()).body[0].value
    assert ast.unparse(call.func) == "anaps.SelectRegion"
    again = session.SelectRegion(
        *(ast.literal_eval(a) for a in call.args),
        **{k.arg: ast.literal_eval(k.value) for k in call.keywords},
    )
    assert again.value == tool.value
    assert again.figure is None
    assert session.pending == []


# ---- the commands --------------------------------------------------------------------


def test_the_command_opens_the_picture_and_takes_nothing(session, average):
    tool = session.SelectRegion(DETECTOR, limits=(0, 100))
    assert tool.average is average
    clim = tool.figure.ax.images[0].get_clim()
    assert clim[1] == pytest.approx(1, rel=0.05)
    Mouse(tool.figure.ax).drag((3.6, 2.6), (9.4, 9.4))
    assert session.pending == []
    entry = tool.accept()
    assert session.pending == [entry]
    assert entry.name == "ROI_0"
    assert dict(entry.made)["how"] == "SelectRegion"
    assert dict(entry.made)["common_mode"] == 0


def test_limits_that_make_no_sense_open_no_window(session, average, plt):
    with pytest.raises(ParameterError, match=r"limits = \(9, 3\)"):
        session.SelectRegion(DETECTOR, limits=(9, 3))
    with pytest.raises(ParameterError, match=r"limits = .*Did you mean ROI=…\?"):
        session.SelectRegion(DETECTOR, [[0, 1], [1, 2], [3, 4]])
    assert plt.get_fignums() == []


def test_any_image_can_be_chosen_on(session):
    image = np.arange(np.prod(JUNGFRAU), dtype=float).reshape(JUNGFRAU)
    tool = session.SelectRegion(DETECTOR, inImage=image)
    tool.value = BOX
    assert tool.numbers().sum == image[0, 4:20, 5:15].sum()


def test_without_an_image_the_command_says_what_to_do(session):
    with pytest.raises(NameNotFound, match=r"AvImage\(\)"):
        session.SelectRegion(DETECTOR)
    assert session.SelectRegion(DETECTOR, ROI=BOX).value == BOX


def test_a_plain_average_does_where_there_are_no_hits(session, average, capsys):
    tool = session.SelectRegionDroplet(DETECTOR)
    assert tool.average is average
    assert "thresADU=…, hits=True" in capsys.readouterr().out


def test_the_mask_of_a_region_is_true_inside(session, average):
    tool = session.SelectRegionDroplet(DETECTOR)
    with pytest.raises(UsageError, match="no region"):
        tool.mask  # noqa: B018
    tool.value = [BOX, [[1, 2], [3, 6], [2, 9]]]
    expected = np.zeros(JUNGFRAU, bool)
    expected[0, 4:20, 5:15] = True
    expected[1, 3:6, 2:9] = True
    assert tool.mask.dtype == bool
    np.testing.assert_array_equal(tool.mask, expected)


def test_the_live_numbers_are_those_of_the_region(average):
    rng = np.random.default_rng(5)
    data = rng.normal(10, 3, JUNGFRAU).astype(np.float32)
    data[0, 3, 4] = np.nan
    good = rng.random(JUNGFRAU) > 0.1
    noisy = dataclasses.replace(average, data=data, good=good)
    live = LiveNumbers(noisy)
    for _ in range(20):
        row, column = rng.integers(0, PANELS[0] - 1), rng.integers(0, COLUMNS - 1)
        rows = (row, rng.integers(row + 1, ROWS + 3))
        columns = (column, rng.integers(column + 1, COLUMNS + 3))
        boxes = boxes_within(noisy.geometry.boxes(rows, columns), JUNGFRAU, "det")
        expected, found = region_numbers(data, good, boxes), live.of(rows, columns)
        assert (found.size, found.left_out) == (expected.size, expected.left_out)
        np.testing.assert_allclose(
            [found.sum, found.mean], [expected.sum, expected.mean], rtol=1e-6
        )
    assert live.of((-9, -3), (0, 5)).size == 0
    assert live.of((PANELS[0], SECOND), (0, COLUMNS)).size == 0


def test_while_the_mouse_moves_no_boxes_are_looked_for(tool, monkeypatch):
    mouse = Mouse(tool.figure.ax)
    mouse.move((4, 4))
    mouse.press((4, 4))
    monkeypatch.setattr(ImageGeometry, "boxes", lambda *_: pytest.fail("boxes"))
    mouse.move((9, 9))
    mouse.move((12, 20))
    assert "pixels" in note(tool.figure)


def test_regions_of_hits(session, average):
    hits = np.zeros(JUNGFRAU, np.uint32)
    hits[0, 5, 6] = 7
    session.images.add(dataclasses.replace(average, hits=hits))
    tool = session.SelectRegionDroplet(DETECTOR)
    assert tool.average.name == "AvImg_hits_pedSub_jungfrau1M"
    Mouse(tool.figure.ax).drag((3.6, 4.6), (6.4, 7.4))
    assert tool.numbers().sum == 7
    entry = tool.accept("spot")
    assert dict(entry.made)["how"] == "SelectRegionDroplet"
    assert tool.scripted().startswith("anaps.SelectRegionDroplet('jungfrau1M', ROI=")
    assert session.SelectRegionDroplet(DETECTOR, ROI=BOX).value == BOX


@pytest.mark.parametrize("statistic", ["sum", "mean"])
def test_regions_of_a_given_image_of_hits(session, average, statistic):
    image = dataclasses.replace(average, statistic=statistic)
    tool = session.SelectRegionDroplet(DETECTOR, inImage=image)
    assert tool.average is image
