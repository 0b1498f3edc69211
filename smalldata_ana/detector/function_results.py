"""Results and parameters of a detector's functions, chained ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smalldata_ana.detector.protocol import Array, Field, Function
from smalldata_ana.errors import ParameterError

Fields = Mapping[str, Mapping[str, Field]]
"""The results of each function, by its name."""


def missing_results(fields: Mapping[str, Field]) -> dict[str, Array]:
    """Return what stands for results in an event without data."""
    return {key: field.missing() for key, field in fields.items()}


def as_described(
    found: Mapping[str, Any], fields: Mapping[str, Field]
) -> dict[str, Array]:
    """Return results as arrays of the types and shapes that were described.

    Raises
    ------
    ParameterError
        if one has another type or shape, is missing, or was not described
    """
    different = found.keys() ^ fields.keys()
    if different:
        raise ParameterError(
            f"the results {sorted(different)} are not both described and found; "
            "`describe` and `process` must agree, in every event"
        )
    return {key: fields[key].checked(key, value) for key, value in found.items()}


def functions_as_dict(funcs: Mapping[str, Function]) -> dict[str, Any]:
    """Return the parameters of functions and of those chained to them.

    Returns
    -------
    The parameters as ``<function>__<chained>_<parameter>``, where a function counts as
    chained to itself.
    """
    return {
        f"{name}__{path}_{key}": value
        for name, outer in funcs.items()
        for path, func in with_chained(outer)
        for key, value in func.params_as_dict().items()
    }


def with_chained(func: Function) -> Iterator[tuple[str, Function]]:
    """Yield a function, and those below it with the names that lead to them.

    A function counts as chained to itself.
    """
    yield func.name, func
    for name, chained in func.funcs.items():
        yield from _below(name, chained)


def _below(path: str, func: Function) -> Iterator[tuple[str, Function]]:
    yield path, func
    for name, chained in func.funcs.items():
        yield from _below(f"{path}_{name}", chained)
