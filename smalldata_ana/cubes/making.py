"""Make the cubes of a run: hand out their batches, and merge what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalldata_ana.cubes.bin_sums import piece_bytes
from smalldata_ana.cubes.merging import merge
from smalldata_ana.cubes.planning import CubePlan
from smalldata_ana.cubes.worker import CubeWorker
from smalldata_ana.parameters.toml_text import plain
from smalldata_ana.producing import provenance
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.finished import Finished
from smalldata_ana.producing.handing_out import hand_out
from smalldata_ana.producing.interruption import stopping_at_once
from smalldata_ana.producing.lock import locked
from smalldata_ana.producing.reports import Done, Outcome
from smalldata_ana.producing.space import check_room
from smalldata_ana.producing.station import Station
from smalldata_ana.producing.supply import Whole
from smalldata_ana.safe_files import ANY_AGE, remove_asides

Progress = Callable[[int, int | None], None]
"""(events done, all events)."""


@dataclass(kw_only=True)
class CubeResult(Outcome):
    """What came of a cube.

    Attributes
    ----------
    targets : the files
    """

    targets: tuple[Path, ...]


class Making:
    """The work on one cube.

    Parameters
    ----------
    plan : what is to be done
    target : the file to make; with several outputs each has its suffix
    resume : True to go on with the parts of a job like this that was ended
    compression : of the images, or None
    progress : is told what is done
    """

    def __init__(
        self,
        plan: CubePlan,
        target: Path,
        *,
        resume: bool = True,
        compression: str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self.plan = plan
        self.targets = tuple(
            target.with_stem(f"{target.stem}_{suffix}") if suffix else target
            for suffix in plan.binning.outputs
        )
        self.resume = resume
        self.compression = compression
        self._progress = progress
        self._finished = Finished(plan.job)

    def run(self, workers: Workers) -> CubeResult:
        """Make the files.

        Parameters
        ----------
        workers : the processes

        Raises
        ------
        FileError
            if something cannot be written, or another process works on the cube
        StoppedError
            after Ctrl-C, SIGTERM or SIGUSR1; finished parts are kept
        FunctionError
            if an image cannot be read, and the job is strict
        """
        plan = self.plan
        for target in self.targets:
            check_room(target, self._needed, plan.job.parts)
        with stopping_at_once(), locked(plan.job.parts):
            batches = plan.batches
            for target in self.targets:
                remove_asides(target, older_than=ANY_AGE)
            self._finished.take_over(
                batches if self.resume else (),
                lambda batch: plan.task_of(batch).events,
            )
            result = CubeResult(targets=self.targets, reused=self._finished.events)
            handed = hand_out(
                plan.job,
                Whole(b for b in batches if b not in self._finished),
                workers,
                hire=CubeWorker.of,
                here=lambda: CubeWorker(plan.job, Station(plan.run, plan.detectors)),
                task_of=plan.task_of,
                done=self._take,
            )
            result.seconds = handed.seconds
            result.report = self._finished.report()
            result.given_up = handed.given_up
            result.problems = self._problems(result)
            merge(
                plan,
                self._finished.batches,
                self.targets,
                self._record(result),
                self.compression,
            )
            self._finished.remove()
        return result

    @property
    def _needed(self) -> int:
        """About how much is written: the parts, and once more the files [bytes]."""
        pieces = sum(len(self.plan.binning.slots(b)) for b in self.plan.batches)
        each = sum(piece_bytes(detector.shape) for detector in self.plan.detectors)
        return 2 * pieces * each

    def _take(self, done: Done) -> None:
        self._finished.take(done)
        self._progress(self._finished.events, len(self.plan.binning.numbers))

    def _problems(self, result: CubeResult) -> list[str]:
        found = [*self.plan.run.problems, *sorted(result.report.problems)]
        lost = [
            f"{len(b)} events of the bins {self._bins_of(b)} killed every worker"
            for b in result.given_up
        ]
        return [*dict.fromkeys(found), *lost]

    def _bins_of(self, batch: Batch) -> str:
        binning = self.plan.binning
        slots = [slot for slot, _, _ in binning.slots(batch)]
        return ", ".join(sorted({str(slot % binning.bins) for slot in slots}))

    def _record(self, result: CubeResult) -> Mapping[str, Any]:
        return {
            **provenance.made_by(),
            "cube": self.plan.name,
            "cube_parameters": json.dumps(
                plain(dict(self.plan.parameters.trait_values())), default=str
            ),
            "constants": json.dumps(provenance.constants(self.plan.detectors)),
            "versions": json.dumps(provenance.versions()),
            "digest": self.plan.job.digest,
            "problems": json.dumps(result.problems),
        }
