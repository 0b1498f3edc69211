"""The tables of a parameter file beside its detectors: ``[event]``, ``[cube.<name>]``.

Which there are, and what they may hold, is registered with
`smalldata_ana.parameters.model.register_table`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalldata_ana.parameters import toml_text
from smalldata_ana.parameters.entry import problems_in
from smalldata_ana.parameters.model import NAME, Parameters, table_kinds
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.toml_text import Located

EVENT = "event"
CUBE = "cube"
ALL_RUNS = RunRange(0)

_COMMON_KEYS = ("runs", "enabled")
"""What a table with a name may hold beside its parameters."""


@dataclass(frozen=True, repr=False)
class Table:
    """Parameters that belong to no detector.

    Attributes
    ----------
    kind : one of `smalldata_ana.parameters.model.table_kinds`
    values : the parameters that are given
    name : of the table, where there may be several of its kind, or empty
    runs : the runs that it is for
    enabled : False switches it off
    line : where it stands in its file, or None
    """

    kind: str
    values: Mapping[str, Any]
    name: str = ""
    runs: RunRange = ALL_RUNS
    enabled: bool = True
    line: int | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Its key in the file."""
        return (self.kind, self.name) if self.name else (self.kind,)

    def __repr__(self) -> str:
        return f"<Table {self}>"

    def __str__(self) -> str:
        return toml_text.key_text(*self.path)

    def applies_to(self, run: int) -> bool:
        """Tell whether it says something for a run."""
        return self.enabled and run in self.runs

    def make(self) -> Parameters:
        """Return an object of the kind's class with these parameters.

        Raises
        ------
        ParameterError
            if a parameter is unknown or has a value that is not allowed
        """
        model = table_kinds()[self.kind].model
        name = {NAME: self.name} if self.name and model.is_named() else {}
        return model(**name, **self.values)

    @property
    def files(self) -> tuple[str, ...]:
        """Ends of the names of the files that are made of it."""
        return self.make().files(self.name)

    def text(self) -> str:
        """Return the table as TOML."""
        table: dict[str, Any] = {}
        if self.runs != ALL_RUNS:
            table["runs"] = str(self.runs)
        if not self.enabled:
            table["enabled"] = False
        return toml_text.table_text(self.path, table | dict(self.values), single=True)


def table_problems(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Located]:
    """Check the tables of a document, each, and if they are right, together.

    Yields
    ------
    A sentence for each problem, with its line.
    """
    told = list(_single_problems(document, lines))
    yield from told or _same_files(list(readable_tables(document, lines)))


def _same_files(tables: Sequence[Table]) -> Iterator[Located]:
    """Say which tables would make the same file of a run."""
    for one, other in itertools.combinations((t for t in tables if t.enabled), 2):
        files = {*one.files} & {*other.files}
        if files and one.runs.overlaps(other.runs):
            what = f"{other} would make the same file as {one}, …_{min(files)}.h5"
            yield Located(other.line, f"{what}; give another name")


def _single_problems(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Located]:
    for path, table in _tables(document):
        header = toml_text.key_text(*path)
        common = _COMMON_KEYS if len(path) > 1 else ()
        if not isinstance(table, dict):
            line = lines.of(path, 0) or _key_line(path, lines)
            what = f"{header!r} is not a table; write [{_wanted(path)}]"
            yield Located(line, what)
            continue
        model = table_kinds()[path[0]].model
        for key, problem in problems_in(table, model, common, header):
            yield Located(lines.of(path, 0, key), f"{header}: {problem}")


def _key_line(path: tuple[str, ...], lines: toml_text.Lines) -> int | None:
    """Return the line of what stands as a value where a table should be."""
    kind, *name = path
    return lines.of((kind,), 0, name[0]) if name else lines.of_head(kind)


def _wanted(path: tuple[str, ...]) -> str:
    kind, *name = path
    if table_kinds()[kind].named and not name:
        return f"{kind}.<name>"
    return toml_text.key_text(*path)


def _tables(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return what stands where tables should be."""
    for kind, what in table_kinds().items():
        if kind not in document:
            continue
        inside = document[kind]
        if what.named and isinstance(inside, dict):
            yield from (((kind, name), table) for name, table in inside.items())
        else:
            yield (kind,), inside


def readable_tables(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Table]:
    """Return the tables of a document with which nothing is wrong."""
    for path, table in _tables(document):
        values = dict(table)
        common = _COMMON_KEYS if len(path) > 1 else ()
        own = {key: values.pop(key) for key in common if key in values}
        yield Table(
            kind=path[0],
            values=values,
            name="".join(path[1:]),
            runs=RunRange.parse(own["runs"]) if "runs" in own else ALL_RUNS,
            enabled=own.get("enabled", True),
            line=lines.of(path, 0),
        )
