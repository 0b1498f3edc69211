"""A run in LCLS-II files, found by scanning them; it may still be growing."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from smalldata_ana.errors import RunNotFound, listing
from smalldata_ana.sources.datagrams import Service
from smalldata_ana.sources.event_index import EventIndex
from smalldata_ana.sources.psana2.mended import psana
from smalldata_ana.sources.psana2.parts import ConstantsFor, Psana2Part, RunSource
from smalldata_ana.sources.psana2.reading import configuration, decoder
from smalldata_ana.sources.psana2.run import Psana2Run
from smalldata_ana.sources.psana2.slow_values import (
    ConfigurationChanges,
    Decoder,
    SlowValues,
)
from smalldata_ana.sources.stream_index import StreamIndex
from smalldata_ana.sources.xtc_files import StreamFiles, run_of

logger = logging.getLogger(__name__)


class ScannedRun(Psana2Run):
    """A whole run: all events of its files.

    Parameters
    ----------
    listed : returns the files of the run that there are now
    constants_of : gives for the experiment what finds constants of its detectors; it
        has to be such that it can be pickled
    live : True to follow the run as it grows; False to take what is there, also of a
        run that is being taken; None to follow it if its files are ``.inprogress``
    patience : how long nothing may be new until the run is followed no longer [s]

    Attributes
    ----------
    index : where all events are

    Raises
    ------
    RunNotFound
        if a file is not an xtc2 file, or the streams are not of one run
    ExperimentNotFound
        if the data are of an experiment whose name is none
    """

    def __init__(
        self,
        listed: Callable[[], Sequence[StreamFiles]],
        constants_of: Callable[[str], ConstantsFor],
        *,
        live: bool | None = None,
        patience: float = math.inf,
    ) -> None:
        psana()
        self._listed = listed
        self._patience = patience
        streams = listed()
        configured_by = tuple(s.offsets or s.data for s in streams)
        configurations = [configuration(path) for path in configured_by]
        decoders = [decoder(one) for one in configurations]
        self.index = EventIndex(
            [
                StreamIndex(k, s.data, s.offsets, decoders[k])
                for k, s in enumerate(streams)
            ],
            growing=live or any(s.growing for s in streams),
        )
        if live is False:
            self.index.stop()
        self._gave_up = False
        self._size, self._heard = self.index.size, time.monotonic()
        self._decoder: Decoder = decoders.__getitem__
        experiment, number, begun = _identity(self.index, self._decoder)
        _warn_of_other_names(self.index, experiment, number)
        source = RunSource(
            experiment=experiment,
            number=number,
            begun=begun,
            origin=", ".join(sorted({str(s.data.parent) for s in streams})),
            configured_by=configured_by,
            constants_for=constants_of(experiment),
        )
        super().__init__(source, configurations, self._all(experiment, number))

    def refresh(self) -> int:
        """Look for events that were added since; return how many there are new.

        The run has all its events then, also where it was turned to a part.  If nothing
        was new for too long, it is followed no longer.
        """
        with self._lock:
            before = len(self.index.events)
            self.index.refresh()
            self._stop_if_silent()
            new = len(self.index.events) - before
            if new:
                self._begin_with(self._all(self.experiment, self.number))
            else:
                # what was not on disk of known events may be there now
                events = self.index.events
                self._first = self._part = replace(self._first, events=events)
        return new

    @property
    def growing(self) -> bool:
        """True while the run is being taken."""
        return self.index.unfinished

    @property
    def silence(self) -> float:
        """How long nothing was new of a run that is being taken, else 0 [s]."""
        return time.monotonic() - self._heard if self.growing else 0.0

    @property
    def broken_off(self) -> bool:
        """True if it was not finished when it was no longer followed."""
        return self.index.broken_off

    def _stop_if_silent(self) -> None:
        size = self.index.size
        if size != self._size:
            self._size, self._heard = size, time.monotonic()
        elif self.growing and self.silence >= self._patience:
            self.index.stop()
            self._gave_up = True

    def late_streams(self) -> list[str]:
        """Return the first files of streams that came after the run was opened.

        Nothing of them is seen here, as the events of a run have the numbers that they
        have.
        """
        known = {stream.files[0].name for stream in self.index.streams}
        try:
            names = [stream.data.name for stream in self._listed()]
        except RunNotFound:
            # the files were moved meanwhile, which their reader tells
            return []
        return [name for name in names if name not in known]

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the data, a sentence each."""
        silent = f"nothing new came for {self._patience:g} s; more was not waited for"
        return [
            *([silent] if self._gave_up else []),
            *self.index.problems(),
            *super().problems,
        ]

    def _all(self, experiment: str, number: int) -> Psana2Part:
        return Psana2Part(
            experiment,
            number,
            self.index.events,
            SlowValues.of(self.index, self._decoder),
            ConfigurationChanges.of(self.index, self._decoder),
        )


def _identity(index: EventIndex, decoder: Decoder) -> tuple[str, int, int]:
    """Return experiment, number and begin, by the data or else the files' names."""
    found: set[tuple[str, int]] = set()
    begun = 0
    for transition in index.transitions(Service.BEGIN_RUN):
        datagram: Any = decoder(transition.stream)(transition.data)
        begun = transition.timestamp
        for segment in getattr(datagram, "runinfo", {}).values():
            info = segment.runinfo
            found.add((str(info.expt), int(info.runnum)))
    files = [stream.files[0] for stream in index.streams]
    found = found or {name for name in map(run_of, files) if name}
    if not found:
        raise RunNotFound(f"{files[0]} does not tell which run it is of")
    if len(found) > 1:
        runs = listing(f"{experiment} run {run}" for experiment, run in sorted(found))
        raise RunNotFound(f"the files are not of one run, but of {runs}")
    return *found.pop(), begun


def _warn_of_other_names(index: EventIndex, experiment: str, number: int) -> None:
    names = {run_of(stream.files[0]) for stream in index.streams}
    for name in names - {None, (experiment, number)}:
        logger.warning(
            "the files are called %s run %d, but their data are of %s run %d",
            *name or (),
            experiment,
            number,
        )
