"""Light status and event codes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.event_data.topic import INTEGER, Seen
from smalldata_ana.sources.base import Array, Indices, Run
from smalldata_ana.sources.first_events import first_events
from smalldata_ana.sources.light_rules import LightRule
from smalldata_ana.sources.light_status import DESTINATION, light_status

logger = logging.getLogger(__name__)

GROUP = "lightStatus"
CODES = "evr/code_"

EVENT_CODES = "timing/eventcodes"
"""The scalar that `Run.event_codes` returns, where a run has it."""


def event_codes(
    run: Run, events: Indices, columns: Mapping[str, Array]
) -> npt.NDArray[np.int8]:
    """Return what `Run.event_codes` does, without reading the events once more.

    Parameters
    ----------
    run : the run
    events : numbers of its events
    columns : what was read of them, by scalar
    """
    if EVENT_CODES not in columns:
        return run.event_codes(events)
    column = columns[EVENT_CODES]
    return np.where(np.isnan(column), -1, column).astype(np.int8)


@dataclass(frozen=True)
class Light:
    """Whether there was light: 1 on, 0 off, -1 not known.

    Attributes
    ----------
    rule : what the timing data mean
    reads : the scalars that it needs
    """

    rule: LightRule
    reads: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Run, rule: LightRule) -> Light:
        """Return the light of a run by a rule."""
        told = rule.destination is not None and DESTINATION in run.scalars
        return cls(rule, (DESTINATION,) if told else ())

    @property
    def fields(self) -> dict[str, Field]:
        """A dataset for each light."""
        return {
            f"{GROUP}/{name}": Field(
                INTEGER, long_name=f"{name}: 1 on, 0 off, -1 not known"
            )
            for name in self.rule.lights
        }

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return the status of each light."""
        status = light_status(seen.codes, self.rule, seen.columns.get(DESTINATION))
        lights = {"xray": status.xray, "laser": status.laser, **status.states}
        return {f"{GROUP}/{k}": v.astype(INTEGER) for k, v in lights.items()}

    def configuration(self) -> dict[str, Mapping[str, Any]]:
        """Return the codes, as upstream names them."""
        codes = {}
        for name, wanted in self.rule.lights.items():
            codes[f"{name}Codes_req"] = list(wanted.request)
            codes[f"{name}Codes_drop"] = list(wanted.drop)
        known: dict[str, Any] = {key: value for key, value in codes.items() if value}
        if self.rule.destination is not None:
            known["destination"] = self.rule.destination
        return {GROUP: known}


@dataclass(frozen=True)
class EventCodes:
    """Which event codes each event has.

    Attributes
    ----------
    codes : those that are stored
    reads : the scalar with all of them, so that they are read with the others
    """

    codes: tuple[int, ...]
    reads: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Run, rule: LightRule) -> EventCodes:
        """Take the codes that occur in the first events of a run, and those of a rule.

        Parameters
        ----------
        run : the run
        rule : what tells of light; its codes are taken wherever there is timing data
        """
        reads = (EVENT_CODES,) if EVENT_CODES in run.scalars else ()
        table = run.event_codes(np.arange(first_events(run)))
        if not (table >= 0).any():
            return cls((), reads)
        _warn_of_requests(run, rule, table)
        told = {code for codes in rule.lights.values() for code in codes.all}
        there = set(np.flatnonzero((table == 1).any(axis=0)).tolist())
        possible = {code for code in told if code < table.shape[1]}
        return cls(tuple(sorted(there | possible)), reads)

    @property
    def fields(self) -> dict[str, Field]:
        """A dataset for each code."""
        return {
            f"{CODES}{code}": Field(
                INTEGER, long_name=f"event code {code}: 1 present, 0 not"
            )
            for code in self.codes
        }

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return for each code where it is present."""
        table = seen.codes[:, list(self.codes)].astype(INTEGER)
        table[table < 0] = MISSING_INTEGER
        return {f"{CODES}{code}": table[:, k] for k, code in enumerate(self.codes)}

    def left_out(self, seen: Seen) -> Counter[int]:
        """Return in how many events there are codes that are not stored."""
        counts = np.count_nonzero(seen.codes == 1, axis=0)
        others = set(np.flatnonzero(counts).tolist()) - {*self.codes}
        return Counter({code: int(counts[code]) for code in others})

    def configuration(self) -> dict[str, Mapping[str, Any]]:
        """Nothing."""
        return {}


def _warn_of_requests(run: Run, rule: LightRule, table: npt.NDArray[np.int8]) -> None:
    """Tell which light is taken for off as nothing requests it."""
    there = np.flatnonzero((table == 1).any(axis=0)).tolist()
    for name, codes in rule.lights.items():
        if codes.request and not {*codes.request} & {*there}:
            logger.warning(
                "%s/%s is 0 where timing data are: none of the first %d events of %s "
                "run %d has an event code that requests it, %s; they have %s. Write "
                "light_status in [event] of the parameter file, for instance "
                "[[162], [91]] as of older runs",
                GROUP,
                name,
                len(table),
                run.experiment,
                run.number,
                " or ".join(map(str, codes.request)),
                ", ".join(map(str, there)) or "none",
            )
