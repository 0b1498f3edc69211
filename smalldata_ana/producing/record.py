"""What a file says of how it was made, and whether it would be made so now.

After a mask, a centre or a pedestal has changed, the files made before are stale.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import h5py

from smalldata_ana.errors import FileError
from smalldata_ana.parameters.record import describe_changes
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing import provenance
from smalldata_ana.producing.choices import Choices
from smalldata_ana.producing.inputs import NO_INPUTS, Inputs
from smalldata_ana.producing.planning import Plan, in_numbers
from smalldata_ana.producing.view import UNFINISHED
from smalldata_ana.smalldata.layout import PRODUCER
from smalldata_ana.sources.base import Run

ByDetector = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Record:
    """What the content of a small-data file depends on.

    Attributes
    ----------
    parameters : as `Resolved.record` returns them
    constants : checksum of each calibration constant, by detector
    origins : where each of them came from, by detector
    choices : options that changed the parameters
    inputs : files and folders that options gave
    lost : what was missing of the files of the run, a sentence each
    nevents : how many events, the first ones, or None for all
    compression : of the file, or None
    """

    parameters: str
    constants: ByDetector
    origins: ByDetector
    choices: Choices
    inputs: Inputs = NO_INPUTS
    lost: Sequence[str] = ()
    nevents: int | None = None
    compression: str | None = None

    @classmethod
    def of(cls, plan: Plan, **beside: Any) -> Self:
        """Return the record of what a plan comes to; `beside` are the other values."""
        job = plan.job
        return cls(
            job.resolved.record(), plan.constants, job.origins, plan.choices, **beside
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the record that a file holds.

        Raises
        ------
        FileError
            if it is not there, cannot be read, is not finished, or is not a file of
            this producer
        """
        try:
            with h5py.File(path) as file:
                if UNFINISHED in file.attrs:
                    raise FileError(
                        f"{path} is unfinished: a job with --live goes on, or was "
                        "ended before the run"
                    )
                return cls._of_file(file)
        except FileNotFoundError:
            raise FileError(f"there is no file {path}; leave out --stale") from None
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise FileError(
                f"{path} does not say how it was made; make it anew without --stale"
            ) from error

    @classmethod
    def _of_file(cls, file: h5py.File) -> Self:
        group = file[PRODUCER]
        texts = {field.name: _text(group[field.name]) for field in fields(cls)}
        return cls(
            texts["parameters"],
            json.loads(texts["constants"]),
            json.loads(texts["origins"]),
            Choices(**json.loads(texts["choices"])),
            Inputs.read(texts["inputs"]),
            json.loads(texts["lost"]),
            json.loads(texts["nevents"]),
            json.loads(texts["compression"]),
        )

    def texts(self) -> dict[str, str]:
        """Return it as texts by name, which `read` reads."""
        return {
            "parameters": self.parameters,
            "constants": json.dumps(self.constants),
            "origins": json.dumps(self.origins),
            "choices": json.dumps(asdict(self.choices)),
            "inputs": self.inputs.text(),
            "lost": json.dumps(list(self.lost)),
            "nevents": json.dumps(self.nevents),
            "compression": json.dumps(self.compression),
        }

    def changes(self, run: Run, resolved: Resolved) -> list[str]:
        """Say what would be different now, a sentence each.

        Parameters
        ----------
        run : the run
        resolved : what the parameters now say for it, without options
        """
        now = in_numbers(run, self.choices.applied(run, resolved))
        return [
            *describe_changes(self.parameters, now.record()),
            *self._changed_constants(run),
            *(f"no longer true: {p}" for p in self.lost if p not in run.problems),
        ]

    def _changed_constants(self, run: Run) -> Iterator[str]:
        for detector, before in self.constants.items():
            if detector not in run.detectors:
                continue
            items = run.constants(detector).items
            now = {name: provenance.checksum(c.value) for name, c in items.items()}
            for name in sorted(before.keys() | now.keys()):
                if before.get(name) != now.get(name):
                    was = self.origins[detector].get(name, "none")
                    new = provenance.origin(items[name]) if name in items else "none"
                    yield f"{detector} {name}: were {was}, are {new}"


def _text(dataset: Any) -> str:
    value = dataset[0] if dataset.shape else dataset[()]
    return value.decode() if isinstance(value, bytes) else str(value)
