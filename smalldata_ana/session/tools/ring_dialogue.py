"""The conversation that fits a ring: upstream's questions, and its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smalldata_ana.errors import UsageError
from smalldata_ana.session.beam_questions import dialogue_of
from smalldata_ana.session.tools.dialogue import Back, Dialogue, numbers

if TYPE_CHECKING:
    from smalldata_ana.session.tools.ring import RingTool
    from smalldata_ana.session.tools.ring_figure import RingFigure

_MOUSE_HELP = (
    "y: click points on one ring in the picture, three or more; n: take the bright "
    "pixels of a ring"
)
_POINT_HELP = (
    "click on the ring in the picture, or type row and column of a point; u takes the "
    "last one back, r begins anew, m moves a whole ring with the mouse, c clicks "
    "points again; Enter ends; three points make a circle"
)
_PERCENTILE_HELP = "pixels above this percentile of the good ones are taken, e.g. 99.5"
_HAPPY_HELP = "y: take it, exportParams writes it; n: choose anew; Ctrl-C: leave it"


def pick_ring(
    session: Any,
    tool: RingTool,
    use_mouse: bool | None,
    limits: tuple[float, float] | None = None,
    dialogue: Dialogue | None = None,
) -> RingTool:
    """Open the picture of a tool and, where somebody is there, ask.

    Parameters
    ----------
    session : the session
    tool : the tool that is led
    use_mouse : True for points, False for bright pixels, None to ask
    limits : colour limits [percentiles]
    dialogue : asks; by default at the terminal, if a person is there

    Returns
    -------
    The tool; a ring that was answered to be right has been accepted.

    Raises
    ------
    UsageError
        if nobody is there to be asked, and it is not to be the mouse
    """
    from smalldata_ana.session.tools.ring_figure import RingFigure

    dialogue = dialogue_of(session) if dialogue is None else dialogue
    if dialogue is None and not use_mouse:
        raise UsageError(
            "FitCircle: use_mouse=True for points, or use_mouse=False for bright "
            "pixels; or give points=… or thresIn=…"
        )
    figure = RingFigure(tool, session.display, limits)
    if dialogue is None:
        figure.click()
    else:
        _converse(tool, use_mouse, dialogue, figure)
    return tool


def _converse(
    tool: RingTool, use_mouse: bool | None, dialogue: Dialogue, figure: RingFigure
) -> None:
    """Ask until a ring is right, or the user has had enough."""
    mouse = use_mouse
    while True:
        try:
            if use_mouse is None:
                question = "Select Circle Points by Mouse?"
                mouse = dialogue.yes(question, True, _MOUSE_HELP)
        except Back:
            return
        try:
            _choose(tool, bool(mouse), dialogue, figure)
            dialogue.write(f"  {tool.summary()}")
            what = "selection" if mouse else "threshold"
            if dialogue.yes(f"Happy with this {what}?", True, _HAPPY_HELP):
                tool.accept()
                dialogue.write("  accepted; anaps.exportParams() writes it")
                return
        except Back:
            if use_mouse is not None:
                return


def _choose(
    tool: RingTool, mouse: bool, dialogue: Dialogue, figure: RingFigure
) -> None:
    """Let a ring be fitted; `Back` if it is not."""
    if not mouse:
        question = "min percentile % of selected points"
        dialogue.ask(
            question,
            lambda answer: tool.fit_threshold(numbers(answer, 1)[0]),
            help=_PERCENTILE_HELP,
        )
        return
    figure.click()
    question = "points: click, or row column; u, r, m, c; Enter when done (? for help)"
    step = _point_step(tool, figure)
    while True:
        try:
            dialogue.write(f"  {dialogue.ask(question, step, help=_POINT_HELP)}")
        except Back:
            if tool.value is None:
                raise
            return


def _point_step(tool: RingTool, figure: RingFigure) -> Callable[[str], str]:
    letters: dict[str, Callable[[], object]] = {
        "u": tool.undo,
        "r": tool.reset,
        "m": figure.move,
        "c": figure.click,
    }

    def step(answer: str) -> str:
        """Do what an answer says, and tell what there is now."""
        if answer in letters:
            letters[answer]()
        else:
            row, column = numbers(answer, 2)
            tool.add_point(row, column)
        return tool.summary()

    return step
