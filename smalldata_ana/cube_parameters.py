"""The tables ``[cube.<name>]`` of the parameter file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Float, Int, List, TraitType, Unicode, validate

from smalldata_ana.ana_funcs.traits import ThresholdTrait, is_number
from smalldata_ana.detector.common_mode_entries import CommonModeParameters
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters.model import Parameters, register_table

ON, OFF = "on", "off"
"""What the names of files end with, of events with and without the laser."""

SELECTION = 3
"""Length of a selection: variable, lower and upper limit."""


_RANGE = ("from", "to", "n")
_KEYS = ("var", "edges", *_RANGE)

MOST_BINS = 1_000_000
"""Bins of a variable at most: a protection against a mistyped number."""


@dataclass(frozen=True)
class AxisWanted:
    """Bins as parameters describe them.

    Attributes
    ----------
    var : the variable; empty: what the run scans
    edges : of the bins, growing; empty: one bin for each value
    """

    var: str = ""
    edges: tuple[float, ...] = ()

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Read a table ``{ var = ..., edges = [...] }`` or with ``from, to, n``.

        Raises
        ------
        ParameterError
            if it cannot be read, or the edges do not grow
        """
        if not isinstance(value, Mapping):
            raise ParameterError(
                f"bins = {value!r} is no table; write "
                '{ var = "scan/lxt", from = -1e-12, to = 4e-12, n = 50 }'
            )
        for key in value:
            if key not in _KEYS:
                raise ParameterError(unknown("key", key, _KEYS, "bins"))
        var = value.get("var", "")
        if not isinstance(var, str):
            raise ParameterError(f"bins: var = {var!r} is not the name of a variable")
        return cls(var, _edges(value, var))


def _edges(value: Mapping[str, Any], var: str) -> tuple[float, ...]:
    called = f"bins of {var or 'the scan'!r}"
    of_range = [key for key in _RANGE if key in value]
    if "edges" in value and of_range:
        raise ParameterError(f"{called}: edges and {of_range[0]} cannot both be given")
    if of_range:
        return _range(value, called)
    if "edges" not in value:
        return ()
    edges = value["edges"]
    if not isinstance(edges, list | tuple) or not all(map(is_number, edges)):
        raise ParameterError(f"{called}: edges = {edges!r} is no list of numbers")
    if len(edges) < 2:
        raise ParameterError(f"{called}: edges = {edges!r}; a bin takes two of them")
    for before, after in itertools.pairwise(edges):
        if not after > before:
            raise ParameterError(
                f"{called}: the edges must grow, but {after:g} follows {before:g}"
            )
    return tuple(map(float, edges))


def _range(value: Mapping[str, Any], called: str) -> tuple[float, ...]:
    for key in _RANGE:
        if not is_number(value.get(key)):
            raise ParameterError(
                f"{called}: {key} = {value.get(key)!r} is no number; bins take all of "
                "from, to and n, or edges"
            )
    begin, end, count = (value[key] for key in _RANGE)
    if count != int(count) or not 1 <= count <= MOST_BINS:
        raise ParameterError(
            f"{called}: n = {count!r} is not a whole number from 1 to {MOST_BINS}"
        )
    if not end > begin:
        raise ParameterError(
            f"{called}: the bins must grow, but they go from {begin:g} to {end:g}"
        )
    return tuple(np.linspace(begin, end, int(count) + 1).tolist())


class CubeDetector(Parameters):
    """How the images of a detector get into a cube: ``[cube.<name>.detectors.<det>]``.

    What is not said here is as in the detector's entries: masks, geometry, functions.
    """

    has_results = False

    common_mode = AnyTrait(
        None,
        help="as of an entry [[detector.<det>.common_mode]], instead of that entry",
    )
    thresADU = ThresholdTrait(  # noqa: N815 (upstream's name)
        help="pixels below it count as 0; [low, high]: also those above high "
        "[unit of the image]"
    )
    thresRms = Float(  # noqa: N815 (upstream's name)
        None,
        allow_none=True,
        help="pixels below so many times their noise count as 0",
    )
    image = Bool(False, help="assembled images instead of panels")
    squares = Bool(True, help="also sums of squares, for the deviation within a bin")
    functions = List(
        Unicode(),
        help="names of the detector's entries that are applied to the mean image of "
        "each bin",
    )

    @validate("common_mode")
    def _check_common_mode(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value is not None:
            CommonModeParameters.check_value("common_mode", value)
        return value


class BinsTrait(TraitType[Any, Any]):
    """The bins of one variable, or a list of those of several."""

    default_value = ()

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is given, if it can be read."""
        axes_of(value)
        return value


class SelectionsTrait(TraitType[Any, Any]):
    """Selections of events, ``[variable, low, high]`` each."""

    default_value = ()

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the selections, if they can be read."""
        if not isinstance(value, list | tuple):
            self.error(obj, value)
        for one in value:
            fits = (
                isinstance(one, list | tuple)
                and len(one) == SELECTION
                and isinstance(one[0], str)
                and all(is_number(limit) for limit in one[1:])
            )
            if not fits:
                raise ParameterError(
                    f"the selection {one!r} is not [variable, low, high], for instance "
                    '["ipm2/sum", 0.5, 5.0]'
                )
        return value


class DetectorsTrait(Dict):
    """By detector, the parameters of `CubeDetector`."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is given, if it can be read."""
        value = super().validate(obj, value)
        for name, values in value.items():
            if not isinstance(values, Mapping):
                raise ParameterError(
                    f"detectors.{name} = {values!r} is not a table; write "
                    f"[cube.<name>.detectors.{name}]"
                )
            try:
                CubeDetector(**values)
            except ParameterError as error:
                raise ParameterError(f"detectors.{name}: {error}") from error
        return value


def axes_of(value: Any) -> tuple[AxisWanted, ...]:
    """Return the bins that a value of the parameter ``bins`` describes.

    Raises
    ------
    ParameterError
        if it describes none
    """
    several = value if isinstance(value, list | tuple) else [value]
    return tuple(map(AxisWanted.parse, several)) or (AxisWanted(),)


@register_table("cube", named=True)
class CubeParameters(Parameters):
    """Full images, summed in bins of one or several variables."""

    has_results = False

    bins = BinsTrait(
        help='{ var = "delay", from = -1, to = 4, n = 50 }, or with edges = [...], or '
        "for each value of a scan neither; several of them in a list for several "
        "dimensions; default: the values of the run's scan"
    )
    selections = SelectionsTrait(
        help="only events in which low < variable < high: [[variable, low, high], ...]"
    )
    xray = Bool(True, help="leave out events whose X-rays were dropped")
    laser = Bool(
        True,
        help="two cubes, _on and _off, of the events with and without the optical "
        "laser; false: one cube, whatever the laser",
    )
    use_tt = Bool(True, help="correct the variable 'delay' by the time tool")
    detectors = DetectorsTrait(
        help="the detectors whose images are summed, by name: [cube.<name>.detectors."
        "<det>]"
    )
    add = List(Unicode(), help="variables that are summed in each bin: 'ipm2/sum'")
    may_lack = Bool(
        False,
        help="leave out variables of 'add' that the run does not have, with a warning",
    )
    nevents = Int(
        None,
        allow_none=True,
        min=1,
        help="events of a bin at most, the first ones",
    )

    @property
    def axes(self) -> tuple[AxisWanted, ...]:
        """The bins that are wanted, one for each dimension."""
        return axes_of(self.bins)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Suffixes of the files: of laser on and off, or only an empty one."""
        return (ON, OFF) if self.laser else ("",)

    def files(self, name: str) -> tuple[str, ...]:
        """Return the ends of the names of the files; see `Parameters`."""
        return tuple(f"{name}_{suffix}" if suffix else name for suffix in self.outputs)

    def of_detector(self, name: str) -> CubeDetector:
        """Return how the images of a detector get into the cube."""
        return CubeDetector(**self.detectors[name])
