"""LCLS-I's style of a script, over runs of this package.

``from smalldata_ana import psana1 as psana`` lets a script of that time run::

    ds = psana.MPIDataSource("exp=xpptut15:run=650")
    det = DetObject("jungfrau1M", ds.env(), 650)
    small_data = ds.small_data("./test.h5", gather_interval=5)
    for evt in ds.events():
        det.getData(evt)
        det.processFuncs()
        small_data.event({det._name: getUserData(det)})

It is one process, whatever the name says; the producer is what runs in parallel.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalldata_ana.errors import ParameterError, UsageError, listing
from smalldata_ana.opening import open_run
from smalldata_ana.smalldata.event_file import EventFile
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event

logger = logging.getLogger(__name__)

_KEYS = ("exp", "run", "dir")
_MODES = ("smd", "idx")


@dataclass(frozen=True)
class Env:
    """The environment of a data source, for `DetObject` and `checkDet`.

    Attributes
    ----------
    run : the run
    """

    run: Run


class SmallData:
    """The file of a script, which gets the values of each event; see `small_data`.

    Parameters
    ----------
    source : gives the event that the values are of
    file : the file to write
    gather_interval : events that are collected before they are written
    """

    def __init__(
        self, source: MPIDataSource, file: str | os.PathLike[str], gather_interval: int
    ) -> None:
        if gather_interval < 1:
            raise ParameterError(f"gather_interval = {gather_interval} is below 1")
        self._source = source
        self._file = EventFile(Path(file).expanduser().absolute(), gather_interval)
        self._last_error = _unhandled()
        atexit.register(self._finish)

    def event(self, *data: Mapping[str, Any], **values: Any) -> None:
        """Store values of the event that the loop is at; mappings become groups.

        Parameters
        ----------
        data, values : numbers and arrays by name; several calls in one event add up,
            and an event lacks what it is not given

        Raises
        ------
        ParameterError
            before the first event; if a value is not numbers, or not of the shape and
            type that it had before
        """
        event = self._source.current
        if event is None:
            raise ParameterError("small_data.event() belongs into the loop over events")
        for each in (*data, values):
            self._file.write(event.timestamp, each)

    def close(self) -> None:
        """Complete the file now; it is done at the end of a script by itself."""
        atexit.unregister(self._finish)
        self._file.close()

    def _finish(self) -> None:
        if _unhandled() is self._last_error:
            self.close()
            return
        kept = self._file.abandon()
        logger.warning("the script ended in an error; what it stored is in %s", kept)


def _unhandled() -> BaseException | None:
    """Return the error that the interpreter has reported last."""
    return getattr(sys, "last_value", None)


class MPIDataSource:
    """The events of a run, one after the other.

    Parameters
    ----------
    name : ``exp=<experiment>:run=<number>``, perhaps with ``:dir=<folder>`` of the
        xtc2 files; ``:smd`` and ``:idx`` make no difference

    Raises
    ------
    UsageError
        if the name is none
    RunNotFound, ExperimentNotFound
        if there is no such run
    """

    def __init__(self, name: str) -> None:
        exp, run, folder = _parsed(name)
        self._run = open_run(exp, run, xtc_dir=folder)
        self._last: int | None = None
        self.current: Event | None = None

    def env(self) -> Env:
        """Return the environment."""
        return Env(self._run)

    def break_after(self, n: int) -> None:
        """Let the loop over the events end after `n` of them.

        Raises
        ------
        ParameterError
            if `n` is below 1
        """
        if n < 1:
            raise ParameterError(f"break_after({n}): at least one event")
        self._last = n

    def events(self) -> Iterator[Event]:
        """Yield the events."""
        for number in range(len(self._run))[: self._last]:
            self.current = Event(self._run, number)
            yield self.current

    def small_data(
        self, file: str | os.PathLike[str], gather_interval: int = 100
    ) -> SmallData:
        """Begin a small-data file.

        The file is complete when the script ends, and not there before.  After an
        error it is not there at all: what was stored is then in
        ``<file>.incomplete.<suffix>``, and a file of an earlier script stays.

        Parameters
        ----------
        file : the file to write
        gather_interval : events that are collected before they are written

        Raises
        ------
        FileError
            if the file cannot be written
        ParameterError
            if `gather_interval` is below 1
        """
        return SmallData(self, file, gather_interval)


def _parsed(name: str) -> tuple[str, int, str | None]:
    """Return experiment, run and folder of a data source's name."""
    words = [word for word in name.split(":") if word not in _MODES]
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    complete = given.get("exp") and given.get("run", "").isdecimal()
    if not complete or not set(given) <= set(_KEYS):
        raise UsageError(
            f"{name!r} is no data source; write 'exp=xpptut15:run=650', and perhaps "
            f"{listing(_MODES)} or 'dir=<folder>' behind a colon"
        )
    return given["exp"], int(given["run"]), given.get("dir")
