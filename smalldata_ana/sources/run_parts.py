"""What the parts of all kinds of runs have in common: checks, and a checksum.

See `smalldata_ana.sources.base.Run`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol, TypeVar

import numpy as np

from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import Array, Indices, RunPart

PartT = TypeVar("PartT", bound=RunPart)


class _Known(Protocol):
    experiment: str
    number: int

    def __len__(self) -> int: ...


def check_range(run: _Known, begin: int, end: int) -> None:
    """Check that a run has the events ``[begin, end)``.

    Raises
    ------
    ParameterError
        if it does not
    """
    if not 0 <= begin <= end <= len(run):
        raise ParameterError(
            f"{run.experiment} run {run.number} has no part [{begin}, {end}); it has "
            f"{len(run)} events, counted from 0"
        )


def check_numbers(run: _Known, numbers: Indices) -> None:
    """Check that a run has these events, and that their numbers grow.

    Raises
    ------
    ParameterError
        if not
    """
    if (np.diff(numbers) <= 0).any():
        raise ParameterError("the numbers of the events of a part must grow")
    if len(numbers):
        check_range(run, int(numbers[0]), int(numbers[-1]) + 1)


def own_part(run: _Known, part: RunPart, kind: type[PartT]) -> PartT:
    """Return a part, if it is one of this run.

    Raises
    ------
    ParameterError
        if it is of another run, or was made by another kind of source
    """
    same = (part.experiment, part.number) == (run.experiment, run.number)
    if not same or not isinstance(part, kind):
        raise ParameterError(
            f"a {type(part).__name__} of {part.experiment} run {part.number} is not a "
            f"part of {run.experiment} run {run.number}, whose parts are "
            f"{kind.__name__}"
        )
    return part


def checksum_of(arrays: Iterable[Array]) -> str:
    """Return a checksum of some arrays, of numbers or texts, in their order."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        text = array.dtype == object
        found.update(repr(array.tolist()).encode() if text else array.tobytes())
    return found.hexdigest()
