"""`LayerTool`: layers of shapes that can be added, switched, removed and undone."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smalldata_ana.detector.mask_layers import (
    Layer,
    LayerCount,
    Selection,
    layers_of,
    select,
)
from smalldata_ana.detector.mask_shapes import Inversion, Mask, Scene, Shape
from smalldata_ana.errors import UsageError
from smalldata_ana.session.tools.base import Tool

Layers = tuple[Layer, ...]
ShapeLike = Layer | Shape | Mapping[str, Any]
"""A layer, its shape, or its table: ``{"shape": "circle", "center": …}``."""

_KEPT = 64
"""How many rendered shapes are kept."""


class LayerTool(Tool[Layers]):
    """A selection of pixels that is being made of layers, the first one lowest.

    Its `value` are the layers; every change of them is a step that `undo` takes back.

    Parameters
    ----------
    scene : what the shapes are drawn on
    shapes : the layers to begin with

    Raises
    ------
    ParameterError
        if a shape makes no sense for the detector
    """

    def __init__(self, scene: Scene, shapes: Iterable[ShapeLike] = ()) -> None:
        self.scene = scene
        # Brushes have many strokes, and only few of them change at a time.
        self._render = functools.lru_cache(_KEPT)(self._rendered)
        self._put_together = functools.lru_cache(1)(self._combined)
        super().__init__(self.checked(tuple(shapes)))

    def _rendered(self, shape: Shape) -> Mask:
        return shape.selected(self.scene)

    # -- what there is -----------------------------------------------------------------

    @property
    def layers(self) -> Layers:
        """The layers, the lowest first."""
        return self.value or ()

    @property
    def shapes(self) -> list[dict[str, Any]]:
        """The layers as plain data, as they stand in the parameter file."""
        return [layer.as_dict() for layer in self.layers]

    @property
    def selected(self) -> Mask:
        """What is masked: bool, shape of a frame; a new array."""
        return self._selection().selected.copy()

    @property
    def good(self) -> Mask:
        """What is not masked: bool, shape of a frame."""
        return ~self._selection().selected

    @property
    def counts(self) -> tuple[LayerCount, ...]:
        """How many pixels each layer selects."""
        return self._selection().counts

    def _selection(self) -> Selection:
        return self._put_together(self.layers)

    def _combined(self, layers: Layers) -> Selection:
        return select(layers, self.scene.shape, self._render)

    def checked(self, value: Sequence[ShapeLike]) -> Layers:
        """Return layers that can be drawn on the detector."""
        layers = layers_of(value)
        for layer in layers:
            self._render(layer.shape)
        return layers

    # -- changes -----------------------------------------------------------------------

    def add(self, *shapes: ShapeLike) -> None:
        """Put shapes above the layers that there are.

        Parameters
        ----------
        shapes : e.g. ``{"shape": "circle", "center": [500, 510], "radius": 40}``

        Raises
        ------
        ParameterError
            if one makes no sense; nothing has changed then
        """
        self.value = (*self.layers, *layers_of(shapes))

    def replace_last(self, shape: ShapeLike) -> None:
        """Put a shape in the place of the last layer."""
        self.value = (*self.layers[:-1], Layer.of(shape))

    def remove(self, number: int) -> None:
        """Take a layer away.

        Parameters
        ----------
        number : of the layer, from 0; -1 for the last

        Raises
        ------
        UsageError
            if there is no such layer
        """
        index = self._index(number)
        self.value = (*self.layers[:index], *self.layers[index + 1 :])

    def switch(self, number: int, on: bool | None = None) -> None:
        """Switch a layer off, or on again.

        Parameters
        ----------
        number : of the layer, from 0; -1 for the last
        on : True or False; by default the other way than it is

        Raises
        ------
        UsageError
            if there is no such layer
        """
        index = self._index(number)
        layers = list(self.layers)
        layer = layers[index]
        layers[index] = layer.switched(not layer.on if on is None else bool(on))
        self.value = tuple(layers)

    def invert(self) -> None:
        """Exchange what is masked and what is not; this is a layer, too."""
        self.add(Inversion())

    def summary(self) -> str:
        """Return the layers and their counts as lines."""
        return self._selection().table()

    def total(self) -> str:
        """Return how many pixels are masked, in words."""
        return self._selection().total()

    def _index(self, number: int) -> int:
        size = len(self.layers)
        if not -size <= number < size:
            raise UsageError(f"there is no layer {number}; there are {size}, from 0")
        return number % size
