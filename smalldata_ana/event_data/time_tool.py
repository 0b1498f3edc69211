"""The time tool: when the X-rays came, measured for each event.

A camera sees where the X-rays changed the transmission of a target; the position of
that edge [pixel] is the arrival time.  The fit is done by the data acquisition, which
gives its results as fields of a detector (LCLS-II), as an array of six values of a
detector, or as EPICS values (LCLS-I).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalldata_ana.detector.protocol import Field
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.event_data.topic import NUMBER, Seen, is_text
from smalldata_ana.sources.base import Array, Run

logger = logging.getLogger(__name__)

POSITION, TIME = "FLTPOS", "FLTPOS_PS"
CORRECTION = "ttCorr"

MEANINGS = {
    POSITION: ("pixel", "position of the edge; 0: no edge was found"),
    TIME: ("ps", "arrival time as the time tool tells it"),
    "FLTPOSFWHM": ("pixel", "width of the edge"),
    "AMPL": ("1", "amplitude of the edge"),
    "AMPLNXT": ("1", "amplitude of the next best edge"),
    "REFAMPL": ("1", "amplitude of the reference"),
}
"""Unit and meaning of each value; an array holds them in this order."""

SPELLINGS = {POSITION: "fltpos", TIME: "fltpos_ps"}
"""How the LCLS-II data acquisition writes the position; it is stored under both."""

_FIELD = re.compile(
    r"(.*?)(FLTPOS_?PS|FLTPOSFWHM|FLTPOS|AMPLNXT|NXTAMPL|REFAMPL|AMPL)", re.IGNORECASE
)
_OTHER_SPELLINGS = {"FLTPOSPS": TIME, "NXTAMPL": "AMPLNXT"}
_ARRAY = re.compile(r"((?:(?:.*_)?tt(?:_.*)?|.*timetool.*)/)value", re.IGNORECASE)
_EPICS = "epics/"


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes
    ----------
    scalar : a scalar of the run
    index : which of its elements, or None if it is a number
    """

    scalar: str
    index: int | None = None


@dataclass(frozen=True)
class TimeTool:
    """The values of the time tool, and the arrival time of the X-rays.

    ``tt/ttCorr`` [ps] is a polynomial of ``tt/FLTPOS``, or without one
    ``tt/FLTPOS_PS``; the delay of an event is its nominal delay plus or minus this.
    Where no edge was found (position 0 or missing), it is NaN: smalldata_tools writes
    0 there, which cannot be told from a measured 0 ps.

    Attributes
    ----------
    sources : where each value comes from
    calibration : coefficients of the polynomial, constant first; None: the arrival
        time is the time tool's
    """

    sources: Mapping[str, Source]
    calibration: tuple[float, ...] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The scalars with its values."""
        return tuple(dict.fromkeys(s.scalar for s in self.sources.values()))

    @property
    def corrects(self) -> bool:
        """True if there is an arrival time."""
        return self.calibration is not None or TIME in self.sources

    @property
    def fields(self) -> dict[str, Field]:
        """The values, the position in two spellings, and the arrival time."""
        fields = {}
        for key, (unit, meaning) in MEANINGS.items():
            if key in self.sources:
                for name in _spelled(key):
                    fields[f"tt/{name}"] = Field(NUMBER, (), unit, meaning)
        if self.corrects:
            meaning = "arrival time of the X-rays; NaN where no edge was found"
            fields[f"tt/{CORRECTION}"] = Field(NUMBER, (), "ps", meaning)
        return fields

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return the values of each event."""
        columns = {key: _column(seen, s) for key, s in self.sources.items()}
        values = {
            f"tt/{name}": column
            for key, column in columns.items()
            for name in _spelled(key)
        }
        if self.corrects:
            values[f"tt/{CORRECTION}"] = self._correction(columns)
        return values

    def _correction(self, columns: Mapping[str, Array]) -> Array:
        position = columns[POSITION]
        if self.calibration is None:
            time = columns[TIME]
        else:
            time = np.polynomial.Polynomial(self.calibration)(position)
        found = np.isfinite(position) & (position != 0)
        return np.where(found, time, np.nan)

    def configuration(self) -> dict[str, Mapping[str, Any]]:
        """Return names and calibration."""
        told: dict[str, Any] = {
            "ttNames": list(self.sources),
            "PVlist": [s.scalar.removeprefix(_EPICS) for s in self.sources.values()],
        }
        if self.calibration is not None:
            told["ttCalib"] = list(self.calibration)
        return {"tt": told}


def _spelled(key: str) -> tuple[str, ...]:
    return (key, SPELLINGS[key]) if key in SPELLINGS else (key,)


def _column(seen: Seen, source: Source) -> Array:
    column = seen.columns[source.scalar].astype(NUMBER)
    return column if source.index is None else column[:, source.index]


@dataclass
class _Candidate:
    """A group of scalars that may be a time tool."""

    prefix: str
    sources: dict[str, Source] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The detector, or what the EPICS names begin with."""
        return self.prefix.removeprefix(_EPICS).rstrip(":_/.")

    @property
    def rank(self) -> tuple[bool, str]:
        """Orders candidates: detectors before EPICS values, then by name."""
        return self.prefix.startswith(_EPICS), self.prefix


def find_time_tool(
    run: Run, name: str = "", calibration: tuple[float, ...] | None = None
) -> TimeTool | None:
    """Return the time tool of a run, or None if it has none.

    Parameters
    ----------
    run : the run
    name : which one: a detector, or what its EPICS names begin with; default: a
        detector with the fields of a time tool, else EPICS values
    calibration : coefficients of the polynomial for the arrival time, constant first

    Raises
    ------
    ParameterError
        if the one that is named does not exist
    """
    found = sorted(_candidates(run, name), key=lambda c: c.rank)
    if name:
        known = [c.name for c in found]
        found = [c for c in found if c.name == name or c.name.startswith(f"{name}/")]
        if not found:
            where = f"{run.experiment} run {run.number}"
            raise ParameterError(unknown("time tool", name, known, where))
    if not found:
        if calibration is not None:
            logger.warning(
                "ttCalib of [event] has no effect: %s run %d has no time tool, neither "
                "fields FLTPOS of a detector or of EPICS values, nor %d values of a "
                "detector called like *timetool* or *_tt; name it with timetool",
                run.experiment,
                run.number,
                len(MEANINGS),
            )
        return None
    tool = TimeTool(found[0].sources, calibration)
    logger.info("the time tool is %s", found[0].name)
    if not tool.corrects:
        logger.warning(
            "the time tool %s gives no time: write ttCalib in [event] of the parameter "
            "file to have tt/ttCorr",
            found[0].name,
        )
    return tool


def _candidates(run: Run, name: str) -> Iterator[_Candidate]:
    """Yield what has the position of an edge.

    An array of six values is taken for one if its detector is called like a time tool,
    or is the one that is named.
    """
    groups: dict[str, _Candidate] = {}
    for scalar, info in run.scalars.items():
        if is_text(info):
            continue
        match = _FIELD.fullmatch(scalar)
        if match is not None and info.shape == ():
            key = match[2].upper()
            candidate = groups.setdefault(match[1], _Candidate(match[1]))
            key = _OTHER_SPELLINGS.get(key, key)
            candidate.sources[key] = Source(scalar)
        is_named = bool(_ARRAY.fullmatch(scalar)) or scalar == f"{name}/value"
        if is_named and info.shape == (len(MEANINGS),):
            sources = {key: Source(scalar, k) for k, key in enumerate(MEANINGS)}
            yield _Candidate(scalar.removesuffix("value"), sources)
    yield from (c for c in groups.values() if POSITION in c.sources)
