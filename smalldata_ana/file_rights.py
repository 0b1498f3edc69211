"""Who may use a file: its group, mode and POSIX access list, handed on to another.

The layout of an access list is that of Linux' ``posix_acl_xattr.h``.  Elsewhere, and in
file systems without such lists, group and mode are all there is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

FILE_MODE = 0o664
FOLDER_MODE = 0o2775
"""What is new is the group's, whatever the umask: experiments are shared by a group."""

_ACL = "system.posix_acl_access"
_DEFAULT_ACL = "system.posix_acl_default"
_NO_ACL = (errno.ENODATA, errno.ENOTSUP, errno.ENOENT)

_USER_OBJ, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 4, 8, 16, 32
_READ_WRITE = 6
_NOBODY = 0xFFFFFFFF
_HEADER = struct.pack("<I", 2)  # the version
_ENTRY = struct.Struct("<HHI")

_AclEntry = tuple[int, int, int]
"""Tag, rights and user or group of an entry."""


@dataclass(frozen=True)
class _Rights:
    """Who may use a file.

    Attributes
    ----------
    group, mode : as `os.stat` gives them
    entries : of the access list; none if it has none
    """

    group: int
    mode: int
    entries: tuple[_AclEntry, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        state = path.stat()
        return cls(state.st_gid, stat.S_IMODE(state.st_mode), _entries(path))

    def of_new_file(self) -> Self:
        """Return, for the rights of a folder, those of a new file: not to execute."""
        entries = tuple(
            (tag, _READ_WRITE if tag == _USER_OBJ else may & _READ_WRITE, who)
            for tag, may, who in self.entries
        )
        return replace(self, mode=FILE_MODE, entries=entries)

    def with_group_listed(self) -> Self:
        """Return them with an entry by which the group keeps what it may as owner."""
        entries = self.entries or (
            (_USER_OBJ, self.mode >> 6 & 7, _NOBODY),
            (_GROUP_OBJ, self.mode >> 3 & 7, _NOBODY),
            (_MASK, self.mode >> 3 & 7, _NOBODY),
            (_OTHER, self.mode & 7, _NOBODY),
        )
        if any((tag, who) == (_GROUP, self.group) for tag, _, who in entries):
            return self
        (own,) = (may for tag, may, _ in entries if tag == _GROUP_OBJ)
        return replace(self, entries=(*entries, (_GROUP, own, self.group)))


def take_over_rights(path: int | Path, like: Path) -> bool:
    """Let everyone use a file who can use another one, or who can use its folder.

    Parameters
    ----------
    path : the file, or its descriptor; it must be the user's own
    like : the file whose group, mode and access list it gets; or its folder, of which
        it gets the group, and the access list but to execute

    Returns
    -------
    True if it has the group; where the user may not give it away, the group gets its
    rights by the access list.
    """
    rights, by_system = _Rights.of(like), False
    if like.is_dir():
        rights, by_system = rights.of_new_file(), bool(_entries(like, _DEFAULT_ACL))
    has_group = _take_group(path, rights.group)
    if not has_group and (rights.entries or not like.is_dir()):
        rights = rights.with_group_listed()
    os.chmod(path, rights.mode)
    if not by_system:
        _set_entries(path, rights.entries)
    return has_group


def make_shared_folder(folder: Path) -> None:
    """Make a folder with the group and the access list of the one that it is in.

    Raises
    ------
    FileExistsError
        if there is one
    OSError
        if it cannot be made
    """
    rights = _Rights.of(folder.parent)
    by_system = _entries(folder.parent, _DEFAULT_ACL)
    if rights.entries and not by_system:
        _make_with_list(folder, rights)
        return
    folder.mkdir(FOLDER_MODE)
    _take_group(folder, rights.group)
    if not by_system:
        _add_to_mode(folder, FOLDER_MODE)
    _add_to_mode(folder, stat.S_ISGID)


def _make_with_list(folder: Path, rights: _Rights) -> None:
    """Make a folder with an access list, which it inherits from a folder aside.

    Where the user is not in the group of a folder, setting its list or its mode would
    take its setgid bit away.
    """
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent
    ) as name:
        aside, new = Path(name), Path(name) / folder.name
        if not _take_group(aside, rights.group):
            rights = rights.with_group_listed()
        os.setxattr(aside, _DEFAULT_ACL, _packed(rights.entries))
        new.mkdir(FOLDER_MODE)
        _take_group(new, rights.group)
        _add_to_mode(new, stat.S_ISGID)
        try:
            new.rename(folder)
        except OSError as error:
            if folder.is_dir():  # another session has just made it
                raise FileExistsError(errno.EEXIST, "it is there") from error
            raise


def _add_to_mode(folder: Path, bits: int) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & bits != bits:
        folder.chmod(mode | bits)


def _take_group(path: int | Path, group: int) -> bool:
    """Give a file to a group, and tell whether it is that group's now."""
    if os.stat(path).st_gid != group:
        try:
            os.chown(path, -1, group)
        except PermissionError:
            return False
    return True


def _entries(path: Path, kind: str = _ACL) -> tuple[_AclEntry, ...]:
    """Return the entries of a file's access list, none if it has none."""
    if not hasattr(os, "getxattr"):
        return ()
    try:
        packed = os.getxattr(path, kind)
    except OSError as error:
        if error.errno not in _NO_ACL:
            raise
        return ()
    return tuple(_ENTRY.iter_unpack(packed[len(_HEADER) :]))


def _packed(entries: Iterable[_AclEntry]) -> bytes:
    return _HEADER + b"".join(
        _ENTRY.pack(tag, may, who)
        for tag, may, who in sorted(entries, key=lambda entry: (entry[0], entry[2]))
    )


def _set_entries(path: int | Path, entries: tuple[_AclEntry, ...]) -> None:
    """Give a file an access list, or none; without access lists, do nothing."""
    if not hasattr(os, "setxattr"):
        return
    if not entries:
        with contextlib.suppress(OSError):
            os.removexattr(path, _ACL)
        return
    try:
        os.setxattr(path, _ACL, _packed(entries))
    except OSError as error:
        if error.errno not in _NO_ACL:
            raise


def open_lock(lock: Path, like: Path) -> int:
    """Open a file to lock, which is made if need be; return its descriptor.

    Where only its owner may write, it is opened to read: that locks as well.

    Parameters
    ----------
    lock : the file
    like : the file or folder whose users may lock it
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except PermissionError:
        if not lock.exists():
            raise
        descriptor = os.open(lock, os.O_RDONLY)
    if os.fstat(descriptor).st_uid == os.geteuid():
        take_over_rights(descriptor, like)
    return descriptor
