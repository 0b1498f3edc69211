"""What reads a command's output may go away, as in ``| head``: no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from producing_run import ENVIRONMENT, PRODUCER
from simulated import make

COMMAND = """\
import sys
from smalldata_ana.commands import run_command, say

@run_command
def main(argv):
    {how}("x" * 100_000)
    {how}("more")
    {last}
    return 3

sys.exit(main())
"""


def ended(*arguments: object) -> tuple[int, str]:
    """Run Python without a reader of its output; return exit code and stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [sys.executable, *map(str, arguments)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )
    os.close(writer)
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    ("how", "last", "expected"),
    [
        ("print", "", (141, "")),
        ("say", "", (3, "")),
        ("say", "print('done', file=sys.stderr)", (3, "done\n")),
    ],
)
def test_a_command_ends_quietly(how, last, expected):
    assert ended("-c", COMMAND.format(how=how, last=last)) == expected


def test_another_broken_pipe_is_an_error():
    last = "raise BrokenPipeError('of a worker')"
    found = subprocess.run(
        [sys.executable, "-c", COMMAND.format(how="say", last=last)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "BrokenPipeError: of a worker" in found.stderr


def test_the_file_is_made_all_the_same(tmp_path):
    made = make(tmp_path / "run", events=2)
    where = ["--xtc-dir", made.xtc_dir, "-d", tmp_path / "out", "--nproc", 1]
    code, said = ended(PRODUCER, "-e", "xppsim01", "-r", "1,1-2", "--default", *where)
    assert code == 2
    assert (tmp_path / "out/xppsim01_Run0001.h5").exists()
    assert "error: run 2: no files of xppsim01 run 2" in said
    assert "Traceback" not in said
