"""What is stored of each event beside the results of area detectors, put together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from smalldata_ana.detector.protocol import Field
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.event_data.damage import Damage
from smalldata_ana.event_data.epics import (
    EpicsNames,
    EpicsValue,
    epics_columns,
    first_values,
    usual,
)
from smalldata_ana.event_data.light import EventCodes, Light, event_codes
from smalldata_ana.event_data.parameters import EventParameters
from smalldata_ana.event_data.scalars import beamline_detectors, beamline_scalars
from smalldata_ana.event_data.scan import Scan
from smalldata_ana.event_data.time_tool import TimeTool, find_time_tool
from smalldata_ana.event_data.topic import Mask, Seen, Topic
from smalldata_ana.sources.base import Array, Indices, Run
from smalldata_ana.sources.light_rules import (
    LightRule,
    parse_rules,
    rule_of,
    rule_of_hutch,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventData:
    """The default data of a run's events: light, codes, monitors, scan, EPICS, ...

    What there is, is found out once, from the run's first events; this object holds no
    run, so that it can be sent to other processes.  Make it with `of`.

    Attributes
    ----------
    light : what the timing data mean
    topics : the groups of datasets
    epics_once : the EPICS values that are stored once
    integrating : the detectors that integrate over several events
    """

    light: LightRule
    topics: tuple[Topic, ...]
    epics_once: tuple[EpicsValue, ...] = ()
    integrating: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        run: Run,
        parameters: EventParameters,
        *,
        epics_all: bool = False,
        may_lack: bool = False,
    ) -> Self:
        """Find out what a run has.

        Parameters
        ----------
        run : the run, from its first event on
        parameters : what is wanted
        epics_all : True to store all EPICS values, also those that are not named
        may_lack : True to leave out EPICS values and integrating detectors that the
            run does not have, with a warning

        Raises
        ------
        ParameterError
            if something is named that the run does not have: all at once, one a line
        """
        problems = list(_unknown_arrays(run, parameters))
        lacking: list[str] = []
        names = EpicsNames(run)
        users = names.find_all(parameters.epics, lacking)
        epics = {v.name: v for v in (*names.find_all(usual(names, run), []), *users)}
        once = names.find_all(parameters.epics_once, lacking)
        integrating = _integrating(run, parameters, lacking)
        if may_lack:
            for problem in lacking:
                logger.warning("%s It is left out", problem)
        else:
            problems += lacking
        tool = _time_tool(run, parameters, problems)
        if problems:
            raise ParameterError("\n".join(f"[event]: {p}" for p in problems))
        rule = light_rule(run, parameters)
        topics: list[Topic] = [
            Light.of(run, rule),
            EventCodes.of(run, rule),
            Scan.of(run),
            beamline_scalars(run, parameters.arrays, tool.reads if tool else ()),
            Damage.of(run),
            epics_columns(run, epics.values(), "epics"),
            epics_columns(run, users, "epicsUser"),
        ]
        if tool is not None:
            topics.append(tool)
        if epics_all:
            every = names.find_all(names.all, problems)
            topics.append(epics_columns(run, every, "epicsAll"))
        return cls(rule, tuple(topics), once, integrating)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The datasets by their path in the file."""
        return {path: f for topic in self.topics for path, f in topic.fields.items()}

    def values(
        self, run: Run, events: Indices, whole: Mapping[str, Mask] | None = None
    ) -> dict[str, Array]:
        """Return the rows of some events for each dataset, (events, ...).

        Parameters
        ----------
        run : the run, or a part of it
        events : numbers of its events
        whole : (events,) by name of an area detector whose frames were read: where
            there was a whole one
        """
        return self.values_of(self.seen(run, events, whole))

    def seen(
        self, run: Run, events: Indices, whole: Mapping[str, Mask] | None = None
    ) -> Seen:
        """Read what the rows of some events are made of; see `values`."""
        events = np.asarray(events)
        names = dict.fromkeys(name for topic in self.topics for name in topic.reads)
        columns = run.scalar_columns(list(names), events)
        codes = event_codes(run, events, columns)
        return Seen(run, events, codes, columns, whole or {})

    def values_of(self, seen: Seen) -> dict[str, Array]:
        """Return what `values` does of events that were read."""
        return {k: v for topic in self.topics for k, v in topic.values(seen).items()}

    def codes_left_out(self, seen: Seen) -> Counter[int]:
        """Return in how many events there are event codes without a dataset."""
        topics = (topic for topic in self.topics if isinstance(topic, EventCodes))
        return sum((topic.left_out(seen) for topic in topics), Counter())

    def once(self, run: Run) -> dict[str, Any]:
        """Return the EPICS values that are stored once, as the run begins."""
        return first_values(run, self.epics_once)

    def configuration(self) -> dict[str, dict[str, Any]]:
        """Return what is stored once, by group of ``UserDataCfg`` and name."""
        told: dict[str, dict[str, Any]] = {}
        for topic in self.topics:
            for group, values in topic.configuration().items():
                told.setdefault(group, {}).update(values)
        return told


def light_rule(run: Run, parameters: EventParameters) -> LightRule:
    """Return what the timing data of a run mean: as users say, else as at its hutch."""
    given = parameters.light_status
    rule = rule_of(parse_rules(given), run.number) if given is not None else None
    return rule or rule_of_hutch(run)


def _time_tool(
    run: Run, parameters: EventParameters, problems: list[str]
) -> TimeTool | None:
    calibration = parameters.ttCalib
    try:
        return find_time_tool(
            run,
            parameters.timetool,
            None if calibration is None else tuple(calibration),
        )
    except ParameterError as error:
        problems.append(str(error))
        return None


def _unknown_arrays(run: Run, parameters: EventParameters) -> Iterator[str]:
    """Say which arrays the run does not have."""
    for name in parameters.arrays:
        if name not in run.scalars:
            arrays = [n for n, info in run.scalars.items() if info.shape]
            yield unknown("array", name, arrays, f"{run.experiment} run {run.number}")


def _integrating(
    run: Run, parameters: EventParameters, problems: list[str]
) -> tuple[str, ...]:
    """Return the integrating detectors; say which ones the run does not have."""
    known = list(dict.fromkeys([*run.detectors, *beamline_detectors(run)]))
    where = f"{run.experiment} run {run.number}"
    lacking = [name for name in parameters.integrating if name not in known]
    problems += [unknown("detector", name, known, where) for name in lacking]
    return tuple(name for name in parameters.integrating if name in known)
