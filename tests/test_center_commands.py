"""The beam centre in the session, on a simulated calibrant with a known centre."""

from __future__ import annotations

import tomllib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ring_run import DETECTOR, make_calibrant, open_calibrant, session, true_center

from smalldata_ana.beam_center import find_center
from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.errors import (
    BeamCenterError,
    GeometryError,
    ParameterError,
    UsageError,
)
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.mask_choice import local_mask
from smalldata_ana.session.ring_plots import (
    RadialProfile,
    draw_known_center,
    known_center_lines,
)
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.dialogue import Dialogue
from smalldata_ana.session.tools.outlines import Rectangle
from smalldata_ana.session.tools.ring import RingTool
from smalldata_ana.session.tools.ring_dialogue import pick_ring
from smalldata_ana.session.tools.ring_figure import RingFigure


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = open_calibrant(make_calibrant(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture(scope="module")
def average(run, tmp_path_factory):
    return session(run, tmp_path_factory.mktemp("average")).AvImage(DETECTOR)


@pytest.fixture
def anaps(run, average, tmp_path):
    fresh = session(run, tmp_path)
    fresh.images.add(average)
    yield fresh
    plt.close("all")


def on_ring(average, center, radius, phi):
    """Return row and column of points of a ring around a centre [um]."""
    phi = np.deg2rad(phi)
    x, y = center[0] + radius * np.sin(phi), center[1] + radius * np.cos(phi)
    return np.transpose(average.geometry.image_from_um(x, y)).tolist()


def pulls(fit, truth):
    return (np.array(fit.center_um) - truth) / fit.center_um_err


# ---- fits ----------------------------------------------------------------------------


def test_auto_finds_the_true_centre_within_its_error(anaps, run, capsys):
    tool = anaps.FitCircleAuto(DETECTOR)
    assert np.abs(pulls(tool.value, true_center(run))).max() < 3
    assert max(tool.value.center_um_err) < 10
    assert "center = " in capsys.readouterr().out
    assert tool.scripted() == f"anaps.FitCircleAuto({DETECTOR!r})"


def test_points_of_a_circle_give_its_centre(anaps, average):
    center, radius = (20600.0, 21500.0), 9000.0
    points = on_ring(average, center, radius, [10, 80, 200, 300])
    fit = anaps.FitCircle(DETECTOR, points=points).value
    np.testing.assert_allclose(fit.center_um, center, atol=0.01)
    np.testing.assert_allclose(fit.radius_um, [radius], atol=0.01)


def test_what_are_no_points_is_told(anaps):
    for points in ("abc", 5, [object()] * 3, [[1, 2], [3, "x"], [5, 6]]):
        with pytest.raises(ParameterError, match=r"points .*row and column of each"):
            anaps.FitCircleMouse(DETECTOR, points=points)
    for ring in ("abc", (1, 2)):
        with pytest.raises(ParameterError, match="not three numbers: row, column and"):
            anaps.FitCircle(DETECTOR, ring=ring)


def test_points_of_two_rings_share_their_centre(anaps, average):
    center = (20600.0, 21500.0)
    rings = [on_ring(average, center, r, [10, 130, 250]) for r in (5000.0, 9000.0)]
    fit = anaps.FitCircle(DETECTOR, points=rings).value
    np.testing.assert_allclose(fit.center_um, center, atol=0.01)
    np.testing.assert_allclose(fit.radius_um, [5000, 9000], atol=0.01)


def test_threshold_fits_the_bright_pixels_of_a_ring(anaps, average, run):
    center, size = true_center(run), average.geometry.pixel_size
    row, column = average.geometry.image_from_um(*center)
    radius = np.hypot(average.geometry.ix - row, average.geometry.iy - column)
    ring = 100 * np.exp(-0.5 * ((radius - 120) / 2) ** 2)
    tool = anaps.FitCircleThreshold(DETECTOR, inImage=ring, thresIn=97.0, plotIt=True)
    np.testing.assert_allclose(tool.value.center_um, center, atol=0.2 * size)
    np.testing.assert_allclose(tool.value.radius_px, [120], atol=0.5)
    assert tool.value.arguments == {"thresIn": 97.0}
    usual = anaps.FitCircleThreshold(DETECTOR, inImage=ring)
    assert usual.value.arguments == {"thresIn": 99.0}
    assert usual.figure is None
    with pytest.raises(UsageError, match="was given to the command"):
        tool.scripted()


def test_azimuth_refines_a_centre_that_is_off(anaps, run, capsys):
    truth = true_center(run)
    tool = anaps.centerFromAzimuth(DETECTOR, center=truth + np.array([200, -150]))
    assert np.abs(pulls(tool.value, truth)).max() < 4
    assert max(tool.value.center_um_err) < 10
    assert "the centre moves by x -20" in capsys.readouterr().out


def test_azimuth_begins_with_the_accepted_centre(anaps, run):
    anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, 148.0)).accept()
    fit = anaps.centerFromAzimuth(DETECTOR, plotIt=False).value
    assert np.abs(pulls(fit, true_center(run))).max() < 4


def test_azimuth_without_a_centre_says_where_to_get_one(anaps):
    with pytest.raises(UsageError, match="FitCircleAuto"):
        anaps.centerFromAzimuth(DETECTOR)


def test_no_rings_is_an_error(anaps, average):
    noise = np.random.default_rng(1).normal(size=average.shape)
    with pytest.raises(BeamCenterError, match=r"no rings are seen.*FitCircleMouse"):
        anaps.FitCircleAuto(DETECTOR, inImage=noise)


# ---- masks and images ----------------------------------------------------------------


def test_masks_of_users_are_left_out_where_asked_for(anaps, average):
    mask = np.ones(average.shape, bool)
    mask[0, :100] = False
    anaps.pending.append(
        Entry(DETECTOR, "mask", RunRange(3), {"shape": [2]}, "mask", array=mask)
    )
    without = anaps.FitCircle(DETECTOR, ring=(1, 2, 3), plotIt=False)
    local = anaps.FitCircle(DETECTOR, ring=(1, 2, 3), plotIt=False, use_mask_local=True)
    np.testing.assert_array_equal(local.good, without.good & mask)
    assert "use_mask_local=True" in local.scripted()


def test_exported_masks_stay_in_use(anaps, average):
    mask = np.ones(average.shape, bool)
    mask[1, 20:40] = False
    anaps.pending.append(mask_entry(DETECTOR, mask, RunRange(3)))
    anaps.exportParams(runs="1-")
    assert not anaps.pending
    np.testing.assert_array_equal(local_mask(anaps, DETECTOR, average.shape), mask)
    with pytest.raises(ParameterError, match="has the shape"):
        local_mask(anaps, DETECTOR, (3, 4))


def test_a_single_panel_is_used_alone(anaps, average):
    tool = anaps.FitCircle(DETECTOR, ring=(1, 2, 3), plotIt=False, singleTile=1)
    assert not tool.good[0].any()
    np.testing.assert_array_equal(tool.good[1], average.good[1])
    assert "singleTile=1" in tool.scripted()
    with pytest.raises(ParameterError, match="2 panels"):
        anaps.FitCircle(DETECTOR, ring=(1, 2, 3), singleTile=2)


def test_a_mask_of_more_than_half_is_told(anaps, average, capsys):
    given = {"image": average.data, "mask": np.zeros(average.shape), "name": "sum"}
    given["mask"][0] = 1
    given["mask"][1, :80] = 1
    tool = anaps.FitCircleAuto(DETECTOR, inImage=given, plotRes=False)
    assert "pixels are good" not in capsys.readouterr().out
    given["mask"][1] = 0
    anaps.FitCircleAuto(DETECTOR, inImage=given, plotRes=False)
    assert "is a mask inverted?" in capsys.readouterr().out
    assert tool.average.name == "sum"


def test_an_assembled_image_is_as_good_as_a_raw_one(anaps, average):
    raw = average_of(anaps, average.data, DETECTOR)
    assembled = average_of(anaps, {"image": average.image, "detname": DETECTOR})
    once = average.geometry.assemble(np.ones(average.shape), shared="sum") == 1
    alone = once[average.geometry.ix, average.geometry.iy]
    np.testing.assert_array_equal(raw.data, average.data)
    np.testing.assert_array_equal(assembled.data[alone], average.data[alone])
    np.testing.assert_array_equal(raw.good, average.good)


def test_what_is_no_image_is_an_error(anaps, average):
    with pytest.raises(ParameterError, match="shape"):
        average_of(anaps, np.zeros((3, 4)), DETECTOR)
    with pytest.raises(ParameterError, match="Did you mean 'mask'"):
        average_of(anaps, {"image": average.data, "masks": 1}, DETECTOR)
    with pytest.raises(UsageError, match="no 'image'"):
        average_of(anaps, {"mask": average.good}, DETECTOR)
    assert average_of(anaps, average) is average
    assert average_of(anaps, {}, DETECTOR) is average


# ---- the tool ------------------------------------------------------------------------


def test_accepted_centre_becomes_the_geometry_and_is_exported(anaps, tmp_path):
    tool = anaps.FitCircleAuto(DETECTOR, plotRes=False)
    assert not anaps.pending
    entry = tool.accept()
    assert entry.kind == "geometry"
    assert entry.values["center"] == list(tool.value.center_um)
    assert entry.values["center_err"] == list(tool.value.center_um_err)
    anaps.exportParams(runs="1-")
    written = tomllib.loads((tmp_path / "p.toml").read_text())
    (geometry,) = written["detector"][DETECTOR]["geometry"]
    assert geometry["center"] == list(tool.value.center_um)
    assert geometry["made"]["how"] == "FitCircleAuto"
    assert geometry["made"]["image"] == tool.average.name


def test_what_is_not_known_beside_the_centre_is_told(anaps, capsys):
    ring = anaps.FitCircle(DETECTOR, ring=(10, 20, 30), plotIt=False)
    assert "\n" not in repr(ring.value)
    assert repr(ring.value) == f"<RingFit: {ring.summary()}>"
    ring.accept()
    said = capsys.readouterr().out
    assert "note: cspad140k: dis_to_sam [mm] and eBeam [keV] not known yet" in said
    values = {"dis_to_sam": 50.0, "eBeam": 9.5}
    anaps.pending.append(Entry(DETECTOR, "geometry", RunRange(3), values))
    ring.accept()
    assert "not known" not in capsys.readouterr().out


def test_a_new_centre_keeps_what_else_is_known(anaps):
    values = {"center": [0.0, 0.0], "center_err": [1.0, 1.0], "dis_to_sam": 50.0}
    known = Entry(DETECTOR, "geometry", RunRange(3), values)
    anaps.pending.append(known)
    anaps.FitCircle(DETECTOR, ring=(10, 20, 30), plotIt=False).accept()
    (entry,) = anaps.pending
    assert entry.values["dis_to_sam"] == 50
    assert entry.values["center"] != [0, 0]
    assert "center_err" not in entry.values
    anaps.exportParams(runs="1-")
    anaps.FitCircle(DETECTOR, ring=(11, 20, 30), plotIt=False).accept()
    assert anaps.pending[0].values["dis_to_sam"] == 50


def test_points_are_undone_one_by_one(anaps, average):
    tool = RingTool(anaps, average)
    points = on_ring(average, (20600.0, 21500.0), 9000.0, [10, 130, 250, 300])
    for point in points[:2]:
        assert tool.add_point(*point) is None
    assert tool.add_point(*points[2]) is tool.value
    tool.add_point(*points[3])
    assert tool.points == points
    tool.undo()
    tool.undo()
    assert tool.value is None
    assert tool.points == points[:2]
    tool.undo()
    assert tool.points == points[:1]
    tool.redo()
    assert tool.points == points[:3]
    tool.reset()
    assert tool.value is None
    assert "0 points" in repr(tool)


def test_nothing_fitted_cannot_be_accepted(anaps, average):
    tool = RingTool(anaps, average)
    with pytest.raises(UsageError, match="no centre was fitted"):
        tool.accept()
    with pytest.raises(UsageError, match="no fit"):
        tool.scripted()
    tool.place(1, 2, 3)
    with pytest.raises(UsageError, match="has no name"):
        tool.accept("center")
    with pytest.raises(ParameterError, match="no ring"):
        tool.place(1, 2, -3)
    with pytest.raises(ParameterError, match="no fitted centre"):
        tool.value = (1, 2)


def test_points_of_several_rings_as_one_are_not_accepted(anaps, average):
    points = [[150, 190], [30, 150], [95, 330], [170, 20], [20, 300]]
    tool = anaps.FitCircle(points=points, inImage=average)
    assert tool.value.quality == 0
    with pytest.raises(BeamCenterError, match=r"hardly told .* all of one ring\?"):
        tool.accept()
    tool.place(100.0, 190.0, 50.0)
    assert tool.accept().values["center"] == list(tool.value.center_um)


def test_points_on_two_rings_are_not_accepted_and_three_points_are(anaps, average):
    center, phi = true_center(anaps.run), np.arange(0, 360, 90.0)
    one, other = (on_ring(average, center, r, phi) for r in (9000.0, 12000.0))
    tool = anaps.FitCircle(points=[*one[::2], *one[1:2], *other[1:]], inImage=average)
    with pytest.raises(BeamCenterError, match=r"scatter .* all of one ring"):
        tool.accept()
    tool.fit_points(one[:3])
    entry = tool.accept()
    assert "three points cannot be checked" in entry.made["notes"]
    assert "three points cannot be checked" in tool.summary()


def test_points_that_agree_by_chance_are_told_by_the_picture(anaps, average):
    center, told = true_center(anaps.run), "the picture is not sharp about this centre"
    one, other = (
        on_ring(average, center, radius, [20, 110, 200, 290])
        for radius in (9000.0, 15000.0)
    )
    right = anaps.FitCircle(points=one, inImage=average, plotIt=False)
    assert told not in right.summary()
    wrong = anaps.FitCircle(
        points=[*one[:2], *other[2:]], inImage=average, plotIt=False
    )
    assert wrong.value.quality > 0
    assert told in wrong.summary()
    assert told in wrong.accept().made["notes"]


def test_errors_that_are_lost_are_told(anaps, average, capsys):
    anaps.FitCircle(DETECTOR, points=on_ring(average, (2e4, 2e4), 9e3, [0, 90, 200]))
    known = anaps.FitCircleAuto(DETECTOR, plotRes=False).accept()
    assert "replaced" not in capsys.readouterr().out
    entry = anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, 148.0)).accept()
    assert "center_err" in known.values
    assert "center_err" not in entry.values
    assert "is replaced by one without errors" in capsys.readouterr().out


def test_figures_of_scripted_fits_do_not_pile_up(anaps, average):
    plt.close("all")
    anaps.pictures.activate()
    for radius in (140.0, 145.0, 150.0):
        anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, radius))
    assert len(plt.get_fignums()) == 1
    anaps.pictures.write()
    assert len(list(anaps.places.images.glob("*.png"))) == 3


def test_the_picture_to_click_in_is_the_current_figure(anaps):
    tool = anaps.FitCircleMouse(DETECTOR)
    assert plt.gcf() is tool.figure.canvas.figure


def test_a_fit_made_elsewhere_can_be_the_value(anaps, average):
    tool = RingTool(anaps, average)
    fit = find_center(*tool.picture)
    tool.value = fit
    assert tool.value.center_px == fit.center_px
    assert tool.value.pixel_size == average.geometry.pixel_size


def test_a_script_fits_the_same(anaps, average):
    tool = anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, 148.0), plotIt=False)
    again = eval(tool.scripted(), {"anaps": anaps})
    assert again.value == tool.value


def test_places_of_pixels_must_be_known(anaps, average, monkeypatch):
    from smalldata_ana.session.tools import ring

    monkeypatch.setattr(ring, "positions_of", lambda run, detector: None)
    with pytest.raises(GeometryError, match="not known"):
        anaps.centerFromAzimuth(DETECTOR, center=(0, 0))


# ---- mouse and conversation ----------------------------------------------------------


def answers(*lines):
    given = iter(lines)
    said = []

    def read(prompt):
        said.append(prompt)
        answer = next(given)
        if answer is None:
            raise KeyboardInterrupt
        return answer

    return Dialogue(read, said.append), said


def test_clicks_in_the_picture_fit_a_ring(anaps, average):
    tool = anaps.FitCircleMouse(DETECTOR)
    canvas = tool.figure.canvas
    canvas.figure.canvas.draw()
    points = on_ring(average, (20600.0, 21500.0), 9000.0, [10, 130, 250])
    for row, column in points:
        click(canvas, row, column)
    np.testing.assert_allclose(tool.value.center_um, (20600, 21500), atol=250)
    assert len(tool.figure.curve.lines) == 2


def click(canvas, row, column):
    from matplotlib.backend_bases import MouseEvent

    x, y = canvas.ax.transData.transform((column, row))
    for name in ("button_press_event", "button_release_event"):
        widget = canvas.figure.canvas
        widget.callbacks.process(name, MouseEvent(name, widget, x, y, 1))


def test_a_ring_is_moved_and_its_curve_follows(anaps, average):
    tool = anaps.FitCircleMouse(DETECTOR)
    tool.figure.move()
    tool.figure._moving(Rectangle.around((250, 190), 140))
    assert tool.value is None
    assert len(tool.figure.curve.lines) == 2
    tool.figure._placed(Rectangle.around((250, 190), 140))
    assert tool.value.center_px == (250, 190)
    assert tool.scripted().endswith("ring=[250.0, 190.0, 140.0])")


def test_conversation_takes_points_and_corrects_slips(anaps, average):
    tool = RingTool(anaps, average)
    center = (20600.0, 21500.0)
    points = on_ring(average, center, 9000.0, [10, 130, 250])
    typed = [f"{row:.4f} {column:.4f}" for row, column in points]
    dialogue, said = answers(
        "maybe", "y", typed[0], "1 2", "u", "what", *typed[1:], "", "y"
    )
    pick_ring(anaps, tool, None, dialogue=dialogue)
    np.testing.assert_allclose(tool.value.center_um, center, atol=1)
    assert [entry.kind for entry in anaps.pending] == ["geometry"]
    assert any("neither y (yes) nor n (no)" in text for text in said)
    assert any("more than numbers" in text for text in said)


def test_conversation_with_a_threshold_can_be_left(anaps, average, run):
    row, column = average.geometry.image_from_um(*true_center(run))
    radius = np.hypot(average.geometry.ix - row, average.geometry.iy - column)
    ring = average_of(anaps, np.exp(-0.5 * ((radius - 120) / 2) ** 2), DETECTOR)
    tool = RingTool(anaps, ring)
    dialogue, said = answers("n", "200", "97", "n", "n", None, None)
    pick_ring(anaps, tool, None, dialogue=dialogue)
    assert tool.value is not None
    assert not anaps.pending
    assert any("not between 0 and 100" in text for text in said)


def typed_ring(average):
    points = on_ring(average, (20600.0, 21500.0), 9000.0, [10, 130, 250])
    return [f"{row:.4f} {column:.4f}" for row, column in points]


@pytest.mark.parametrize("use_mouse", [None, True])
def test_ctrl_c_goes_back_one_step_and_the_end_is_said(anaps, average, use_mouse):
    tool = RingTool(anaps, average)
    typed = typed_ring(average)
    first = ["y"] if use_mouse is None else []
    # From Happy? to the points, where one is taken back and given again.
    dialogue, said = answers(
        *first, *typed, "", None, "u", typed[-1], "", None, "r", *[None] * 2
    )
    pick_ring(anaps, tool, use_mouse, dialogue=dialogue)
    assert not anaps.pending
    assert sum("Happy with this selection?" in text for text in said) == 2
    assert "nothing was taken. The tool is still there: <RingTool" in said[-1]


def test_ctrl_c_at_happy_asks_for_the_percentile_again(anaps, average, monkeypatch):
    tool = RingTool(anaps, average)
    tool.fit_auto()
    monkeypatch.setattr(RingTool, "fit_threshold", lambda self, percentile: self.value)
    dialogue, said = answers("98", None, "?", "99", "?", "y")
    pick_ring(anaps, tool, False, dialogue=dialogue)
    assert len(anaps.pending) == 1
    assert sum("min percentile" in text for text in said) == 3
    assert "accepted: center = " in said[-1]


@pytest.mark.parametrize("windows", [True, False])
def test_without_a_window_no_mouse_is_spoken_of(anaps, average, monkeypatch, windows):
    monkeypatch.setattr(ToolFigure, "has_window", windows)
    monkeypatch.setattr(anaps.pictures, "write", lambda: wrote.append(True))
    wrote = []
    dialogue, said = answers("?", "y", "?", *typed_ring(average), "", "?", "y")
    pick_ring(anaps, RingTool(anaps, average), None, dialogue=dialogue)
    assert any("by Mouse?" in text for text in said) == windows
    assert any("There is no window" in text for text in said) == (not windows)
    assert bool(wrote) == (not windows)


def test_what_cannot_be_accepted_does_not_end_the_conversation(
    anaps, average, monkeypatch
):
    def refuse(tool):
        raise ParameterError("no place")

    monkeypatch.setattr(RingTool, "accept", refuse)
    dialogue, said = answers("y", *typed_ring(average), "", "y", None)
    pick_ring(anaps, RingTool(anaps, average), None, dialogue=dialogue)
    assert "  no place" in said


def test_the_empty_curve_of_a_ring_is_not_saved(anaps, average, tmp_path):
    tool = anaps.FitCircleMouse(DETECTOR)
    anaps.pictures.write()
    names = sorted(path.name for path in anaps.places.images.glob("*FitCircle*"))
    assert len(names) == 1
    for row, column in on_ring(average, (20600.0, 21500.0), 9000.0, [10, 130, 250]):
        tool.add_point(row, column)
    anaps.pictures.write()
    assert len(list(anaps.places.images.glob("*_radius.png"))) == 1


def test_nobody_there_has_to_say_how(anaps):
    with pytest.raises(UsageError, match="use_mouse=True"):
        anaps.FitCircle(DETECTOR)


def test_rings_are_drawn_over_the_image(anaps, average):
    tool = anaps.FitCircleAuto(DETECTOR)
    ax = plt.gcf().axes[0]
    assert len(ax.lines) == len(tool.value.rings) + 2
    columns = average.geometry.shape[1]
    assert ax.get_xlim() == (-0.5, columns - 0.5)


def test_the_accepted_centre_is_shown_over_pictures(anaps, average):
    anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, 148.0), plotIt=False).accept()
    lines = known_center_lines(anaps, average)
    np.testing.assert_allclose(np.mean(lines, axis=(0, 1)), (253, 193))
    ax = anaps.plotAvImage(DETECTOR)
    before = len(ax.lines)
    draw_known_center(anaps, ax, average)
    assert len(ax.lines) == before + 2
    assert RingFigure(RingTool(anaps, average), anaps.display).canvas.ax.lines


def test_the_curve_is_the_mean_by_radius():
    rows, columns = np.indices((60, 80))
    image = np.hypot(rows - 20.5, columns - 33.2).astype(np.float32)
    good = np.ones(image.shape, bool)
    image[3, 4], good[3, 4] = 1e6, False
    image[5, 6] = np.nan
    radius, mean = RadialProfile(image, good).about((20.5, 33.2))
    np.testing.assert_allclose(mean, radius, atol=0.5)
