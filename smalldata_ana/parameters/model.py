"""What an entry of the parameter file may hold: one traitlets class per kind.

A class declares its parameters as traits and registers itself under the name of its
kind; there is no second list of kinds or parameters anywhere.  The analysis functions
register themselves when `smalldata_ana.ana_funcs` is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from traitlets import (
    Bool,
    Dict,
    Float,
    HasTraits,
    Int,
    List,
    TraitError,
    Unicode,
    Union,
)

from smalldata_ana.errors import ParameterError, unknown

Model = TypeVar("Model", bound="type[Parameters]")

_kinds: dict[str, type[Parameters]] = {}


class Parameters(HasTraits):
    """A set of named and validated parameters: every trait is one.

    Traits tagged ``file=False`` cannot stand in a parameter file.

    Raises
    ------
    ParameterError
        if a keyword is unknown, or a value is not allowed
    """

    def __init__(self, **values: Any) -> None:
        known = self.trait_names()
        for key in values:
            if key not in known:
                owner = type(self).__name__
                raise ParameterError(unknown("parameter", key, known, owner))
        try:
            super().__init__(**values)
        except TraitError as error:
            raise ParameterError(str(error)) from error

    @classmethod
    def file_keys(cls) -> tuple[str, ...]:
        """Return the parameters that a parameter file may give."""
        traits: Mapping[str, Any] = cls.class_traits()
        return tuple(k for k, t in traits.items() if t.metadata.get("file", True))

    @classmethod
    def is_named(cls) -> bool:
        """Tell whether a detector may have several of this kind, each with a name."""
        return "name" in cls.class_trait_names()


def register(kind: str) -> Callable[[Model], Model]:
    """Return a class decorator that makes a class the model of a kind of entry.

    Parameters
    ----------
    kind : the name in the parameter file: ``[[detector.<det>.<kind>]]``
    """

    def enter(model: Model) -> Model:
        _kinds[kind] = model
        return model

    return enter


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds that are registered."""
    return tuple(sorted(_kinds))


def model_of(kind: str) -> type[Parameters]:
    """Return the class of a kind.

    Raises
    ------
    ParameterError
        if there is no such kind
    """
    if kind not in _kinds:
        raise ParameterError(unknown("kind of entry", kind, kinds()))
    return _kinds[kind]


@register("use")
class UseParameters(Parameters):
    """Whether a detector takes part at all."""

    use = Bool(help="false switches the detector off")


@register("common_mode")
class CommonModeParameters(Parameters):
    """How a detector is calibrated."""

    common_mode = Union(
        [Int(), List(Union([Int(), Float()]), minlen=1), Dict(key_trait=Unicode())],
        help="number of the common mode, or psana's parameters as a list, for instance "
        "[7, 2, 100, 10]; -1 is raw, 0 pedestal and gain; a table where the number "
        "needs more: { number = 81, region = [[0, 100], [0, 512]] }, or "
        '{ number = 180, ghost = "file.h5" }',
    )
