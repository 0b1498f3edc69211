"""EPICS values: of each event, or once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_ana.errors import ParameterError, counted, did_you_mean
from smalldata_ana.event_data.scalars import Scalars
from smalldata_ana.event_data.tables import EPICS, UNITS
from smalldata_ana.event_data.topic import (
    LARGEST_ARRAY,
    field_of,
    is_text,
    n_values,
)
from smalldata_ana.places import hutch_of
from smalldata_ana.sources.base import Run, present
from smalldata_ana.sources.first_events import first_events

logger = logging.getLogger(__name__)

Wanted = str | tuple[str, str]
"""A name in the run or a process variable, or this and the name to store it under."""

_PREFIX = "epics/"


@dataclass(frozen=True)
class EpicsValue:
    """One value.

    Attributes
    ----------
    name : of its dataset
    scalar : its name among the scalars of the run
    variable : the process variable
    """

    name: str
    scalar: str
    variable: str


def dataset_name(name: str) -> str:
    """Return the name of an EPICS value as that of a dataset.

    Examples
    --------
    >>> dataset_name("XPP:USR:MMS:01.RBV")
    'XPP_USR_MMS_01.RBV'
    """
    return name.replace(":", "_").replace("/", "_")


class EpicsNames:
    """The EPICS values of a run, by their names and by their process variables."""

    def __init__(self, run: Run) -> None:
        self._where = f"{run.experiment} run {run.number}"
        self._aliases = dict(run.aliases)
        names = [n.removeprefix(_PREFIX) for n in run.scalars if n.startswith(_PREFIX)]
        variables = {pv: name for name, pv in self._aliases.items() if name in names}
        self._names = {**variables, **{name: name for name in names}}
        self.all = tuple(names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def find(self, wanted: Wanted) -> EpicsValue:
        """Return one value.

        Raises
        ------
        ParameterError
            if the run does not have it
        """
        asked, stored = (wanted, "") if isinstance(wanted, str) else wanted
        if asked not in self._names:
            raise ParameterError(
                f"no EPICS value {asked!r} in {self._where}, which has "
                f"{counted(len(self.all), 'of them', 'of them')}."
                f"{did_you_mean(asked, self._names)}"
            )
        name = self._names[asked]
        return EpicsValue(
            dataset_name(stored or name), _PREFIX + name, self._aliases.get(name, name)
        )

    def find_all(
        self, wanted: Iterable[Wanted], problems: list[str]
    ) -> tuple[EpicsValue, ...]:
        """Return several values, each once.

        Parameters
        ----------
        wanted : which
        problems : a sentence for each that the run does not have is added here
        """
        found = {}
        for each in wanted:
            try:
                value = self.find(each)
            except ParameterError as error:
                problems.append(str(error))
            else:
                found[value.name] = value
        return tuple(found.values())


def usual(names: EpicsNames, run: Run) -> tuple[str, ...]:
    """Return the EPICS values that are usual at the hutch, as far as a run has them."""
    wanted = EPICS.get(hutch_of(run.experiment), ())
    return tuple(name for name in wanted if name in names)


def epics_columns(run: Run, values: Iterable[EpicsValue], group: str) -> Scalars:
    """Return EPICS values that are stored for each event, without text.

    Parameters
    ----------
    run : the run
    values : which
    group : of the datasets
    """
    stored = []
    for value in values:
        info = run.scalars[value.scalar]
        if is_text(info) or n_values(info) > LARGEST_ARRAY:
            what = "text" if is_text(info) else "a long array"
            logger.info("%s is %s and not stored for each event", value.variable, what)
        else:
            stored.append(value)
    return Scalars(
        sources={f"{group}/{v.name}": v.scalar for v in stored},
        fields={
            f"{group}/{v.name}": field_of(
                run.scalars[v.scalar],
                UNITS.get(v.scalar.removeprefix(_PREFIX), ""),
                v.variable,
            )
            for v in stored
        },
        configured=_configured(group, stored),
    )


def _configured(
    group: str, values: Iterable[EpicsValue]
) -> dict[str, Mapping[str, Any]]:
    names = [v.name for v in values]
    if not names:
        return {}
    return {group: {"PVlist": names, "PVlist_PV": [v.variable for v in values]}}


def first_values(run: Run, values: Iterable[EpicsValue]) -> dict[str, Any]:
    """Return EPICS values as they are at the first event that has them.

    Parameters
    ----------
    run : the run
    values : which; one without a value in the first events is NaN, or no text
    """
    values = list(values)
    events = np.arange(first_events(run))
    if not values or not len(events):
        return {}
    columns = run.scalar_columns([v.scalar for v in values], events)
    found = {}
    for value in values:
        column = columns[value.scalar]
        first = column[np.argmax(present(column))]
        found[value.name] = first if np.ndim(first) else _plain(first)
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
