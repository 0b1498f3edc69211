"""Which events of a run are in which bin of a cube."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from smalldata_ana.cube_parameters import AxisWanted, CubeParameters
from smalldata_ana.cubes.axes import Axis
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.errors import NoDataError, ParameterError
from smalldata_ana.event_data.topic import Mask
from smalldata_ana.producing.batches import Batch
from smalldata_ana.sources.base import Array, Indices

XRAY, LASER = "lightStatus/xray", "lightStatus/laser"

Selection = tuple[str, Mask]
"""In words, and which events it leaves, (events,)."""


@dataclass(frozen=True, eq=False)
class Binning:
    """The events of a cube in the order of its bins.

    A slot is a bin of one of the outputs; those of the first output come first.

    Attributes
    ----------
    axes : the bins of each variable
    outputs : suffixes of the files: ``on`` and ``off``, or only an empty one
    numbers : of the events in the run, by slot, growing within one
    ends : (slots,), how many of `numbers` are in a slot and those before it
    selection : which events these are, for people
    added : by name (events of `numbers`, ...), what is summed in each bin
    """

    axes: tuple[Axis, ...]
    outputs: tuple[str, ...]
    numbers: Indices
    ends: Indices
    selection: str
    added: Mapping[str, Array]

    @classmethod
    def of(cls, parameters: CubeParameters, variables: Variables) -> Self:
        """Put the events of a run into bins.

        Raises
        ------
        NameNotFound, FileError
            if there is no such variable
        ParameterError
            if a variable is not one number for each event
        NoDataError
            if no event is in any bin
        """
        wanted = [_named(axis, variables) for axis in parameters.axes]
        known = variables.event_data.fields
        light = [name for name in (XRAY, LASER) if name in known]
        cuts = [name for name, *_ in parameters.selections]
        names = [*(a.var for a in wanted), *cuts, *parameters.add, *light]
        _check_numbers(variables, [*(a.var for a in wanted), *cuts])
        columns = variables.columns(names)
        axes = tuple(_axis(axis, columns[axis.var], variables) for axis in wanted)
        selections = _selections(parameters, columns)
        inside = _all_of(selections, len(variables.run))
        found = np.zeros(len(inside), np.int64)
        for axis in axes:
            numbers = axis.numbers(columns[axis.name])
            inside &= numbers >= 0
            found = found * len(axis) + numbers
        outputs = parameters.outputs
        bins = math.prod(map(len, axes))
        if parameters.laser:
            laser = columns.get(LASER, np.full(len(inside), np.nan))
            inside &= (laser == 1) | (laser == 0)
            found += bins * (laser == 0)
        order, ends = _ordered(found, inside, bins * len(outputs), parameters.nevents)
        if not order.size:
            raise NoDataError(
                _nothing(parameters, variables, axes, columns, selections)
            )
        return cls(
            axes,
            outputs,
            order,
            ends,
            "\n".join(words for words, _ in selections),
            {name: columns[name][order] for name in parameters.add},
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of bins of each variable."""
        return tuple(map(len, self.axes))

    @property
    def bins(self) -> int:
        """Number of bins of an output."""
        return math.prod(self.shape)

    def cut(self, size: int) -> Iterator[Batch]:
        """Yield batches of some whole slots, or of a piece of one.

        Parameters
        ----------
        size : events of a batch at most
        """
        number = begin = before = 0
        for end in self.ends.tolist():
            if end - begin > size and begin < before:
                yield Batch(number, begin, before)
                number, begin = number + 1, before
            while end - begin > size:
                yield Batch(number, begin, begin + size)
                number, begin = number + 1, begin + size
            before = end
        if begin < before:
            yield Batch(number, begin, before)

    def slots(self, batch: Batch) -> list[tuple[int, int, int]]:
        """Return the pieces of slots in a batch: slot, begin and end in `numbers`."""
        begins = np.concatenate([[0], self.ends[:-1]])
        first = int(np.searchsorted(self.ends, batch.begin, side="right"))
        found = []
        for slot in range(first, len(self.ends)):
            begin = max(int(begins[slot]), batch.begin)
            end = min(int(self.ends[slot]), batch.end)
            if begins[slot] >= batch.end:
                break
            if begin < end:
                found.append((slot, begin, end))
        return found


def _named(axis: AxisWanted, variables: Variables) -> AxisWanted:
    """Return an axis with the variable that the run scans, if it names none."""
    if axis.var:
        return axis
    return AxisWanted(variables.scanned(corrected=bool(axis.edges)), axis.edges)


def _check_numbers(variables: Variables, names: list[str]) -> None:
    for name in names:
        shape = variables.field(name).shape
        if shape:
            raise ParameterError(
                f"{name!r} is {' x '.join(map(str, shape))} values in each event; bins "
                "and selections take variables of one number"
            )


def _axis(wanted: AxisWanted, column: Array, variables: Variables) -> Axis:
    unit = variables.field(wanted.var).unit
    if wanted.edges:
        return Axis.between(wanted.var, wanted.edges, unit)
    if not wanted.var.startswith("scan/"):
        raise ParameterError(
            f"bins of {wanted.var!r}: edges, or from, to and n, are missing; only what "
            "is scanned step by step (scan/...) has a bin for each value"
        )
    if not np.isfinite(column).any():
        raise NoDataError(f"bins of {wanted.var!r}: no event has a value of it")
    return Axis.of_values(wanted.var, column, unit)


def _selections(
    parameters: CubeParameters, columns: Mapping[str, Array]
) -> list[Selection]:
    found = [
        (f"{low:g} < {name} < {high:g}", (columns[name] > low) & (columns[name] < high))
        for name, low, high in parameters.selections
    ]
    if parameters.xray and XRAY in columns:
        found.append((f"{XRAY} != 0", columns[XRAY] != 0))
    return found


def _all_of(selections: Sequence[Selection], events: int) -> Mask:
    found: Mask = np.ones(events, np.bool_)
    for _, mask in selections:
        found &= mask
    return found


def _ordered(
    found: Indices, inside: Array, slots: int, most: int | None
) -> tuple[Indices, Indices]:
    """Return the events by slot, the first `most` of each, and where each slot ends."""
    events = np.flatnonzero(inside)
    order = events[np.argsort(found[events], kind="stable")]
    counts = np.bincount(found[order], minlength=slots)
    if most is not None:
        begins = np.cumsum(counts) - counts
        order = order[np.arange(len(order)) - np.repeat(begins, counts) < most]
        counts = np.minimum(counts, most)
    return order.astype(np.int64), np.cumsum(counts)


def _nothing(
    parameters: CubeParameters,
    variables: Variables,
    axes: tuple[Axis, ...],
    columns: Mapping[str, Array],
    selections: Sequence[Selection],
) -> str:
    """Say why no event is in any bin."""
    run = variables.run
    told = [f"no event of {run.experiment} run {run.number} is in any bin"]
    for axis in axes:
        column = columns[axis.name]
        some = column[np.isfinite(column)]
        has = f"{some.min():g} to {some.max():g}" if some.size else "no value"
        told.append(
            f"{axis.name} has {has}, the bins are {axis.edges[0]:g} to "
            f"{axis.edges[-1]:g}"
        )
    for words, mask in selections:
        told.append(f"{words} leaves {np.count_nonzero(mask)} of {len(run)} events")
    if len(selections) > 1:
        count = np.count_nonzero(_all_of(selections, len(run)))
        told.append(f"together the selections leave {count}")
    if parameters.laser:
        laser = columns.get(LASER)
        known = 0 if laser is None else int(np.isin(laser, (0, 1)).sum())
        told.append(
            f"of {known} events it is known whether the laser was on; laser = false "
            "does not ask for it"
        )
    return "; ".join(told)
