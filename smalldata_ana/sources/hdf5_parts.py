"""What another process needs to read a run in an HDF5 file: its head, and parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Indices
from smalldata_ana.sources.run_parts import checksum_of

if TYPE_CHECKING:
    from smalldata_ana.sources.hdf5_run import Hdf5Run


@dataclass(frozen=True, eq=False)
class Hdf5Part:
    """Events of a run in an HDF5 file.

    Attributes
    ----------
    experiment, number : of which run
    begin : number in the run of the first event
    rows : int64, growing, where each event is in the file
    timestamps : uint64, one per event
    steps : int64, number of the scan step of each event
    missing : bool, by detector, True where it has no data
    """

    experiment: str
    number: int
    begin: int
    rows: Indices
    timestamps: npt.NDArray[np.uint64]
    steps: Indices
    missing: Mapping[str, npt.NDArray[np.bool_]]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.rows)

    def checksum(self) -> str:
        """Return a checksum of what there is of its events, and where."""
        return checksum_of(
            [self.rows, self.timestamps, self.steps, *self.missing.values()]
        )

    def between(self, begin: int, end: int) -> Self:
        """Return the events ``[begin, end)`` of these."""
        return self._with(self.begin + begin, slice(begin, end))

    def at(self, numbers: Indices) -> Self:
        """Return some of the events, numbered anew from 0."""
        return self._with(0, numbers)

    def _with(self, begin: int, which: slice | Indices) -> Self:
        return replace(
            self,
            begin=begin,
            rows=self.rows[which],
            timestamps=self.timestamps[which],
            steps=self.steps[which],
            missing={name: there[which] for name, there in self.missing.items()},
        )


@dataclass(frozen=True, eq=False)
class Hdf5Head:
    """What a process needs to open a run without a look at all of its events.

    Attributes
    ----------
    path : the file
    first : the first event of the run, and the first one with data of each detector
    """

    path: Path
    first: Hdf5Part

    def open(self) -> Hdf5Run:
        """Open the run; until it is turned to a part, it has these events only."""
        from smalldata_ana.sources.hdf5_run import Hdf5Run

        return Hdf5Run(self.path, self.first)
