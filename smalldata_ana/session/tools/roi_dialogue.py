"""The conversation that leads a `RoiTool` at a terminal."""

from __future__ import annotations

from smalldata_ana.errors import SmallDataError, UsageError
from smalldata_ana.session.tools.dialogue import (
    Back,
    Dialogue,
    one_of,
    whole_numbers,
)
from smalldata_ana.session.tools.outlines import Rectangle
from smalldata_ana.session.tools.roi import RoiTool

_DRAWN = "drawn"
_DRAW = "Draw a rectangle, then press Enter; or type r0 r1 c0 c1 of the image:"
_TYPE = "Type rows and columns of the image, r0 r1 c0 c1:"
_DRAW_HELP = """\
  Drag a rectangle on the image, then press Enter here.  Its handles can be moved.
  In the window, Escape begins anew and Ctrl-Z takes back.
  Or type rows and columns of the image: r0 r1 c0 c1, half-open, for instance
  100 120 50 60 for 20 rows and 10 columns.  Ctrl-C leaves without taking anything."""
_TYPE_HELP = """\
  Rows and columns of the image, half-open: r0 r1 c0 c1, for instance 100 120 50 60 for
  20 rows and 10 columns; look at the picture file for them.  Enter takes the region
  that there is; without one, Enter or Ctrl-C leaves."""
_HAPPY_HELP = """\
  y takes the region, n goes on drawing, u undoes the last change, r redoes it.
  Ctrl-C goes back to drawing."""
_NAME_HELP = """\
  The results of the region will be called <name>_sum, <name>_mean and so on.
  Ctrl-C goes back."""
_LETTERS = {"y": "y", "yes": "y", "n": "n", "no": "n", "u": "u", "r": "r"}


def choose_region(tool: RoiTool, dialogue: Dialogue | None = None) -> None:
    """Ask until a region is taken, or the user leaves with Ctrl-C.

    Parameters
    ----------
    tool : with its picture shown, or not
    dialogue : asks; by default at the terminal
    """
    talk = Dialogue() if dialogue is None else dialogue
    while True:
        try:
            _draw(tool, talk)
        except Back:
            talk.write(f"  left; nothing was taken. The tool is still there: {tool!r}")
            return
        try:
            if _happy(tool, talk) and _taken(tool, talk):
                return
        except Back:
            continue


def _draw(tool: RoiTool, talk: Dialogue) -> None:
    """Wait until there is a region."""

    def drawn(answer: str) -> str:
        if answer != _DRAWN:
            r0, r1, c0, c1 = whole_numbers(answer, 4)
            if r0 >= r1 or c0 >= c1:
                raise UsageError(f"{answer!r} is not r0 < r1 and c0 < c1")
            tool.draw(Rectangle.of_pixels((r0, r1), (c0, c1)))
        return answer

    if tool.figure is None or not tool.figure.has_window:
        there = None if tool.value is None else _DRAWN
        talk.ask(_TYPE, drawn, there, help=_TYPE_HELP)
        return
    while True:
        talk.ask(_DRAW, drawn, _DRAWN, help=_DRAW_HELP)
        if tool.value is not None:
            return
        talk.write("  there is no rectangle yet")


def _happy(tool: RoiTool, talk: Dialogue) -> bool:
    """Ask whether the region is right; take changes back if wanted."""
    while True:
        talk.write(f"  {tool.summary()}")
        answer = talk.ask(
            "Happy with this selection? (y/n/u/r)",
            lambda text: _LETTERS[one_of(text.lower(), list(_LETTERS))],
            "y",
            help=_HAPPY_HELP,
        )
        if answer in ("y", "n"):
            return answer == "y" and tool.value is not None
        try:
            tool.undo() if answer == "u" else tool.redo()
        except SmallDataError as error:
            talk.write(f"  {error}")
        if tool.value is None:
            return False


def _name(text: str) -> str:
    if text.lower() in _LETTERS:
        raise UsageError(f"{text!r} answers another question; Enter takes the name")
    return text


def _taken(tool: RoiTool, talk: Dialogue) -> bool:
    """Ask for a name, and take the region under it; False to go back."""
    while True:
        free = tool.free_name()
        try:
            name = talk.ask("Name?", _name, free, help=_NAME_HELP)
        except Back:
            return False
        try:
            entry = tool.accept(None if name == free else name)
        except SmallDataError as error:
            talk.write(f"  {error}")
        else:
            talk.write(
                f"  taken: {entry}, {tool.summary()}; anaps.exportParams() writes it"
            )
            return True
