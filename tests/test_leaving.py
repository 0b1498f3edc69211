"""Leaving the prompt with something that was not exported."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pexpect
import pytest
import session_run
from terminal import Talk
from test_prompt import LAUNCHER, OUT, _environment, say, start  # noqa: F401 (a fixture)

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session import leaving
from smalldata_ana.session.leaving import may_leave
from smalldata_ana.session.state import SessionState
from smalldata_ana.session.tools.roi import RoiTool

ACCEPT = (
    "from smalldata_ana.parameters.entry import Entry; "
    "from smalldata_ana.parameters.run_range import RunRange; "
    "anaps.pending.append(Entry('opal', 'roi', RunRange(14), {}, 'A'))"
)


QUESTION = r"Export 1 accepted entry to .*p\.toml\? \(y/n\) "


@pytest.fixture
def session(tmp_path):
    where = places("xpptut15", params=tmp_path / "p.toml")
    detectors = {"det": SimpleNamespace(shape=(24, 16))}
    run = SimpleNamespace(number=12, experiment="xpptut15", detectors=detectors)
    session = SessionState(run, places_of=lambda experiment: where, interactive=True)
    box = {"ROI": [[0, 1], [4, 20], [5, 15]]}
    session.pending.append(Entry("det", "roi", RunRange(12), box, "A"))
    return session


@pytest.mark.parametrize(
    ("answers", "leaves", "written"),
    [
        (["y"], True, True),
        (["Yes"], True, True),
        (["n"], True, False),
        ([""], False, False),
        ([KeyboardInterrupt], False, False),
        ([EOFError], False, False),
        (["maybe", "?", "n"], True, False),
        (["what", ""], False, False),
    ],
)
def test_only_a_clear_no_forgets_what_was_accepted(session, answers, leaves, written):
    talk = Talk(*answers)
    assert may_leave(session, talk.dialogue) == leaves
    assert len(talk.prompts) == len(answers)
    assert session.places.params.exists() == written
    assert len(session.pending) == (not written)
    assert ("leaves and forgets" in "".join(talk.lines)) == ("?" in answers)


@pytest.mark.parametrize("wrong", ["schema = 7\n", 'schema = "smalldata-ana-params'])
def test_a_failed_export_goes_back_to_the_session(session, capsys, wrong):
    session.places.params.write_text(wrong)
    assert not may_leave(session, Talk("y").dialogue)
    said = capsys.readouterr().out
    assert "error: " in said
    assert "p.toml" in said
    assert "anaps.exportParams(path=" in said
    assert len(session.pending) == 1
    assert session.places.params.read_text() == wrong


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_whatever_happens_while_exporting(session, monkeypatch, capsys, error):
    def export(session):
        raise error

    monkeypatch.setattr(leaving, "export_params", export)
    assert not may_leave(session, Talk("y").dialogue)
    assert len(session.pending) == 1
    assert "anaps.exportParams(" in capsys.readouterr().out


def test_leaving_with_nothing_pending_asks_nothing(session):
    session.pending.clear()
    assert may_leave(session, Talk().dialogue)


@pytest.mark.parametrize(
    ("answers", "leaves"),
    [(["y"], True), (["n"], False), ([""], False), ([KeyboardInterrupt], False)],
)
def test_what_is_drawn_and_not_accepted_is_asked_for(session, capsys, answers, leaves):
    session.pending.clear()
    tool = RoiTool(session, "det", ROI=[[2, 8], [3, 9]])
    talk = Talk(*answers)
    assert may_leave(session, talk.dialogue) == leaves
    assert talk.prompts == ["Leave without accepting? (y/n) "]
    assert f"not accepted: {tool!r}" in capsys.readouterr().out


def test_one_question_is_asked_about_all(session, capsys):
    tool = RoiTool(session, "det", ROI=[[2, 8], [3, 9]])
    talk = Talk("")
    assert not may_leave(session, talk.dialogue)
    (prompt,) = talk.prompts
    assert "Export 1 accepted entry" in prompt
    said = capsys.readouterr().out
    assert "not exported: detector.det.roi 'A'" in said
    assert f"not accepted: {tool!r}" in said


@pytest.mark.parametrize("what", ["interactive", "somebody"])
def test_nobody_is_asked_who_is_not_there(session, monkeypatch, capsys, what):
    monkeypatch.setattr(leaving, "somebody_there", lambda: what != "somebody")
    session.interactive = what != "interactive"
    assert may_leave(session)
    assert "not exported: detector.det.roi 'A'" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["y", "n"])
def test_it_asks_once(start, tmp_path, answer):  # noqa: F811
    params = tmp_path / "p.toml"
    shell = start("--simple-prompt", "--params", str(params))
    say(shell, ACCEPT)
    shell.sendline("exit")
    shell.expect(QUESTION)
    assert "not exported: detector.opal.roi 'A', runs 14-" in shell.before
    shell.sendline(answer)
    shell.expect(pexpect.EOF)
    assert "Export" not in shell.before
    assert params.exists() == (answer == "y")


def test_a_wrong_file_does_not_end_the_session(start, tmp_path):  # noqa: F811
    params, other = tmp_path / "p.toml", tmp_path / "q.toml"
    shell = start("--simple-prompt", "--params", str(params))
    say(shell, ACCEPT)
    params.write_text("this is = no toml =\n")
    shell.sendline("exit")
    shell.expect(QUESTION)
    shell.sendline("perhaps")
    shell.expect("neither y")
    shell.sendline("y")
    shell.expect("error: ")
    shell.expect(r"exportParams\(path=")
    shell.expect(OUT)
    said = say(shell, f"anaps.exportParams(path={str(other)!r})")
    assert other.exists(), said
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    assert "Export" not in shell.before


def test_a_mask_that_is_not_accepted_is_not_lost(start, tmp_path):  # noqa: F811
    params = tmp_path / "p.toml"
    shell = start("--simple-prompt", "--params", str(params))
    say(shell, "mask = anaps.MakeMask('opal', shapes=[{'shape': 'edges'}])")
    say(shell, "mask.add({'shape': 'circle', 'center': [12, 8], 'radius': 3})")
    shell.sendline("exit")
    shell.expect(r"not accepted: <MaskTool: opal, 2 layers")
    shell.expect(r"Leave without accepting\? \(y/n\) ")
    shell.sendline("n")
    shell.expect(OUT)
    say(shell, "mask.accept()")
    shell.sendline("exit")
    shell.expect(QUESTION)
    assert "not accepted" not in shell.before
    shell.sendline("y")
    shell.expect(pexpect.EOF)
    assert "detector.opal.mask" in params.read_text()


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
