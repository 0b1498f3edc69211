"""Call the functions of a ``prod_config``; run as a program of its own.

``python -I runner.py MODULE OUTPUT BEGIN END FUNCTION...`` writes as JSON what each
function returns for each run.  It needs nothing but Python, so that the module meets
neither this package nor its caller.

What the module imports and is not there (smalldata_tools' own plots, say) gets a
stand-in: an error comes only where it is used.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import re
import runpy
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

NO_DATA = "no data"
"""The only key of what is written for a value that is no data; its value tells it."""


class _Absent:
    """A module that is not there, or something of it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> _Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self._path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self._path.partition(".")[0]
        raise ModuleNotFoundError(
            f"{self._path} is used, and there is no module {module}: put it beside the "
            "file, or leave out what uses it"
        )

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)  # so that classes can be derived from it

    def __repr__(self) -> str:
        return f"{self._path}, of a module that is not there"


class _Import:
    """The import statement, with stand-ins for what a module imports.

    Parameters
    ----------
    module : the file; what other files import is there, or an error
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._import = builtins.__import__
        self._excused = set(_lines_in_try(Path(module)))
        self.absent: set[str] = set()

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        try:
            return self._import(name, globals, locals, fromlist or (), level)
        except ModuleNotFoundError:
            if not self._stands_in_for(inspect.currentframe()):
                raise
        self.absent.add(name)
        return _Absent(name if fromlist else name.partition(".")[0])

    def _stands_in_for(self, frame: FrameType | None) -> bool:
        """Tell whether the caller of a frame is the module, and expects no error."""
        caller = frame.f_back if frame else None
        if caller is None or caller.f_code.co_filename != self._module:
            return False
        return caller.f_lineno not in self._excused


def _lines_in_try(module: Path) -> Iterator[int]:
    """Yield the lines where a module is prepared for an import that fails."""
    try:
        tree = ast.parse(module.read_bytes())
    except SyntaxError:
        return  # its execution tells
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            for inside in node.body:
                yield from range(inside.lineno, (inside.end_lineno or 0) + 1)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what is no data is a text of it in a dict."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, slice) and _is_range(value):
        value = [value.start or 0, value.stop]
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if not isinstance(value, _Absent) and hasattr(value, "tolist"):
        return _plain(value.tolist())  # an array, or a number of numpy
    return {NO_DATA: re.sub(" at 0x[0-9a-f]+", "", repr(value))}


def _is_range(value: slice) -> bool:
    ends = [value.start or 0, value.stop]
    return value.step in {None, 1} and all(isinstance(end, int) for end in ends)


def main(module: str, output: str, begin: str, end: str, *functions: str) -> None:
    """Write what the functions of a module return for each run.

    Parameters
    ----------
    module : the file
    output : the file to write
    begin, end : first and last run
    functions : names to look for
    """
    sys.path.insert(0, str(Path(module).parent))
    importing = _Import(module)
    vars(builtins)["__import__"] = importing
    names = runpy.run_path(module)
    runs = range(int(begin), int(end) + 1)
    found = {
        name: names[name]
        for name in functions
        if callable(names.get(name)) and not isinstance(names[name], _Absent)
    }
    public = {k: v for k, v in names.items() if not k.startswith("_")}
    lists = {k: v for k, v in public.items() if isinstance(v, list | tuple)}
    settings = {
        k: v for k, v in public.items() if isinstance(v, bool | int | float | str)
    }
    values = {name: [call(run) for run in runs] for name, call in found.items()}
    defined = sorted(k for k, v in names.items() if callable(v))
    told = {"functions": values, "lists": lists, "defined": defined}
    told |= {"settings": settings, "absent": sorted(importing.absent)}
    text = json.dumps(_plain(told))
    Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
