"""What the parameter file may hold: one traitlets class per kind of entry or table.

A class declares its parameters as traits and registers itself under the name of its
kind; there is no second list of kinds or parameters anywhere.  The analysis functions
register themselves when `smalldata_ana.ana_funcs` is imported.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from traitlets import Bool, HasTraits, List, TraitError, TraitType, validate

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters.no_numbers import no_number

Model = TypeVar("Model", bound="type[Parameters]")

NAME = "name"
"""The parameter of kinds of which a detector may have several."""

_OWNER = re.compile(r"The (?:value of the )?('\w+') trait of an? \w+ instance")
_ELEMENT = re.compile(
    r"contains +which expected <traitlets\S+ object at \w+>, not the str (['\"])(.*)\1"
)

_kinds: dict[str, type[Parameters]] = {}
_tables: dict[str, TableKind] = {}


class Parameters(HasTraits):
    """A set of named and validated parameters: every trait is one.

    Where a number is wanted, true, false and NaN are refused, whatever the trait, and
    a text where a list is.

    Traits tagged ``file=False`` cannot stand in a parameter file; those tagged
    ``required=True`` must stand in every entry that is not switched off.  Results do
    not depend on those tagged ``determines=False``.

    Attributes
    ----------
    has_results : True if its name is that of results, which no other entry of the
        detector may have
    is_open : True if it may have parameters that are not known
    is_own : True if its objects are made by a file of the user
    always_numbered : True if the first entry without a name has a number in it too

    Raises
    ------
    ParameterError
        if a keyword is unknown, or a value is not allowed
    """

    has_results: ClassVar[bool] = True
    always_numbered: ClassVar[bool] = False
    is_open: ClassVar[bool] = False
    is_own: ClassVar[bool] = False

    def __init__(self, **values: Any) -> None:
        known = self.trait_names()
        for key in values:
            if key not in known:
                owner = type(self).__name__
                raise ParameterError(unknown("parameter", key, known, owner))
        try:
            super().__init__(**values)
        except TraitError as error:
            raise ParameterError(_in_plain_words(error)) from error

    def __setattr__(self, name: str, value: Any) -> None:
        trait = getattr(type(self), name, None)
        if isinstance(trait, List) and isinstance(value, str):
            # Of one text, and of nothing else, traitlets would make a list.
            raise TraitError(f"{name} = {value!r} is not a list; write [{value!r}]")
        wrong = no_number(trait, value) if isinstance(trait, TraitType) else ""
        if wrong:
            # What the trait itself says against it is more exact.
            object.__setattr__(type(self).__new__(type(self)), name, value)
            raise TraitError(f"{name} = {value!r}: {wrong} is no number")
        super().__setattr__(name, value)

    @validate(NAME)
    def _can_be_stored(self, proposal: Mapping[str, Any]) -> Any:
        name = proposal["value"]
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise TraitError(f"{name!r} is not a name; a name has no '/'")
        return name

    @classmethod
    def file_keys(cls) -> tuple[str, ...]:
        """Return the parameters that a parameter file may give."""
        traits: Mapping[str, Any] = cls.class_traits()
        return tuple(k for k, t in traits.items() if t.metadata.get("file", True))

    @classmethod
    def chosen_by(cls, values: Mapping[str, Any]) -> type[Parameters]:
        """Return the class whose parameters the values of an entry are.

        It is this one, if the values do not choose another.
        """
        return cls

    @classmethod
    def made_of(cls, values: Mapping[str, Any]) -> Parameters:
        """Return an object with the values of an entry.

        Raises
        ------
        ParameterError
            if a parameter is unknown or has a value that is not allowed
        """
        return cls(**values)

    @classmethod
    def is_named(cls) -> bool:
        """Tell whether a detector may have several of this kind, each with a name."""
        return NAME in cls.class_trait_names()

    def files(self, name: str) -> tuple[str, ...]:
        """Return what a table of this name makes files of: ends of their names."""
        return ()

    @classmethod
    def default_name(cls, values: Mapping[str, Any]) -> str:
        """Return what results are called if no name is given.

        Parameters
        ----------
        values : other parameters, which the name may depend on
        """
        made = cls.__new__(cls)
        for key, value in values.items():
            setattr(made, key, value)
        name: str = getattr(made, NAME)
        return name

    @classmethod
    def required_keys(cls) -> tuple[str, ...]:
        """Return the parameters that an entry must give."""
        return tuple(cls.class_traits(required=True))

    @classmethod
    def check_value(cls, key: str, value: Any) -> None:
        """Check one parameter alone, whatever else an object of the class needs.

        Raises
        ------
        ParameterError
            if the value is not allowed
        """
        try:
            setattr(cls.__new__(cls), key, value)
        except TraitError as error:
            raise ParameterError(_in_plain_words(error)) from error

    @classmethod
    def partly(cls, values: Mapping[str, Any]) -> Self:
        """Return an object with those of some values that are right by themselves.

        It is there to be looked at: nothing was checked beside the single values.
        """
        made = cls.__new__(cls)
        for key in set(values) & set(cls.file_keys()):
            with contextlib.suppress(TraitError):
                setattr(made, key, values[key])
        return made

    @classmethod
    def lacking(
        cls, values: Mapping[str, Any], beside: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[str]:
        """Say what an entry needs that neither it nor the others of its detector say.

        Parameters
        ----------
        values : of the entry, with its name
        beside : values of the others, by kind, of those of which there is but one
        """
        yield from ()

    def problems_beside(self, folder: Path) -> Iterator[str]:
        """Say what is wrong with the files that the parameters name.

        It is asked of objects that `partly` made, too, and says what can be known.

        Parameters
        ----------
        folder : of the parameter file; relative paths begin there
        """
        yield from ()


def _in_plain_words(error: TraitError) -> str:
    """Return what is wrong with a value, without the inner names of traitlets."""
    text = _ELEMENT.sub(r"has a wrong element: \2", str(error))
    return _OWNER.sub(r"\1", text).replace("'None'", "it")


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


@dataclass(frozen=True)
class TableKind:
    """A kind of table that stands beside the detectors.

    Attributes
    ----------
    model : the class of its parameters
    named : False for one table ``[<kind>]``, True for many ``[<kind>.<name>]``
    """

    model: type[Parameters]
    named: bool


def register_table(kind: str, *, named: bool = False) -> Callable[[Model], Model]:
    """Return a class decorator that makes a class the model of a kind of table.

    Parameters
    ----------
    kind : the name in the parameter file
    named : False for one table ``[<kind>]`` of a file; True for any number of
        ``[<kind>.<name>]``, which may have ``runs`` and ``enabled`` beside their
        parameters
    """

    def enter(model: Model) -> Model:
        _tables[kind] = TableKind(model, named)
        return model

    return enter


def table_kinds() -> Mapping[str, TableKind]:
    """Return all kinds of tables that are registered."""
    return _tables


@register("use")
class UseParameters(Parameters):
    """Whether a detector takes part at all."""

    use = Bool(help="false switches the detector off").tag(required=True)
