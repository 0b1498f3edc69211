"""Files are written aside, keep what they replace had, and say what failed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from smalldata_ana.errors import FileError
from smalldata_ana.safe_files import make_folder, reason, remove_asides, replacing

ROOT = os.geteuid() == 0
ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"


@pytest.fixture
def _narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text)


@pytest.mark.usefixtures("_narrow_umask")
def test_a_new_file_is_the_groups_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o664
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_aside_is_in_the_same_folder_with_the_same_suffix(
    tmp_path: Path,
) -> None:
    with replacing(tmp_path / "a.npy") as aside:
        assert aside.parent == tmp_path
        assert aside.suffix == ".npy"
        assert aside.name.startswith(".")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")

    def interrupted() -> None:
        with replacing(path) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("kept", [0o640, 0o664, 0o600])
def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(kept)
    write(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == kept


@pytest.mark.skipif(not ROOT, reason="only root can give a file to any group")
def test_the_group_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, -1, 12345)
    write(path, "new")
    assert path.stat().st_gid == 12345


def acl_of_user_4242(may: int = 6, others: int = 4) -> bytes:
    """An access list as the kernel stores it: user 4242 may read and write."""
    entries = [
        (1, may, -1),
        (2, may, 4242),
        (4, others, -1),
        (16, may, -1),
        (32, others, -1),
    ]
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + rights.to_bytes(2, "little")
        + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, rights, who in entries
    )


def test_the_access_list_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    try:
        os.setxattr(path, ACL, acl_of_user_4242())
    except (AttributeError, OSError) as error:
        pytest.skip(f"no access lists in this file system: {error}")
    write(path, "new")
    assert os.getxattr(path, ACL) == acl_of_user_4242()


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder in which user 4242 may write by an access list, without a default."""
    folder = tmp_path / "listed"
    folder.mkdir()
    try:
        os.setxattr(folder, ACL, acl_of_user_4242(7, 5))
    except (AttributeError, OSError) as error:
        pytest.skip(f"no access lists in this file system: {error}")
    return folder


@pytest.mark.usefixtures("_narrow_umask")
def test_who_may_write_in_a_folder_by_its_list_may_write_what_is_new(
    listed: Path,
) -> None:
    write(listed / "a.txt", "new")
    assert os.getxattr(listed / "a.txt", ACL) == acl_of_user_4242()
    make_folder(listed / "a/b")
    for folder in (listed / "a", listed / "a/b"):
        assert os.getxattr(folder, ACL) == acl_of_user_4242(7, 5)
        assert mode(folder) == 0o2775
    write(listed / "a/b/c.txt", "new")
    assert not list(listed.glob(".*"))


@pytest.mark.usefixtures("_narrow_umask")
def test_the_default_list_of_a_folder_goes_before_its_list(listed: Path) -> None:
    os.setxattr(listed, DEFAULT_ACL, acl_of_user_4242(7, 0))
    write(listed / "a.txt", "new")
    assert mode(listed / "a.txt") == 0o664
    make_folder(listed / "a")
    assert os.getxattr(listed / "a", ACL) == acl_of_user_4242(7, 0)
    assert mode(listed / "a") == 0o2770


@pytest.mark.skipif(not ROOT, reason="only root can give a folder to any group")
def test_what_is_new_is_of_the_group_of_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, -1, 12345)
    write(tmp_path / "a.txt", "new")
    make_folder(tmp_path / "a/b")
    for name in ("a.txt", "a", "a/b"):
        assert (tmp_path / name).stat().st_gid == 12345


def test_a_folder_that_another_session_has_just_made_is_kept(
    listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        target.mkdir()
        (target / "theirs").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    make_folder(listed / "a")
    assert [p.name for p in listed.rglob("*")] == ["a", "theirs"]


def test_what_killed_sessions_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = [".a.0123_abc.txt", ".a.0123.txt", ".b.0123_abc.txt", "a.txt"]
    for name in names:
        (tmp_path / name).touch()
    remove_asides(tmp_path / "a.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    for name in names:
        os.utime(tmp_path / name, (0, 0))
    remove_asides(tmp_path / "a.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_text("old")
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_a_full_disk_is_said_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"cannot write .*a\.txt: the disk is full"):
        write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_of_the_system_while_writing_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match="the quota is used up"),
        replacing(tmp_path / "a.txt"),
    ):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no folder"):
        write(tmp_path / "nowhere/a.txt", "new")


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="it is a folder"):
        write(tmp_path, "new")


def test_a_write_protected_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o444)
    if ROOT:
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FileError, match="no permission"):
        write(path, "new")
    assert path.read_text() == "old"


@pytest.mark.usefixtures("_narrow_umask")
def test_new_folders_are_the_groups(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert make_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert mode(tmp_path / "a") == mode(tmp_path / "a/b") == 0o2775
    make_folder(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(FileError, match="it is a file"):
        make_folder(tmp_path / "a")
    with pytest.raises(FileError, match="a part of the path is a file"):
        make_folder(tmp_path / "a/b")


def test_an_error_without_a_number_has_its_own_text() -> None:
    assert reason(OSError("unable to flush")) == "unable to flush"
