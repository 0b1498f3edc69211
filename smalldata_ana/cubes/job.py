"""What a worker must know of a cube: sent along with each of its batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Parts
from smalldata_ana.sources.base import Indices, RunHead, RunPart


@dataclass(frozen=True)
class CubeJob(Parts):
    """The detectors whose images are summed, and how.

    Attributes
    ----------
    head : opens the run in another process
    resolved : the entries of these detectors, without functions
    detectors : the parameters of each, as `CubeDetector` takes them
    origins : where the constants of each detector are
    strict : True if an image that cannot be read ends the job
    """

    head: RunHead
    resolved: Resolved
    detectors: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, Mapping[str, str]]
    strict: bool = False


@dataclass(frozen=True, eq=False)
class CubeTask:
    """Some events of a cube, in the order of its bins.

    Attributes
    ----------
    batch : which of all events of the cube
    events : where these events of the run are, and those that they look back to
    read : numbers in the run of `events`
    numbers : numbers in the run, in the order of the bins
    timestamps : of these
    pieces : slot, begin and end in `numbers` of each bin, or piece of one
    """

    batch: Batch
    events: RunPart
    read: Indices
    numbers: Indices
    timestamps: Any
    pieces: tuple[tuple[int, int, int], ...]
