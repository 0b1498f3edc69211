"""Kinds of parameters that several functions have."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from traitlets import TraitError, TraitType

Threshold = float | list[float] | None
"""The lowest value that stays, or the lowest and the highest."""

Whole = tuple[int, ...]
"""Whole numbers above 0."""


class ThresholdTrait(TraitType[Any, Any]):
    """A parameter that is a threshold, a pair of them, or None."""

    info_text = "a number, or [low, high]"
    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> Threshold:
        """Return a number, or a list of two."""
        pair = isinstance(value, list | tuple | np.ndarray)
        given = list(value) if pair else [value]
        if len(given) != 1 + pair or not all(is_number(v) for v in given):
            self.error(obj, value)
        numbers = [float(v) for v in given]
        if pair and numbers[0] > numbers[1]:
            raise TraitError(f"{self.name} = {value}: the lower limit comes first")
        return numbers if pair else numbers[0]


class WholeNumbersTrait(TraitType[Any, Any]):
    """A parameter of whole numbers above 0, one for each of the last axes."""

    info_text = "a whole number above 0, or a list of them"

    def validate(self, obj: Any, value: Any) -> Whole:
        """Return the numbers as a tuple."""
        many = isinstance(value, list | tuple | np.ndarray)
        numbers = tuple(value) if many else (value,)
        for number in numbers:
            is_whole = isinstance(number, int | np.integer)
            if not is_whole or isinstance(number, bool) or number < 1:
                self.error(obj, value)
        if not numbers:
            self.error(obj, value)
        return tuple(int(number) for number in numbers)


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number, NaN excluded."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and not math.isnan(value)
