"""The conversation about a region at a terminal."""

from __future__ import annotations

import pytest
from mouse import Mouse
from region_session import BOX, DETECTOR, PANELS, SECOND
from terminal import Talk

from smalldata_ana.session import region_commands
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.roi import RoiTool
from smalldata_ana.session.tools.roi_dialogue import choose_region

pytest_plugins = ["tool_fixtures"]
pytestmark = pytest.mark.usefixtures("plt")


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(ToolFigure, "has_window", True)


@pytest.fixture
def mouse(tool, windows):
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


def test_typed_with_mistakes(session, tool, windows):
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
        "y",
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
        "'y' answers another question",
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


class Moving(Talk):
    """Moves the region while the questions from some one on stand."""

    def __init__(self, tool, number, *answers):
        super().__init__(*answers)
        self.tool, self.number = tool, number

    def _read(self, prompt):
        if len(self.prompts) == self.number:
            self.tool.value = [[1, 2], [3, 6], [2, 9]]
        return super()._read(prompt)


@pytest.mark.parametrize("number", [1, 2])
def test_the_box_that_is_taken_is_said_also_if_it_was_moved(session, tool, number):
    tool.value = BOX
    terminal = Moving(tool, number, "", "y", "")
    choose_region(tool, terminal.dialogue)
    (entry,) = session.pending
    assert entry.values == {"ROI": [[1, 2], [3, 6], [2, 9]]}
    assert "taken: " in terminal.lines[-1]
    assert "ROI=[[1, 2], [3, 6], [2, 9]], sum" in terminal.lines[-1]


def test_without_a_window_only_numbers_are_asked_for(session, tool):
    terminal = talk(tool, "?", "4 10 3 10", "n", "", "y", "")
    assert "picture file" in terminal.lines[0]
    assert not any("Draw" in prompt for prompt in terminal.prompts)
    (entry,) = session.pending
    assert entry.values == {"ROI": [[0, 1], [4, 10], [3, 10]]}
    assert "The tool is still there" in talk(RoiTool(session, DETECTOR), "").lines[-1]


def test_without_a_window_the_picture_is_named_before_the_question(
    session, average, monkeypatch, capsys
):
    said_before = []

    def choose(tool):
        said_before.append(capsys.readouterr().out)

    monkeypatch.setattr(region_commands, "somebody_there", lambda: True)
    monkeypatch.setattr(
        "smalldata_ana.session.tools.roi_dialogue.choose_region", choose
    )
    session.interactive = True
    session.SelectRegion(DETECTOR)
    (path,) = session.places.images.glob("*SelectRegion_jungfrau1M.png")
    assert f"the figure is in {path}" in said_before[0]


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
