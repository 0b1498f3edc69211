"""The step of a scan that each event belongs to, and the values of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.event_data.scalars import Scalars
from smalldata_ana.event_data.tables import UNITS
from smalldata_ana.event_data.topic import INTEGER, Seen, field_of, is_text
from smalldata_ana.sources.base import Array, Run

GROUP = "scan"
STEP = f"{GROUP}/varStep"


@dataclass(frozen=True)
class Scan:
    """The step of each event, and the scan's variables.

    Attributes
    ----------
    variables : those that are numbers
    steps : the numbers of the steps
    texts : of the other variables, what they are in each of these
    """

    variables: Scalars
    steps: tuple[int, ...]
    texts: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, run: Run) -> Scan:
        """Return the scan of a run."""
        infos = {n: i for n, i in run.scalars.items() if n.startswith(f"{GROUP}/")}
        numbers = {n: i for n, i in infos.items() if not is_text(i) and n != STEP}
        texts = [n for n, i in infos.items() if is_text(i)]
        steps, first = np.unique(run.steps, return_index=True)
        begun = steps >= 0
        told = run.scalar_columns(texts, first[begun])
        return cls(
            Scalars(
                {n: n for n in numbers},
                {
                    n: field_of(info, UNITS.get(n.removeprefix(f"{GROUP}/"), ""))
                    for n, info in numbers.items()
                },
            ),
            tuple(steps[begun].tolist()),
            {n.removeprefix(f"{GROUP}/"): tuple(map(str, told[n])) for n in texts},
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables."""
        return self.variables.reads

    @property
    def fields(self) -> dict[str, Field]:
        """The number of the step, and the variables."""
        step = Field(INTEGER, long_name="number of the scan step, from 0")
        return {STEP: step, **self.variables.fields}

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return step and variables."""
        steps = seen.run.steps[seen.events].astype(INTEGER)
        steps[steps < 0] = MISSING_INTEGER
        return {STEP: steps, **self.variables.values(seen)}

    def configuration(self) -> dict[str, Mapping[str, Any]]:
        """Return the text of each step, as far as the run went at the beginning."""
        texts = {name: list(texts) for name, texts in self.texts.items()}
        return {GROUP: {"varStep": list(self.steps), **texts}} if texts else {}
