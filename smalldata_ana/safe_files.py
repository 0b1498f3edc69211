"""Write files so that nobody sees half of one, and a group can go on with them.

A file is written aside, in the folder where it belongs, and renamed when it is
complete.  What is replaced passes its mode, group and access list on to its successor;
renaming alone would lose them.  What is new takes group and access list of its folder.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from smalldata_ana.errors import FileError
from smalldata_ana.file_rights import make_shared_folder, take_over_rights

logger = logging.getLogger(__name__)

LEFT_AFTER = 3600.0
"""Age [s] at which a file aside was left by a session that was killed."""

ANY_AGE = -math.inf
"""For files aside of which a lock tells that nobody writes them."""

_FULL = "the disk is full; free some space, and try again"
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the quota is used up; free some space, and try again",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "there is no folder of that name",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder",
}


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], *, like: Path | None = None
) -> Iterator[Path]:
    """Write a file aside, and put it in its place when it is complete.

    Use it in a ``with`` statement, which gives the path to write to: an empty file in
    the same folder, with the same suffix.  If the statement ends in an error, the file
    is removed, and one that was there before is untouched.

    Parameters
    ----------
    path : the file to make or to replace; where it is a symbolic link, the file that
        it points to
    like : the file whose mode, group and access list it gets, whatever the file was
        that it replaces, which is then a copy to throw away; by default the one that
        it replaces; what is new is writable by the group, and by those who can write
        in the folder by its access list

    Raises
    ------
    FileError
        if the file cannot be written: no folder, no permission, the disk is full; also
        for an `OSError` in the body of the statement
    """
    target = Path(os.path.realpath(path))
    aside: Path | None = None
    try:
        there = like is not None or _can_be_replaced(target)
        aside = _empty_file_beside(target)
        yield aside
        has_group = take_over_rights(
            aside, (like or target) if there else target.parent
        )
        if there and like is None and not has_group:
            logger.warning("%s: its group could not be kept", target)
        _flush(aside)
        os.replace(aside, target)
        aside = None
        _flush(target.parent)
    except OSError as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it, writable by the group; keep what exists.

    A new one has the group and the access list of the one that it is in, as far as the
    user may give them.

    Raises
    ------
    FileError
        if it cannot be made
    """
    folder = Path(path)
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        for new in reversed(missing):
            with contextlib.suppress(FileExistsError):
                make_shared_folder(new)
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise FileError(f"cannot make the folder {folder}: it is a file") from error
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {reason(error)}") from error
    return folder


def asides(path: Path) -> Iterator[Path]:
    """Yield the files that sessions write, or have left, to replace a file.

    Parameters
    ----------
    path : the file; its name may have wildcards
    """
    target = Path(os.path.realpath(path))
    random = "[a-z0-9_]" * 8  # of `tempfile`
    yield from target.parent.glob(f".{target.stem}.{random}{target.suffix}")


def remove_asides(path: Path, *, older_than: float = LEFT_AFTER) -> None:
    """Remove what killed sessions left beside a file when they were replacing it.

    Parameters
    ----------
    path : the file; its name may have wildcards
    older_than : age [s] from which on they are removed
    """
    remove_old(asides(path), older_than=older_than)


def remove_old(
    paths: Iterable[Path], *, only_empty: bool = False, older_than: float = LEFT_AFTER
) -> None:
    """Remove files, or the empty ones of them, from an age [s] on.

    What may not be removed stays.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            state = path.lstat()
            old = time.time() - state.st_mtime >= older_than
            if old and not (only_empty and state.st_size):
                path.unlink()


def reason(error: OSError) -> str:
    """Return in plain words why something could not be written."""
    known = _REASONS.get(error.errno or 0)
    return known or error.strerror or str(error)


def _can_be_replaced(target: Path) -> bool:
    """Tell whether there is a file to replace, which must be one that we may write."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    there = target.exists()
    if there and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "no permission")
    return there


def _empty_file_beside(target: Path) -> Path:
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    )
    os.close(descriptor)
    return Path(name)


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
