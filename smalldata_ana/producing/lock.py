"""One producer at a time works on a run's parts."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from smalldata_ana.errors import FileError
from smalldata_ana.file_rights import open_lock
from smalldata_ana.safe_files import make_folder, reason

_NAME = "lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of parts, which is made if need be.

    Raises
    ------
    FileError
        if another process holds it, with who that is; or if the folder cannot be made
    """
    path = folder / _NAME
    try:
        descriptor = _taken(path)
    except BlockingIOError as error:
        raise FileError(
            f"another producer works on this run: {_holder(path)}; wait for it, or "
            "stop it first"
        ) from error
    except OSError as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path) -> int:
    """Take the lock; return its descriptor, which holds it while it is open.

    Raises
    ------
    BlockingIOError
        if another process holds it
    """
    make_folder(path.parent)
    descriptor = open_lock(path, path.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_there(path, descriptor):
            _sign(descriptor)
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    # Its holder has just removed it, because it has finished.
    os.close(descriptor)
    return _taken(path)


def _sign(descriptor: int) -> None:
    """Write into the lock who holds it, as far as it can be written."""
    with contextlib.suppress(OSError):
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_self()).encode(), 0)


def _is_there(path: Path, descriptor: int) -> bool:
    """Tell whether a path still names the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _self() -> dict[str, str]:
    now = datetime.datetime.now().astimezone()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "process": str(os.getpid()),
        "since": now.isoformat(timespec="seconds"),
    }


def _holder(path: Path) -> str:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return f"it holds {path}"
    return (
        f"{values['user']} on {values['host']}, process {values['process']}, since "
        f"{values['since']}"
    )
