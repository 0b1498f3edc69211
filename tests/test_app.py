"""The command line of the session: options, configuration, exit codes, set-up."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import session_run

from smalldata_ana.errors import ExperimentNotFound, UsageError
from smalldata_ana.places import places
from smalldata_ana.session import experiment as which
from smalldata_ana.session import prompts
from smalldata_ana.session.app import main
from smalldata_ana.session.application import SessionApp
from smalldata_ana.session.background import Background
from smalldata_ana.session.figures import toolkit
from smalldata_ana.session.options import OPTIONS
from smalldata_ana.session.preferences import Display

GIVEN = ("-r", "14", "-e", session_run.EXPERIMENT)


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """Work in an empty folder, with an empty home, and nothing in the environment."""
    for name in ("EXPERIMENT", "RUN_NUM", "SIT_PSDM_DATA", "DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Let the session open a small run, and close its figures."""
    module = session_run.stand_in_for_opening(session_run.write(tmp_path))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield
    plt.close("all")


def code(text: str) -> int:
    """Run code in the session, and return the exit code."""
    status = main([*GIVEN, "-d", str(Path.cwd()), "-c", text])
    plt.close("all")
    return status


def status_of(arguments: list[str]) -> object:
    """Return the exit code, also where the parser of the arguments exits."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def configured(*arguments: str) -> SessionApp:
    app = SessionApp()
    app.configure(arguments)
    return app


# ---- options -------------------------------------------------------------------------


def test_help_explains_each_option_with_its_default(capsys):
    with pytest.raises(SystemExit) as end:
        main(["-h"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert all(flag in text for flag in option.flags)
    assert text.count("(default:") == len(OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--runn", "3"], "unknown argument '--runn'"),
        ([*GIVEN, "more"], "unknown argument 'more'"),
        ([*GIVEN, "--Display.limits=(9, 1)"], "two growing percentiles"),
        ([*GIVEN, "--Display.limits=red"], "'limits' trait of a Display"),
        ([*GIVEN, "--Display.cmap=virids"], "Did you mean 'viridis'?"),
        ([*GIVEN, "--live=maybe"], "ignored explicit argument 'maybe'"),
        (["-r", "one"], "invalid int value: 'one'"),
        (["--log-level", "loud"], "invalid choice"),
        (["-c", "1", "--script", "x.py"], "not allowed with"),
        (["-r", "1"], "no experiment: give it with -e"),
        (["-e", "xpptut15"], "no run of xpptut15: give it with -r"),
        (["-r", "1", "-e", "XPP"], "'XPP' is not the name of an experiment"),
        (["-r", "99", "-e", "xpptut15"], "no run 99 of xpptut15"),
        ([*GIVEN, "--script", "absent.py"], "the script 'absent.py' cannot be read"),
    ],
)
@pytest.mark.usefixtures("run")
def test_wrong_arguments_end_with_one_line_and_code_2(arguments, told, capsys):
    if "--script" not in arguments:
        arguments = [*arguments, "-c", ""]
    assert status_of(arguments) == 2
    errors = capsys.readouterr().err
    assert told in errors
    assert "Traceback" not in errors


@pytest.mark.usefixtures("run")
def test_traceback_at_debug_level(caplog):
    assert main(["-r", "99", "-e", "xpptut15", "-c", "", "--log-level", "debug"]) == 2
    assert "Traceback" in caplog.text


def test_command_line_wins_over_working_directory_over_home(tmp_path):
    home = tmp_path / "home/.smalldata_ana"
    home.mkdir(parents=True)
    name = "smalldata_ana_config.py"
    (home / name).write_text(
        "c.Display.cmap = 'gray'\nc.Display.use_mask = True\nc.SessionApp.run = 1\n"
    )
    (tmp_path / name).write_text("c.Display.cmap = 'hot'\nc.SessionApp.run = 2\n")
    display = Display(parent=configured())
    assert (display.cmap, display.use_mask) == ("hot", True)
    assert configured().run == 2
    assert configured("-r", "3").run == 3
    assert Display(parent=configured("--Display.cmap=jet")).cmap == "jet"
    assert Display(parent=configured("--Display.limits=(1, 99)")).limits == (1.0, 99.0)


@pytest.mark.parametrize(
    "text", ["c.Display.cmap = ", "c.SessionApp.live = 'perhaps'", "1/0"]
)
def test_wrong_configuration_ends_with_code_2(tmp_path, text, capsys):
    (tmp_path / "smalldata_ana_config.py").write_text(text)
    assert code("") == 2
    assert "Traceback" not in capsys.readouterr().err


# ---- code without a prompt -----------------------------------------------------------


@pytest.mark.usefixtures("run")
def test_code_runs_in_the_namespace_of_the_session(capsys):
    assert code("print(len(anaps.run), np.pi, plt.gcf)") == 0
    assert capsys.readouterr().out.startswith("40 3.14159")


@pytest.mark.usefixtures("run")
def test_script_runs_as_main_program(tmp_path, capsys):
    script = tmp_path / "mine.py"
    script.write_text("if __name__ == '__main__':\n    print(anaps.run.number)\n")
    assert main([*GIVEN, "--script", str(script)]) == 0
    assert capsys.readouterr().out == "14\n"


@pytest.mark.usefixtures("run")
def test_error_of_the_package_in_code_is_one_line_and_code_1(capsys):
    assert code("anaps.AvImage('epix')") == 1
    errors = capsys.readouterr().err
    assert "no area detector 'epix' in xpptut15 run 14" in errors
    assert "Traceback" not in errors


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("text", "told"),
    [("1 / 0", "ZeroDivisionError"), ("1 +", "SyntaxError"), ("anap", "NameError")],
)
def test_other_error_in_code_shows_the_users_traceback(text, told, capsys):
    assert code(text) == 1
    errors = capsys.readouterr().err
    assert told in errors
    assert "session/batch.py" not in errors


@pytest.mark.usefixtures("run")
def test_nobody_is_asked_without_a_prompt(capsys):
    assert code("anaps.AvImage()") == 1
    assert "which area detector? there are 'epix100', 'opal'" in capsys.readouterr().err


@pytest.mark.usefixtures("run")
def test_exit_in_code_gives_its_own_code():
    with pytest.raises(SystemExit) as end:
        code("raise SystemExit(5)")
    assert end.value.code == 5


@pytest.mark.usefixtures("run")
def test_interrupt_in_code_gives_130(capsys):
    assert code("raise KeyboardInterrupt") == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("run")
def test_figures_of_code_become_files_that_never_replace_others(tmp_path, capsys):
    for number in ("", "_2", "_3"):
        assert code("plt.figure('q / A'); plt.plot([1, 2])") == 0
        path = tmp_path / f"images/xpptut15_Run0014_q_A{number}.png"
        assert str(path) in capsys.readouterr().out
        assert path.read_bytes().startswith(b"\x89PNG")
        assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.usefixtures("run")
def test_pictures_are_called_as_their_images(tmp_path):
    show = "anaps.plotAvImage();"
    assert code(f"anaps.AvImage('opal', numEvts=5); {show} {show}") == 0
    names = {path.name for path in (tmp_path / "images").iterdir()}
    stem = "xpptut15_Run0014_AvImg_raw_opal"
    assert names == {f"{stem}.png", f"{stem}_2.png"}


@pytest.mark.usefixtures("run")
def test_no_row_or_column_is_lost_in_pictures(tmp_path):
    lines = "a = np.zeros((1500, 1500)); a[:, ::150] = 1; a[::150] = 1;"
    assert code(f"{lines} plt.imshow(a, cmap='gray'); plt.axis('off')") == 0
    picture = plt.imread(tmp_path / "images/xpptut15_Run0014_figure.png")[..., 0]
    dark = picture < 0.1
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    for line, begin in ((dark[:, columns[5]], rows[0]), (dark[rows[5]], columns[0])):
        # Between the lines, and after the last one, it is dark.
        assert np.count_nonzero(np.diff(line[begin:].astype(int)) == -1) == 10


@pytest.mark.usefixtures("run")
def test_figures_go_to_the_working_directory_where_there_is_no_folder(tmp_path, capsys):
    (tmp_path / "images").write_text("a file")
    assert code("plt.plot([1, 2])") == 0
    assert (tmp_path / "xpptut15_Run0014_figure.png").exists()
    assert "images: it is a file; taking the working" in capsys.readouterr().err


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("save", "name"),
    [
        ("plt.plot([1, 2])", "images/xpptut15_Run0014_figure.png"),
        ("anaps.saveAvImage()", "images/xpptut15_Run0014_AvImg_raw_opal.h5"),
        ("anaps.saveScript()", "scripts/xpptut15_Run0014.py"),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_the_folder_of_an_experiment_is_never_made(
    tmp_path, monkeypatch, capsys, save, name, there
):
    monkeypatch.setenv("SIT_PSDM_DATA", str(tmp_path / "data"))
    root = tmp_path / "data/xpp/xpptut15"
    if there:
        root.mkdir(parents=True)
    text = f"anaps.AvImage('opal', numEvts=5); {save}"
    assert main([*GIVEN, "-c", text]) == 0
    plt.close("all")
    said = capsys.readouterr().err
    if there:
        assert (root / "results/smalldata_ana" / name).exists()
        assert "working directory" not in said
    else:
        assert (tmp_path / Path(name).name).exists()
        assert not (tmp_path / "data").exists()
        assert f"xpptut15 has no folder {root}; taking the working dir" in said


# ---- which experiment, which run -----------------------------------------------------


def test_experiment_as_given_then_environment_then_folder(tmp_path, monkeypatch):
    folder = tmp_path / "xpp/xppl1001021/results"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert which.find_experiment(environment={}) == "xppl1001021"
    environment = {"EXPERIMENT": "cxil0001"}
    assert which.find_experiment(environment=environment) == "cxil0001"
    assert which.find_experiment("rixl1", environment=environment) == "rixl1"
    assert which.from_folder(Path("/a/xpp/other/xcs")) is None


def test_logbook_is_asked_at_slac_only_and_not_for_long(monkeypatch):
    asked = []

    def no_network(url: str, timeout: float) -> None:
        asked.append(timeout)
        raise OSError("no network")

    monkeypatch.setattr(which.urllib.request, "urlopen", no_network)
    monkeypatch.setattr(which, "at_slac", lambda: False)
    with pytest.raises(ExperimentNotFound, match="-e xppsim01"):
        which.find_experiment(environment={})
    assert asked == []
    monkeypatch.setattr(which, "at_slac", lambda: True)
    with pytest.raises(ExperimentNotFound, match=r"no network.*-e xppsim01"):
        which.find_experiment(environment={})
    assert asked == [5.0]


def test_run_from_the_environment():
    assert which.find_run(None, environment={"RUN_NUM": "7"}) == 7
    assert which.find_run(3, environment={"RUN_NUM": "7"}) == 3
    assert which.find_run(environment={}) is None
    with pytest.raises(UsageError, match=r"\$RUN_NUM is 'x'"):
        which.find_run(environment={"RUN_NUM": "x"})


# ---- windows, questions, background --------------------------------------------------


def test_toolkit(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert toolkit({}) is None
    assert toolkit({"MPLBACKEND": "Agg", "DISPLAY": ":0"}) is None
    assert toolkit({"MPLBACKEND": "QtAgg"}) == "qt"
    there = {"tkinter", "_tkinter"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there)
    assert toolkit({"DISPLAY": ":0"}) == "tk"
    there.add("PyQt6")
    assert toolkit({"WAYLAND_DISPLAY": "wayland-0"}) == "qt"
    assert toolkit({"DISPLAY": ":0"}, simple_prompt=True) == "tk"
    there.clear()
    assert toolkit({"DISPLAY": ":0"}) is None


def test_end_of_input_at_a_question_is_an_error(monkeypatch):
    monkeypatch.setattr(prompts, "somebody_there", lambda: True)

    def end(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    with pytest.raises(UsageError, match="no detector was chosen; there are 'a', 'b'"):
        prompts.choose("detector", ["a", "b"], ask=True)


@pytest.mark.parametrize(
    ("answer", "meaning"), [("", "b"), ("1", "a"), ("a", "a"), ("2", "2")]
)
def test_a_choice_is_asked_for_until_the_answer_makes_sense(
    monkeypatch, capsys, answer, meaning
):
    monkeypatch.setattr(prompts, "somebody_there", lambda: True)
    typed = iter(["x", "?", "y", "z", "0", "4", answer])
    monkeypatch.setattr("builtins.input", lambda question: next(typed))
    names = ["a", "b", "2"]
    assert prompts.choose("detector", names, default="b", ask=True) == meaning
    said = capsys.readouterr().out
    assert said.count("is none of 'a', 'b', '2'") == 5
    assert "Enter takes the name in brackets" in said


def test_background_raises_the_error_each_time():
    work = Background(lambda: int("x"), "test")
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            work.result(5)
    assert not work.succeeded


# ---- setup ---------------------------------------------------------------------------


def test_setup_makes_the_folders_for_the_group_and_says_so(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("smalldata_ana.places.at_slac", lambda: False)
    monkeypatch.setenv("SIT_PSDM_DATA", str(tmp_path))
    root = tmp_path / "xpp/xpptut15"
    assert main(["setup", "-e", "xpptut15"]) == 2
    assert f"no folder {root}" in capsys.readouterr().err
    root.mkdir(parents=True)
    before = os.umask(0o077)
    try:
        assert main(["setup", "-e", "xpptut15"]) == 0
    finally:
        os.umask(before)
    where = places("xpptut15")
    made = [where.results, where.params.parent, where.calib, where.images, where.cubes]
    told = capsys.readouterr().out
    for folder in (*made, where.smalldata, root / "results", root / "hdf5"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o2775
    assert all(f"made: {folder}" in told for folder in made)
    assert main(["setup", "-e", "xpptut15"]) == 0
    assert f"there already: {where.calib}" in capsys.readouterr().out
