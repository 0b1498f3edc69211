"""What detectors and analysis functions know of each other."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import PixelPositions, Run

Array = npt.NDArray[Any]
Shared = TypeVar("Shared")

MISSING_INTEGER = -99999
"""What an integer result holds for an event without data."""


class Length(enum.Enum):
    """How many values a result has in an event."""

    FIXED = "the same number in all events"
    VARIABLE = "any number, the same for all such results of a function"
    RAGGED = "any number"


@dataclass(frozen=True)
class Field:
    """One result of a function, known before the first event.

    Attributes
    ----------
    dtype : of the result
    shape : of the result of one event, ``()`` for a number; of one of its values, if
        the length is not fixed
    unit : as UDUNITS text, or empty
    long_name : what it is, for people, or empty
    length : how many values there are in an event
    owner : the function that gives it, as far as it is within the name of the result;
        who collects results fills it in
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    unit: str = ""
    long_name: str = ""
    length: Length = Length.FIXED
    owner: str = ""

    def missing(self) -> Array:
        """Return what stands for an event without data.

        That is NaN or `MISSING_INTEGER`, or no values if their number is not fixed.
        """
        if self.length is not Length.FIXED:
            return np.empty((0, *self.shape), self.dtype)
        fill = np.nan if self.dtype.kind == "f" else MISSING_INTEGER
        return np.full(self.shape, fill, self.dtype)

    def texts(self) -> dict[str, str]:
        """Return the attributes of its dataset: ``units`` and ``long_name``, if any."""
        texts = {"units": self.unit, "long_name": self.long_name}
        return {key: text for key, text in texts.items() if text}

    def below(self, owner: str) -> Self:
        """Return the same field as a function or detector above its own knows it."""
        return replace(self, owner=f"{owner}_{self.owner}" if self.owner else owner)

    def path(self, key: str) -> tuple[str, ...]:
        """Return where a result is stored: a name, or a group and a name.

        Parameters
        ----------
        key : name of the result, which begins with `owner`
        """
        if self.length is Length.VARIABLE:
            return f"var_{self.owner}", key.removeprefix(f"{self.owner}_")
        return (f"ragged_{key}",) if self.length is Length.RAGGED else (key,)

    def checked(self, key: str, value: Any) -> Array:
        """Return a value of this field as an array.

        Raises
        ------
        ParameterError
            if its shape is another, or it cannot have the type
        """
        array = np.asarray(value)
        shape = array.shape if self.length is Length.FIXED else array.shape[1:]
        fits = np.can_cast(array.dtype, self.dtype, "same_kind")
        if shape != self.shape or not fits:
            raise ParameterError(
                f"result {key!r} is {array.dtype} of shape {array.shape}; it was "
                f"described as {self.dtype} of shape {self.shape}, "
                f"{self.length.value}; `describe` and `process` must agree"
            )
        return array.astype(self.dtype, copy=False)


def chained_names(name: str, results: Mapping[str, Shared]) -> dict[str, Shared]:
    """Return results under the names that they have above the function `name`."""
    return {f"{name}_{key}": value for key, value in results.items()}


def described_as(name: str, fields: Mapping[str, Field]) -> dict[str, Field]:
    """Return descriptions of results as they are above the function `name`."""
    return {f"{name}_{key}": field.below(name) for key, field in fields.items()}


def stored_names(
    detector: str, values: Mapping[str, Shared], fields: Mapping[str, Field]
) -> dict[str, Shared]:
    """Return values by the path that the result has in a small-data file.

    Parameters
    ----------
    detector : its name
    values : of the results, by key
    fields : the results, by the same keys
    """
    return {
        "/".join((detector, *fields[key].path(key))): value
        for key, value in values.items()
    }


class Kept:
    """What several functions need, made by the one that asks for it first.

    Examples
    --------
    ``radius = source.shared(("radius", center), lambda: np.hypot(x, y))``
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """Return a value.

        Parameters
        ----------
        key : says what it is, and what it was made with
        make : makes it, if nobody has asked for it before
        """
        if key not in self._values:
            self._values[key] = make()
        value: Shared = self._values[key]
        return value

    def clear(self) -> None:
        """Forget all values, because what they were made with has changed."""
        self._values.clear()


class ImageSource(Protocol):
    """What a function works on: a detector, or a function that passes an image on.

    An image has the axes (panels, rows, columns), (rows, columns) or (samples,).
    """

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

    @property
    def noise(self) -> Array | None:
        """Noise of each pixel in `unit`, float32, the shape of an image, if known."""

    @property
    def positions(self) -> PixelPositions | None:
        """Where the pixels are, as far as it is known."""

    @property
    def normals(self) -> Array | None:
        """Unit vector against the beam of each panel, (panels, 3), psana frame."""

    @property
    def first(self) -> tuple[int, int, int]:
        """Panel, row and column of the first pixel in the frames of the detector."""

    @property
    def shared(self) -> Kept:
        """What functions of this source have in common, e.g. maps of angles."""


class Function(Protocol):
    """What a detector asks of an analysis function: `DetObjectFunc` has it."""

    @property
    def name(self) -> str:
        """What its results are called."""

    @property
    def funcs(self) -> Mapping[str, Function]:
        """The functions that work on what it passes on, by name."""

    def attach(self, source: ImageSource) -> None:
        """Prepare it, and those that are chained to it, for the images of a source."""

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image."""

    def events_before(self) -> int:
        """Return how many earlier events it and those chained to it need."""

    def forget(self) -> None:
        """Forget earlier events, also in those that are chained to it."""

    def describe(self) -> Mapping[str, Field]:
        """Return the results that there will be."""

    def described_by(self, results: Mapping[str, Any]) -> Mapping[str, Field]:
        """Return the same, from the results of one image."""

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
