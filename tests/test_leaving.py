"""Leaving the prompt with something that was not exported."""

from __future__ import annotations

import sys

import pexpect
import pytest
import session_run
from test_prompt import LAUNCHER, _environment, say, start  # noqa: F401 (a fixture)

ACCEPT = (
    "from smalldata_ana.parameters.entry import Entry; "
    "from smalldata_ana.parameters.run_range import RunRange; "
    "anaps.pending.append(Entry('opal', 'roi', RunRange(14), {}, 'A'))"
)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_it_asks_once(start, tmp_path, answer):  # noqa: F811
    params = tmp_path / "p.toml"
    shell = start("--simple-prompt", "--params", str(params))
    say(shell, ACCEPT)
    shell.sendline("exit")
    shell.expect(r"Export 1 accepted entry to .*p\.toml\? \(y/n\) \[n\]: ")
    assert "not exported: detector.opal.roi 'A', runs 14-" in shell.before
    shell.sendline(answer)
    shell.expect(pexpect.EOF)
    assert "Export" not in shell.before
    assert params.exists() == (answer == "y")


def test_code_without_a_prompt_is_never_asked(tmp_path):
    run = session_run.write(tmp_path)
    shell = pexpect.spawn(
        sys.executable,
        [str(LAUNCHER), "-r", "14", "-e", session_run.EXPERIMENT, "-c", ACCEPT],
        env=_environment(tmp_path) | {"SESSION_RUN": str(run)},
        cwd=tmp_path,
        encoding="utf8",
        timeout=60,
    )
    shell.expect(pexpect.EOF)
    shell.close()
    assert "xport" not in shell.before
    assert shell.exitstatus == 0
