"""What a worker must know of a job: sent along with each of its batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smalldata_ana.detector.function_results import Fields
from smalldata_ana.event_data import EventData
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing.batches import Batch
from smalldata_ana.sources.base import RunHead, RunPart, ScalarInfo


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Work whose batches become part files; equal digests mean equal parts.

    Attributes
    ----------
    digest : of all that the content of a part depends on
    parts : the folder of the parts
    head : opens the run in another process
    resolved : the parameters, in numbers
    origins : where the constants are, of each detector that takes part
    strict : True if a function that fails on an event ends the job
    """

    digest: str
    parts: Path
    head: RunHead
    resolved: Resolved
    origins: Mapping[str, Mapping[str, str]]
    strict: bool = False

    def part_path(self, batch: Batch) -> Path:
        """Return the file of a batch."""
        return self.parts / f"part_{batch.number:06d}.h5"


@dataclass(frozen=True, kw_only=True)
class Job(Parts):
    """One run with its parameters.

    Attributes
    ----------
    event_data : what is stored of each event beside the detectors
    fields : the results of each detector's functions
    environment : scalars of the run that are stored with a detector, by path
    slow : detectors that have data in few events, which get rows of their own
    """

    event_data: EventData
    fields: Mapping[str, Fields]
    environment: Mapping[str, ScalarInfo]
    slow: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One batch, with what it takes to read it.

    Attributes
    ----------
    batch : the events
    events : where they are, from some events before on
    replayed : how many of those before the functions need to have seen
    """

    batch: Batch
    events: RunPart
    replayed: int = 0
