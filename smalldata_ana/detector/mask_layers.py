"""Layers of shapes, one above the other, that make a mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from smalldata_ana.detector.mask_drawings import (
    Brush,
    Circle,
    Donut,
    Ellipse,
    Polygon,
    Rectangle,
)
from smalldata_ana.detector.mask_selections import (
    Central,
    Edges,
    Pixels,
    Suspicious,
    Threshold,
)
from smalldata_ana.detector.mask_shapes import Inversion, Mask, Shape
from smalldata_ana.errors import ParameterError, counted, listing, unknown

SHAPES: Mapping[str, type[Shape]] = {
    shape.kind: shape
    for shape in (
        Rectangle,
        Circle,
        Donut,
        Ellipse,
        Polygon,
        Brush,
        Threshold,
        Edges,
        Central,
        Suspicious,
        Pixels,
        Inversion,
    )
}
"""All shapes by their names in the parameter file."""

Render = Callable[[Shape], Mask]


@dataclass(frozen=True)
class Layer:
    """A shape that can be switched.

    Attributes
    ----------
    shape : what it selects
    on : False for a layer that does nothing for now
    """

    shape: Shape
    on: bool = True

    @classmethod
    def of(cls, value: Layer | Shape | Mapping[str, Any]) -> Layer:
        """Return a layer of a shape, or of a table as `as_dict` gives it.

        Raises
        ------
        ParameterError
            if it is none of these, or makes no sense
        """
        if isinstance(value, Layer):
            return value
        if isinstance(value, Shape):
            return cls(value)
        if not isinstance(value, Mapping):
            raise ParameterError(
                f"{value!r} is no shape; write, for instance, "
                "{'shape': 'circle', 'center': [500, 510], 'radius': 40}"
            )
        table = dict(value)
        on = table.pop("on", True)
        if not isinstance(on, bool):
            raise ParameterError(f"on = {on!r} is not true or false")
        return cls(shape_of(table), on)

    def as_dict(self) -> dict[str, Any]:
        """Return the layer as plain data, for the parameter file."""
        return self.shape.as_dict() | ({} if self.on else {"on": False})

    def switched(self, on: bool) -> Self:
        """Return the layer switched on or off."""
        return dataclasses.replace(self, on=on)

    def __str__(self) -> str:
        table = self.as_dict()
        kind = table.pop("shape")
        texts = [f"{key}={_short(value)}" for key, value in table.items()]
        return " ".join([kind, *texts])


def _short(value: Any, longest: int = 40) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shape_of(table: Mapping[str, Any]) -> Shape:
    """Return the shape of a table, as `Shape.as_dict` gives it.

    Parameters
    ----------
    table : the name of the shape as ``shape``, and its attributes

    Raises
    ------
    ParameterError
        if the shape or an attribute is unknown, one is missing, or has a wrong value
    """
    values = dict(table)
    if "shape" not in values:
        raise ParameterError(
            f"{values!r:.80} does not say which 'shape' it is: {listing(SHAPES)}"
        )
    kind = str(values.pop("shape"))
    if kind not in SHAPES:
        raise ParameterError(unknown("shape", kind, SHAPES))
    fields = dataclasses.fields(SHAPES[kind])
    known = {item.name for item in fields}
    for key in values:
        if key not in known:
            raise ParameterError(unknown("attribute", key, sorted(known), kind))
    for item in fields:
        if item.default is dataclasses.MISSING and item.name not in values:
            raise ParameterError(f"{kind}: {item.name!r} is missing")
    return SHAPES[kind](**values)


def layers_of(shapes: Iterable[Layer | Shape | Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Return the layers of shapes or tables; as `Layer.of`."""
    return tuple(map(Layer.of, shapes))


@dataclass(frozen=True)
class LayerCount:
    """How many pixels a layer selects.

    Attributes
    ----------
    layer : the layer
    pixels : that it selects, as if it was alone
    up_to : that are selected after it and those before it
    """

    layer: Layer
    pixels: int
    up_to: int


@dataclass(frozen=True, eq=False)
class Selection:
    """What layers select together.

    Attributes
    ----------
    selected : bool, shape of a frame, True = selected, that is, to be masked
    counts : for each layer, how many pixels
    """

    selected: Mask
    counts: tuple[LayerCount, ...]

    def total(self) -> str:
        """Return how many pixels are masked, in words."""
        size, masked = self.selected.size, int(np.count_nonzero(self.selected))
        return f"masked: {counted(masked, 'pixel')} of {size}, {masked / size:.3%}"

    def table(self) -> str:
        """Return the layers and their counts as lines; ``-`` is one that is off."""
        lines = [
            f"{number:>5} {' ' if c.layer.on else '-'} {c.pixels:>9} {c.up_to:>9}  "
            f"{c.layer}"
            for number, c in enumerate(self.counts)
        ]
        head = ["layer     selects     up to"] if lines else []
        return "\n".join([*head, *lines, self.total()])


def select(
    layers: Sequence[Layer], shape: tuple[int, ...], render: Render
) -> Selection:
    """Put layers one above the other, the first one lowest.

    Parameters
    ----------
    layers : those that are switched off are counted, and do nothing
    shape : of a frame
    render : returns what a shape selects, as `Shape.selected` of a scene
    """
    selected = np.zeros(shape, np.bool_)
    counts = []
    for layer in layers:
        own = render(layer.shape)
        if layer.on:
            selected = layer.shape.combine(selected, own)
        counts.append(LayerCount(layer, int(own.sum()), int(selected.sum())))
    return Selection(selected, tuple(counts))
