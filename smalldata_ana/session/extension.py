"""``%load_ext smalldata_ana``: the session's objects in any IPython or Jupyter."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from smalldata_ana.errors import SmallDataError
from smalldata_ana.session.application import SessionApp
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.shell import print_errors_in_one_line

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MAGIC = "smalldata_ana"
_HOW = f"open a run with %{MAGIC} -r RUN -e EXP, e.g. %{MAGIC} -r 1 -e xppsim01"


def load(shell: InteractiveShell) -> None:
    """Define the magic ``%smalldata_ana``, and `anaps` if a run is known already.

    The run is known where ``$RUN_NUM`` and the experiment are, as for the command
    line.

    Parameters
    ----------
    shell : IPython or a Jupyter kernel
    """

    def magic(line: str) -> None:
        """Open a run: %smalldata_ana -r RUN -e EXP, options as smalldata-ana."""
        open_run_in(shell, line)

    shell.magics_manager.register_function(magic, "line", MAGIC)
    print_errors_in_one_line(shell)
    if shell.Completer is not None:
        shell.Completer.use_jedi = False  # Jedi does not ask __dir__
    try:
        open_run_in(shell, "")
    except SmallDataError as error:
        print(f"{error}\n{_HOW}")


def open_run_in(shell: InteractiveShell, line: str) -> None:
    """Open a run and define the session's names, or leave them if it cannot be opened.

    Parameters
    ----------
    shell : where to define them
    line : options as of the command line

    Raises
    ------
    SmallDataError
        if the options are wrong, or the run cannot be opened
    """
    app = SessionApp()
    app.configure(shlex.split(line))
    session = app.new_session(interactive=somebody_there())
    session.info()
    shell.push(app.namespace(session), interactive=False)
