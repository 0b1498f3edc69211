"""Appending to a parameter file: crashes, several people at once, rights."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import signal
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
from test_safe_files import ACL, acl_of_user_4242

import smalldata_ana.ana_funcs.image_func  # noqa: F401 (registers its kind)
from smalldata_ana.detector.mask_entries import mask_entry, stored
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.run_range import RunRange

EXPERIMENT = "xpptut15"
HEAD = f'schema = "smalldata-ana-params/1"\nexperiment = "{EXPERIMENT}"\n'
BOX = [[0, 1], [100, 120], [50, 60]]
PROCESSES = multiprocessing.get_context("fork")
LISTED_USER, OTHER_USER, GROUP = 4242, 4243, 4244


def roi(name="ROI_0", runs="1-", **more):
    return Entry("det", "roi", RunRange.parse(runs), {"ROI": BOX}, name, **more)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(HEAD + "\n# by hand\n" + roi("A").text())
    return path


def names(path):
    return [entry.name for entry in ParameterFile.load(path).entries]


def test_what_people_wrote_stays_byte_for_byte(tmp_path):
    path = tmp_path / "p.toml"
    before = (
        HEAD.replace("\n", "\r\n")
        + "# größer als früher  \r\n\t\n"
        + "[[ detector . det . roi ]]  # spaces\n"
        + "ROI=[[0,1],\n   [2,3], # in two lines\n  [4,5]]\nruns  = '''1-'''"
    ).encode()
    path.write_bytes(before)
    append(path, [roi("B")], EXPERIMENT)
    assert path.read_bytes().startswith(before + b"\n\n# exported ")
    assert names(path) == ["ROI_0", "B"]
    assert path.with_name("p.toml.bak").read_bytes() == before


def test_a_link_is_followed_with_its_lock(path, tmp_path):
    link = tmp_path / "other" / "link.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    append(link, [roi("B")], EXPERIMENT)
    assert names(path) == ["A", "B"]
    assert [p.name for p in link.parent.iterdir()] == ["link.toml"]


def test_no_backup_of_a_file_that_is_new(tmp_path):
    append(tmp_path / "p.toml", [roi()], EXPERIMENT)
    assert not (tmp_path / "p.toml.bak").exists()


# -- crashes ---------------------------------------------------------------------------

CALLS = ("fsync", "replace", "chmod", "open", "unlink")
"""Functions of `os` at which something can happen."""


def _at_call(number, happen):
    """Let something happen at the n-th of these calls, instead of it."""
    count = 0

    def wrapped(function):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == number:
                happen()
            return function(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))


def _killed(path, number):
    _at_call(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
    append(path, [roi("B")], EXPERIMENT)


def _in_process(target, *arguments):
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_killed_session_leaves_the_old_or_the_new_file(path):
    before = path.read_bytes()
    number, seen = 0, []
    code = -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        path.write_bytes(before)
        code = _in_process(_killed, path, number)
        seen.append(names(path))
        assert seen[-1] in (["A"], ["A", "B"])
        assert path.read_bytes().startswith(before)
    assert code == 0
    assert number > 8
    assert seen[0] == ["A"]
    assert seen[-1] == ["A", "B"]
    append(path, [roi("C")], EXPERIMENT)  # no lock is left
    assert names(path) == ["A", "B", "C"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_failure_leaves_the_old_or_the_new_file(path, monkeypatch, call, number):
    count = 0
    function = getattr(os, call)

    def fail(*arguments, **options):
        nonlocal count
        count += 1
        if count == number:
            raise OSError(28, "No space left on device")
        return function(*arguments, **options)

    monkeypatch.setattr(os, call, fail)
    with contextlib.suppress(FileError):
        append(path, [roi("B")], EXPERIMENT)
    assert names(path) in (["A"], ["A", "B"])
    left = {p.name for p in path.parent.iterdir()}
    assert left <= {"p.toml", "p.toml.bak", ".p.toml.lock"}


def test_the_next_export_removes_what_a_killed_one_left(path):
    left = [path.with_name(n) for n in (".p.0123_abc.toml", ".p.toml.0123_abc.bak")]
    for file in left:
        file.touch()
        os.utime(file, (0, 0))
    append(path, [roi("B")], EXPERIMENT)
    assert {p.name for p in path.parent.iterdir()} == {
        "p.toml",
        "p.toml.bak",
        ".p.toml.lock",
    }


# -- several people --------------------------------------------------------------------


def _append_when_told(path, who, told):
    told.wait(60)
    for number in range(8):
        append(path, [roi(f"{who}_{number}")], EXPERIMENT)


def test_two_sessions_at_the_same_instant_lose_nothing(path):
    told = PROCESSES.Event()
    processes = [
        PROCESSES.Process(target=_append_when_told, args=(path, who, told))
        for who in "bc"
    ]
    for process in processes:
        process.start()
    told.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(names(path)) == ["A"] + [f"{w}_{n}" for w in "bc" for n in range(8)]


def _append_automatic(path, told):
    told.wait(60)
    append(path, [roi("A", automatic=True)], EXPERIMENT)


def test_names_that_nobody_chose_stay_apart_at_the_same_instant(path):
    told = PROCESSES.Event()
    processes = [
        PROCESSES.Process(target=_append_automatic, args=(path, told)) for _ in "abcd"
    ]
    for process in processes:
        process.start()
    told.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert names(path) == ["A", "A_1", "A_2", "A_3", "A_4"]


def _become(user, groups):
    os.setgroups(groups)
    os.setgid(user)
    os.setuid(user)
    os.umask(0o077)


def _append_as(path, user, groups):
    _become(user, groups)
    append(path, [roi("B")], EXPERIMENT)


@pytest.fixture
def shared():
    """A parameter file that belongs to a group, in a folder that does; not pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.toml"
        append(path, [roi("A")], EXPERIMENT)
        append(path, [roi("first")], EXPERIMENT)
        for file in (path.parent, *path.parent.iterdir()):
            os.chown(file, -1, GROUP)
        path.parent.chmod(0o2775)
        yield path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o664, 0o660])
def test_a_second_user_leaves_group_and_mode_as_they_were(shared, mode):
    path = shared
    path.chmod(mode)
    assert _in_process(_append_as, path, OTHER_USER, [GROUP]) == 0
    state = path.stat()
    assert (state.st_gid, stat.S_IMODE(state.st_mode)) == (GROUP, mode)
    assert state.st_uid == OTHER_USER
    append(path, [roi("C")], EXPERIMENT)
    assert names(path) == ["A", "first", "B", "C"]
    assert path.stat().st_gid == GROUP
    assert stat.S_IMODE(path.with_name("p.toml.bak").stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_second_user_leaves_the_access_list_as_it_was(shared):
    path = shared
    try:
        os.setxattr(path, ACL, acl_of_user_4242())
    except (AttributeError, OSError) as error:
        pytest.skip(f"no access lists in this file system: {error}")
    # for the list, its members have the rights that the group of the file has not
    os.chown(path, OTHER_USER, GROUP)
    assert _in_process(_append_as, path, OTHER_USER, [GROUP]) == 0
    assert os.getxattr(path, ACL) == acl_of_user_4242()


@pytest.fixture
def listed():
    """A parameter file of root's, and its folder, that a user may write by a list."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.toml"
        path.write_text(HEAD + roi("A").text())
        os.chown(folder, -1, GROUP)
        os.chown(path, -1, GROUP)
        try:
            os.setxattr(folder, ACL, acl_of_user_4242(7, 5))
            os.setxattr(path, ACL, acl_of_user_4242())
        except (AttributeError, OSError) as error:
            pytest.skip(f"no access lists in this file system: {error}")
        yield path


def _export_mask_as(path, user, groups):
    _become(user, groups)
    mask = mask_entry("det", np.eye(2, dtype=int), RunRange(1), name=f"of_{user}")
    append(path, [stored(mask, path.parent)], EXPERIMENT)


def _use_as(path, user, groups):
    _become(user, groups)
    for used in (path, *path.parent.glob("masks"), *path.parent.glob("masks/*")):
        assert os.access(used, os.R_OK | os.W_OK), used


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("setgid", [0, stat.S_ISGID])
def test_users_by_access_list_and_root_export_in_turn(listed, setgid):
    path = listed
    path.parent.chmod(0o775 | setgid)
    append(path, [roi("first")], EXPERIMENT)
    assert _in_process(_export_mask_as, path, LISTED_USER, []) == 0
    assert stat.S_IMODE((path.parent / "masks").stat().st_mode) == 0o2775
    assert _in_process(_export_mask_as, path, 0, []) == 0
    assert _in_process(_export_mask_as, path, LISTED_USER, []) == 0
    users = ["of_4242", "of_0", "of_4242"]
    assert names(path) == ["A", "first", *users]
    assert problems_of_file(path) == []
    assert _in_process(_use_as, path, LISTED_USER, []) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("setgid", [0, stat.S_ISGID])
def test_the_group_keeps_its_rights_when_a_user_outside_of_it_exports(listed, setgid):
    path = listed
    os.setxattr(path.parent, ACL, acl_of_user_4242(7, 7))
    os.setxattr(path, ACL, acl_of_user_4242(6, 6))
    path.parent.chmod(0o770 | setgid)
    path.chmod(0o660)
    assert _in_process(_export_mask_as, path, LISTED_USER, []) == 0
    assert path.stat().st_mode & 0o7 == 0
    assert _in_process(_use_as, path, OTHER_USER, [GROUP]) == 0
    assert _in_process(_export_mask_as, path, OTHER_USER, [GROUP]) == 0
    assert _in_process(_use_as, path, LISTED_USER, []) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_group_keeps_its_rights_to_a_file_without_a_list(listed):
    os.removexattr(listed, ACL)
    os.chown(listed, LISTED_USER, GROUP)
    listed.chmod(0o660)
    assert _in_process(_append_as, listed, LISTED_USER, []) == 0
    assert _in_process(_use_as, listed, OTHER_USER, [GROUP]) == 0
    assert _in_process(_use_as, listed, OTHER_USER, []) != 0


def test_a_lock_that_cannot_be_had_is_said(path, monkeypatch):
    def none(_descriptor, _how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(FileError, match=r"cannot lock .*\.lock: No locks available"):
        append(path, [roi("B")], EXPERIMENT)
    path.with_name(".p.toml.lock").unlink()
    path.with_name(".p.toml.lock").mkdir()
    with pytest.raises(FileError, match="it is a folder"):
        append(path, [roi("B")], EXPERIMENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_that_only_its_owner_may_write_locks_for_others(listed):
    append(listed, [roi("first")], EXPERIMENT)
    lock = listed.with_name(".p.toml.lock")
    os.removexattr(lock, ACL)
    lock.chmod(0o644)
    assert _in_process(_append_as, listed, LISTED_USER, []) == 0
    assert names(listed) == ["A", "first", "B"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_the_right_changes_nothing(shared):
    before = shared.read_bytes()
    assert _in_process(_append_as, shared, OTHER_USER, []) != 0
    assert shared.read_bytes() == before


# -- what goes together ----------------------------------------------------------------


def test_a_name_that_another_kind_has_is_refused(path):
    other = Entry("det", "image", RunRange(5, 9), {}, "A")
    before = path.read_bytes()
    says = r"wrong:\ndetector\.det\.image 'A', runs 5-9: line 5: .* same name$"
    with pytest.raises(ParameterError, match=says):
        append(path, [other], EXPERIMENT)
    assert path.read_bytes() == before


def test_an_old_problem_does_not_stop_anybody(path):
    path.write_text(path.read_text() + roi("B", of="gone").text())
    append(path, [roi("C")], EXPERIMENT)
    with pytest.raises(ParameterError, match="no function 'lost' in det"):
        append(path, [roi("D", of="lost")], EXPERIMENT)


@pytest.mark.parametrize(
    "body",
    ['[detector.det]\nroi = [{ runs = "1-" }]\n', "detector = { det = {} }\n"],
)
def test_entries_inside_of_brackets(tmp_path, body):
    path = tmp_path / "p.toml"
    path.write_text(HEAD + body)
    with pytest.raises(
        ParameterError, match=r"was not changed: .*\[\[detector\.<name>"
    ):
        append(path, [roi()], EXPERIMENT)
    assert path.read_text() == HEAD + body


@pytest.mark.parametrize(
    ("older", "new", "added"),
    [
        ([], "12-", ["12-"]),
        (["1-"], "12-", ["12-"]),
        (["20-30"], "12-", ["12-", "20-30"]),
        (["20-"], "12-", ["12-", "20-"]),
        (["20-30", "20-25", "40-"], "12-45", ["12-45", "20-30", "40-45"]),
        (["12-15", "46-", "11-"], "12-45", ["12-45"]),
    ],
)
def test_replacing_closes_the_older_ranges(path, older, new, added):
    append(path, [roi("X", runs) for runs in older], EXPERIMENT)
    before = path.read_bytes()
    done = append(path, [roi("X", new, of=None)], EXPERIMENT, replacing_older=True)
    assert [str(e.runs) for e in done.entries] == added
    assert path.read_bytes().startswith(before)
    for run in (12, 20, 25, 30, 31, 40, 45):
        if run in RunRange.parse(new):
            chosen = ParameterFile.load(path).resolve(run).detectors["det"]
            (winner,) = [e for e in chosen if e.name == "X"]
            assert winner in done.entries
