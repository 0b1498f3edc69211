"""What determines the results of a run: to be stored, compared, and put into words.

A record is JSON: for each detector its entries, for the event data its table.  It
leaves out what makes no difference: who made an entry and when, where it stands, the
runs that it is for, the order of entries, comments, and the entries of other runs.
A text that names a file stands for what is in the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.model import Parameters, table_kinds
from smalldata_ana.parameters.toml_text import plain
from smalldata_ana.parameters.user_code import DEFINE_DETS

if TYPE_CHECKING:
    from smalldata_ana.parameters.resolved import Resolved

_CHECKSUM = "sha256"
_SHOWN = 100
"""Longest text of a value in a sentence."""

_BEFORE = 20
"""So much of a long text is shown before what differs from another."""

Record = dict[str, dict[str, Any]]
"""By detector, or other part, and entry."""


def digest(value: Any) -> str:
    """Return the sha256 of a value that JSON can hold."""
    return hashlib.sha256(_json(value).encode()).hexdigest()


def record_of(resolved: Resolved) -> str:
    """Return all that determines the results of a run, as JSON.

    Parameters
    ----------
    resolved : what the parameters say for the run
    """
    record: Record = {
        name: {_title(entry): _entry(entry, resolved) for entry in entries}
        for name, entries in resolved.detectors.items()
        if is_used(entries)
    }
    folder = resolved.path.parent
    for table in resolved.tables:
        if not table_kinds()[table.kind].named:
            model = table_kinds()[table.kind].model
            record[table.kind] = {"": _values(table.values, model, folder)}
    if resolved.define_dets is not None:
        record[DEFINE_DETS] = {"": {_CHECKSUM: resolved.define_dets.code.sha256}}
    return _json(record)


def is_used(entries: tuple[Entry, ...]) -> bool:
    """Tell whether the entries of a detector do not switch it off."""
    return all(entry.values.get("use") for entry in entries if entry.kind == "use")


def _title(entry: Entry) -> str:
    return f"{entry.kind} {entry.name!r}" if entry.name else entry.kind


def _entry(entry: Entry, resolved: Resolved) -> dict[str, Any]:
    values = _values(entry.values, entry.model, resolved.path.parent)
    if entry.of is not None:
        values["of"] = entry.of
    if entry.is_own and resolved.functions is not None:
        values["functions"] = {_CHECKSUM: resolved.functions.sha256}
    return values


def _values(
    values: Mapping[str, Any], model: type[Parameters], folder: Path
) -> dict[str, Any]:
    """Return the values that results depend on, with the checksums of their files."""
    without = model.class_traits(determines=False)
    return {
        key: _determining(value, folder)
        for key, value in plain(values).items()
        if key not in without
    }


def _determining(value: Any, folder: Path) -> Any:
    """Return a value in the form that equal values have in common."""
    if isinstance(value, dict):
        return {key: _determining(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_determining(inner, folder) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and Path(value).suffix:
        return _of_file(value, folder)
    return value


def _of_file(text: str, folder: Path) -> Any:
    """Return the checksum of the file that a text names, or the text."""
    for path in (folder / text, Path(text)):
        try:
            with path.open("rb") as file:
                return {_CHECKSUM: hashlib.file_digest(file, "sha256").hexdigest()}
        except (OSError, ValueError):
            continue  # it is no file, but a text that looks like one
    return text


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


# -- in words --------------------------------------------------------------------------


def describe_changes(old: str, new: str) -> list[str]:
    """Say what differs between two records.

    Parameters
    ----------
    old, new : as `record_of` returns them

    Returns
    -------
    A sentence for each change, e.g. ``jungfrau1M roi 'A': thresADU was 5, is 7``.
    """
    before, after = json.loads(old), json.loads(new)
    return [
        sentence
        for part in sorted(before.keys() | after.keys())
        for sentence in _changes_of_part(part, before.get(part), after.get(part))
    ]


def _changes_of_part(
    part: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[str]:
    if before is None or after is None:
        yield f"{part}: {'new' if before is None else 'no longer there'}"
        return
    for title in sorted(before.keys() | after.keys()):
        place = f"{part} {title}".rstrip()
        if title not in before:
            yield f"{place}: new"
        elif title not in after:
            yield f"{place}: no longer there"
        else:
            yield from _changes_of_values(place, before[title], after[title])


def _changes_of_values(
    place: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            yield f"{place}: {key} is {_shown(after[key])}, was not given"
        elif key not in after:
            yield f"{place}: {key} was {_shown(before[key])}, is not given"
        elif before[key] != after[key]:
            yield f"{place}: {_change(key, before[key], after[key])}"


def _change(key: str, before: Any, after: Any) -> str:
    if key == _CHECKSUM:
        return "changed"
    if _is_file(before) and _is_file(after):
        return f"the file of {key} changed"
    texts = _text(before), _text(after)
    # What two long values have in common would hide what differs.
    common = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    )
    was, is_ = (_cut(text, max(common - _BEFORE, 0)) for text in texts)
    return f"{key} was {was}, is {is_}"


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {_CHECKSUM}


def _shown(value: Any) -> str:
    return _cut(_text(value), 0)


def _text(value: Any) -> str:
    if _is_file(value):
        return f"a file with sha256 {value[_CHECKSUM][:12]}…"
    return _json(value) if isinstance(value, list | dict) else repr(value)


def _cut(text: str, begin: int) -> str:
    """Return a text, or if it is long, a part of it."""
    if len(text) <= _SHOWN:
        return text
    part = text[begin : begin + _SHOWN]
    return f"{'…' if begin else ''}{part}{'…' if len(text) > begin + _SHOWN else ''}"
