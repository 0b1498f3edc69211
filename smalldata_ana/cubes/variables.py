"""The variables of all events of a run, wherever they come from.

They are the data that a producer stores beside the detectors (``ipm2/sum``,
``scan/lxt``, ``lightStatus/laser``), any scalar of the run, the ``delay``, and, from
the small data of the run, the results of functions.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.errors import (
    FileError,
    NameNotFound,
    ParameterError,
    did_you_mean,
    listing,
)
from smalldata_ana.event_data import EventData
from smalldata_ana.event_data.topic import field_of, is_text
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.smalldata.layout import CONFIGURATION, SUMS, TIMESTAMP
from smalldata_ana.sources.base import Array, Run

logger = logging.getLogger(__name__)

DELAY = "delay"
CORRECTION = "tt/ttCorr"
STEP = "scan/varStep"

_SCAN = "scan/"
_COUNTERS = ("scan/varStep", "scan/step_value")
"""Numbers of steps, which every scan has beside what it scans."""

_ENCODER = "enc/lasDelay"
_DELAYS = ("lxt", "lxt_ttc", "lxt_vitara", "lxt_fast", "txt")
"""What the nominal delay of the laser is called, in scans and EPICS [s]."""

_NEAREST = 3
"""Variables that are named where there is none of a name."""

_PS = {"ps": 1.0, "fs": 1e-3, "ns": 1e3, "us": 1e6, "s": 1e12}
"""Picoseconds in a unit of time."""


@dataclass(frozen=True, eq=False)
class Variables:
    """What is known of each event of a run.

    Attributes
    ----------
    run : the run
    event_data : what there is beside the detectors
    small_data : the file with the results of functions, which may not be there
    use_tt : True to correct the delay by the time tool
    """

    run: Run
    event_data: EventData
    small_data: Path
    use_tt: bool = True
    _told: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, run: Run, resolved: Resolved, small_data: Path) -> Self:
        """Find out what there is of a run, for all its cubes."""
        event_data = EventData.of(run, resolved.event, epics_all=True)
        return cls(run, event_data, small_data)

    def available(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the variables that there are; tell about each other one, once."""
        for name in names:
            try:
                self.field(name)
            except NameNotFound as error:
                if name not in self._told:
                    self._told.add(name)
                    logger.warning("add: %s The cube is made without it", error)
            else:
                yield name

    def field(self, name: str) -> Field:
        """Return what a variable is.

        Raises
        ------
        NameNotFound
            if there is none of that name, with the nearest one
        FileError
            if it is a result of a function, and there is no small data yet
        """
        if name == DELAY:
            return Field(np.dtype(float), (), "ps", "delay of the X-rays")
        if name in self.event_data.fields:
            return self.event_data.fields[name]
        if name in self._scalars:
            return field_of(self.run.scalars[name])
        if name in self._results:
            return self._results[name]
        raise self._missing(name)

    def columns(self, names: Iterable[str]) -> dict[str, Array]:
        """Return variables of all events, float64 with NaN, (events, ...) each.

        Raises
        ------
        NameNotFound, FileError
            as `field`
        """
        wanted = dict.fromkeys(names)
        for name in wanted:
            self.field(name)
        if DELAY in wanted:
            nominal = self._nominal_delay()
            corrected = self.use_tt and CORRECTION in self.event_data.fields
            others = [nominal, *([CORRECTION] if corrected else [])]
            found = self._read([*(n for n in wanted if n != DELAY), *others])
            found[DELAY] = found[nominal] * self._picoseconds(nominal)
            if corrected:
                found[DELAY] = found[DELAY] + found[CORRECTION]
        else:
            found = self._read(list(wanted))
        return {name: found[name] for name in wanted}

    def scanned(self, *, corrected: bool) -> str:
        """Return the variable that the run scans.

        Parameters
        ----------
        corrected : True for ``delay`` where that is a delay of the laser, also one that
            moves without steps

        Raises
        ------
        ParameterError
            if the run is no scan
        """
        names = [n for n in self.event_data.fields if n.startswith(_SCAN)]
        columns = self._read(names)
        moving = [n for n in names if np.unique(_finite(columns[n])).size > 1]
        found = [n for n in moving if n not in _COUNTERS] or moving
        if not found and corrected and self._moves(_ENCODER):
            return DELAY
        if not found:
            raise ParameterError(
                f"{self._where} is no scan; say what to bin in: bins = "
                '{ var = "delay", from = -1, to = 4, n = 50 }'
            )
        is_delay = found[0].removeprefix(_SCAN) in _DELAYS
        return DELAY if is_delay and corrected else found[0]

    # -- where they come from --------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self.run.experiment} run {self.run.number}"

    @cached_property
    def _scalars(self) -> tuple[str, ...]:
        infos = self.run.scalars
        return tuple(name for name in infos if not is_text(infos[name]))

    @cached_property
    def _results(self) -> Mapping[str, Field]:
        """What the small data have for each event, by path."""
        if not self.small_data.is_file():
            return {}
        found: dict[str, Field] = {}
        with self._opened() as file:
            count = len(file[TIMESTAMP])

            def collect(path: str, item: h5py.Dataset | h5py.Group) -> None:
                group = path.partition("/")[0]
                is_column = isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf"
                if not is_column or group in {CONFIGURATION, SUMS}:
                    return
                if item.shape[:1] == (count,) and path != TIMESTAMP:
                    unit = str(item.attrs.get("units", ""))
                    found[path] = Field(item.dtype, item.shape[1:], unit)

            file.visititems(collect)
        return found

    def _opened(self) -> h5py.File:
        try:
            return h5py.File(self.small_data)
        except OSError as error:
            raise FileError(f"cannot read {self.small_data}: {error}") from error

    def _read(self, names: list[str]) -> dict[str, Array]:
        stored = [name for name in names if name in self.event_data.fields]
        scalars = [n for n in names if n not in stored and n in self._scalars]
        results = [n for n in names if n not in stored and n not in scalars]
        events = np.arange(len(self.run))
        found: dict[str, Array] = {}
        if stored:
            topics = [t for t in self.event_data.topics if t.fields.keys() & {*stored}]
            values = replace(self.event_data, topics=tuple(topics))
            found |= values.values(self.run, events)
        if scalars:
            found |= self.run.scalar_columns(scalars, events)
        if results:
            found |= dict(self._of_small_data(results))
        return {name: _with_nan(found[name]) for name in names}

    def _of_small_data(self, names: Iterable[str]) -> Iterator[tuple[str, Array]]:
        """Yield results of functions, NaN for events that the file does not have."""
        with self._opened() as file:
            stamps = file[TIMESTAMP][()].astype(np.uint64)
            _, ours, theirs = np.intersect1d(
                self.run.timestamps, stamps, assume_unique=True, return_indices=True
            )
            if len(ours) < len(self.run):
                logger.warning(
                    "%s has %d of the %d events of %s; the others are in no bin",
                    self.small_data,
                    len(ours),
                    len(self.run),
                    self._where,
                )
            for name in names:
                column = _with_nan(file[name][()])
                values = np.full((len(self.run), *column.shape[1:]), np.nan)
                values[ours] = column[theirs]
                yield name, values

    def _missing(self, name: str) -> NameNotFound | FileError:
        detector = name.partition("/")[0]
        if detector in self.run.detectors and not self.small_data.is_file():
            return FileError(
                f"{name!r} is a result of a function, and there is no small data "
                f"{self.small_data}; make it with: python producers/smd_producer.py "
                f"-e {self.run.experiment} -r {self.run.number}"
            )
        all_names = [DELAY, *self.event_data.fields, *self._scalars, *self._results]
        known = list(dict.fromkeys(all_names))
        near = difflib.get_close_matches(name, known, n=_NEAREST, cutoff=0.0)
        return NameNotFound(
            f"no variable {name!r} in {self._where}; the nearest of {len(known)} are "
            f"{listing(near)}.{did_you_mean(name, known)}"
        )

    # -- the delay -------------------------------------------------------------------

    def _nominal_delay(self) -> str:
        """Return the variable with the delay that was set.

        It is the encoder's, if that moves; else what was scanned, else what EPICS says.
        They are never added to each other.
        """
        fields = self.event_data.fields
        if self._moves(_ENCODER):
            return _ENCODER
        for group in ("scan", "epics"):
            for name in _DELAYS:
                path = f"{group}/{name}"
                if path in fields or path in self._scalars:
                    return path
        if _ENCODER in fields:
            return _ENCODER
        known = [*fields, *self._scalars]
        raise NameNotFound(
            f"{self._where} has no delay of the laser: no {_ENCODER}, and neither in "
            f"the scan nor in EPICS any of {', '.join(_DELAYS)}; "
            f"bin in one of {', '.join(n for n in known if n.startswith(_SCAN))}"
        )

    def _moves(self, name: str) -> bool:
        if name not in self.event_data.fields:
            return False
        return np.unique(_finite(self._read([name])[name])).size > 1

    def _picoseconds(self, name: str) -> float:
        return _PS.get(self.field(name).unit, 1.0 if name == _ENCODER else _PS["s"])


def _with_nan(column: Array) -> Array:
    """Return a column as float64, with NaN where it has no value."""
    values = column.astype(np.float64)
    if column.dtype.kind in "iu":
        values[column == MISSING_INTEGER] = np.nan
    return values


def _finite(column: Array) -> Array:
    return column[np.isfinite(column)]
