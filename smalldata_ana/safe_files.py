"""Write files so that nobody sees half of one, and a group can go on with them.

A file is written aside, in the folder where it belongs, and renamed when it is
complete.  What is replaced passes its mode, group and access list on to its successor;
renaming alone would lose them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smalldata_ana.errors import FileError

logger = logging.getLogger(__name__)

FILE_MODE = 0o664
FOLDER_MODE = 0o2775
"""What is new is the group's, whatever the umask: experiments are shared by a group."""

_ACL = "system.posix_acl_access"
_NO_ACL = (errno.ENODATA, errno.ENOTSUP, errno.ENOENT)
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
        it replaces; what is new is writable by the group

    Raises
    ------
    FileError
        if the file cannot be written: no folder, no permission, the disk is full; also
        for an `OSError` in the body of the statement
    """
    target = Path(os.path.realpath(path))
    aside: Path | None = None
    try:
        before = _before(target) if like is None else like.stat()
        aside = _empty_file_beside(target)
        yield aside
        _take_over_rights(like or target, aside, before)
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
                new.mkdir()
                new.chmod(FOLDER_MODE)
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise FileError(f"cannot make the folder {folder}: it is a file") from error
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {reason(error)}") from error
    return folder


def reason(error: OSError) -> str:
    """Return in plain words why something could not be written."""
    known = _REASONS.get(error.errno or 0)
    return known or error.strerror or str(error)


def _before(target: Path) -> os.stat_result | None:
    """Return the state of the file to replace, which must be one that we may write."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "no permission")
    return before


def _empty_file_beside(target: Path) -> Path:
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    )
    os.close(descriptor)
    return Path(name)


def _take_over_rights(target: Path, aside: Path, before: os.stat_result | None) -> None:
    if before is None:
        aside.chmod(FILE_MODE)
        return
    if aside.stat().st_gid != before.st_gid:
        try:
            os.chown(aside, -1, before.st_gid)
        except PermissionError:
            logger.warning("%s: its group could not be kept", target)
    aside.chmod(stat.S_IMODE(before.st_mode))
    if hasattr(os, "getxattr"):
        _copy_acl(target, aside)


def _copy_acl(source: Path, target: Path) -> None:
    """Give a file the access list of another, or none if that has none."""
    try:
        os.setxattr(target, _ACL, os.getxattr(source, _ACL))
    except OSError as error:
        if error.errno not in _NO_ACL:
            raise
        with contextlib.suppress(OSError):
            os.removexattr(target, _ACL)


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
