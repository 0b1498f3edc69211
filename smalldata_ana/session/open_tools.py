"""The tools of a session that hold something which is not accepted."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalldata_ana.parameters.entry import Entry
    from smalldata_ana.session.tools.base import Scripted, Tool


class OpenTools:
    """The tools that somebody can still accept; going over them gives these.

    They are not held: a tool that nobody can reach any more is none of them.
    """

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Tool[Any], Any] = (
            weakref.WeakKeyDictionary()
        )

    def add(self, tool: Tool[Any]) -> None:
        """Look after a tool, of whose value nothing is kept yet."""
        self._kept[tool] = None

    def keep(self, tool: Tool[Any]) -> None:
        """Note that the value that a tool has now is not lost with it."""
        self._kept[tool] = tool.value

    def accepted(self, tool: Scripted, entry: Entry) -> None:
        """Note that what a tool chose was accepted.

        Parameters
        ----------
        tool : the tool, or what else made the entry
        entry : what came of it; if there can be but one of its kind, it stands for
            what other tools of this kind chose, too
        """
        for other in list(self._kept):
            same = (other.detector, other.kind) == (entry.detector, entry.kind)
            if other is tool or (same and not entry.name):
                self.keep(other)

    def __iter__(self) -> Iterator[Tool[Any]]:
        tools = list(self._kept.items())
        return (tool for tool, kept in tools if tool.holds and tool.value is not kept)
