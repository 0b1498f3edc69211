"""What a ``prod_config`` says about the event data: the table ``[event]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.entry import problems_in
from smalldata_ana.parameters.model import table_kinds
from smalldata_ana.parameters.prod_config.evaluating import Evaluated
from smalldata_ana.parameters.prod_config.forms import (
    EVENT_LISTS,
    INTEGRATING,
    INTEGRATING_LIST,
)
from smalldata_ana.parameters.tables import EVENT, Table

INTEGRATED = "integrating"
"""The parameter with the detectors that integrate over several events."""


def event_of(evaluated: Evaluated) -> Table:
    """Return the table of the event data; without values, if there is nothing to say.

    Parameters
    ----------
    evaluated : what the module says

    Raises
    ------
    ParameterError
        if a value is not allowed, or the integrating detectors are not the same for all
        runs: everything at once
    """
    values = {
        ours: evaluated.lists[theirs]
        for theirs, ours in EVENT_LISTS.items()
        if evaluated.lists.get(theirs)
    }
    problems = []
    integrating = integrating_of(evaluated)
    if len(integrating) > 1:
        problems.append(
            f"{INTEGRATING}: it returns several values, {integrating[0]} and "
            f"{integrating[1]}, and there is one for all runs; ask for the runs apart"
        )
    elif integrating and integrating[0]:
        values[INTEGRATED] = integrating[0]
    model = table_kinds()[EVENT].model
    problems += [
        f"{_theirs(key, evaluated)}: {problem}"
        for key, problem in problems_in(values, model, (), EVENT)
    ]
    if problems:
        raise ParameterError("\n".join(f"{evaluated.path}: {p}" for p in problems))
    return Table(EVENT, values)


def _theirs(key: str, evaluated: Evaluated) -> str:
    has_function = INTEGRATING in evaluated.functions
    names = {ours: theirs for theirs, ours in EVENT_LISTS.items()}
    return names.get(key, INTEGRATING if has_function else INTEGRATING_LIST)


def integrating_of(evaluated: Evaluated) -> list[list[Any]]:
    """Return the integrating detectors, once for each selection of them.

    Parameters
    ----------
    evaluated : what the module says: with its function, else with a list
    """
    listed = evaluated.lists.get(INTEGRATING_LIST, [])
    found: list[list[Any]] = []
    for value in evaluated.functions.get(INTEGRATING, [listed]):
        names = list(_names(value))
        if names not in found:
            found.append(names)
    return found


def _names(value: Any) -> Iterator[Any]:
    """Return the integrating detectors: the slowest, and the list of others."""
    for one in value if isinstance(value, list) else [value]:
        yield from (name for name in (one if isinstance(one, list) else [one]) if name)
