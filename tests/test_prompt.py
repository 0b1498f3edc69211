"""The prompt, as a user at a terminal has it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest
import session_run

OUT = r"SDAna In \[\d+\]: "
LAUNCHER = Path(session_run.__file__)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the session and waits for its first prompt."""
    shells = []

    def begin(*options: str, detectors=("epix100", "opal"), **environment: str):
        run = session_run.write(tmp_path, detectors)
        given = ["-r", "14", "-e", session_run.EXPERIMENT, "-d", str(tmp_path)]
        options = (*given, "--HistoryManager.hist_file=:memory:", *options)
        shell = pexpect.spawn(
            sys.executable,
            [str(LAUNCHER), *options],
            env=_environment(tmp_path) | {"SESSION_RUN": str(run)} | environment,
            cwd=tmp_path,
            encoding="utf8",
            timeout=60,
            dimensions=(60, 200),
        )
        shells.append(shell)
        shell.expect(r"SDAna .*In .*\[.*1.*\]: ")
        shell.greeting = shell.before
        return shell

    yield begin
    for shell in shells:
        shell.close(force=True)


def _environment(folder: Path) -> dict[str, str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "EXPERIMENT", "RUN_NUM")
    return {k: v for k, v in os.environ.items() if k not in hidden} | {
        "IPYTHONDIR": str(folder / "ipython"),
        "HOME": str(folder),
        "MPLBACKEND": "Agg",
        "PAGER": "cat",
        "PYTHONPATH": str(LAUNCHER.parents[1]),
    }


def say(shell: pexpect.spawn, line: str) -> str:
    """Type a line, and return what is printed before the next prompt."""
    shell.sendline(line)
    shell.expect(OUT)
    return shell.before


def test_greeting_prompt_errors_and_help(start):
    shell = start("--simple-prompt")
    assert "xpptut15 run 14: 40 events" in shell.greeting
    assert "epix100" in shell.greeting
    assert "1 x 30 x 20" in shell.greeting
    assert "constants" in shell.greeting
    assert shell.greeting.count("anaps.") >= 5
    assert "SDAna Out[1]: 42" in say(shell, "6 * 7")
    refused = say(shell, "anaps.AvImage('epix10')")
    assert "no area detector 'epix10' in xpptut15 run 14" in refused
    assert "Did you mean 'epix100'?" in refused
    assert "Traceback" not in refused
    assert "numEvts : how many events" in say(shell, "anaps.AvImage?")
    assert "AvImage" in say(shell, "print(get_ipython().complete('anaps.AvI'))")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


def test_detector_is_asked_for_by_number_or_name_with_a_default(start):
    shell = start("--simple-prompt")
    question = r"Select area detector by number or name \[epix100\] "
    shell.sendline("img = anaps.AvImage(numEvts=5)")
    shell.expect(question)
    shell.sendline("opla")
    shell.expect("Did you mean 'opal'")
    shell.expect(question)
    shell.sendline("?")
    shell.expect("Enter takes the name in brackets, Ctrl-C leaves")
    shell.expect(question)
    shell.sendcontrol("c")
    shell.expect("error: no area detector was chosen; there are 'epix100', 'opal'")
    shell.expect(OUT)
    shell.sendline("img = anaps.AvImage(numEvts=5)")
    shell.expect(question)
    shell.sendline("2")
    shell.expect("AvImg_raw_opal")
    shell.expect(OUT)
    shell.sendline("img = anaps.AvImage(numEvts=5)")
    shell.expect(r"\[opal\] ")
    shell.sendline("")
    shell.expect("AvImg_raw_opal")


def test_one_detector_is_taken_and_completed(start):
    shell = start("--simple-prompt", detectors=("epix100",))
    said = say(shell, "img = anaps.AvImage(numEvts=5)")
    assert "AvImg_raw_epix100" in said
    assert "8 dropped X-ray shots" in said
    assert "AvImg_raw_epix100" in say(
        shell, "print(get_ipython().complete('anaps.AvImg'))"
    )
    assert "AvImg_raw_epix100" in say(
        shell, "print(get_ipython().complete('anaps.images[\"A'))"
    )


def test_interrupt_keeps_the_events_so_far_and_the_session(start):
    shell = start("--simple-prompt", detectors=("epix100",), SECONDS_PER_EVENT="0.2")
    shell.sendline("img = anaps.AvImage(numEvts=-1)")
    shell.expect("average of epix100")
    time.sleep(1)
    shell.kill(signal.SIGINT)
    shell.expect("interrupted, 32 were asked for")
    shell.expect(OUT)
    assert "Traceback" not in shell.before
    assert "True" in say(shell, "print(0 < img.n_used < 32)")


def test_interrupt_while_finishing_keeps_all_events(start):
    shell = start("--simple-prompt", detectors=("epix100",))
    say(shell, "import smalldata_ana.statistics as s, time")
    say(shell, "slow = lambda *a: (print('fini' + 'shing'), time.sleep(2)) and None")
    say(shell, "s.RunningStatistics.median = slow")
    shell.sendline("img = anaps.AvImage(numEvts=-1, median=True)")
    shell.expect("finishing\r")
    shell.kill(signal.SIGINT)
    shell.expect("of 32 events.*interrupted")
    shell.expect(OUT)
    assert "True" in say(shell, "print(img.n_used == 32)")


def test_interrupt_of_other_code_is_one_line(start):
    shell = start("--simple-prompt")
    shell.sendline("print('going'); __import__('time').sleep(60)")
    shell.expect("going\r")
    shell.kill(signal.SIGINT)
    shell.expect("interrupted")
    said = shell.before
    shell.sendline()
    shell.expect(OUT)
    assert "Traceback" not in said + shell.before


def test_figures_without_a_display_become_files(start, tmp_path):
    shell = start("--simple-prompt")
    said = say(shell, "plt.figure('a line'); plt.plot([1, 2])")
    path = tmp_path / "images/xpptut15_Run0014_a_line.png"
    assert str(path) in said
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert str(path) not in say(shell, "1")
    assert str(path) in say(shell, "plt.plot([2, 1])")
    assert path.read_bytes() != first


def test_prompt_with_colours_and_completion_menu(start):
    shell = start(TERM="xterm")
    assert "Traceback" not in shell.greeting
    # The terminal is sent what changes on the line, or a menu; either ends like this.
    # A key that comes while the prompt is still being drawn may be lost.
    for _ in range(10):
        shell.send("anaps.expo\t")
        if shell.expect(["rtParams", pexpect.TIMEOUT], timeout=5) == 0:
            return
        shell.sendintr()
    pytest.fail("the Tab key completes nothing")
