"""What a worker must know of a cube: sent along with each of its batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Parts
from smalldata_ana.sources.base import Indices, RunPart


@dataclass(frozen=True, kw_only=True)
class CubeJob(Parts):
    """The detectors whose images are summed, and how.

    Attributes
    ----------
    detectors : the parameters of each, as `CubeDetector` takes them
    """

    detectors: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class CubeTask:
    """Some events of a cube, in the order of its bins.

    Attributes
    ----------
    batch : which of all events of the cube
    events : where these events of the run are, and those that they look back to
    read : numbers in the run of `events`
    numbers : numbers in the run, in the order of the bins
    pieces : slot, begin and end in `numbers` of each bin, or piece of one
    """

    batch: Batch
    events: RunPart
    read: Indices
    numbers: Indices
    pieces: tuple[tuple[int, int, int], ...]
