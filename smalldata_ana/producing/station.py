"""Where a process works: the run that it reads, and the detectors of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.function_results import Fields
from smalldata_ana.errors import ConstantsError
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing import provenance
from smalldata_ana.producing.job import Parts
from smalldata_ana.sources.base import Run, RunPart


@dataclass
class Station:
    """A run and its detectors, set up once in a process.

    Attributes
    ----------
    run : the whole run, or one that turns to the part of it that a task brings
    detectors : those of the job
    turns : True if the run turns to parts
    """

    run: Run
    detectors: Sequence[DetObject]
    turns: bool = False
    _known: set[str] = field(default_factory=set, init=False)

    @classmethod
    def of(cls, job: Parts, described: Mapping[str, Fields] | None = None) -> Self:
        """Set up everything in a process that knows nothing but the job.

        Parameters
        ----------
        job : the job
        described : by detector, the results of its functions

        Raises
        ------
        ConstantsError
            if the constants are not any more those that the job was made with
        """
        run = job.head.open()
        wanted = bool(job.origins)
        detectors = build_detectors(run, job.resolved, described) if wanted else []
        if provenance.origins(detectors) != job.origins:
            raise ConstantsError(
                f"the constants of {run.experiment} run {run.number} have changed "
                "since the job began; begin it again"
            )
        return cls(run, detectors, turns=True)

    def turn_to(self, events: RunPart) -> None:
        """Make the events of a task those of the run, if it does not have all."""
        if self.turns:
            self.run.turn_to(events)
        self._known = set(self.run.problems)

    def new_problems(self) -> set[str]:
        """Return what was found to be wrong with the data since it turned to them."""
        return set(self.run.problems) - self._known
