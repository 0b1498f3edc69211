"""Parameters of a beam: numbers, pairs, the polarization, values of the run."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from traitlets import TraitError, TraitType

from smalldata_ana.errors import unknown

POLARIZATIONS = {"horizontal": 1.0, "vertical": 0.0}
"""Fraction of laboratory-horizontal polarization by name."""


class Number(TraitType[Any, Any]):
    """A parameter that is a finite real number, or None; numpy's numbers are allowed.

    Parameters
    ----------
    above : what it must be above, or None
    within : smallest and largest value, or None
    allow_none : whether it may be left open
    settings : those of any trait
    """

    default_value = None
    info_text = "a finite number"

    def __init__(
        self,
        above: float | None = None,
        within: tuple[float, float] | None = None,
        *,
        allow_none: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        # traitlets takes True from the class, and does not take it back.
        self.allow_none = allow_none
        self._above, self._within = above, within

    def validate(self, obj: Any, value: Any) -> float:
        """Return the number as a float."""
        number = _finite(value)
        if number is None:
            self.error(obj, value)
        if self._above is not None and not number > self._above:
            raise TraitError(
                f"{self.name} = {value:g} must be above {self._above:g}: {self.help}"
            )
        if self._within is not None and not (
            self._within[0] <= number <= self._within[1]
        ):
            raise TraitError(
                f"{self.name} = {value:g} must be from {self._within[0]:g} to "
                f"{self._within[1]:g}: {self.help}"
            )
        return number


class NumberOrVariable(Number):
    """Such a number, or where the run has it.

    A table ``{ pv = "…", offset = 0.0, scale = 1.0 }`` says that the number is
    ``offset + scale * pv``; see `smalldata_ana.ana_funcs.followed_values`.
    """

    info_text = 'a finite number, or { pv = "…", offset = 0.0, scale = 1.0 }'

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the number as a float, or the whole table."""
        if not isinstance(value, Mapping):
            return super().validate(obj, value)
        known = {"pv": "", "offset": 0.0, "scale": 1.0}
        table = known | dict(value)
        factors = {key: _finite(table[key]) for key in ("offset", "scale")}
        wrong = [
            f"{key} = {table[key]!r} is not a finite number"
            for key, number in factors.items()
            if number is None
        ]
        if not isinstance(table["pv"], str) or not table["pv"]:
            wrong.append(f"pv = {table['pv']!r} is not the name of a variable")
        wrong += [unknown("key", str(key), known) for key in value if key not in known]
        if wrong:
            raise TraitError(f"{self.name}: {'; '.join(wrong)}")
        return {"pv": table["pv"], **factors}


class Pair(TraitType[Any, Any]):
    """A parameter that is two finite numbers, or None; arrays are allowed."""

    default_value = None
    allow_none = True
    info_text = "two finite numbers"

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Return the numbers as a list."""
        try:
            pair = [_finite(number) for number in value]
        except TypeError:
            pair = []
        if len(pair) != 2 or None in pair:
            self.error(obj, value)
        return [float(number) for number in pair if number is not None]


class Polarization(TraitType[Any, Any]):
    """A parameter that is ``horizontal``, ``vertical``, a fraction, or None."""

    default_value = None
    allow_none = True
    info_text = "'horizontal', 'vertical' or a number from 0 to 1"

    def validate(self, obj: Any, value: Any) -> str | float:
        """Return the name, or the fraction as a float."""
        if isinstance(value, str):
            if value not in POLARIZATIONS:
                raise TraitError(unknown("polarization", value, POLARIZATIONS))
            return value
        fraction = _finite(value)
        if fraction is None or not 0 <= fraction <= 1:
            self.error(obj, value)
        return fraction


def _finite(value: Any) -> float | None:
    """Return a finite number as a float, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None
