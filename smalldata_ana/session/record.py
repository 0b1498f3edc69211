"""The record of a session: what was done, and a script that does it again."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.average_image import AverageImage
from smalldata_ana.errors import UsageError, counted
from smalldata_ana.parameters.provenance import now
from smalldata_ana.session.tools.base import Tool

if TYPE_CHECKING:
    from smalldata_ana.parameters.entry import Entry
    from smalldata_ana.session.tools.base import Scripted

CHANGING = frozenset(
    {
        "AvImage",
        "addAzInt",
        "addDetInfo",
        "exportParams",
        "forget",
        "loadAvImage",
        "makePedestal",
        "saveAvImage",
    }
)
"""The commands that make or change something.  Tools are recorded when they are
accepted, and what only shows something is not."""

LOOKING = frozenset({"AzInt"})
"""Commands that are listed, but that a script need not do again."""

_LONGEST = 120
"""Longest result that is shown [characters]."""

_COMMAND, _END = 400, 40
"""Longest command that is shown, and how much of the end of a longer one
[characters]."""


@dataclass(frozen=True)
class Step:
    """One thing that was done in a session.

    Attributes
    ----------
    command : the Python code that does it
    result : what came of it, in one line
    at : when, UTC
    problem : why a script cannot do it, or an empty text
    again : False if a script need not do it
    entry : what was accepted, or None
    """

    command: str
    result: str
    at: datetime
    problem: str = ""
    again: bool = True
    entry: Entry | None = None

    @property
    def shown(self) -> str:
        """The command; of a long one, as with all pixels of a mask, begin and end."""
        whole = self.command
        if len(whole) <= _COMMAND:
            return whole
        return f"{whole[: _COMMAND - _END]} … {whole[-_END:]}"

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}  {self.shown}\n          {self.result}".rstrip()

    def scripted(self) -> str:
        """Return the lines of a script that do it, or say why not."""
        remark = f"# {self.result}\n" if self.result else ""
        if self.problem:
            return f"{remark}# not done here, as {self.problem}:\n#   {self.command}"
        return remark + self.command


class History(tuple[Step, ...]):
    """The steps of a session; printed, they are listed with their results."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "<nothing was made or accepted yet>"
        steps = (str(step).replace("\n", "\n     ") for step in self)
        return "\n".join(f"{n:>3}  {step}" for n, step in enumerate(steps, 1))


class Record:
    """What was done in a session, in order."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._running = False

    @property
    def steps(self) -> History:
        """The steps so far."""
        return History(self._steps)

    @contextlib.contextmanager
    def running(self) -> Iterator[bool]:
        """Run a command; what it does by other commands is no step of its own.

        Yields
        ------
        True if the command is not part of another one.
        """
        outer, self._running = not self._running, True
        try:
            yield outer
        finally:
            if outer:
                self._running = False

    @contextlib.contextmanager
    def step(self, command: str) -> Iterator[None]:
        """Run something, and add it as a step if it succeeds.

        Parameters
        ----------
        command : the Python code that does it
        """
        with self.running() as outer:
            yield
        if outer:
            self._steps.append(Step(command, "", now()))

    def did(self, command: str, arguments: dict[str, Any], result: Any) -> None:
        """Add a command.

        Parameters
        ----------
        command : its name
        arguments : by name, as far as they were given
        result : what it returned
        """
        if isinstance(result, Tool):
            # What was asked for is among its values, and not among the arguments.
            self._steps.append(_of_tool(result, "", _in_one_line(result)))
            return
        texts, problem = [], ""
        for name, value in arguments.items():
            try:
                texts.append(f"{name}={literal(value)}")
            except UsageError as error:
                texts.append(f"{name}=…")
                problem = str(error)
        code = f"anaps.{command}({', '.join(texts)})"
        again = command not in LOOKING
        self._steps.append(Step(code, _in_one_line(result), now(), problem, again))

    def took(self, entry: Entry, tool: Scripted) -> None:
        """Add that a tool was accepted, unless that was part of another step.

        Parameters
        ----------
        entry : what it made
        tool : the tool
        """
        if self._running:
            return
        accepted = _accept(entry.name) if isinstance(tool, Tool) else ""
        step = replace(_of_tool(tool, accepted, str(entry)), entry=entry)
        if self._steps and f"{self._steps[-1].command}{accepted}" == step.command:
            # It was accepted as soon as it was made: this is one step.
            self._steps.pop()
        self._steps.append(step)

    def renamed(self, entry: Entry, name: str) -> None:
        """Let what was accepted have the name that it was exported under.

        Parameters
        ----------
        entry : as it was accepted
        name : the name in the parameter file
        """
        new = replace(entry, name=name)
        for place, step in enumerate(self._steps):
            if step.entry is entry:
                tool = step.command.removesuffix(_accept(entry.name))
                self._steps[place] = replace(
                    step, command=tool + _accept(name), result=str(new)
                )

    @property
    def to_do_again(self) -> History:
        """The steps of a script."""
        return History(step for step in self._steps if step.again)

    def script(self, experiment: str, run: int) -> str:
        """Return a script that does the same without a mouse.

        Parameters
        ----------
        experiment, run : of the session

        Raises
        ------
        UsageError
            if nothing was done
        """
        steps = self.to_do_again
        if not steps:
            raise UsageError(
                "there is nothing to write yet; what makes an image, and tools that "
                "are accepted, come into the script"
            )
        head = (
            f"# {counted(len(steps), 'step')} of a session on {experiment} run "
            f"{run}. To do them again:\n"
            f"# runSmallDataAna -e {experiment} -r {run} --script FILE\n"
        )
        return "\n".join([head, *(step.scripted() for step in steps), ""])


def record_commands(commands: type) -> None:
    """Let commands of a class come into the record: `CHANGING` and `LOOKING`.

    Parameters
    ----------
    commands : the class; its objects have a `Record` as ``record``, and the name of
        the detector that was used last as ``last_detector``
    """
    for name, method in list(vars(commands).items()):
        if name in CHANGING | LOOKING and isinstance(method, FunctionType):
            setattr(commands, name, _recorded(method))


def _recorded(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def recorded(self: Any, *args: Any, **options: Any) -> Any:
        with self.record.running() as outer:
            result = method(self, *args, **options)
        if outer:
            given = dict(signature.bind(self, *args, **options).arguments)
            given.pop("self")
            if "detname" in signature.parameters:
                # The name was perhaps asked for; the script is to ask nobody.
                given = {"detname": self.last_detector} | given
                given["detname"] = self.last_detector
            self.record.did(method.__name__, given, result)
        return result

    return recorded


def _accept(name: str) -> str:
    """Return the call that accepts a tool by a name."""
    return f".accept(name={name!r})" if name else ".accept()"


def _of_tool(tool: Scripted, call: str, result: str) -> Step:
    """Return the step of a tool, or of what is called of it."""
    try:
        command, problem = tool.scripted(), ""
    except UsageError as error:
        command, problem = repr(tool), str(error)
    return Step(f"{command}{call}", result, now(), problem)


def literal(value: Any) -> str:
    """Return the Python code of a value, for a script of the session.

    Parameters
    ----------
    value : numbers, texts, paths, arrays, average images, and tables and lists of them

    Raises
    ------
    UsageError
        if there is no code for it
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, dict):
        pairs = (f"{literal(k)}: {literal(v)}" for k, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        items = ", ".join(map(literal, value))
        tail = "," * (isinstance(value, tuple) and len(value) == 1)
        return f"[{items}]" if isinstance(value, list) else f"({items}{tail})"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, AverageImage):
        return f"anaps.images[{value.name!r}]"
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not np.isfinite(plain):
        return f"float({str(plain)!r})"
    if plain is None or isinstance(plain, bool | int | float | str):
        return repr(plain)
    raise UsageError(f"there is no code for a {type(value).__name__}")


def _array(value: np.ndarray[Any, Any]) -> str:
    if value.dtype == bool and value.ndim == 1:
        chosen = np.flatnonzero(value).tolist()
        return f"np.isin(np.arange({value.size}), {chosen})"
    if value.dtype.kind not in "biufU":
        raise UsageError(f"there is no code for an array of {value.dtype}")
    return f"np.array({literal(value.tolist())}, dtype={value.dtype.name!r})"


def _in_one_line(result: Any) -> str:
    """Return what a command returned as a short text."""
    if result is None:
        return ""
    if isinstance(result, np.ndarray):
        return f"array {result.shape} {result.dtype}"
    if isinstance(result, dict):
        return f"a table of {counted(len(result), 'value')}"
    first, *more = repr(result).splitlines()
    return f"{first[:_LONGEST]} …" if more or len(first) > _LONGEST else first
