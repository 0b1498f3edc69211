"""Open a run, wherever it is; the simulated experiment is made when it is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smalldata_ana.errors import ConstantsError, RunNotFound, UsageError
from smalldata_ana.places import SIMULATED, Places, at_slac, places
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.constants import Constants, valid_constants
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.xtc_files import (
    StreamFiles,
    streams_of_files,
    streams_of_run,
)

StrPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]
Listed = Callable[[], Sequence[StreamFiles]]


def open_run(
    exp: str | None = None,
    run: int | None = None,
    *,
    xtc_dir: StrPath | None = None,
    files: Sequence[StrPath] | None = None,
    calib_dir: StrPath | None = None,
    live: bool | None = None,
    patience: float = math.inf,
    recorders: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Open a run.

    Parameters
    ----------
    exp, run : which one; not needed with ``files``
    xtc_dir : folder of the xtc2 files, if it is not the experiment's own
    files : the streams of one run, file by file; or one HDF5 file of images
    calib_dir : folder of the constants store, if it is not the experiment's own
    live : True to follow a run that is being taken, False to take what is there of it;
        by default it is followed if its files are called ``.inprogress``
    patience : how long nothing may be new until it is followed no longer [s]
    recorders : False to leave out the streams of recorders, numbers 80 and above
    progress : called as ``progress(done, total)`` while the simulated experiment is
        made, which happens once

    Returns
    -------
    The run; close it when it is no longer needed.

    Raises
    ------
    RunNotFound, ExperimentNotFound, UsageError
        if there is no such run, or it was not said which one
    ConstantsError
        if the folder of the constants is not there

    Examples
    --------
    >>> run = open_run("xppsim01", 1)  # doctest: +SKIP
    >>> run.read("jungfrau1M", 0).shape  # doctest: +SKIP
    (2, 512, 1024)
    """
    if calib_dir is not None and not Path(calib_dir).expanduser().is_dir():
        raise ConstantsError(
            f"there is no constants store {calib_dir}: no such folder; leave it out "
            "for the experiment's own"
        )
    if files is not None:
        paths = [Path(file) for file in files]
        if is_hdf5(paths):
            from smalldata_ana.sources.hdf5_run import Hdf5Run

            return _as_asked(Hdf5Run(paths[0]), exp, run)
        streams = _wanted(streams_of_files(paths), recorders)
        return _open_files(lambda: streams, exp, run, calib_dir, live, patience)
    if exp is None or run is None:
        raise UsageError("say which run: an experiment and a run, or files")
    where = places(exp, xtc_dir=xtc_dir, calib_dir=calib_dir)
    if exp == SIMULATED and xtc_dir is None:
        from smalldata_ana.simulation.experiment import ensure

        ensure(run, progress=progress)
    of_run = partial(streams_of_run, where.xtc, exp, run)
    return _open_streams(
        lambda: _wanted(of_run(), recorders), lambda _: where, live, patience
    )


def is_hdf5(files: Sequence[StrPath]) -> bool:
    """Tell whether files that are named one by one are one HDF5 file of images."""
    return len(files) == 1 and Path(files[0]).suffix in (".h5", ".hdf5")


def silence(run: Run) -> float:
    """Return how long nothing was new of a run that is being taken, else 0 [s].

    Parameters
    ----------
    run : a run as `open_run` returns it
    """
    from smalldata_ana.sources.psana2.scanned_run import ScannedRun

    return run.silence if isinstance(run, ScannedRun) else 0.0


def broken_off(run: Run) -> bool:
    """Tell whether a run was not finished when it was no longer followed.

    Parameters
    ----------
    run : a run as `open_run` returns it; there may be more of it later
    """
    from smalldata_ana.sources.psana2.scanned_run import ScannedRun

    return isinstance(run, ScannedRun) and run.broken_off


def late_streams(run: Run) -> list[str]:
    """Return the files that begin streams of a run which came after it was opened.

    Parameters
    ----------
    run : a run as `open_run` returns it; nothing of these streams is seen in it
    """
    from smalldata_ana.sources.psana2.scanned_run import ScannedRun

    return run.late_streams() if isinstance(run, ScannedRun) else []


def _wanted(streams: Sequence[StreamFiles], recorders: bool) -> Sequence[StreamFiles]:
    wanted = [stream for stream in streams if recorders or not stream.of_recorder]
    if not wanted:
        raise RunNotFound(
            f"all streams are of recorders, which were to be left out; the first file "
            f"is {streams[0].data}"
        )
    return wanted


def _open_files(
    listed: Listed,
    exp: str | None,
    number: int | None,
    calib_dir: StrPath | None,
    live: bool | None,
    patience: float,
) -> Run:
    places_of = partial(places, calib_dir=calib_dir, loose_files=True)
    return _as_asked(_open_streams(listed, places_of, live, patience), exp, number)


def _as_asked(opened: Run, exp: str | None, number: int | None) -> Run:
    """Return a run from files, if it is the one that was asked for."""
    wrong = [
        f"{what} {got!r}, not {asked!r}"
        for what, asked, got in (
            ("experiment", exp, opened.experiment),
            ("run", number, opened.number),
        )
        if asked is not None and asked != got
    ]
    if wrong:
        opened.close()
        raise RunNotFound(f"the files are of {' and '.join(wrong)}")
    return opened


@dataclass(frozen=True)
class ExperimentConstants:
    """Finds constants in the store of an experiment, and in psana's database.

    Attributes
    ----------
    where : the places of the experiment
    """

    where: Places

    def __call__(
        self, detector: str, run: int, serial: str, long_name: str
    ) -> Constants:
        """Return the constants of a detector that are valid for a run."""

        def database() -> Constants:
            from smalldata_ana.sources.psana2.database import database_constants

            return database_constants(detector, self.where.experiment, run, long_name)

        return valid_constants(
            detector,
            run,
            store=ConstantsStore(self.where.calib),
            given=self.where.calib_given,
            database=database if at_slac() else None,
            serial=serial,
        )


def _open_streams(
    listed: Listed,
    places_of: Callable[[str], Places],
    live: bool | None,
    patience: float,
) -> Run:
    from smalldata_ana.sources.psana2.scanned_run import ScannedRun

    return ScannedRun(
        listed,
        lambda experiment: ExperimentConstants(places_of(experiment)),
        live=live,
        patience=patience,
    )
