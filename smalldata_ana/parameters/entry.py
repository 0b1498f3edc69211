"""One entry of a parameter file, and the reading of it from its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters import toml_text
from smalldata_ana.parameters.model import Parameters, model_of
from smalldata_ana.parameters.provenance import problems_of_made
from smalldata_ana.parameters.run_range import RunRange

MADE = "made"

COMMON_KEYS = ("runs", "enabled", "of", MADE)
"""What an entry of any kind may hold beside its parameters."""

SUMS = "sums"
"""The kind, and its parameter, that say which sums a detector has."""

USUAL_SUMS: Mapping[str, Any] = {SUMS: ["calib"]}
"""What a detector has of which no sums are said, as in smalldata_tools."""


@dataclass(frozen=True, repr=False)
class Entry:
    """Parameters of one kind for one detector and a range of runs.

    Attributes
    ----------
    detector : its name
    kind : one of `smalldata_ana.parameters.model.kinds`
    runs : the runs that it is for
    values : the parameters that are given, without the name
    name : what its results are called; empty for kinds of which there is but one
    enabled : False takes away what an earlier entry of this name set up
    of : the name of the function that this one is chained to, or None
    made : who made it, when and how
    line : where it stands in its file, or None
    array : the array of a mask that is in no file yet, bool, True = good, or None
    automatic : True if nobody chose the name: where it is taken when the entry is
        written, a free one is
    """

    detector: str
    kind: str
    runs: RunRange
    values: Mapping[str, Any]
    name: str = ""
    enabled: bool = True
    of: str | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = None
    array: npt.NDArray[np.bool_] | None = field(default=None, compare=False)
    automatic: bool = field(default=False, compare=False)

    @property
    def path(self) -> tuple[str, str, str]:
        """The key of its array of tables."""
        return ("detector", self.detector, self.kind)

    @property
    def model(self) -> type[Parameters]:
        """The class whose parameters it has."""
        return model_of(self.kind).chosen_by(self.values)

    @property
    def is_own(self) -> bool:
        """Whether it is for a function of the user's own."""
        return model_of(self.kind).is_own

    def __repr__(self) -> str:
        return f"<Entry {self}>"

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"{toml_text.key_text(*self.path)}{name}, runs {self.runs}"

    def make(self) -> Parameters:
        """Return an object of its class with these parameters.

        Raises
        ------
        ParameterError
            if a parameter is unknown or has a value that is not allowed
        """
        name = {"name": self.name} if self.name else {}
        return model_of(self.kind).made_of(name | dict(self.values))

    def text(self) -> str:
        """Return the entry as TOML."""
        table: dict[str, Any] = {"runs": str(self.runs), "name": self.name or None}
        table |= self.values
        if not self.enabled:
            table["enabled"] = False
        made = dict(self.made) or None
        return toml_text.table_text(self.path, table | {"of": self.of, "made": made})


def problems_of(kind: str, table: object) -> Iterator[tuple[str, str]]:
    """Check the table of an entry.

    Yields
    ------
    The key that is wrong (or an empty text, if it is the whole) and what is wrong.
    """
    where = f"an entry of kind {kind!r}"
    found = list(problems_in(table, model_of(kind), COMMON_KEYS, where))
    yield from found
    if isinstance(table, dict) and "runs" not in table:
        yield "", "'runs' is missing, for instance runs = \"12-\""


def problems_in(
    table: object, kind: type[Parameters], common: Sequence[str], where: str
) -> Iterator[tuple[str, str]]:
    """Check the values of a table.

    Parameters
    ----------
    table : what stands in the file
    kind : the class that is registered for it
    common : the keys out of `COMMON_KEYS` that it may hold beside its parameters
    where : what it is, for the messages

    Yields
    ------
    The key that is wrong (or an empty text, if it is the whole) and what is wrong.
    """
    if not isinstance(table, dict):
        yield "", f"{where} is a table, not {table!r}"
        return
    # What chooses the class stands beside the parameters of the chosen one.
    models = (kind.chosen_by(table), kind)
    found = False
    for key, value in table.items():
        problem = (
            _common_problem(key, value)
            if key in common
            else _key_problem(models, common, key, value, where)
        )
        if problem:
            found = True
            yield key, problem
    if MADE in common:
        yield from _made_problems(table.get(MADE))
    if table.get("enabled") is not False or "enabled" not in common:
        values = {k: v for k, v in table.items() if k not in common}
        yield from _whole_problems(models, values, found)


def _whole_problems(
    models: Sequence[type[Parameters]], values: dict[str, Any], found: bool
) -> Iterator[tuple[str, str]]:
    """Check what single keys do not show, of an entry that is not switched off."""
    required = {k: m.class_traits()[k].help for m in models for k in m.required_keys()}
    missing = [key for key in required if key not in values]
    for key in missing:
        yield "", f"{key!r} is missing: {required[key]}"
    if found or missing or models[0].is_open:
        return
    try:
        models[-1].made_of(values)
    except ParameterError as error:
        yield "", str(error)


def _common_problem(key: str, value: Any) -> str:
    if key == "runs":
        return _runs_problem(value)
    wanted = {"enabled": bool, "of": str, MADE: dict}[key]
    fits = isinstance(value, wanted)
    return "" if fits else f"{key} = {value!r} is not a {wanted.__name__}"


def _made_problems(made: Any) -> Iterator[tuple[str, str]]:
    if isinstance(made, dict):
        for key, problem in problems_of_made(made):
            yield f"{MADE}.{key}", f"{MADE}.{problem}"


def _key_problem(
    models: Sequence[type[Parameters]],
    common: Sequence[str],
    key: str,
    value: Any,
    where: str,
) -> str:
    model = next((m for m in models if key in m.file_keys()), None)
    if model is None:
        known = dict.fromkeys((*common, *(k for m in models for k in m.file_keys())))
        return "" if models[0].is_open else unknown("parameter", key, known, where)
    try:
        model.check_value(key, value)
    except ParameterError as error:
        return str(error)
    return ""


def _runs_problem(value: Any) -> str:
    if not isinstance(value, str):
        return f'runs = {value!r} is not a text; write runs = "{value}"'
    try:
        RunRange.parse(value)
    except ParameterError as error:
        return str(error)
    return ""


def read_entry(
    path: tuple[str, str, str], table: Mapping[str, Any], name: str, line: int | None
) -> Entry:
    """Return the entry of a table that `problems_of` finds nothing wrong with.

    Parameters
    ----------
    path : of its array: ``("detector", detector, kind)``
    table : the entry
    name : its name, given or by default
    line : where it stands in the file
    """
    values = {k: v for k, v in table.items() if k not in (*COMMON_KEYS, "name")}
    return Entry(
        detector=path[1],
        kind=path[2],
        runs=RunRange.parse(table["runs"]),
        values=values,
        name=name,
        enabled=table.get("enabled", True),
        of=table.get("of"),
        made=table.get("made", {}),
        line=line,
    )
