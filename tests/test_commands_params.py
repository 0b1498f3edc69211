"""``smalldata-ana params``: check, show, and what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from smalldata_ana.commands.params import main
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.session.app import main as smalldata_ana

TEXT = """\
schema = "smalldata-ana-params/1"
experiment = "xpptut15"

[[detector.det.roi]]
runs = "12-"
name = "A"
ROI = [[0, 1], [4, 20], [5, 15]]
[detector.det.roi.made]
by = "user@host"
at = 2026-11-20T15:46:21Z
how = "SelectRegion"

[[detector.det.roi]]
runs = "20-30"
name = "A"
thresADU = 7.0

[[detector.det.roi]]
runs = "25-"
name = "A"
enabled = false
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("smalldata_ana.places.SLAC_DATA", tmp_path / "nowhere")
    for name in ("EXPERIMENT", "SIT_PSDM_DATA"):
        monkeypatch.delenv(name, raising=False)
    ours = logging.getLogger("smalldata_ana")
    level = ours.level
    yield
    ours.setLevel(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "xpptut15.toml"
    path.write_text(TEXT)
    return path


def test_check_of_a_right_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"{path}: 3 entries for xpptut15, nothing is wrong\n"
    )


def test_check_notes_files_of_masks_that_nothing_names(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = path.parent / "masks"
    masks.mkdir()
    for number in (1, 2):
        (masks / f"det_r0012_{number}.h5").touch()
    other = path.with_name("other.toml")
    other.write_text('file = "masks/det_r0012_1.h5"')
    assert main(["check", str(path)]) == 0
    _, *notes = capsys.readouterr().out.splitlines()
    assert notes == [
        f"  note: no parameter file beside it names {masks}/det_r0012_2.h5"
    ]


def test_check_of_a_wrong_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(TEXT.replace("thresADU", "tresADU").replace("25-", "25-3"))
    assert main(["check", str(path)]) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "error: 2 problems"
    assert lines[0].startswith(f"{path}: line 16: detector.det.roi: no parameter")
    assert lines[0].endswith("Did you mean 'thresADU'?")
    assert lines[1].startswith(f"{path}: line 19: ")


def test_check_of_the_file_of_another_experiment(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(path), "-e", "xppl1001021"]) == 2
    assert "line 2: it is for experiment 'xpptut15'" in capsys.readouterr().err


def test_the_file_of_the_experiment_is_the_default(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SIT_PSDM_DATA", str(tmp_path))
    target = tmp_path / "xpp/xpptut15/results/smalldata_ana/params/xpptut15.toml"
    target.parent.mkdir(parents=True)
    path.rename(target)
    assert main(["check", "-e", "xpptut15"]) == 0
    assert str(target) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("run", "lines"),
    [
        (
            "11",
            ["- det roi A: not for this run: none of its name is for run 11"],
        ),
        (
            "12",
            [
                "+ det roi A: line 4, runs 12-: the only one of its name for run 12",
                "    ROI = [[0, 1], [4, 20], [5, 15]]",
                "    made by user@host, at 2026-11-20 15:46:21+00:00, how SelectRegion",
                "    not line 13, runs 20-30: it is not for run 12",
                "    not line 18, runs 25-: it is not for run 12",
            ],
        ),
        (
            "20",
            [
                "+ det roi A: line 13, runs 20-30: it begins with the largest run of 2 "
                "for run 20",
                "    thresADU = 7.0",
                "    not line 4, runs 12-: it begins earlier",
                "    not line 18, runs 25-: it is not for run 20",
            ],
        ),
        (
            "26",
            [
                "- det roi A: not for this run: switched off by line 18, runs 25-: it "
                "begins with the largest run of 3 for run 26",
                "    not line 4, runs 12-: it begins earlier",
                "    not line 13, runs 20-30: it begins earlier",
            ],
        ),
    ],
)
def test_show_says_why(
    path: Path, capsys: pytest.CaptureFixture[str], run: str, lines: list[str]
) -> None:
    assert main(["show", "-r", run, str(path)]) == 0
    head, *found = capsys.readouterr().out.splitlines()
    assert head == f"{path}: xpptut15 run {run}"
    if run == "11":
        found = found[:1]
    assert found == lines


def test_show_of_entries_that_begin_together(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(TEXT + '[[detector.det.roi]]\nruns = "12-15"\nname = "A"\n')
    assert main(["show", "-r", "12", str(path)]) == 0
    _, chosen, other, *_ = capsys.readouterr().out.splitlines()
    assert chosen.startswith("+ det roi A: line 22, runs 12-15: the last in the file")
    assert other == "    not line 4, runs 12-: it stands before in the file"


def test_show_tells_what_is_wrong_for_the_run(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(
        TEXT + '[[detector.det.projection]]\nruns = "12-"\nname = "p"\nof = "A"\n'
    )
    assert main(["show", "-r", "26", str(path)]) == 0
    out = capsys.readouterr().out
    assert "! line 22: detector.det.projection 'p', runs 12-: no function 'A'" in out
    assert "    of = A" in out
    assert main(["show", "-r", "20", str(path)]) == 0
    assert "!" not in capsys.readouterr().out


def test_show_tells_what_is_missing_for_the_run(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(
        TEXT + '[[detector.det.azav]]\nruns = "1-"\npolCorr = false\n'
        '[[detector.det.geometry]]\nruns = "5-"\ncenter = [0, 0]\n'
        "dis_to_sam = 80.0\neBeam = 9.5\n"
    )
    assert main(["show", "-r", "5", str(path)]) == 0
    assert "!" not in capsys.readouterr().out
    assert main(["show", "-r", "4", str(path)]) == 0
    line = 1 + TEXT.count("\n")
    told = f"! line {line}: detector.det.azav 'azav', runs 1-: 'azav' needs center [um]"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "none.toml"], "there is no parameter file none.toml"),
        (["show", "-r", "1", "none.toml"], "there is no parameter file none.toml"),
        (["check"], "no experiment"),
        (
            ["from-prod-config", "a.py", "--runs", "12-", "-e", "xpptut15"],
            "--runs 12-12",
        ),
        (["from-prod-config", "a.py", "--runs", "1-2", "-e", "xpptut15"], "no file"),
        (["from-prod-config", "a.py", "--runs", "x", "-e", "xpptut15"], "range of run"),
    ],
)
def test_wrong_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("error: ")
    assert message.replace("12-12", "12-") in told


def test_usage() -> None:
    with pytest.raises(SystemExit) as error:
        main(["shwo"])
    assert error.value.code == 2


def test_it_is_a_command_of_smalldata_ana(path: Path) -> None:
    assert smalldata_ana(["params", "check", str(path)]) == 0


def test_python_to_stdout_and_to_a_file(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "prod_config_xpp.py"
    assert main(["to-prod-config", str(path)]) == 0
    text = capsys.readouterr().out
    assert main(["to-prod-config", str(path), "-o", str(output)]) == 0
    assert output.read_text() == text
    assert main(["to-prod-config", str(path), "-o", str(output)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_toml_from_python_to_stdout_and_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "prod_config_xpp.py"
    module.write_text("def getROIs(run):\n    return {'det': [[[0, 1], [2, 3]]]}\n")
    arguments = ["from-prod-config", str(module), "--runs", "3-5", "-e", "xpptut15"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert f"executing {module} in a process of its own, for runs 3-5" in told.err
    (entry,) = ParameterFile.parse(told.out, tmp_path, "xpptut15").entries
    assert (str(entry.runs), entry.name) == ("3-5", "ROI_0")
    output = tmp_path / "p.toml"
    assert main([*arguments, "-o", str(output), "--go-on"]) == 0
    (entry,) = ParameterFile.load(output).entries
    assert str(entry.runs) == "3-"
