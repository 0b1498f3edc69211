"""What the topics of the event data have in common: a topic is a group of datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.sources.base import Array, Indices, Run, ScalarInfo

INTEGER = np.dtype(np.int64)
NUMBER = np.dtype(np.float64)

LARGEST_ARRAY = 4096
"""How many values of a scalar an event may have, if it is not asked for by name."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What was read of some events.

    Attributes
    ----------
    run : the run
    events : (events,) their numbers
    codes : (events, codes) their event codes, as `Run.event_codes` returns them
    columns : their scalars by name, as `Run.scalar` returns them
    whole : (events,) for area detectors whose frames were read: True where there was a
        whole one
    """

    run: Run
    events: Indices
    codes: npt.NDArray[np.int8]
    columns: Mapping[str, Array]
    whole: Mapping[str, Mask]


class Topic(Protocol):
    """Some datasets with a row for each event.  A topic holds no run."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The datasets by their path in the file."""

    @property
    def reads(self) -> Sequence[str]:
        """The names of the scalars that it needs."""

    def values(self, seen: Seen) -> Mapping[str, Array]:
        """Return the rows of its datasets, (events, ...) each."""

    def configuration(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is stored once of it, by group of ``UserDataCfg`` and name."""


def field_of(info: ScalarInfo, unit: str = "", meaning: str = "") -> Field:
    """Return the dataset that holds a scalar.

    Parameters
    ----------
    info : the scalar
    unit : its unit, if the run does not tell it
    meaning : what it is; the name that it has in the run is added
    """
    dtype = NUMBER if info.dtype.kind == "f" else INTEGER
    name = f"{meaning} ({info.name})" if meaning else info.name
    return Field(dtype, info.shape, info.unit or unit, name)


def filled(column: Array, field: Field) -> Array:
    """Return a column as its dataset holds it: in its type, with its missing values."""
    if field.dtype.kind == "f" or column.dtype.kind != "f":
        return column.astype(field.dtype, copy=False)
    return np.where(np.isfinite(column), column, MISSING_INTEGER).astype(field.dtype)


def is_text(info: ScalarInfo) -> bool:
    """Tell whether a scalar is text."""
    return info.dtype == object


def n_values(info: ScalarInfo) -> int:
    """Return how many values a scalar has in an event."""
    return int(np.prod(info.shape, dtype=int))
