"""The end of the conversation of `MakeMask`: what is to be done with the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from smalldata_ana.errors import SmallDataError, UsageError
from smalldata_ana.session.tools.dialogue import Back, Dialogue, whole_numbers
from smalldata_ana.session.tools.mask_store import stored_before

if TYPE_CHECKING:
    from smalldata_ana.session.tools.mask import MaskTool

INVERT = "Invert? (n/no inversion: masked pixels will get rejected)"

_INVERT_HELP = """\
  n: what was selected is masked, the rest is used.
  y: only what was selected is used, the rest is masked."""
_MANY_HELP = """\
  Masked pixels are used by nothing. y goes on with the mask as it is; n goes back to
  the shapes, without the inversion: i inverts, u takes back, L lists them."""
_ACCEPT_HELP = """\
  y: exportParams writes the mask into the parameter file, for the producer.
  n: it is not taken; .accept() of the tool still can."""
_STORE_HELP = """\
  y: the mask goes into the constants store and is part of cmask for all who use it,
  without a parameter file; you are asked for which runs."""
_RUNS_HELP = """\
  One number: from this run on. Two: the first and the last run, for instance 12 40."""
_REPLACE_HELP = """\
  y: the file is replaced; what the constants of this run leave out stays masked.
  n: asks again for the runs."""
_LOCAL_HELP = """\
  y: writes a file of your own; its suffix says the format: .data .txt .npy .h5 .edf."""
_FILE_HELP = """\
  .data and .txt are psana's (1 = good), .npy holds 1 = good and says so, .h5 is NeXus'
  (0 = good), .edf that of pyFAI and silx (0 = good). Ctrl-C goes back."""

RunNumbers = tuple[int, int | None]
"""First and last run; None: until further notice."""


class MaskEnd:
    """Asks what is to be done with a mask.

    Parameters
    ----------
    tool : the mask
    dialogue : asks the questions
    """

    def __init__(self, tool: MaskTool, dialogue: Dialogue) -> None:
        self._tool = tool
        self._dialogue = dialogue

    def hold(self) -> bool:
        """Ask; return False where the user went back to the shapes."""
        before = self._tool.value
        try:
            if self._dialogue.yes(INVERT, default=False, help=_INVERT_HELP):
                self._tool.invert()
            self._dialogue.write(f"  {self._tool.total()}")
            self._check_share()
            self._try("Accept it for exportParams?", self._accept, _ACCEPT_HELP, True)
            self._try("Save to calibdir?", self._to_store, _STORE_HELP)
            self._try("Save to local?", self._to_file, _LOCAL_HELP)
        except Back:
            if self._tool.value != before:
                self._tool.undo()
            return False
        return True

    def _check_share(self) -> None:
        """Go back if most pixels are masked and the user does not mean it."""
        warning = self._tool.warning()
        if warning and not self._dialogue.yes(
            f"{warning}. Is that right?", default=False, help=_MANY_HELP
        ):
            raise Back

    def _try(
        self,
        question: str,
        action: Callable[[], str],
        help: str,
        default: bool = False,
    ) -> None:
        """Do something if it is wanted, and say what came of it."""
        while self._dialogue.yes(question, default, help=help):
            try:
                self._dialogue.write(f"  {action()}")
                return
            except SmallDataError as error:
                self._dialogue.write(f"  {error}")
            except Back:
                continue

    def _accept(self) -> str:
        entry = self._tool.accept()
        return (
            f"accepted: {entry}, {self._tool.total()}; anaps.exportParams() writes it"
        )

    def _to_store(self) -> str:
        run = self._tool.session.run.number
        this_run_on: RunNumbers = (run, None)
        while True:
            begin, end = self._dialogue.ask(
                "For which runs (first, or first last)?",
                _run_range,
                this_run_on,
                help=_RUNS_HELP,
                shown=f"{run} on",
            )
            old = stored_before(self._tool, begin, end)
            if old is None or self._dialogue.yes(
                f"{old.path} is there already ({old.time}). Replace it?",
                default=False,
                help=_REPLACE_HELP,
            ):
                try:
                    return f"user mask: {self._tool.to_store(begin, end)}"
                except SmallDataError as error:
                    self._dialogue.write(f"  {error}")

    def _to_file(self) -> str:
        name = self._tool.file_name()
        while True:
            path = self._dialogue.ask("file?", str, name, help=_FILE_HELP)
            try:
                return f"saved: {self._tool.save(path)}"
            except SmallDataError as error:
                self._dialogue.write(f"  {error}")


def _run_range(answer: str) -> RunNumbers:
    match whole_numbers(answer):
        case [begin]:
            return begin, None
        case [begin, end]:
            return begin, end
    raise UsageError(f"{answer!r} is not a first run, or a first and a last one")
