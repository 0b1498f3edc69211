"""The prompt: IPython, as the session wants it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.ipapp import TerminalIPythonApp
from IPython.terminal.prompts import Prompts
from pygments.token import Token
from traitlets.config import Config

from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.figures import PictureFiles, toolkit

Tokens = list[tuple[Any, str]]


class SessionPrompts(Prompts):
    """``SDAna In [1]: `` and ``SDAna Out[1]: ``, as users know them."""

    def in_prompt_tokens(self) -> Tokens:
        """Return the prompt for input."""
        return [(Token.Prompt, "SDAna "), *super().in_prompt_tokens()]  # type: ignore[no-untyped-call]

    def out_prompt_tokens(self) -> Tokens:
        """Return what stands before a result."""
        return [(Token.OutPrompt, "SDAna "), *super().out_prompt_tokens()]


class SessionShell(TerminalInteractiveShell):
    """IPython that asks the session before it ends.

    Attributes
    ----------
    may_leave : tells whether it may end
    """

    may_leave: Callable[[], bool] = staticmethod(lambda: True)

    def ask_exit(self) -> None:
        """End, if the session may be left."""
        if self.may_leave():
            super().ask_exit()  # type: ignore[no-untyped-call]


def configuration(preferences: Config, *, simple_prompt: bool = False) -> Config:
    """Return IPython's configuration: ours, then what the user prefers.

    Parameters
    ----------
    preferences : from the session's configuration files and command line
    simple_prompt : True for a terminal without cursor control
    """
    ours = Config()
    ours.TerminalIPythonApp.display_banner = False
    ours.TerminalIPythonApp.interactive_shell_class = SessionShell
    ours.TerminalInteractiveShell.prompts_class = SessionPrompts
    ours.TerminalInteractiveShell.confirm_exit = False
    # Jedi does not ask __dir__, which lists the images and detectors of the session;
    # what is completed is the session's own objects, so it may look them up.
    ours.Completer.use_jedi = False
    ours.Completer.evaluation = "unsafe"
    if simple_prompt:
        ours.TerminalInteractiveShell.simple_prompt = True
    ours.merge(preferences)
    return ours


def new_shell(config: Config, namespace: dict[str, Any]) -> SessionShell:
    """Return IPython's shell, ready for its main loop.

    Parameters
    ----------
    config : as `configuration` returns it
    namespace : names that users find at the prompt
    """
    TerminalIPythonApp.instance(config=config, user_ns=namespace).initialize([])
    return SessionShell.instance()


def print_errors_in_one_line(shell: InteractiveShell, *, debug: bool = False) -> None:
    """Let the shell print our errors, and Ctrl-C, as one line.

    Parameters
    ----------
    shell : IPython
    debug : print the traceback as well
    """

    def handler(
        shell: InteractiveShell,
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        if debug:
            shell.InteractiveTB(kind, error, traceback)
        interrupted = isinstance(error, KeyboardInterrupt)
        print("interrupted" if interrupted else f"error: {error}", file=sys.stderr)

    shell.set_custom_exc((SmallDataError, KeyboardInterrupt), handler)


def connect_matplotlib(
    shell: InteractiveShell, pictures: PictureFiles, *, windows: bool = True
) -> None:
    """Integrate Matplotlib when the first command runs, not before the first prompt.

    It then waits for pyplot, which the background loads, and defines ``plt``.

    Parameters
    ----------
    shell : IPython
    pictures : writes figures to files where there are no windows
    windows : False to open none
    """

    def connect() -> None:
        # First, as it may be in the middle of being imported by another thread.
        import matplotlib.pyplot as plt

        if not (windows and _open_windows(shell)):
            pictures.activate()
            shell.events.register("post_run_cell", pictures.write)
        shell.push({"plt": plt}, interactive=False)

    at_first_command(shell, connect)


def _open_windows(shell: InteractiveShell) -> bool:
    gui = toolkit(simple_prompt=bool(getattr(shell, "simple_prompt", False)))
    if gui is None:
        return False
    try:
        shell.enable_matplotlib(gui)
    except ImportError as error:
        print(f"no windows for figures: {error}", file=sys.stderr)
        return False
    return True


def at_first_command(shell: InteractiveShell, action: Callable[[], None]) -> None:
    """Call a function once, before the first command runs."""

    def once(*_: object) -> None:
        shell.events.unregister("pre_run_cell", once)
        action()

    shell.events.register("pre_run_cell", once)
