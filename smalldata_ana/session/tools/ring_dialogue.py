"""The conversation that fits a ring: upstream's questions, and its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smalldata_ana.errors import SmallDataError, UsageError
from smalldata_ana.session.beam_questions import dialogue_of
from smalldata_ana.session.tools.dialogue import Back, Dialogue, numbers

if TYPE_CHECKING:
    from smalldata_ana.session.tools.ring import RingTool
    from smalldata_ana.session.tools.ring_figure import RingFigure

_MOUSE = "Select Circle Points by Mouse?"
_MOUSE_HELP = """\
  y: click points on one ring in the picture, three or more; n: take the bright pixels
  of a ring.  Ctrl-C leaves without taking anything."""
_TYPED = "Give points on a ring by row and column? There is no window to click in."
_TYPED_HELP = """\
  y: type row and column of points on one ring, three or more; n: take the bright
  pixels of a ring.  Ctrl-C leaves without taking anything."""
_POINTS = "points: click, or row column; u, r, m, c; Enter when done (? for help)"
_POINT_HELP = """\
  Click on the ring in the picture, or type row and column of a point; u takes the last
  one back, r begins anew, m moves a whole ring with the mouse, c clicks points again;
  Enter ends; three points make a circle."""
_POINTS_TYPED = "points: row column; u, r; Enter when done (? for help)"
_POINT_TYPED_HELP = """\
  Type row and column of a point on the ring, as in the picture file; u takes the last
  one back, r begins anew; Enter ends; three points make a circle."""
_PERCENTILE_HELP = "pixels above this percentile of the good ones are taken, e.g. 99.5"
_HAPPY_HELP = """\
  y: take it, exportParams writes it; n: choose anew; Ctrl-C goes back one step."""


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
        session.pictures.write_now(figure.canvas)
        _RingTalk(tool, use_mouse, dialogue, figure).hold()
    return tool


class _RingTalk:
    """The questions, each of which can be left to the one before.

    Parameters
    ----------
    tool : the tool that is led
    given : True for points, False for bright pixels, None to ask
    dialogue : asks
    figure : the picture of the tool
    """

    def __init__(
        self, tool: RingTool, given: bool | None, dialogue: Dialogue, figure: RingFigure
    ) -> None:
        self._tool = tool
        self._given = given
        self._points = bool(given)
        self._dialogue = dialogue
        self._figure = figure
        self._windows = figure.canvas.has_window

    def hold(self) -> None:
        """Ask until a ring is right, or the user has had enough."""
        while self._how():
            if self._taken():
                return
            if self._given is not None:
                break
        self._dialogue.write(
            f"  left; nothing was taken. The tool is still there: {self._tool!r}"
        )

    def _how(self) -> bool:
        """Ask how a ring is to be fitted; False to leave."""
        if self._given is not None:
            return True
        question = _MOUSE if self._windows else _TYPED
        help_ = _MOUSE_HELP if self._windows else _TYPED_HELP
        try:
            self._points = self._dialogue.yes(question, True, help=help_)
        except Back:
            return False
        return True

    def _taken(self) -> bool:
        """Let a ring be fitted, and take it if it is right; False to go back."""
        while True:
            try:
                self._fit()
            except Back:
                return False
            try:
                self._dialogue.write(f"  {self._tool.summary()}")
                what = "selection" if self._points else "threshold"
                if self._dialogue.yes(
                    f"Happy with this {what}?", True, help=_HAPPY_HELP
                ):
                    return self._accepted()
            except Back:
                continue
            if self._given is None:
                return False

    def _accepted(self) -> bool:
        try:
            self._tool.accept()
        except SmallDataError as error:
            self._dialogue.write(f"  {error}")
            return False
        self._dialogue.write(
            f"  accepted: {self._tool.summary()}; anaps.exportParams() writes it"
        )
        return True

    def _fit(self) -> None:
        """Let a ring be fitted; `Back` if it is not."""
        if not self._points:
            self._dialogue.ask(
                "min percentile % of selected points",
                lambda answer: self._tool.fit_threshold(numbers(answer, 1)[0]),
                help=_PERCENTILE_HELP,
            )
            return
        self._figure.click()
        question = _POINTS if self._windows else _POINTS_TYPED
        help_ = _POINT_HELP if self._windows else _POINT_TYPED_HELP
        while True:
            try:
                said = self._dialogue.ask(question, self._step, help=help_)
            except Back:
                if self._tool.value is None:
                    raise
                return
            self._dialogue.write(f"  {said}")

    def _step(self, answer: str) -> str:
        """Do what an answer says, and tell what there is now."""
        letters: dict[str, Callable[[], object]] = {
            "u": self._tool.undo,
            "r": self._tool.reset,
        }
        if self._windows:
            letters |= {"m": self._figure.move, "c": self._figure.click}
        if answer in letters:
            letters[answer]()
        else:
            row, column = numbers(answer, 2)
            self._tool.add_point(row, column)
        return self._tool.summary()
