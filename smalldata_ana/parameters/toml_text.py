"""The text of a parameter file: writing entries, and finding their lines again."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

_HEADER = re.compile(r"\s*\[[^\[\],=]+\]|\s*\[\[[^\[\],=]+\]\]")


def plain(value: Any) -> Any:
    """Return a value with the types that TOML knows: no arrays, tuples or None."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def value_text(value: Any) -> str:
    """Return a value as TOML on one line; a mapping becomes an inline table."""
    import tomlkit

    value = plain(value)
    if isinstance(value, dict):
        pairs = (f"{key_text(k)} = {value_text(v)}" for k, v in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    text: str = tomlkit.item(value).as_string()
    return text


def key_text(*path: str) -> str:
    """Return a dotted key, quoted where it must be."""
    import tomlkit

    return tomlkit.key(path).as_string()


def table_text(
    path: tuple[str, ...], table: Mapping[str, Any], *, single: bool = False
) -> str:
    """Return an element of an array of tables, or a table.

    Parameters
    ----------
    path : of the array, e.g. ``("detector", "jungfrau1M", "roi")``, or of the table
    table : its values; None is left out, and mappings become sub-tables
    single : it is a table and in no array
    """
    values = plain(table)
    header = f"[{key_text(*path)}]"
    lines = [header if single else f"[{header}]"]
    lines += _pairs({k: v for k, v in values.items() if not isinstance(v, dict)})
    for key, inner in values.items():
        if isinstance(inner, dict):
            lines += [f"[{key_text(*path, key)}]", *_pairs(inner)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{key_text(key)} = {value_text(value)}" for key, value in values.items()]


def at(line: int | None) -> str:
    """Return where something stands, as the begin of a message."""
    return "" if line is None else f"line {line}: "


class Located(NamedTuple):
    """A text about something in a file, and the line where that stands, if known."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return at(self.line) + self.text


class Lines:
    """Where in a text its entries ``[[detector.<det>.<kind>]]`` and tables stand.

    Entries that are written in another way (inline) are not found, which costs
    nothing but the line in a message.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._headers: dict[tuple[str, ...], list[int]] = {}
        for number, path in self._all_headers():
            self._headers.setdefault(path, []).append(number)

    def _all_headers(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        for number, line in enumerate(self._lines, 1):
            if not line.lstrip().startswith("["):
                continue
            try:
                node: Any = tomllib.loads(line)
            except tomllib.TOMLDecodeError:
                continue
            path = []
            while isinstance(node, dict) and node:
                key, node = next(iter(node.items()))
                path.append(key)
            yield number, tuple(path)

    def of(self, path: tuple[str, ...], index: int, key: str = "") -> int | None:
        """Return the line of an entry, or of a key in it, counted from 1.

        Parameters
        ----------
        path : of the array of tables, or of the table
        index : which element of it
        key : a key of the entry, or ``<table>.<key>`` of a table in it; where it is
            not found, the line of the table or entry is returned
        """
        headers = self._headers.get(path, [])
        start = headers[index] if index < len(headers) else 0
        if not key:
            return start or None
        table, _, inside = key.partition(".")
        inner = next((n for n in self._headers.get((*path, table), []) if n > start), 0)
        tries = [(start, key), (start, table), (inner, inside)]
        found = (self._key_line(n, name) for n, name in tries if n and name)
        return next(filter(None, found), inner or start or None)

    def of_head(self, key: str) -> int | None:
        """Return the line of a key that stands before the first table."""
        return self._key_line(0, key)

    def of_any(self, path: tuple[str, ...]) -> int | None:
        """Return the line where something begins, whether table, key or what is in it.

        Parameters
        ----------
        path : of a table, or of a key, which may be in a table above
        """
        headers = [n for p, n in self._headers.items() if p[: len(path)] == path]
        if headers:
            return min(map(min, headers))
        for end in reversed(range(1, len(path))):
            for start in self._headers.get(path[:end], []):
                if line := self._key_line(start, path[end]):
                    return line
        return self._key_line(0, path[0])

    def _key_line(self, start: int, key: str) -> int | None:
        wanted = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
        for number, line in enumerate(self._lines[start:], start + 1):
            if wanted.match(line):
                return number
            if _HEADER.match(line):
                return None
        return None
