"""The conversation about a region at a terminal."""

from __future__ import annotations

import numpy as np
import pytest
from mouse import Mouse
from region_session import (
    BOX,
    DETECTOR,
    PANELS,
    SECOND,
    Session,
)
from rings_image import ring_image
from small_run import small_run
from terminal import Talk

from smalldata_ana.places import places
from smalldata_ana.session import region_commands
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.roi import RoiTool
from smalldata_ana.session.tools.roi_dialogue import choose_region


@pytest.fixture(autouse=True)
def plt():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


@pytest.fixture
def session(tmp_path):
    run = small_run(tmp_path)
    where = places("xpptut15", params=tmp_path / "p.toml")
    yield Session(run, places_of=lambda experiment: where)
    run.close()


@pytest.fixture
def average(session):
    image = ring_image(PANELS, events=np.arange(4))
    session.images.add(image)
    return image


@pytest.fixture
def tool(session, average):
    tool = RoiTool(session, DETECTOR, average=average)
    tool.show(Display())
    return tool


@pytest.fixture
def mouse(tool):
    return Mouse(tool.figure.ax)


def talk(tool, *answers) -> Talk:
    terminal = Talk(*answers)
    choose_region(tool, terminal.dialogue)
    return terminal


def test_happy_with_what_was_drawn(session, tool, mouse):
    mouse.drag((3.6, 2.6), (9.4, 9.4))
    terminal = talk(tool, "", "y", "")
    (entry,) = session.pending
    assert entry.name == "ROI_0"
    assert entry.values == {"ROI": [[0, 1], [4, 10], [3, 10]]}
    assert terminal.prompts[1:] == [
        "Happy with this selection? (y/n/u/r) [y] ",
        "Name? [ROI_0] ",
    ]
    assert any("ROI=[[0, 1], [4, 10], [3, 10]]" in line for line in terminal.lines)
    assert "exportParams" in terminal.lines[-1]


def test_typed_with_mistakes(session, tool):
    terminal = talk(
        tool,
        "",
        "4 10 3",
        "a b c d",
        "10 4 3 10",
        f"{PANELS[0]} {SECOND} 0 5",
        "4 10 3 10",
        "what",
        "Yes",
        "a/b",
        "spot",
    )
    (entry,) = session.pending
    assert (entry.name, entry.values) == ("spot", {"ROI": [[0, 1], [4, 10], [3, 10]]})
    said = "\n".join(terminal.lines)
    for text in (
        "no rectangle yet",
        "is not 4 numbers",
        "more than numbers",
        "r0 < r1",
        "touches no panel",
        "'what' is none of",
        "is not a name",
    ):
        assert text in said


def test_help_at_each_question(tool):
    tool.value = BOX
    terminal = talk(tool, "?", "", "?", "y", "?", "")
    assert "half-open" in terminal.lines[0]
    assert any("u undoes" in line for line in terminal.lines)
    assert any("<name>_sum" in line for line in terminal.lines)


def test_ctrl_c_goes_back_step_by_step_and_keeps_the_region(session, tool):
    tool.value = BOX
    back = KeyboardInterrupt
    # From the name to the region, from there to the drawing, and out.
    terminal = talk(tool, "", "y", back, "", back, back)
    assert session.pending == []
    assert tool.value == BOX
    assert "nothing was taken" in terminal.lines[-1]


def test_not_happy_undo_and_redo(session, tool):
    tool.value = BOX
    tool.value = [[1, 2], [0, 3], [0, 3]]
    talk(tool, "", "u", "r", "r", "u", "n", "", "y", "A")
    (entry,) = session.pending
    assert entry.values == {"ROI": BOX}


def test_undo_to_nothing_asks_to_draw_again(session, tool):
    talk(tool, "4 10 3 10", "u", "5 9 2 6", "", "")
    (entry,) = session.pending
    assert entry.values == {"ROI": [[0, 1], [5, 9], [2, 6]]}


@pytest.mark.parametrize("there", [True, False])
def test_it_is_held_only_where_somebody_is_there(session, average, monkeypatch, there):
    held = []
    monkeypatch.setattr(region_commands, "somebody_there", lambda: there)
    monkeypatch.setattr(
        "smalldata_ana.session.tools.roi_dialogue.choose_region", held.append
    )
    session.SelectRegion(DETECTOR)
    session.interactive = True
    tool = session.SelectRegion(DETECTOR)
    assert held == ([tool] if there else [])
    session.SelectRegion(DETECTOR, ROI=BOX)
    assert len(held) == there
