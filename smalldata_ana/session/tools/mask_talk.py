"""The conversation of `MakeMask`: letters that users of smalldata_tools know, and more.

``r R c p d n e cen`` are theirs.  Every answer that makes no sense is asked again, and
Ctrl-C takes back one step; what was drawn before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.detector.mask_selections import SIGMA, SUSPICIONS
from smalldata_ana.errors import SmallDataError, UsageError, counted
from smalldata_ana.session.tools.dialogue import (
    Back,
    Dialogue,
    numbers,
    whole_numbers,
)
from smalldata_ana.session.tools.mask_picture import BRUSH_WIDTH

if TYPE_CHECKING:
    from smalldata_ana.session.tools.mask import MaskTool

QUESTION = (
    "rectangle(r-click, R-enter), circle(c), polygon(p), dark(d), noise(n) or "
    "edgepixels(e)? More with ?:"
)
INVERT = "Invert? (n/no inversion: masked pixels will get rejected)"
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
_PIXELS_HELP = "Put px behind the numbers to give pixels of the image: 500 510 px"
_DONE = "q"

RunNumbers = tuple[int, int | None]
"""First and last run; None: until further notice."""


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
            if self._tool.layers and self._finish():
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
            self._say_step(len(before), masked)
            kept = self._dialogue.yes("Add this mask?", default=True)
        except (SmallDataError, Back) as problem:
            if str(problem):
                self._dialogue.write(f"  {problem}")
            kept = False
        if not kept and self._tool.layers != before:
            self._tool.value = before
        return kept

    def _masked(self) -> int:
        return int(np.count_nonzero(self._tool.selected))

    def _say_step(self, layers: int, masked: int) -> None:
        """Say what the layers after the first ones select, and mask with them."""
        new = sum(count.pixels for count in self._tool.counts[layers:])
        self._dialogue.write(
            f"  this step selects {new} pixels; masked before: {masked}, now: "
            f"{self._masked()} of {self._tool.good.size}"
        )

    def _done(self) -> bool:
        try:
            return self._dialogue.yes("Done?", default=False)
        except Back:
            return False

    def _by_mouse(self, shape: str, **options: Any) -> None:
        picture = self._tool.picture
        if picture is None or not self._windows:
            raise UsageError(f"there is no window to draw in: no {shape} by mouse")
        self._tool.draw(shape, **options)
        try:
            self._dialogue.ask(_WAIT, str, default="", shown="Enter")
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
        self._dialogue.ask(question, add)

    def _circle(self) -> None:
        ask, before = self._dialogue, self._tool.layers
        if self._windows and ask.yes("Select center by mouse?", default=True):
            donut = ask.yes("Donut?", default=False)
            self._by_mouse("donut" if donut else "circle")
        else:
            self._circle_by_numbers()
        drawn = self._tool.layers != before
        if drawn and ask.yes(
            "Invert?", default=False, help="y masks what is outside of it"
        ):
            shape = self._tool.layers[-1].as_dict()
            self._tool.replace_last(shape | {"invert": True})

    def _circle_by_numbers(self) -> None:
        ask = self._dialogue.ask
        center, unit = ask(
            f"center (x y) [{self._unit}]?",
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
            help="one number for a full circle; in the unit of the centre",
        )

    def _polygon(self) -> None:
        if self._windows and self._dialogue.yes("Select points by mouse?", True):
            self._by_mouse("polygon")
            return
        self._dialogue.ask(
            f"points (x1 y1 x2 y2 x3 y3 …) [{self._unit}]?",
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
        width = self._dialogue.ask(
            "width of the brush [pixels]?",
            lambda answer: numbers(answer, 1)[0],
            BRUSH_WIDTH,
        )
        self._by_mouse("brush", width=width, erase=erase)

    def _range_of(self, quantity: str) -> None:
        stage = self._stage(quantity)
        values = self._tool.scene.value(quantity, stage)
        known = values[np.isfinite(values)]
        if known.size:
            shares = (0, 0.1, 50, 99.9, 100)
            levels = zip(shares, np.percentile(known, shares), strict=True)
            texts = [f"{share} %: {level:.4g}" for share, level in levels]
            self._dialogue.write(f"  {quantity}: {', '.join(texts)}")
        self._dialogue.ask(
            f"Enter allowed {quantity} range (min max)",
            lambda answer: self._add_threshold(quantity, stage, numbers(answer, 2)),
        )

    def _add_threshold(self, of: str, stage: int, allowed: list[float]) -> None:
        low, high = allowed
        self._add("threshold", of=of, low=low, high=high, stage=stage)

    def _stage(self, quantity: str) -> int:
        stages = self._tool.scene.kind.gain_stages
        if quantity == "image" or len(stages) < 2:
            return 0
        stage = self._dialogue.choose("gain stage?", stages, stages[0])
        return stages.index(stage)

    def _rows(self, shape: str, what: str) -> None:
        rows, columns = self._dialogue.ask(
            f"{what} rows and columns (one or two numbers)?",
            lambda answer: (whole_numbers(answer) * 2)[:2],
            [1, 1],
            shown="1",
        )
        self._add(shape, rows=rows, columns=columns)

    def _suspicious(self) -> None:
        what = self._dialogue.choose("which pixels?", SUSPICIONS, SUSPICIONS[0])
        sigma = self._dialogue.ask(
            "how many sigma from the others?", lambda a: numbers(a, 1)[0], SIGMA
        )
        found = self._tool.suggest(what, sigma)
        self._dialogue.write(f"  {counted(found, what + ' pixel')}, not masked before")
        if found and self._dialogue.yes("Take them?", default=True):
            self._add("suspicious", what=what, sigma=sigma)
        else:
            self._tool.changed()

    def _file(self) -> None:
        path = self._dialogue.ask("file (.data, .txt, .npy, .h5, .edf)?", str)
        good: Any = None
        if path.endswith(".npy"):
            good = self._dialogue.choose(
                "what is a good pixel in it, 1 (psana) or 0 (pyFAI, silx)?", ["1", "0"]
            )
        self._tool.load(path, good=None if good is None else int(good))  # type: ignore[arg-type]

    def _layer(self) -> int:
        self._dialogue.write(self._tool.summary())
        return self._dialogue.ask("which layer?", lambda a: whole_numbers(a, 1)[0])

    @property
    def _unit(self) -> str:
        """The unit of numbers of which nothing is said: um, as far as that is known."""
        known = self._tool.scene.geometry.corner is not None
        return "um" if known and self._tool.panel is None else "pixels"

    @property
    def _unit_help(self) -> str:
        return _PIXELS_HELP if self._unit == "um" else ""

    def _measures(
        self, answer: str, count: int | None = None
    ) -> tuple[list[float], str]:
        """Return numbers with their unit."""
        short = answer.removesuffix("px")
        unit = self._unit if short == answer else "pixels"
        return numbers(short, count), unit

    # -- the end -----------------------------------------------------------------------

    def _finish(self) -> bool:
        """Ask what to do with the mask; return False where the user went back."""
        try:
            if self._dialogue.yes(INVERT, default=False):
                self._tool.invert()
            self._dialogue.write(f"  {self._tool.total()}")
            self._try("Accept it for exportParams?", self._accept, default=True)
            self._try("Save to calibdir?", self._to_store)
            self._try("Save to local?", self._to_file)
        except Back:
            return False
        return True

    def _try(
        self, question: str, action: Callable[[], str], *, default: bool = False
    ) -> None:
        """Do something if it is wanted, and say what came of it."""
        while self._dialogue.yes(question, default):
            try:
                self._dialogue.write(f"  {action()}")
                return
            except SmallDataError as error:
                self._dialogue.write(f"  {error}")
                return
            except Back:
                continue

    def _accept(self) -> str:
        return f"accepted: {self._tool.accept()}; anaps.exportParams() writes it"

    def _to_store(self) -> str:
        run = self._tool.session.run.number
        this_run_on: RunNumbers = (run, None)
        begin, end = self._dialogue.ask(
            "For which runs (first, or first last)?",
            _run_range,
            this_run_on,
            shown=f"{run} on",
        )
        return f"user mask: {self._tool.to_store(begin, end)}"

    def _to_file(self) -> str:
        path = self._dialogue.ask("file?", str, self._tool.file_name())
        return f"saved: {self._tool.save(path)}"


def _run_range(answer: str) -> RunNumbers:
    match whole_numbers(answer):
        case [begin]:
            return begin, None
        case [begin, end]:
            return begin, end
    raise UsageError(f"{answer!r} is not a first run, or a first and a last one")
