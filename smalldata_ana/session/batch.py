"""The user's code without a prompt: ``-c`` and ``--script``."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from smalldata_ana.errors import FileError, SmallDataError

EXIT_USER_CODE = 1


def read_script(path: str) -> str:
    """Return the text of a script.

    Raises
    ------
    FileError
        if it cannot be read
    """
    try:
        return Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the script {path!r} cannot be read: {error}") from error


def run_code(
    code: str, filename: str, namespace: dict[str, Any], *, debug: bool = False
) -> int:
    """Run code as a main program, and return the exit code.

    An error of this package prints its one line, another one its traceback, without
    our own frames.

    Parameters
    ----------
    code : Python code
    filename : where it is from, for tracebacks
    namespace : its names
    debug : print a traceback for every error
    """
    try:
        exec(compile(code, filename, "exec"), namespace)
    except SmallDataError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_CODE
    except Exception as error:
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, frames)
        return EXIT_USER_CODE
    return 0
