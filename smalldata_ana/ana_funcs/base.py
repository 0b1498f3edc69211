"""What every analysis function is: validated parameters, a set-up and `process`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from traitlets import Unicode, default

from smalldata_ana.detector.protocol import (
    Array,
    Field,
    ImageSource,
    Kept,
    chained_names,
    described_as,
)
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import Parameters
from smalldata_ana.sources.base import PixelPositions


class Passed(enum.Enum):
    """What a function works on, and passes on to those that are chained to it."""

    IMAGE = "an image"
    DROPLETS = "droplets"
    POSITIONS = "a list of positions"


class DetObjectFunc(Parameters):
    """A function of a detector's image; subclass it and write `process`.

    The parameters of a subclass are its traits: ``width = Int(3, help="…")``.  They
    are given as keywords, and read when the function is set up.

    A function that passes something on says so with `passes`, and its `process` and
    `describe` add what `pass_on` and `describe_chained` return.  To those that are
    chained to it, it is the source of images: what it does not say otherwise (`shape`,
    `good`, `unit`, …) is as in its own source.

    Attributes
    ----------
    takes : what it works on; a function is chained only to one that passes that on
    passes : what it passes on, or None
    lookback : so many events before the first one are processed in advance, and their
        results thrown away, for a function that remembers earlier events
    funcs : the functions that are chained to it, by name
    shared : what those have in common

    Raises
    ------
    ParameterError
        if a keyword is unknown, or a value is not allowed

    Examples
    --------
    >>> class Brightest(DetObjectFunc):
    ...     def process(self, data):
    ...         return {"value": data.max()}
    """

    takes: ClassVar[tuple[Passed, ...]] = (Passed.IMAGE,)
    passes: ClassVar[Passed | None] = None
    lookback: ClassVar[int] = 0

    name = Unicode(help="what the results are called: <name>_<key>")

    @default("name")
    def _class_name(self) -> str:
        return type(self).__name__

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.funcs: dict[str, DetObjectFunc] = {}
        self._source: ImageSource | None = None
        self._attached: set[str] = set()
        self.shared = Kept()

    # -- what a subclass writes --------------------------------------------------------

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector, or of a function; once for a run.

        Raises
        ------
        ParameterError
            if the parameters do not fit the detector
        """
        self._source = det
        self.shared.clear()
        self._attached.clear()

    def process(self, data: Any) -> Mapping[str, Any]:
        """Compute the results of one image.

        Parameters
        ----------
        data : the image, shape of the detector, or what else the function `takes`; it
            is not written to

        Returns
        -------
        The results by key, of the types and shapes that `describe` says.
        """
        raise NotImplementedError

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, those of chained functions included.

        This finds them by processing an image of zeros; a function for which that is
        not typical says it itself.  Where it fails on zeros, a detector takes its first
        image with which it does not.
        """
        return self.described_by(self.process(np.zeros(self.source.shape, np.float32)))

    def described_by(self, results: Mapping[str, Any]) -> dict[str, Field]:
        """Return the results that there will be, from those of one image."""
        found = {key: np.asarray(v) for key, v in results.items()}
        fields = {key: Field(v.dtype, v.shape) for key, v in found.items()}
        return fields | self.describe_chained()

    def one_photon(self) -> tuple[str, float] | None:
        """Return the parameter that says what one photon deposits, and its value.

        Returns
        -------
        In the unit of the source; None for a function without such a parameter.
        """
        return None

    def forget(self) -> None:
        """Forget earlier events; a function with a `lookback` adds what it forgets."""
        for func in self.funcs.values():
            func.forget()

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, for the record; those that are None are left out."""
        values: dict[str, Any] = self.trait_values()
        return {key: v for key, v in values.items() if v is not None}

    # -- chains ------------------------------------------------------------------------

    def attach(self, source: ImageSource) -> None:
        """Prepare this function, and those that are chained to it, for a source.

        Raises
        ------
        ParameterError
            if the source passes on what this does not work on, or the parameters of
            one of them do not fit
        """
        passed = source.passes if isinstance(source, DetObjectFunc) else Passed.IMAGE
        self._check_takes(source.name, passed)
        self.setFromDet(source)
        self._attach_chained()

    def _attach_chained(self) -> None:
        for name in self.funcs.keys() - self._attached:
            self.funcs[name].attach(self)
            self._attached.add(name)

    def addFunc(self, func: DetObjectFunc) -> None:
        """Chain a function to this one: it works on what this passes on.

        Raises
        ------
        ParameterError
            if this passes nothing on, or not what the function works on; if the name
            is taken, or the function is above this one
        """
        self._check_chain(func)
        self.funcs[func.name] = func
        if self._source is None:
            return
        try:
            self._attach_chained()
        except ParameterError:
            del self.funcs[func.name]
            raise

    def _check_chain(self, func: DetObjectFunc) -> None:
        mine, other = (f"{type(f).__name__} {f.name!r}" for f in (self, func))
        if self.passes is None:
            raise ParameterError(
                f"{mine} passes nothing on, so {other} cannot be chained to it; add it "
                "to the detector"
            )
        func._check_takes(self.name, self.passes)
        if func.name in self.funcs:
            raise ParameterError(f"{self.name!r} has a function {func.name!r} already")
        if func.leads_to(self):
            raise ParameterError(f"{other} is above {mine}; it would go round for ever")

    def _check_takes(self, source: str, passed: Passed | None) -> None:
        if passed is None or passed in self.takes:
            return
        wanted = " or ".join(what.value for what in self.takes)
        raise ParameterError(
            f"{type(self).__name__} {self.name!r} works on {wanted}, and {source!r} "
            f"gives {passed.value}; they cannot be chained"
        )

    def leads_to(self, func: DetObjectFunc) -> bool:
        """Tell whether a function is this one, or chained to it at any depth."""
        return self is func or any(f.leads_to(func) for f in self.funcs.values())

    def pass_on(self, data: Any) -> dict[str, Any]:
        """Let the chained functions work on what this one found.

        Returns
        -------
        Their results as ``<func>_<key>``.
        """
        self._attach_chained()
        if self.passes is Passed.IMAGE and self.funcs and data.shape != self.shape:
            raise ParameterError(
                f"{self.name!r} passes on an image of {data.shape}, but its `shape` is "
                f"{self.shape}; override `shape`, `good` and what else is different"
            )
        results: dict[str, Any] = {}
        for name, func in self.funcs.items():
            results |= chained_names(name, func.process(data))
        return results

    def describe_chained(self) -> dict[str, Field]:
        """Return the results that `pass_on` will give."""
        self._attach_chained()
        fields: dict[str, Field] = {}
        for name, func in self.funcs.items():
            fields |= described_as(name, func.describe())
        return fields

    def events_before(self) -> int:
        """Return how many earlier events this and the chained functions need."""
        return max([self.lookback, *(f.events_before() for f in self.funcs.values())])

    # -- the image that it works on, and passes on -------------------------------------

    @property
    def source(self) -> ImageSource:
        """What this function was set up for.

        Raises
        ------
        ParameterError
            before the set-up
        """
        if self._source is None:
            raise ParameterError(
                f"{self.name!r} belongs to no detector yet; det.addFunc({self.name})"
            )
        return self._source

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is passed on."""
        return self.source.shape

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels of what is passed on."""
        return self.source.good

    @property
    def unit(self) -> str:
        """Unit of what is passed on."""
        return self.source.unit

    @property
    def noise(self) -> Array | None:
        """Noise of the pixels that are passed on, if it is known."""
        return self.source.noise

    @property
    def positions(self) -> PixelPositions | None:
        """Where the pixels are that are passed on, as far as it is known."""
        return self.source.positions

    @property
    def normals(self) -> Array | None:
        """Normals of their panels; see `ImageSource`."""
        return self.source.normals

    @property
    def first(self) -> tuple[int, int, int]:
        """Panel, row and column of the first of them in the detector's frames."""
        return self.source.first
