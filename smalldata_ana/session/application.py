"""The application of ``smalldata-ana``: options and preferences make a session."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Int, List, TraitError, Unicode
from traitlets.config import Application, Config
from traitlets.config.loader import KVArgParseConfigLoader, PyFileConfigLoader

from smalldata_ana import __version__
from smalldata_ana.errors import FileError, UsageError
from smalldata_ana.places import Places, places
from smalldata_ana.session.background import Background
from smalldata_ana.session.experiment import find_experiment, find_run
from smalldata_ana.session.options import parser
from smalldata_ana.session.preferences import Display

if TYPE_CHECKING:
    from smalldata_ana.session.anaps import SmallDataAna_psana
    from smalldata_ana.sources.base import Run

CONFIG_FILE = "smalldata_ana_config.py"
_PREFERENCE = re.compile(r"--[A-Za-z]\w*(\.\w+)+=")


def _read_file(folder: Path) -> Config:
    """Return the preferences in a folder's configuration file."""
    try:
        return PyFileConfigLoader(CONFIG_FILE, path=str(folder)).load_config()
    except Exception as error:  # it is Python, anything can go wrong
        raise FileError(f"{folder / CONFIG_FILE} cannot be used: {error}") from error


class SessionApp(Application):
    """The session's options and preferences, from files and the command line."""

    name = "smalldata-ana"
    version = __version__
    classes = [Display]  # noqa: RUF012, a trait's default

    run = Int(None, allow_none=True, help="run number").tag(config=True)
    experiment = Unicode("", help="name of the experiment").tag(config=True)
    directory = Unicode("", help="folder for images and pictures").tag(config=True)
    file = Unicode("", help="small-data file of the run").tag(config=True)
    xtc_dir = Unicode("", help="folder of the xtc2 files").tag(config=True)
    files = List(
        Unicode(), help="the xtc2 files of one run, from which the run is read"
    ).tag(config=True)
    calib_dir = Unicode("", help="constants store, which then comes first").tag(
        config=True
    )
    live = Bool(False, help="the run is still being taken").tag(config=True)
    params = Unicode("", help="parameter file").tag(config=True)
    code = Unicode(
        None, allow_none=True, help="run this code, without a prompt; plots go to files"
    ).tag(config=True)
    script = Unicode(
        None, allow_none=True, help="run this file, without a prompt; plots go to files"
    ).tag(config=True)
    no_gui = Bool(False, help="open no windows; plots go to files").tag(config=True)
    simple_prompt = Bool(
        False, help="a prompt for terminals without cursor control"
    ).tag(config=True)

    def configure(self, argv: Sequence[str]) -> None:
        """Take the command line and the configuration files.

        As `argparse` does, it exits for ``-h`` and for an option that it cannot read.

        Raises
        ------
        UsageError
            if an argument is not known, or a value not allowed
        FileError
            if a configuration file cannot be executed
        """
        try:
            self.parse_command_line(argv)
            self._read_files()
        except TraitError as error:
            raise UsageError(str(error)) from error

    def parse_command_line(self, argv: Sequence[str] | None = None) -> None:
        """Take the options, and ``--Class.name=value`` for any preference."""
        given, rest = parser(self.traits()).parse_known_args(argv)
        for text in rest:
            if not _PREFERENCE.match(text):
                raise UsageError(
                    f"unknown argument {text!r}; smalldata-ana -h lists the options"
                )
        self.cli_config = KVArgParseConfigLoader(rest, log=self.log).load_config()
        self.cli_config.SessionApp.update(vars(given))
        self.update_config(self.cli_config)

    def _read_files(self) -> None:
        # What comes later wins.
        for folder in (Path.home() / ".smalldata_ana", Path.cwd()):
            if (folder / CONFIG_FILE).is_file():
                self.update_config(_read_file(folder))
        self.update_config(self.cli_config)

    @property
    def batch(self) -> bool:
        """Tell whether code is run without a prompt."""
        return self.code is not None or self.script is not None

    @property
    def debug(self) -> bool:
        """Tell whether errors come with their tracebacks."""
        return self.log_level_name == "DEBUG"

    @property
    def log_level_name(self) -> str:
        """Name of the log level; the trait turns it into a number."""
        level = self.log_level
        return logging.getLevelName(level) if isinstance(level, int) else str(level)

    def new_session(self, *, interactive: bool) -> SmallDataAna_psana:
        """Return the object `anaps`; its run is being opened in the background.

        Parameters
        ----------
        interactive : True where questions may be asked

        Raises
        ------
        SmallDataError
            if there is no experiment or no run
        """
        from smalldata_ana.session.anaps import SmallDataAna_psana

        try:
            display = Display(parent=self)
        except TraitError as error:
            raise UsageError(str(error)) from error
        return SmallDataAna_psana(
            Background(self._opener(), "open run"),
            places_of=self.places_of,
            display=display,
            interactive=interactive,
            files=self.files,
        )

    def namespace(self, session: SmallDataAna_psana) -> dict[str, Any]:
        """Return the names that users find at the prompt."""
        import numpy as np

        return {"anaps": session, "np": np}

    def places_of(self, experiment: str) -> Places:
        """Return the places of an experiment, as the options say."""
        return places(
            experiment,
            xtc_dir=self.xtc_dir or None,
            params=self.params or None,
            calib_dir=self.calib_dir or None,
            directory=self.directory or None,
            loose_files=bool(self.files),
        )

    def _opener(self) -> Callable[[], Run]:
        experiment, run = self._which()

        def opened() -> Run:
            from smalldata_ana.opening import open_run
            from smalldata_ana.session.progress import Progress

            with Progress("opening") as progress:
                return open_run(
                    experiment,
                    run,
                    xtc_dir=self.xtc_dir or None,
                    files=self.files or None,
                    calib_dir=self.calib_dir or None,
                    live=self.live or None,
                    progress=progress,
                )

        return opened

    def _which(self) -> tuple[str | None, int | None]:
        """Return experiment and run, as far as they are not read from the files."""
        if self.files:
            return self.experiment or None, self.run
        self.experiment = find_experiment(self.experiment)
        self.run = find_run(self.run)
        if self.run is None:
            raise UsageError(
                f"no run of {self.experiment}: give it with -r, e.g. -r 1, "
                "or set $RUN_NUM"
            )
        return self.experiment, self.run
