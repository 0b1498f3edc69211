"""The bins of one variable in a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Array, Indices

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Axis:
    """The bins of one variable in a run.

    Attributes
    ----------
    name : of the variable
    edges : (bins + 1,), growing; a bin has its lower edge, the last one both
    centers : (bins,), the middles of the bins, or the value that a bin is for
    exact : True if each bin is for one value
    unit : of the variable
    """

    name: str
    edges: Floats
    centers: Floats
    exact: bool
    unit: str = ""

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.centers)

    @property
    def key(self) -> str:
        """What it is called in the file."""
        return stored_name(self.name)

    @classmethod
    def between(cls, name: str, edges: Any, unit: str = "") -> Self:
        """Return bins with given edges."""
        edges = np.asarray(edges, np.float64)
        return cls(name, edges, (edges[1:] + edges[:-1]) / 2, False, unit)

    @classmethod
    def of_values(cls, name: str, column: Array, unit: str = "") -> Self:
        """Return a bin for each value that a variable takes."""
        values = np.unique(column[np.isfinite(column)])
        between = (values[1:] + values[:-1]) / 2
        ends = np.diff(values)[[0, -1]] / 2 if len(values) > 1 else np.array([0.5, 0.5])
        edges = np.concatenate([values[:1] - ends[0], between, values[-1:] + ends[1]])
        return cls(name, edges, values, True, unit)

    def numbers(self, column: Array) -> Indices:
        """Return the bin of each event, -1 for those in none.

        Parameters
        ----------
        column : (events,) values of the variable; NaN is in no bin
        """
        if self.exact:
            found = np.searchsorted(self.centers, column)
            found[found == len(self)] = 0
            inside = self.centers[found] == column
        else:
            found = np.searchsorted(self.edges, column, side="right") - 1
            found[column == self.edges[-1]] = len(self) - 1
            inside = (column >= self.edges[0]) & (column <= self.edges[-1])
        return np.where(inside, found, -1).astype(np.int64)


def stored_name(variable: str) -> str:
    """Return what a variable is called in the file of a cube: ``ipm2__sum``."""
    return variable.replace("/", "__")
