"""Call the functions of a ``prod_config``; run as a program of its own.

``python -I runner.py MODULE OUTPUT BEGIN END FUNCTION...`` writes as JSON what each
function returns for each run.  It needs nothing but Python, so that the module meets
neither this package nor its caller.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def _plain(value: Any) -> Any:
    """Return as plain values what JSON does not know: arrays, sets, numpy's numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no parameter")


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
    names = runpy.run_path(module)
    runs = range(int(begin), int(end) + 1)
    found = {name: names[name] for name in functions if callable(names.get(name))}
    public = {k: v for k, v in names.items() if not k.startswith("_")}
    lists = {k: v for k, v in public.items() if isinstance(v, list | tuple)}
    settings = {
        k: v for k, v in public.items() if isinstance(v, bool | int | float | str)
    }
    values = {name: [call(run) for run in runs] for name, call in found.items()}
    defined = sorted(k for k, v in names.items() if callable(v))
    told = {"functions": values, "lists": lists, "defined": defined}
    told |= {"settings": settings}
    text = json.dumps(told, default=_plain)
    Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
