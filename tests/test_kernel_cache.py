"""Compiled kernels are kept where the user can write, and where nobody else can."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from smalldata_ana.kernels import cache_folder

UNWRITABLE = "/proc/none"  # for root as well
KERNEL = """
from smalldata_ana.kernels import njit

@njit("f8(f8)")
def double(x):
    return 2 * x

print(double(4.0))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, for a user whose cache cannot be written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", UNWRITABLE)
    return tmp_path


def test_the_cache_of_the_package_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache/numba"


def test_a_session_runs_where_the_home_cannot_be_written(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KERNEL)
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, script],
        env=keep | {"HOME": UNWRITABLE, "TMPDIR": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout == "8.0\n", done.stderr
    assert "set SMALLDATA_ANA_CACHE" in done.stderr
    folder = tmp_path / f"smalldata_ana_{os.getuid()}"
    assert list(folder.rglob("*.nbc"))


def test_a_cache_that_cannot_be_written_is_said(
    temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        folder = cache_folder()
    assert folder == temporary / f"smalldata_ana_{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "SMALLDATA_ANA_CACHE" in caplog.text
    assert UNWRITABLE in caplog.text
    assert cache_folder() == folder


def test_a_write_protected_cache(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", str(temporary / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cache_folder().parent == temporary
    assert "cache/numba is write-protected" in caplog.text


def test_without_a_home(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SMALLDATA_ANA_CACHE")
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder().parent == temporary


@pytest.mark.parametrize("what", ["open to others", "a link", "a file"])
def test_code_is_not_taken_from_where_others_can_write(
    temporary: Path, what: str
) -> None:
    planted = temporary / f"smalldata_ana_{os.getuid()}"
    if what == "open to others":
        planted.mkdir()
        planted.chmod(0o777)
    elif what == "a link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        planted.symlink_to("elsewhere")
    else:
        planted.touch()
    folder = cache_folder()
    assert folder.parent == temporary
    assert folder != planted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
