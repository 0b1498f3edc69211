"""Arguments of the session's commands are checked before anything is done with them.

What is wrong is then said in one line, with the argument's name, instead of by an error
from the depths of the work.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from smalldata_ana.errors import ParameterError, unknown

Method = Callable[..., Any]
_YES_OR_NO = (bool, np.bool_)


@dataclass(frozen=True)
class _Wanted:
    """One type of argument.

    Attributes
    ----------
    words : what it is called
    fits : tells whether a value is of the type
    """

    words: str
    fits: Callable[[Any], bool]


def _number(kind: type) -> Callable[[Any], bool]:
    # To Python, True is a number; to whoever gives it in its place, it is a slip.
    return lambda value: isinstance(value, kind) and not isinstance(value, _YES_OR_NO)


_TYPES = {
    "bool": _Wanted(
        "True or False",
        lambda value: isinstance(value, (*_YES_OR_NO, Integral)) and value in (0, 1),
    ),
    "int": _Wanted("a whole number", _number(Integral)),
    "float": _Wanted("a number", _number(Real)),
    "str": _Wanted("a text in quotes", lambda value: isinstance(value, str)),
    "None": _Wanted("None", lambda value: value is None),
}
"""By their names in annotations; others are checked where they are used."""


class _Plain(str):
    """An annotation that help shows as it is written, without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def check_arguments(commands: type) -> None:
    """Let all public methods of a class check their arguments; help stays as it was.

    Parameters
    ----------
    commands : the class, of a module with postponed annotations; its methods then
        raise `ParameterError` for an unknown argument, and for a value that is not of
        the annotated type, as far as that is made of bool, int, float, str and None
    """
    for name, method in list(vars(commands).items()):
        if isinstance(method, types.FunctionType) and not name.startswith("_"):
            setattr(commands, name, _checked(method))


def _checked(method: Method) -> Method:
    signature = inspect.signature(method)
    wanted = {name: _wanted(p.annotation) for name, p in signature.parameters.items()}

    @functools.wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        given = _bound(method.__name__, signature, args, options)
        for name, value in given.items():
            if wanted[name] and not any(w.fits(value) for w in wanted[name]):
                words = " or ".join(w.words for w in wanted[name])
                raise ParameterError(
                    f"{method.__name__}: {name} = {value!r} is not {words}"
                )
        return method(*args, **options)

    checked.__signature__ = _as_written(signature)  # type: ignore[attr-defined]
    return checked


def _wanted(annotation: object) -> list[_Wanted]:
    """Return what an annotation allows, or nothing where that is not simple."""
    names = str(annotation).split(" | ")
    return [_TYPES[name] for name in names] if _TYPES.keys() >= set(names) else []


def _bound(
    command: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return by name what was given."""
    names = list(signature.parameters)[1:]  # without self
    for name in options:
        if name not in names:
            raise ParameterError(unknown("argument", name, names, command))
    try:
        return signature.bind(*args, **options).arguments
    except TypeError as error:
        raise ParameterError(f"{command}: {error}") from None


def _as_written(signature: inspect.Signature) -> inspect.Signature:
    return signature.replace(
        parameters=[
            p.replace(annotation=_Plain(p.annotation)) if _given(p.annotation) else p
            for p in signature.parameters.values()
        ],
        return_annotation=_Plain(signature.return_annotation),
    )


def _given(annotation: object) -> bool:
    return annotation is not inspect.Parameter.empty
