"""What is wrong with the text of a parameter file: everything, with its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets import TraitError

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters import toml_text
from smalldata_ana.parameters.entry import COMMON_KEYS, Entry, problems_of, read_entry
from smalldata_ana.parameters.model import Parameters, kinds, model_of, table_kinds
from smalldata_ana.parameters.record import is_used
from smalldata_ana.parameters.resolved import applying, by_detector
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.toml_text import Located, at

SCHEMA_NAME = "smalldata-ana-params"
VERSION = 1
SCHEMA = f"{SCHEMA_NAME}/{VERSION}"

_TOP_KEYS = ("schema", "experiment", "detector")

Path3 = tuple[str, str, str]

Find = Callable[[Sequence[Entry], Sequence[Entry]], Iterable["Problem"]]


# -- the head --------------------------------------------------------------------------


def newer_schema(document: dict[str, Any]) -> str:
    """Say that a file is for a later version, of which nothing else is known."""
    schema = document.get("schema")
    name, _, version = str(schema).partition("/")
    newer = version.isascii() and version.isdigit() and int(version) > VERSION
    if name != SCHEMA_NAME or not newer:
        return ""
    return (
        f"schema = {schema!r} is newer than {SCHEMA!r}, which this version reads; "
        "update smalldata_ana"
    )


def head_problems(
    document: dict[str, Any], lines: toml_text.Lines, experiment: str | None
) -> Iterator[Located]:
    """Check what stands outside of the entries and tables.

    Parameters
    ----------
    document : the file, as TOML
    lines : of its text
    experiment : the experiment that it must be for, or None for any
    """
    schema, line = document.get("schema"), lines.of_any(("schema",))
    if "schema" not in document:
        write = f'write schema = "{SCHEMA}" as its first line'
        yield Located(None, f"'schema' is missing; {write}")
    elif schema != SCHEMA:
        what = f"schema = {schema!r} is not {SCHEMA!r}, which this version reads"
        yield Located(line, what)
    yield from _experiment_problems(document, lines, experiment)
    known = (*_TOP_KEYS, *table_kinds())
    for key in document:
        if key not in known:
            what = unknown("key", key, known, "a parameter file")
            yield Located(lines.of_any((key,)), what)


def _experiment_problems(
    document: dict[str, Any], lines: toml_text.Lines, experiment: str | None
) -> Iterator[Located]:
    of, line = document.get("experiment"), lines.of_any(("experiment",))
    if of is None:
        write = f'write experiment = "{experiment or "<name>"}"'
        yield Located(None, f"'experiment' is missing; {write}")
    elif not isinstance(of, str):
        what = f'experiment = {of!r} is not a text; write experiment = "{of}"'
        yield Located(line, what)
    elif experiment is not None and of != experiment:
        what = f"it is for experiment {of!r}, not for {experiment!r}"
        yield Located(line, what)


# -- single entries --------------------------------------------------------------------


def entry_problems(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Located]:
    """Check each entry by itself."""
    yield from _shape_problems(document, lines)
    for path, rows in _arrays(document):
        header = toml_text.key_text(*path)
        line = lines.of_any(path)
        if path[2] not in kinds():
            yield Located(line, unknown("kind of entry", path[2], kinds(), header))
            continue
        if not isinstance(rows, list):
            what = f"{header} is not an array of tables; write [[{header}]]"
            yield Located(line, what)
        for index, row in enumerate(_rows(rows)):
            for key, problem in problems_of(path[2], row):
                yield Located(lines.of(path, index, key), f"{header}: {problem}")


def _shape_problems(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Located]:
    """Say where detectors and kinds are not tables, so that they cannot be walked."""
    detectors = document.get("detector", {})
    if not isinstance(detectors, dict):
        what = "'detector' is not a table; write [[detector.<name>.<kind>]]"
        yield Located(lines.of_any(("detector",)), what)
        return
    for name, of_kinds in detectors.items():
        if not isinstance(of_kinds, dict):
            key = toml_text.key_text("detector", name)
            what = f"{key!r} is not a table; write [[{key}.<kind>]]"
            yield Located(lines.of_any(("detector", name)), what)


def _arrays(document: dict[str, Any]) -> Iterator[tuple[Path3, Any]]:
    """Return what stands where arrays of entries should be."""
    detectors = document.get("detector", {})
    for detector, of_kinds in _tables_of(detectors).items():
        for kind, rows in _tables_of(of_kinds).items():
            yield ("detector", detector, kind), rows


def _tables_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(rows: Any) -> list[Any]:
    """Return the tables of an array; a single table is looked at all the same."""
    return rows if isinstance(rows, list) else [rows] if isinstance(rows, dict) else []


def readable_entries(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Entry]:
    """Return the entries that can be read; all, where nothing is wrong with them."""
    for path, rows in _arrays(document):
        if path[2] not in kinds():
            continue
        right = [
            (i, row) for i, row in enumerate(_rows(rows)) if _is_readable(path[2], row)
        ]
        names = _names(path[2], [row for _, row in right])
        for (index, row), name in zip(right, names, strict=True):
            yield read_entry(path, row, name, lines.of(path, index))


def right_entries(document: dict[str, Any], lines: toml_text.Lines) -> list[Entry]:
    """Return the entries of a file with which by themselves nothing is wrong."""
    places = {line for _, line in _wrong(document, lines)}
    return [e for e in readable_entries(document, lines) if e.line not in places]


def checkable_entries(document: dict[str, Any], lines: toml_text.Lines) -> list[Entry]:
    """Return the entries of a file with errors that can be checked further.

    Without an entry that is wrong, those that depend on it would seem wrong too: of its
    detector, the chained functions are left out, and all if it is no function.
    """
    wrong = [path for path, _ in _wrong(document, lines)]
    touched = {path[1] for path in wrong}
    unclear = {path[1] for path in wrong if not _is_function(path[2])}
    return [
        entry
        for entry in right_entries(document, lines)
        if entry.detector not in unclear
        and (entry.of is None or entry.detector not in touched)
    ]


def _wrong(
    document: dict[str, Any], lines: toml_text.Lines
) -> list[tuple[Path3, int | None]]:
    """Return the path and line of each entry with which something is wrong."""
    return [
        (path, lines.of(path, index))
        for path, rows in _arrays(document)
        for index, row in enumerate(_rows(rows))
        if path[2] not in kinds() or any(problems_of(path[2], row))
    ]


def _is_function(kind: str) -> bool:
    model = model_of(kind) if kind in kinds() else None
    return model is not None and model.is_named() and model.has_results


def doubtful_entries(
    document: dict[str, Any], lines: toml_text.Lines
) -> Iterator[Entry]:
    """Return what can be read of the others: with what is right, and for all runs."""
    for path, rows in _arrays(document):
        if path[2] not in kinds():
            continue
        for index, row in enumerate(_rows(rows)):
            if isinstance(row, dict) and not _is_readable(path[2], row):
                wrong = {key for key, _ in problems_of(path[2], row)}
                right = {k: v for k, v in row.items() if k not in wrong}
                table = right | {"runs": "0-"}
                (name,) = _names(path[2], [table])
                yield read_entry(path, table, name, lines.of(path, index))


def _is_readable(kind: str, row: Any) -> bool:
    """Tell whether runs, name and the like can be read, whatever the parameters."""
    if not isinstance(row, dict) or "runs" not in row:
        return False
    needed = {*COMMON_KEYS, "name"}
    return not any(key in needed for key, _ in problems_of(kind, row))


def _names(kind: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the name of each entry.

    Entries without one are numbered among those that begin with the same run: two
    regions are ``ROI_0`` and ``ROI_1``, and the same two from a later run on are
    ``ROI_0`` and ``ROI_1`` again.  Of other kinds the first has no number: two
    azimuthal averages are ``azav`` and ``azav_1``, as users know them.
    """
    model = model_of(kind)
    if not model.is_named():
        return [""] * len(rows)
    counted: Counter[tuple[int, str]] = Counter()
    names = []
    for row in rows:
        if "name" in row:
            names.append(row["name"])
            continue
        default = _default_name(model, row)
        begin = RunRange.parse(row["runs"]).begin
        number = counted[begin, default]
        numbered = number > 0 or model.always_numbered
        names.append(f"{default}_{number}" if numbered else default)
        counted[begin, default] += 1
    return names


def _default_name(model: type[Parameters], row: Mapping[str, Any]) -> str:
    values = {k: v for k, v in row.items() if k in model.file_keys()}
    try:
        return model.default_name(values)
    except (ParameterError, TraitError):
        return model.default_name({})  # what is wrong with the values is told


# -- entries together ------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """What is wrong with an entry; its text says where it stands.

    Attributes
    ----------
    entry : the entry
    text : what is wrong
    """

    entry: Entry
    text: str

    def __str__(self) -> str:
        return str(self.located())

    def located(self, remark: str = "") -> Located:
        """Return the text with its line, and a remark behind it."""
        return Located(self.entry.line, f"{self.entry}: {self.text}{remark}")


def file_problems(entries: Iterable[Entry], folder: Path) -> Iterator[Problem]:
    """Check the files that the entries name, e.g. masks, whatever else is wrong.

    Parameters
    ----------
    entries : some entries
    folder : of the parameter file
    """
    for entry in entries:
        if entry.enabled:
            parameters = entry.model.partly(entry.values)
            for text in parameters.problems_beside(folder):
                yield Problem(entry, text)


def together_problems(
    entries: Sequence[Entry], doubtful: Sequence[Entry] = ()
) -> Iterator[Problem]:
    """Check the entries that apply to a run together: names, and ``of``.

    Parameters
    ----------
    entries : those that apply to one run, of all detectors
    doubtful : those of which it is not known; others may be chained to them
    """
    for detector in dict.fromkeys(entry.detector for entry in entries):
        ours = [e for e in entries if e.detector == detector]
        perhaps = {e.name for e in doubtful if e.detector == detector}
        named = [e for e in ours if e.name and e.model.has_results]
        by_name: dict[str, Entry] = {}
        for entry in named:
            first = by_name.setdefault(entry.name, entry)
            if first is not entry:
                yield Problem(entry, f"{at(first.line)}{first} has the same name")
        for entry in named:
            text = _chain_problem(entry, by_name, perhaps)
            if text:
                yield Problem(entry, text)


def _chain_problem(
    entry: Entry, by_name: Mapping[str, Entry], perhaps: Container[str]
) -> str:
    above, seen = entry.of, [entry.name]
    while above is not None:
        if above not in by_name:
            others = [name for name in by_name if name != entry.name]
            missing = unknown("function", above, others, entry.detector)
            return "" if above in perhaps else missing
        if above in seen:
            return f"of = {entry.of!r} goes round in a circle"
        seen.append(above)
        above = by_name[above].of
    return ""


def lacking_problems(
    entries: Sequence[Entry], doubtful: Sequence[Entry] = ()
) -> Iterator[Problem]:
    """Check that the entries that apply to a run say all that a function needs.

    Parameters
    ----------
    entries, doubtful : as for `together_problems`; what either says is there
    """
    for ours in by_detector(entries).values():
        detector = ours[0].detector
        perhaps = [e for e in doubtful if e.detector == detector]
        beside = {e.kind: e.values for e in (*perhaps, *ours) if not e.name}
        for entry in ours if is_used(ours) else ():
            named = {"name": entry.name} if entry.name else {}
            for text in entry.model.lacking(named | dict(entry.values), beside):
                yield Problem(entry, text)


def doubtful_problems(
    doubtful: Sequence[Entry], others: Sequence[Entry], folder: Path
) -> Iterator[Located]:
    """Check the entries whose runs are not known: their files, and ``of``.

    Parameters
    ----------
    doubtful : these entries
    others : the other entries of the file
    folder : of the parameter file
    """
    for entry in doubtful:
        texts = [p.text for p in file_problems([entry], folder)]
        rest = [e for e in (*others, *doubtful) if e is not entry]
        ours = [e for e in rest if e.detector == entry.detector and e.name]
        names = [e.name for e in ours if e.model.has_results]
        if entry.enabled and entry.of is not None and entry.of not in names:
            texts.append(unknown("function", entry.of, names, entry.detector))
        header = toml_text.key_text(*entry.path)
        yield from (Located(entry.line, f"{header}: {text}") for text in texts)


def all_together_problems(
    entries: Sequence[Entry],
    doubtful: Sequence[Entry] = (),
    find: Find = together_problems,
) -> list[tuple[Problem, int]]:
    """Check the entries together for every run.

    Parameters
    ----------
    entries : of a file
    doubtful : those of it of which it is not known for which runs they are
    find : what checks those of a run: `together_problems` or `lacking_problems`

    Returns
    -------
    Each problem, with the first run that has it.
    """
    begins = {e.runs.begin for e in entries}
    begins |= {e.runs.end + 1 for e in entries if e.runs.end is not None}
    found: dict[str, tuple[Problem, int]] = {}
    for run in sorted(begins):
        for problem in find(applying(entries, run), doubtful):
            found.setdefault(str(problem), (problem, run))
    return list(found.values())
