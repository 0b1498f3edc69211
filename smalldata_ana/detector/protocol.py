"""What detectors and analysis functions know of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Run

Array = npt.NDArray[Any]

MISSING_INTEGER = -99999
"""What an integer result holds for an event without data."""


@dataclass(frozen=True)
class Field:
    """One result of a function, known before the first event.

    Attributes
    ----------
    dtype : of the result
    shape : of the result of one event; ``()`` for a number
    unit : as UDUNITS text, or empty
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    unit: str = ""

    def missing(self) -> Array:
        """Return what stands for an event without data: NaN or `MISSING_INTEGER`."""
        fill = np.nan if self.dtype.kind == "f" else MISSING_INTEGER
        return np.full(self.shape, fill, self.dtype)


class ImageSource(Protocol):
    """What a function works on: a detector, or a function that passes an image on."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its images."""

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Pixels to use, bool, the shape of an image."""

    @property
    def unit(self) -> str:
        """The unit of its images, e.g. ``keV`` or ``ADU``."""


class Function(Protocol):
    """What a detector asks of an analysis function: `DetObjectFunc` has it."""

    @property
    def name(self) -> str:
        """What its results are called."""

    @property
    def funcs(self) -> Mapping[str, Function]:
        """The functions that work on what it passes on, by name."""

    def setFromDet(self, det: ImageSource) -> None:  # noqa: N802
        """Prepare for the images of a detector."""

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image."""

    def describe(self) -> Mapping[str, Field]:
        """Return the results that there will be."""

    def params_as_dict(self) -> Mapping[str, Any]:
        """Return the parameters."""


@runtime_checkable
class Environment(Protocol):
    """What LCLS-I's scripts hand on instead of a run, e.g. ``ds.env()``."""

    @property
    def run(self) -> Run:
        """The run."""


def run_of(run_or_env: Run | Environment) -> Run:
    """Return the run of an environment, or the run itself."""
    return run_or_env.run if isinstance(run_or_env, Environment) else run_or_env
