"""Python files that a user gives on the command line, and that are executed.

Nothing is ever executed because a parameter file names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from smalldata_ana.errors import FileError, ParameterError, UserCodeError
from smalldata_ana.safe_files import reason

DEFINE_DETS = "define_dets"
"""The function of a ``prod_config`` that makes detectors."""


@dataclass(frozen=True)
class CodeFile:
    """A Python file of a user, as it was when it was read.

    Attributes
    ----------
    path : the file
    sha256 : its checksum
    """

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> CodeFile:
        """Return a file as it is now.

        Raises
        ------
        FileError
            if it does not exist or cannot be read
        """
        path = path.absolute()
        return cls(path, hashlib.sha256(_content(path)).hexdigest())

    def execute(self, names: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Execute the file, and return the names that it defines.

        Parameters
        ----------
        names : what the code finds defined already

        Raises
        ------
        FileError
            if it cannot be read
        ParameterError
            if it is not as it was when it was read
        UserCodeError
            if the code fails
        """
        content = _content(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ParameterError(f"{self.path} has changed meanwhile; start again")
        module = ModuleType(f"{self.path.stem}_{self.sha256[:12]}")
        module.__file__ = str(self.path)
        vars(module).update(names or {})
        sys.modules[module.__name__] = module  # so that its classes can be pickled
        folder = str(self.path.parent)
        if folder not in sys.path:
            sys.path.append(folder)  # for modules beside the file, also later
        with user_code(self.path):
            exec(compile(content, self.path, "exec"), vars(module))
        return vars(module)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"there is no file {path}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason(error)}") from error


@contextlib.contextmanager
def user_code(path: Path) -> Iterator[None]:
    """Turn what goes wrong in the code of a file into a `UserCodeError`.

    Its text has the traceback from the first line of that file on.

    Parameters
    ----------
    path : the file that is executed
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"{path} failed\n{traceback_from(error, path)}") from error


def traceback_from(error: BaseException, path: Path | None) -> str:
    """Return the traceback of an error, from the first line of a file on.

    Parameters
    ----------
    error : the error
    path : the file, or None for all lines; where it is not in the traceback, there are
        no lines
    """
    told = traceback.TracebackException.from_exception(error)
    files = [None if path is None else frame.filename for frame in told.stack]
    wanted = None if path is None else str(path)
    first = files.index(wanted) if wanted in files else len(files)
    told.stack = traceback.StackSummary.from_list(told.stack[first:])
    return "".join(told.format(chain=False)).rstrip()
