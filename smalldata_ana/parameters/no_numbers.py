"""What Python takes for a number, and a parameter must not: true, false and NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, List, TraitType, Union

Trait = TraitType[Any, Any]


def no_number(trait: Trait, value: Any) -> str:
    """Return what stands in a value where its trait wants a number.

    Parameters
    ----------
    trait : only a `Bool`, or a container of anything, has a place for a bool
    value : lists and mappings are looked through, arrays are not

    Returns
    -------
    The value as TOML has it: ``true``, ``false`` or ``nan``; empty if there is none.
    """
    if isinstance(value, bool):
        return "" if _takes(trait, Bool) else str(value).lower()
    if isinstance(value, float):
        return "nan" if math.isnan(value) and not _takes(trait) else ""
    inner = _elements(trait, value)
    return next(filter(None, (no_number(t, v) for t, v in inner)), "")


def _takes(trait: Trait, *kinds: type[Trait]) -> bool:
    """Tell whether a trait is of some kind, or for anything."""
    return any(isinstance(t, kinds) or type(t) is AnyTrait for t in _choices(trait))


def _choices(trait: Trait) -> list[Trait]:
    return list(trait.trait_types) if isinstance(trait, Union) else [trait]


def _elements(trait: Trait, value: Any) -> list[tuple[Trait, Any]]:
    """Return the elements of a value with their traits.

    The elements of what is no container of traitlets, for instance of a region, have
    the trait of the whole.
    """
    traits: list[Trait | None] = []
    values: list[Any] = []
    if isinstance(value, Mapping):
        values = list(value.values())
        kinds = [t for t in _choices(trait) if isinstance(t, Dict)]
        traits = [getattr(t, "_value_trait", None) for t in kinds]
    elif isinstance(value, list | tuple):
        values = list(value)
        lists = [t for t in _choices(trait) if isinstance(t, List)]
        traits = [getattr(t, "_trait", None) for t in lists]
    inner = Union([t or AnyTrait() for t in traits]) if traits else trait
    return [(inner, element) for element in values]
