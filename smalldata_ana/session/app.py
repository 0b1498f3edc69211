"""The command ``smalldata-ana``: a prompt, the user's code, or another command.

What takes time to load (psana, numba, pyplot) is loaded in the background while
IPython starts, so that the prompt appears soon.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from smalldata_ana.commands import run_command, set_log_level
from smalldata_ana.places import SIMULATED
from smalldata_ana.session.application import SessionApp
from smalldata_ana.session.background import Background, preload
from smalldata_ana.session.banner import first_commands

if TYPE_CHECKING:
    from smalldata_ana.session.anaps import SmallDataAna_psana

SUBCOMMANDS = ("setup", "calib", "detnames", "params")
PATIENCE = 1.0
"""How long the prompt waits for the run, to greet with what it holds [s]."""


@run_command
def main(argv: list[str]) -> int:
    """Run ``smalldata-ana`` and return its exit code."""
    if argv and argv[0] in SUBCOMMANDS:
        module = f"smalldata_ana.commands.{argv[0]}"
        return int(importlib.import_module(module).main(argv[1:]))
    app = SessionApp()
    app.configure(argv)
    set_log_level(app.log_level_name)
    return _start(app)


def _start(app: SessionApp) -> int:
    session = app.new_session(interactive=not app.batch)
    Background(lambda: _load_ahead(session), "load ahead")
    try:
        return (_run_code if app.batch else _prompt)(app, session)
    finally:
        session.close()


def _load_ahead(session: SmallDataAna_psana) -> None:
    """Import what the first commands need, after the run, which the banner needs."""
    session.wait()
    preload(["matplotlib.pyplot", "smalldata_ana.kernels"])
    preload(importlib.import_module("smalldata_ana.kernels").KERNEL_MODULES)


def _run_code(app: SessionApp, session: SmallDataAna_psana) -> int:
    from smalldata_ana.session.batch import read_script, run_code

    code = read_script(app.script) if app.script else app.code or ""
    session.wait()
    session.pictures.activate()
    import matplotlib.pyplot as plt

    names = {"__name__": "__main__", "plt": plt, **app.namespace(session)}
    try:
        return run_code(code, app.script or "-c", names, debug=app.debug)
    finally:
        session.pictures.write()


def _prompt(app: SessionApp, session: SmallDataAna_psana) -> int:
    from smalldata_ana.session import shell as ipython

    config = ipython.configuration(app.config, simple_prompt=app.simple_prompt)
    shell = ipython.new_shell(config, app.namespace(session))
    ipython.print_errors_in_one_line(shell, debug=app.debug)
    ipython.connect_matplotlib(shell, session.pictures, windows=not app.no_gui)
    # Making the simulated experiment shows its own progress; nothing is prompted over.
    patience = None if app.experiment == SIMULATED else PATIENCE
    try:
        session.wait(patience)
    except TimeoutError:
        print("the run is still being opened; the first command waits for it")
        ipython.at_first_command(shell, session.info)
    else:
        session.info()
    print(first_commands())
    shell.may_leave = lambda: _may_leave(session)
    shell.mainloop()  # type: ignore[no-untyped-call]
    return 0


def _may_leave(session: SmallDataAna_psana) -> bool:
    from smalldata_ana.session.leaving import may_leave

    return may_leave(session)
