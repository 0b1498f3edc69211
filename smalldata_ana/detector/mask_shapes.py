"""Shapes that select pixels to be masked, drawn on the image or on one panel.

A shape is data: it can be written to a parameter file, read back, and drawn again.
What it selects is to be masked; which pixels are used in the end is said where a mask
is made of the shapes (`smalldata_ana.detector.mask_layers`).

Coordinates are pairs (row, column) of the assembled image, from 0 at the middle of its
first pixel, with fractions; with ``unit="um"`` (x, y) in the psana frame, and with
``panel=n`` (row, column) of that panel.  A pixel is selected if its middle lies in the
shape; on the image that is the middle of the image's pixel that it falls into.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.kind_model import Kind
from smalldata_ana.errors import ParameterError, unknown

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pair = tuple[float, float]
Unit = Literal["pixels", "um"]
Bounds = tuple[float, float, float, float]
"""First and last of the rows, first and last of the columns."""

_LARGEST = 1e15
"""Of all coordinates and limits."""


class MissingValueError(ParameterError):
    """A detector lacks the image or constant that a shape needs."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What shapes are drawn on: a detector with its image and constants.

    Attributes
    ----------
    geometry : how the image is assembled
    kind : the kind of the detector
    good : bool, shape of a frame; the pixels that statistics regard
    values : by name (``image``, ``pedestal``, ``noise``) what returns numbers in the
        shape of a frame, or of ``(stages, *frame)``, or None where there are none
    """

    geometry: ImageGeometry
    kind: Kind
    good: Mask
    values: Mapping[str, Callable[[], Array | None]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.geometry.ix.shape

    @property
    def panels(self) -> int:
        """Number of panels; 1 for a detector without panels."""
        return math.prod(self.shape[:-2])

    def value(self, name: str, stage: int = 0) -> Array:
        """Return numbers in the shape of a frame.

        Parameters
        ----------
        name : one of `values`
        stage : number of the gain stage, where there are several

        Raises
        ------
        MissingValueError
            if the detector has none
        ParameterError
            if there is no such name or stage
        """
        if name not in self.values:
            raise ParameterError(unknown("quantity", name, self.values))
        found = self.values[name]()
        if found is None:
            remedy = (
                "average one first: AvImage()" if name == "image" else "no constant"
            )
            raise MissingValueError(f"there is no {name} of this detector; {remedy}")
        stages = found[None] if found.shape == self.shape else found
        if not 0 <= stage < len(stages):
            raise ParameterError(
                f"stage = {stage}: there are {len(stages)} gain stages, from 0"
            )
        chosen: Array = stages[stage]
        return chosen


@dataclass(frozen=True)
class Shape:
    """What selects pixels; see the top of this module.

    Attributes
    ----------
    panel : select on this panel only; drawn shapes have its coordinates then
    invert : select what the shape itself does not, on that panel or everywhere
    erase : take the pixels away from those that the shapes before it selected
    label : a remark, e.g. the file that it came from
    """

    kind: ClassVar[str]
    panel: int | None = field(default=None, kw_only=True)
    invert: bool = field(default=False, kw_only=True)
    erase: bool = field(default=False, kw_only=True)
    label: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            # Equal shapes are equal whether they were given as list, array or tuple.
            object.__setattr__(self, item.name, plain(getattr(self, item.name)))
        for name in ("invert", "erase"):
            if not isinstance(getattr(self, name), bool):
                raise self.wrong(name, "is not true or false")
        if not (self.panel is None or _is_count(self.panel)):
            raise self.wrong("panel", "is not the number of a panel, from 0")
        if not isinstance(self.label, str):
            raise self.wrong("label", "is not a text")
        self.check()

    def check(self) -> None:
        """Raise what is wrong with the shape's own parameters."""

    def wrong(self, name: str, why: str) -> ParameterError:
        """Return the error that a parameter has a wrong value."""
        value = getattr(self, name)
        return ParameterError(f"{self.kind}: {name} = {value!r} {why}")

    def check_numbers(self, name: str, count: int) -> None:
        """Raise if a parameter is not so many finite numbers."""
        value = getattr(self, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if len(numbers) != count or not all(map(is_number, numbers)):
            what = "a number" if count == 1 else f"{count} numbers"
            raise self.wrong(name, f"is not {what}")

    def check_count(self, name: str) -> None:
        """Raise if a parameter is not a whole number from 0."""
        if not _is_count(getattr(self, name)):
            raise self.wrong(name, "is not a whole number from 0")

    def as_dict(self) -> dict[str, Any]:
        """Return the shape as plain data, without what is as usual."""
        found: dict[str, Any] = {"shape": self.kind}
        for item in sorted(dataclasses.fields(self), key=lambda f: f.kw_only is True):
            value = getattr(self, item.name)
            if value != item.default:
                found[item.name] = _as_lists(value)
        return found

    def selected(self, scene: Scene) -> Mask:
        """Return the pixels that the shape selects: bool, shape of a frame.

        Raises
        ------
        ParameterError
            if the detector has no such panel, or lacks what the shape needs
        GeometryError
            if the shape is in um, and positions are not known
        """
        where = self._panel_of(scene)
        whole = self.find(scene)
        if where is ...:
            return ~whole if self.invert else whole
        selected = np.zeros(scene.shape, np.bool_)
        selected[where] = ~whole[where] if self.invert else whole[where]
        return selected

    def find(self, scene: Scene) -> Mask:
        """Return the pixels of the shape itself, before inversion; as `selected`."""
        raise NotImplementedError

    def combine(self, before: Mask, own: Mask) -> Mask:
        """Return what is selected after this shape.

        Parameters
        ----------
        before : what the shapes before it selected
        own : what it selects itself
        """
        return before & ~own if self.erase else before | own

    def _panel_of(self, scene: Scene) -> Any:
        """Return the index of the shape's panel in a frame; all, for none or one."""
        if self.panel is None:
            return ...
        if self.panel >= scene.panels:
            raise self.wrong("panel", f"is none of the {scene.panels} panels, from 0")
        return self.panel if len(scene.shape) > 2 else ...


@dataclass(frozen=True)
class Inversion(Shape):
    """Exchange what is selected and what is not, as the shapes before it left it.

    With a panel, it does so on this panel only.
    """

    kind = "inversion"

    def find(self, scene: Scene) -> Mask:
        """Return all pixels."""
        return np.ones(scene.shape, np.bool_)

    def combine(self, before: Mask, own: Mask) -> Mask:
        """Return what was selected with its own pixels exchanged."""
        return before ^ own


@dataclass(frozen=True)
class Drawn(Shape):
    """A shape with coordinates.

    Attributes
    ----------
    unit : ``pixels``, or ``um`` for (x, y) in the psana frame
    """

    unit: Unit = field(default="pixels", kw_only=True)

    def check(self) -> None:
        """Raise what is wrong with the unit, or the shape."""
        if self.unit not in get_args(Unit):
            raise self.wrong("unit", "is not 'pixels' or 'um'")
        if self.unit == "um" and self.panel is not None:
            raise self.wrong("unit", "is for the image; on one panel it is 'pixels'")
        self.check_form()

    def check_form(self) -> None:
        """Raise what is wrong with the coordinates."""
        raise NotImplementedError

    @property
    def bounds(self) -> Bounds:
        """A box that holds the shape, in its own coordinates."""
        raise NotImplementedError

    def covers(self, rows: Floats, columns: Floats) -> Mask:
        """Tell which points of a grid lie in the shape.

        Parameters
        ----------
        rows, columns : its coordinates, (rows, 1) and (1, columns), both growing, in
            the shape's unit
        """
        raise NotImplementedError

    def find(self, scene: Scene) -> Mask:
        """Return the pixels whose middle lies in the shape."""
        geometry = scene.geometry
        if self.panel is None:
            return self._on_grid(geometry.shape, geometry)[geometry.ix, geometry.iy]
        found = np.zeros(scene.shape, np.bool_)
        found[self._panel_of(scene)] = self._on_grid(scene.shape[-2:], geometry)
        return found

    def _on_grid(self, shape: tuple[int, ...], geometry: ImageGeometry) -> Mask:
        """Return the points of a grid of pixels that lie in the shape."""
        grid = np.zeros(shape, np.bool_)
        window = self._window(shape, geometry)
        rows, columns = (np.arange(s.start, s.stop, dtype=np.float64) for s in window)
        if rows.size and columns.size:
            if self.unit == "um":
                rows, _ = geometry.um_from_image(rows, 0.0)
                _, columns = geometry.um_from_image(0.0, columns)
            grid[window] = self.covers(rows[:, None], columns[None, :])
        return grid

    def _window(
        self, shape: tuple[int, ...], geometry: ImageGeometry
    ) -> tuple[slice, slice]:
        """Return the part of a grid outside of which the shape has no point."""
        row0, row1, column0, column1 = self.bounds
        rows: Any = np.array([row0, row1])
        columns: Any = np.array([column0, column1])
        if self.unit == "um":
            rows, columns = geometry.image_from_um(rows, columns)
        return _reach(rows, shape[0]), _reach(columns, shape[1])


def plain(value: Any) -> Any:
    """Return lists and arrays as tuples, and numpy's numbers as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value


def _as_lists(value: Any) -> Any:
    return [_as_lists(v) for v in value] if isinstance(value, tuple) else value


def is_number(value: Any) -> bool:
    """Tell whether a value is a number of which squares can be taken."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and -_LARGEST <= value <= _LARGEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _reach(ends: Floats, size: int) -> slice:
    # One pixel more, so that rounding in the change of units loses none.
    low, high = np.clip([ends.min() - 1, ends.max() + 2], 0, size)
    return slice(math.floor(low), math.ceil(high))
