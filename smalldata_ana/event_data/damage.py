"""In which events the detectors have data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_ana.detector.protocol import Field
from smalldata_ana.event_data.scalars import beamline_detectors
from smalldata_ana.event_data.tables import LEFT_OUT
from smalldata_ana.event_data.topic import INTEGER, Mask, Seen, n_values
from smalldata_ana.sources.base import Array, Run, present

GROUP = "damage"


@dataclass(frozen=True)
class Damage:
    """Whether a detector's data are there and whole: 1 if so, else 0.

    That is upstream's meaning, and against the word: 1 is an event without damage.

    Attributes
    ----------
    area : the area detectors
    beamline : of each other detector, scalars that are there if its data are, one for
        each of its parts
    """

    area: tuple[str, ...]
    beamline: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, run: Run) -> Damage:
        """Look at all detectors of a run."""
        beamline = {
            detector: _signs(run, names)
            for detector, names in beamline_detectors(run).items()
            if detector not in run.detectors
        }
        return cls(tuple(run.detectors), beamline)

    @property
    def reads(self) -> tuple[str, ...]:
        """The scalars that tell of the detectors."""
        return tuple(name for names in self.beamline.values() for name in names)

    @property
    def fields(self) -> dict[str, Field]:
        """A dataset for each detector."""
        names = (*self.area, *self.beamline)
        meaning = "1: data there and whole, 0: not"
        return {f"{GROUP}/{n}": Field(INTEGER, long_name=meaning) for n in names}

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return where the data are whole.

        An area detector whose frames were not read counts as whole where its streams
        have a part of the event.
        """
        whole: dict[str, Mask] = {
            name: seen.whole[name]
            if name in seen.whole
            else seen.run.contributed(name)[seen.events]
            for name in self.area
        }
        for detector, names in self.beamline.items():
            there = [present(seen.columns[name]) for name in names]
            whole[detector] = np.logical_and.reduce(there)
        return {f"{GROUP}/{n}": mask.astype(INTEGER) for n, mask in whole.items()}

    def configuration(self) -> dict[str, Mapping[str, Any]]:
        """Return the names of the detectors."""
        names = [*self.area, *self.beamline]
        return {GROUP: {"detNames": names}} if names else {}


def _signs(run: Run, names: Iterable[str]) -> tuple[str, ...]:
    """Return of each part of a detector the scalar that best tells of its data."""

    def cost(name: str) -> tuple[bool, bool, int]:
        info = run.scalars[name]
        may_be_nan = info.dtype.kind == "f"
        return name in LEFT_OUT, may_be_nan, n_values(info)

    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.rpartition("/")[0], []).append(name)
    return tuple(min(of_part, key=cost) for of_part in parts.values())
