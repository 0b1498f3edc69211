"""The conversation of `MakeMask`: letters that users of smalldata_tools know, and more.

``r R c p d n e cen`` are theirs.  Every answer that makes no sense is asked again, and
Ctrl-C takes back one step; what was drawn before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.detector.mask_files import UnknownConventionError
from smalldata_ana.detector.mask_selections import SIGMA, SUSPICIONS
from smalldata_ana.errors import SmallDataError, UsageError, counted
from smalldata_ana.session.tools.dialogue import (
    Back,
    Dialogue,
    numbers,
    whole_numbers,
)
from smalldata_ana.session.tools.mask_end import MaskEnd
from smalldata_ana.session.tools.mask_picture import BRUSH_WIDTH
from smalldata_ana.session.tools.mask_range import ask_range

if TYPE_CHECKING:
    from smalldata_ana.session.tools.mask import MaskTool
    from smalldata_ana.session.tools.mask_picture import MaskPicture

QUESTION = (
    "rectangle(r-click, R-enter), circle(c), polygon(p), dark(d), noise(n) or "
    "edgepixels(e)? More with ?:"
)
HELP = """\
  r  rectangle by mouse           R  rectangle by numbers (rows and columns)
  c  circle or donut              p  polygon
  l  ellipse by mouse             b  brush                   x  eraser
  d  range of the pedestal        n  range of the noise      t  range of the image
  e  edges of panels              cen  wide pixels between chips
  s  hot, noisy or dead pixels, found by statistics
  f  mask from a file             i  invert what is masked
  o  switch a layer on or off     k  remove a layer          L  list the layers
  u  undo                         U  redo                    q  that is all
Ctrl-C or an empty answer goes back one step."""

_WAIT = (
    "Draw it in the window; it can be moved there. Press Enter here when it is right"
)
_WAIT_HELP = """\
  Drag with the left button; the handles of a shape move it, Escape begins anew. Enter
  here takes what is drawn, Ctrl-C does without it."""
_PIXELS_HELP = "Row and column of the image, from 0 at the middle of the first pixel"
_UM_HELP = """\
  x and y in the frame of the detector [um]; put px behind the numbers to give row and
  column of the image: 500 510 px"""
_FEW = 10
_IN_UM = """\
  The numbers were taken as um. For row and column of the image, put px behind those of
  the place: 500 510 px"""
_ADD_HELP = """\
  y keeps the shape as a layer; it can be switched off (o) or removed (k) later.
  n or Ctrl-C takes it back."""
_DONE_HELP = "  y: what to do with the mask is asked next; n: another shape"
_RECTANGLE_HELP = """\
  Of the image, half-open: 100 120 50 60 selects 20 rows and 10 columns."""
_MOUSE_HELP = "  y: draw it in the window; n: give it in numbers"
_DONUT_HELP = "  y: after the circle, a click inside of it gives the inner radius"
_WIDTH_HELP = "  One number: the diameter of what a stroke masks or, with x, erases"
_ROWS_HELP = """\
  How many on each side of a panel (or of the seam between chips): one number for both,
  or two, for rows and for columns. Enter takes 1; 0 for none."""
_SUSPICIOUS_HELP = """\
  hot: in the average image far above the pixels around; noisy, dead: noise far above or
  below that of the panel. They are shown before they are taken."""
_SIGMA_HELP = "  A smaller number finds more pixels; 5 to 20 are usual"
_TAKE_HELP = "  They are orange in the picture. y makes a layer of them, n forgets them"
_FILE_HELP = """\
  A mask of a frame or of the assembled image; what it leaves out is masked, too."""
_CONVENTION_HELP = """\
  1: 1 is used and 0 masked, as in psana and smalldata_tools; 0: the other way, as in
  pyFAI, silx and numpy.ma. Look at the counts that are printed then."""
_LAYER_HELP = "  Its number in the list above, from 0; -1 is the last"
_DONE = "q"
_NO_SHAPE = "  nothing is masked yet: choose a shape, or leave with Ctrl-C"


class MaskTalk:
    """A conversation that adds layers to a mask.

    Parameters
    ----------
    tool : the tool
    dialogue : asks the questions
    windows : True if shapes can be drawn with a mouse
    """

    def __init__(
        self, tool: MaskTool, dialogue: Dialogue, *, windows: bool = False
    ) -> None:
        self._tool = tool
        self._dialogue = dialogue
        self._windows = windows and tool.picture is not None
        self._letters: Mapping[str, Callable[[], None]] = {
            "r": self._rectangle,
            "R": self._rectangle_by_numbers,
            "c": self._circle,
            "p": self._polygon,
            "l": lambda: self._by_mouse("ellipse"),
            "b": self._brush,
            "x": lambda: self._brush(erase=True),
            "d": lambda: self._range_of("pedestal"),
            "n": lambda: self._range_of("noise"),
            "t": lambda: self._range_of("image"),
            "e": lambda: self._rows("edges", "edge"),
            "cen": lambda: self._rows("central", "centre"),
            "center": lambda: self._rows("central", "centre"),
            "s": self._suspicious,
            "f": self._file,
            "i": tool.invert,
        }
        self._commands: Mapping[str, Callable[[], object]] = {
            "o": lambda: tool.switch(self._layer()),
            "k": lambda: tool.remove(self._layer()),
            "L": lambda: dialogue.write(tool.summary()),
            "u": tool.undo,
            "U": tool.redo,
        }

    def hold(self) -> None:
        """Ask for shapes until that is all, then what to do with the mask."""
        while self._shapes():
            if not self._tool.layers:
                self._dialogue.write(_NO_SHAPE)
            elif MaskEnd(self._tool, self._dialogue).hold():
                return
        self._dialogue.write(f"{self._tool!r}; nothing is taken before .accept()")

    # -- shapes ------------------------------------------------------------------------

    def _shapes(self) -> bool:
        """Ask for shapes; return False where the user went back from the question."""
        letters = [*self._letters, *self._commands, _DONE]
        while True:
            try:
                letter = self._dialogue.choose(QUESTION, letters, help=HELP)
            except Back:
                return False
            if letter == _DONE or (self._step(letter) and self._done()):
                return True

    def _step(self, letter: str) -> bool:
        """Do what a letter says; return True if a shape was added."""
        before, masked = self._tool.layers, self._masked()
        try:
            if letter in self._commands:
                self._commands[letter]()
                self._dialogue.write(f"  {self._tool.total()}")
                return False
            self._letters[letter]()
            if self._tool.layers == before:
                return False
            new = self._say_step(len(before), masked)
            sensible = new > 0 and not self._tool.selected.all()
            kept = self._dialogue.yes("Add this mask?", sensible, help=_ADD_HELP)
        except (SmallDataError, Back) as problem:
            if str(problem):
                self._dialogue.write(f"  {problem}")
            kept = False
        if not kept and self._tool.layers != before:
            self._tool.value = before
        return kept

    def _masked(self) -> int:
        return int(np.count_nonzero(self._tool.selected))

    def _say_step(self, layers: int, masked: int) -> int:
        """Say what the layers after the first ones select; return how many pixels."""
        counts = self._tool.counts[layers:]
        new = sum(count.pixels for count in counts)
        what = f"this step selects {counted(new, 'pixel')}"
        now = f"{self._masked()} of {self._tool.good.size}"
        self._dialogue.write(f"  {what}; masked before: {masked}, now: {now}")
        if new < _FEW and any(c.layer.as_dict().get("unit") == "um" for c in counts):
            self._dialogue.write(_IN_UM)
        return new

    def _done(self) -> bool:
        try:
            return self._dialogue.yes("Done?", default=False, help=_DONE_HELP)
        except Back:
            return False

    def _picture(self, shape: str) -> MaskPicture:
        """Return the picture in which a shape can be drawn, if there is a window."""
        picture = self._tool.picture
        if picture is None or not self._windows:
            raise UsageError(
                f"there is no window to draw in: no {shape} by mouse; R, c and p take "
                "numbers"
            )
        return picture

    def _by_mouse(self, shape: str, **options: Any) -> None:
        picture = self._picture(shape)
        self._tool.draw(shape, **options)
        try:
            self._dialogue.ask(_WAIT, str, "", help=_WAIT_HELP, shown="Enter")
        finally:
            picture.stop()

    def _add(self, shape: str, **values: Any) -> None:
        panel = self._tool.panel
        where = {} if panel is None else {"panel": panel}
        self._tool.add({"shape": shape, **where, **values})

    def _rectangle(self) -> None:
        if self._windows:
            self._by_mouse("rectangle")
        else:
            self._rectangle_by_numbers()

    def _rectangle_by_numbers(self) -> None:
        def add(answer: str) -> None:
            r0, r1, c0, c1 = numbers(answer, 4)
            self._add("rectangle", rows=[r0, r1], columns=[c0, c1])

        question = "rows and columns (r0 r1 c0 c1), without the last ones?"
        self._dialogue.ask(question, add, help=_RECTANGLE_HELP)

    def _circle(self) -> None:
        ask, before = self._dialogue, self._tool.layers
        if self._windows and ask.yes("Select center by mouse?", True, help=_MOUSE_HELP):
            donut = ask.yes("Donut?", default=False, help=_DONUT_HELP)
            self._by_mouse("donut" if donut else "circle")
        else:
            self._circle_by_numbers()
        drawn = self._tool.layers != before
        if drawn and ask.yes(
            "Invert?", default=False, help="  y masks what is outside of it"
        ):
            shape = self._tool.layers[-1].as_dict()
            self._tool.replace_last(shape | {"invert": True})

    def _circle_by_numbers(self) -> None:
        ask = self._dialogue.ask
        center, unit = ask(
            f"center {self._places('x y', 'row column')}?",
            lambda answer: self._measures(answer, 2),
            help=self._unit_help,
        )

        def add(answer: str) -> None:
            outer, inner = (*numbers(answer), 0.0)[:2]
            shape, hole = ("donut", {"inner": inner}) if inner else ("circle", {})
            self._add(shape, center=center, radius=outer, unit=unit, **hole)

        ask(
            f"radii (r_outer r_inner) [{unit}]?",
            add,
            help="  one number for a full circle; in the unit of the centre",
        )

    def _polygon(self) -> None:
        question = "Select points by mouse?"
        if self._windows and self._dialogue.yes(question, True, help=_MOUSE_HELP):
            self._by_mouse("polygon")
            return
        self._dialogue.ask(
            f"points {self._places('x1 y1 x2 y2 …', 'row1 column1 …')}?",
            self._add_polygon,
            help=self._unit_help,
        )

    def _add_polygon(self, answer: str) -> None:
        values, unit = self._measures(answer)
        if len(values) % 2:
            raise UsageError("the points are not all pairs of two numbers")
        points = list(zip(values[::2], values[1::2], strict=True))
        self._add("polygon", points=points, unit=unit)

    def _brush(self, *, erase: bool = False) -> None:
        self._picture("brush")
        width = self._dialogue.ask(
            "width of the brush [pixels]?",
            lambda answer: numbers(answer, 1)[0],
            BRUSH_WIDTH,
            help=_WIDTH_HELP,
        )
        self._by_mouse("brush", width=width, erase=erase)

    def _range_of(self, quantity: str) -> None:
        ask_range(self._tool, self._dialogue, quantity, self._add_threshold)

    def _add_threshold(self, of: str, stage: int, allowed: list[float]) -> None:
        low, high = allowed
        self._add("threshold", of=of, low=low, high=high, stage=stage)

    def _rows(self, shape: str, what: str) -> None:
        rows, columns = self._dialogue.ask(
            f"{what} rows and columns (one or two numbers)?",
            lambda answer: (whole_numbers(answer) * 2)[:2],
            [1, 1],
            help=_ROWS_HELP,
            shown="1",
        )
        self._add(shape, rows=rows, columns=columns)

    def _suspicious(self) -> None:
        ask = self._dialogue
        words = "/".join(SUSPICIONS)
        question = f"which pixels ({words})?"
        what = ask.choose(question, SUSPICIONS, SUSPICIONS[0], help=_SUSPICIOUS_HELP)
        sigma = ask.ask(
            "how many sigma from the others?",
            lambda answer: numbers(answer, 1)[0],
            SIGMA,
            help=_SIGMA_HELP,
        )
        found = self._tool.suggest(what, sigma)
        ask.write(f"  {counted(found, what + ' pixel')}, not masked before")
        if found and ask.yes("Take them?", True, help=_TAKE_HELP):
            self._add("suspicious", what=what, sigma=sigma)
        else:
            self._tool.changed()

    def _file(self) -> None:
        question = "file (.data, .txt, .npy, .h5, .edf)?"
        self._dialogue.ask(question, self._load, help=_FILE_HELP)

    def _load(self, path: str) -> None:
        try:
            self._tool.load(path)
        except UnknownConventionError:
            good = self._dialogue.choose(
                "what is a good pixel in it, 1 (psana) or 0 (pyFAI, silx)?",
                ["1", "0"],
                help=_CONVENTION_HELP,
            )
            self._tool.load(path, good=1 if good == "1" else 0)

    def _layer(self) -> int:
        self._dialogue.write(self._tool.summary())
        return self._dialogue.ask(
            "which layer?", lambda answer: whole_numbers(answer, 1)[0], help=_LAYER_HELP
        )

    @property
    def _unit(self) -> str:
        """The unit of numbers of which nothing is said: um, as far as that is known."""
        known = self._tool.scene.geometry.corner is not None
        return "um" if known and self._tool.panel is None else "pixels"

    def _places(self, um: str, pixels: str) -> str:
        """Return what a place is given by: x and y, or row and column."""
        known = self._unit == "um"
        return f"({um}) [um], or {pixels} px" if known else f"({pixels}) [pixels]"

    @property
    def _unit_help(self) -> str:
        return _UM_HELP if self._unit == "um" else _PIXELS_HELP

    def _measures(
        self, answer: str, count: int | None = None
    ) -> tuple[list[float], str]:
        """Return numbers with their unit."""
        short = answer.removesuffix("px")
        unit = self._unit if short == answer else "pixels"
        return numbers(short, count), unit
