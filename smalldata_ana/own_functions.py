"""Own functions: `DetObjectFunc` classes of users that a parameter file may call.

A Python file that is given with ``--functions FILE`` registers them:

    @own_function("bright")
    class BrightPixels(DetObjectFunc):
        ...

and an entry of the parameter file says which one, with its parameters:

    [[detector.epix100.function]]
    runs = "12-"
    call = "bright"

The parameter file is never the reason that something is executed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from traitlets import TraitError, Unicode, default, validate

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters.entry import COMMON_KEYS
from smalldata_ana.parameters.model import Parameters, register
from smalldata_ana.parameters.user_code import CodeFile, traceback_from

Function = TypeVar("Function", bound=type[DetObjectFunc])

_functions: dict[str, type[DetObjectFunc]] = {}
_loaded: list[CodeFile] = []


def own_function(call: str) -> Callable[[Function], Function]:
    """Return a class decorator that registers an own function.

    Parameters
    ----------
    call : the name in the parameter file: ``call = "…"``

    Raises
    ------
    ParameterError
        if the name is taken, if it is no class of a `DetObjectFunc`, or if one of its
        parameters has a name that means something else in every entry
    """

    def enter(function: Function) -> Function:
        _check(call, function)
        _functions[call] = function
        return function

    return enter


def _check(call: str, function: Any) -> None:
    if not (isinstance(function, type) and issubclass(function, DetObjectFunc)):
        raise ParameterError(
            f"own function {call!r} is {function!r}, not a class of DetObjectFunc"
        )
    other = _functions.get(call)
    if other is not None and other.__module__ == function.__module__ != "__main__":
        raise ParameterError(f"there are two own functions {call!r}")
    for key in (*COMMON_KEYS, "call"):
        if key in function.class_trait_names():
            raise ParameterError(
                f"own function {call!r} has a parameter {key!r}, which every entry "
                "has; give it another name"
            )


def load_functions(path: Path, sha256: str | None = None) -> CodeFile:
    """Register the own functions of a file, and forget those of other files.

    Another process does the same with what is returned:
    ``load_functions(code.path, code.sha256)``.  A file that is loaded already is not
    executed again.

    Parameters
    ----------
    path : the Python file
    sha256 : checksum that it must have, or None for any

    Raises
    ------
    FileError
        if the file cannot be read
    ParameterError
        if it registers no function, or has another checksum
    UserCodeError
        if its code fails
    """
    code = CodeFile.of(path)
    if sha256 is not None and code.sha256 != sha256:
        raise ParameterError(f"{path} has changed meanwhile; start again")
    if code in _loaded:
        return code
    before = dict(_functions)
    _functions.clear()
    try:
        code.execute()
        if not _functions:
            raise ParameterError(
                f'{path} registers no function; write @own_function("<name>") '
                "above its classes"
            )
    except BaseException:
        _functions.clear()
        _functions.update(before)
        raise
    _loaded[:] = [code]
    return code


def own_traceback(error: BaseException, function: type[Parameters]) -> str:
    """Return the traceback of an error, from the file of an own function on.

    Parameters
    ----------
    error : what its code has raised
    function : its class
    """
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return traceback_from(error, None if file is None else Path(file))


@register("function")
class OwnFunctionParameters(Parameters):
    """The call of an own function, whose parameters stand beside these."""

    is_open = True
    is_own = True

    call = Unicode(
        help="the name that the own function is registered with by the file that is "
        "given with --functions"
    ).tag(required=True)
    name = Unicode(help="what the results are called: <name>_<key>")

    @default("name")
    def _called(self) -> str:
        return self.call or "function"

    @validate("call")
    def _is_registered(self, proposal: Mapping[str, Any]) -> Any:
        call = proposal["value"]
        if _functions and call not in _functions:
            raise TraitError(unknown("own function", call, _functions))
        return call

    @classmethod
    def chosen_by(cls, values: Mapping[str, Any]) -> type[Parameters]:
        """Return the class of the function that is called, if it is registered."""
        call = values.get("call")
        return _functions.get(call, cls) if isinstance(call, str) else cls

    @classmethod
    def made_of(cls, values: Mapping[str, Any]) -> Parameters:
        """Return the function; see `Parameters`."""
        parameters = dict(values)
        call = parameters.pop("call", "")
        cls.check_value("call", call)
        if not _functions:
            raise ParameterError(
                f"call = {call!r}: own functions are registered by a Python file; give "
                "it with --functions FILE"
            )
        return _functions[call](**parameters)
