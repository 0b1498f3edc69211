"""Open a run, wherever it is; the simulated experiment is made when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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


def open_run(
    exp: str | None = None,
    run: int | None = None,
    *,
    xtc_dir: StrPath | None = None,
    files: Sequence[StrPath] | None = None,
    calib_dir: StrPath | None = None,
    live: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Open a run.

    Parameters
    ----------
    exp, run : which one; not needed with ``files``
    xtc_dir : folder of the xtc2 files, if it is not the experiment's own
    files : the streams of one run, file by file; or one HDF5 file of images
    calib_dir : folder of the constants store, if it is not the experiment's own
    live : True to follow a run that is being taken
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
        return _open_files([Path(f) for f in files], exp, run, calib_dir, live)
    if exp is None or run is None:
        raise UsageError("say which run: an experiment and a run, or files")
    where = places(exp, xtc_dir=xtc_dir, calib_dir=calib_dir)
    if exp == SIMULATED and xtc_dir is None:
        from smalldata_ana.simulation.experiment import ensure

        ensure(run, progress=progress)
    streams = streams_of_run(where.xtc, exp, run)
    return _open_streams(streams, where, live)


def _open_files(
    files: Sequence[Path],
    exp: str | None,
    number: int | None,
    calib_dir: StrPath | None,
    live: bool,
) -> Run:
    if len(files) == 1 and files[0].suffix in (".h5", ".hdf5"):
        from smalldata_ana.sources.hdf5_run import Hdf5Run

        return Hdf5Run(files[0])
    opened = _open_streams(streams_of_files(files), _LazyPlaces(calib_dir), live)
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


class _LazyPlaces:
    """The places of files whose experiment is only known when they are open."""

    def __init__(self, calib_dir: StrPath | None) -> None:
        self._calib_dir = calib_dir

    def of(self, experiment: str) -> Places:
        return places(experiment, calib_dir=self._calib_dir, loose_files=True)


def _open_streams(
    streams: Sequence[StreamFiles],
    where: Places | _LazyPlaces,
    live: bool,
) -> Run:
    from smalldata_ana.sources.psana2.run import Psana2Run

    def constants_for(
        detector: str, run: int, serial: str, long_name: str
    ) -> Constants:
        known = where if isinstance(where, Places) else where.of(opened.experiment)

        def database() -> Constants:
            from smalldata_ana.sources.psana2.database import database_constants

            return database_constants(detector, opened.experiment, run, long_name)

        return valid_constants(
            detector,
            run,
            store=ConstantsStore(known.calib),
            given=known.calib_given,
            database=database if at_slac() else None,
            serial=serial,
        )

    opened = Psana2Run(streams, constants_for, live=live)
    return opened
