"""What a session remembers of entries that were accepted, also after their export."""

from __future__ import annotations

from collections.abc import Iterable

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import rivals

Place = tuple[tuple[str, str, str], str]
"""Path and name of an entry."""


class Accepted:
    """What was in the file when entries were accepted, and what they are called now."""

    def __init__(self) -> None:
        self._seen: dict[Place, set[str]] = {}
        self._renamed: list[tuple[Entry, str]] = []

    def note(self, entry: Entry, written: Iterable[Entry]) -> None:
        """Remember what the file has when an entry is accepted.

        Parameters
        ----------
        entry : what is accepted
        written : the entries of the file
        """
        there = rivals(written, entry)
        self._seen[entry.path, entry.name] = {older.text() for older in there}

    def unseen(self, entry: Entry, there: Entry) -> bool:
        """Tell whether an entry came into the file after another one was accepted.

        Parameters
        ----------
        entry : what was accepted
        there : what the file has of its kind and name
        """
        seen = self._seen.get((entry.path, entry.name))
        return seen is not None and there.text() not in seen

    def rename(self, entry: Entry, name: str) -> None:
        """Remember that an entry was exported under another name."""
        self._renamed.append((entry, name))

    def name_of(self, entry: Entry) -> str:
        """Return the name that an entry has now, exported or not."""
        names = (name for renamed, name in self._renamed if renamed is entry)
        return next(names, entry.name)
