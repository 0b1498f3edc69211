"""What all tools have in common: a value with a history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar

from smalldata_ana.errors import UsageError
from smalldata_ana.parameters.entry import Entry

Value = TypeVar("Value")


class Scripted(Protocol):
    """What can say how to do the same without a mouse."""

    def scripted(self) -> str:
        """Return the command."""


class Tool(ABC, Generic[Value]):
    """A value that is being chosen, with the steps that led to it.

    Parameters
    ----------
    start : the value to begin with, or None

    Attributes
    ----------
    kind : of the entry that it makes
    detector : the name of the detector that it is for
    """

    kind: ClassVar[str]
    detector: str

    def __init__(self, start: Value | None = None) -> None:
        self._steps: list[Value | None] = [start]
        self._now = 0

    def checked(self, value: Value) -> Value:
        """Return the value in its one spelling, or raise what is wrong with it."""
        return value

    @abstractmethod
    def accept(self, name: str | None = None) -> Entry:
        """Take the value: it becomes an entry that `exportParams` will write."""

    @abstractmethod
    def scripted(self) -> str:
        """Return the command that chooses the same value without a mouse."""

    def changed(self) -> None:
        """Show the value anew; called whenever it has become another one."""

    @property
    def holds(self) -> bool:
        """Whether there is something that could be accepted."""
        return bool(self.value)

    @property
    def value(self) -> Value | None:
        """What is chosen now, or None; a new value becomes a step."""
        return self._steps[self._now]

    @value.setter
    def value(self, value: Value) -> None:
        step = self.checked(value)
        self._steps[self._now + 1 :] = [step]
        self._now += 1
        self.changed()

    def undo(self) -> Value | None:
        """Go back one step, and return the value.

        Raises
        ------
        UsageError
            at the first step
        """
        if self._now == 0:
            raise UsageError("there is nothing to undo")
        self._now -= 1
        self.changed()
        return self.value

    def redo(self) -> Value | None:
        """Take back an undo, and return the value.

        Raises
        ------
        UsageError
            at the last step
        """
        if self._now == len(self._steps) - 1:
            raise UsageError("there is nothing to redo")
        self._now += 1
        self.changed()
        return self.value

    def reset(self) -> Value | None:
        """Return to the first value; this is a step, too, and can be undone."""
        self._steps[self._now + 1 :] = [self._steps[0]]
        self._now += 1
        self.changed()
        return self.value
