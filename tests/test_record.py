"""The record of a session, and the script that does the same without a mouse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import session_run

from smalldata_ana.errors import UsageError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.places import places
from smalldata_ana.session.detector_commands import DetectorCommands
from smalldata_ana.session.image_commands import ImageCommands
from smalldata_ana.session.parameter_commands import ParameterCommands
from smalldata_ana.session.record import literal
from smalldata_ana.session.record_commands import RecordCommands
from smalldata_ana.session.region_commands import RegionCommands
from smalldata_ana.sources.hdf5_run import Hdf5Run

CHECKOUT = Path(__file__).parents[1]
BOX = [[0, 1], [4, 20], [5, 15]]
OTHER = [[0, 1], [2, 10], [3, 12]]


class Session(
    RecordCommands, RegionCommands, ImageCommands, DetectorCommands, ParameterCommands
):
    """The commands that the record is about."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = Hdf5Run(session_run.write(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture
def new_session(run, tmp_path):
    def make(name: str = "p.toml") -> Session:
        return Session(
            run,
            places_of=lambda exp: places(
                exp, directory=tmp_path, params=tmp_path / name
            ),
        )

    return make


def choose(anaps: Session) -> None:
    """Do what a session does."""
    anaps.AvImage("epix100", 10, std=True, useFilter=session_run.LASER)
    anaps.SelectRegion("epix100", ROI=OTHER)
    tool = anaps.SelectRegion("epix100", ROI=OTHER)
    tool.value = BOX
    tool.accept(name="A")
    anaps.SelectRegion("epix100", ROI=OTHER).accept(name="B")
    anaps.ROIs.remove("B", "epix100")
    anaps.exportParams(runs="14-")


def without_times(path: Path) -> str:
    """Return the text of a parameter file without the times in it."""
    lines = path.read_text().splitlines()
    return "\n".join(re.sub(r"^(at = |# exported).*", r"\1", line) for line in lines)


def test_each_step_is_listed_with_its_result(new_session):
    anaps = new_session()
    assert "nothing was made" in repr(anaps.history())
    choose(anaps)
    commands = [step.command.split("(")[0] for step in anaps.history()]
    assert commands == [
        "anaps.AvImage",
        "anaps.SelectRegion",
        "anaps.SelectRegion",
        "anaps.ROIs.remove",
        "anaps.exportParams",
    ]
    first, second, *_ = anaps.history()
    assert first.result.startswith("<AverageImage AvImg_")
    assert f"ROI={BOX}" in second.command
    assert second.command.endswith(".accept(name='A')")
    assert "'A'" in second.result
    text = repr(anaps.history())
    assert all(step.command in text and step.result in text for step in anaps.history())


def test_what_only_shows_or_fails_is_not_recorded(new_session):
    anaps = new_session()
    anaps.getImages("epix100", 2)
    anaps.maskInfo("epix100")
    with pytest.raises(UsageError):
        anaps.exportParams()
    assert len(anaps.history()) == 0


def test_long_commands_are_shortened_in_the_history_only(new_session, tmp_path):
    anaps = new_session()
    mask = np.arange(2000).reshape(40, 50) % 2
    anaps.record.did("loadAvImage", {"mask": mask}, None)
    shown = repr(anaps.history())
    assert max(map(len, shown.splitlines())) < 500
    assert "…" in shown
    (step,) = anaps.history()
    assert step.shown.endswith(step.command[-20:])
    assert step.command in anaps.saveScript(tmp_path / "s.py").read_text()


def test_the_detector_that_was_asked_for_is_named(run, tmp_path, monkeypatch):
    one = Hdf5Run(session_run.write(tmp_path, ("epix100",)))
    anaps = Session(one, places_of=lambda exp: places(exp, directory=tmp_path))
    anaps.AvImage(numEvts=3)
    (step,) = anaps.history()
    assert step.command == "anaps.AvImage(detname='epix100', numEvts=3)"
    one.close()


def test_the_script_gives_the_same_parameter_file(new_session, tmp_path, capsys):
    by_hand = new_session("by_hand.toml")
    choose(by_hand)
    path = by_hand.saveScript(tmp_path / "script.py")
    assert str(path) in capsys.readouterr().out
    by_script = new_session("by_script.toml")
    exec(compile(path.read_text(), path, "exec"), {"anaps": by_script, "np": np})
    one, other = (tmp_path / f"by_{who}.toml" for who in ("hand", "script"))
    assert without_times(other) == without_times(one)
    (entry,) = ParameterFile.load(other).entries
    assert entry.values == {"ROI": BOX}
    assert by_script.history()[1].command == by_hand.history()[1].command


def test_the_script_has_a_place_of_its_own(new_session, tmp_path):
    anaps = new_session()
    with pytest.raises(UsageError, match="nothing to write"):
        anaps.saveScript()
    anaps.AvImage("epix100", 3)
    assert anaps.saveScript() == tmp_path / "scripts/xpptut15_Run0014.py"


def test_what_has_no_code_is_said_in_the_script(new_session, tmp_path, capsys):
    anaps = new_session()
    anaps.record.did("addDetInfo", {"detname": "epix100", "of": object()}, None)
    text = anaps.saveScript(tmp_path / "s.py").read_text()
    assert "no code for a object" in text
    assert not re.search(r"^anaps", text, re.MULTILINE)
    assert "cannot do anaps.addDetInfo" in capsys.readouterr().out


@pytest.mark.parametrize(
    "value",
    [
        1,
        -2.5,
        True,
        None,
        "it's",
        (1,),
        [1, (2.0, 3)],
        ["a", ("b",)],
        {"center": [1.0, float("inf")]},
        np.float32(1.5),
        np.arange(4) % 2 == 0,
        np.array([[1, 2], [3, 4]], np.uint64),
    ],
)
def test_the_code_of_a_value(value):
    made = eval(literal(value), {"np": np})
    assert type(made) is type(value) or isinstance(value, np.generic)
    if isinstance(value, np.ndarray):
        assert made.dtype == value.dtype
    assert np.all(made == value) if isinstance(value, np.ndarray) else made == value


def test_a_path_is_its_text_and_an_object_has_no_code():
    assert literal(Path("a/b")) == "'a/b'"
    with pytest.raises(UsageError, match="object"):
        literal(object())


# ---- with the real launcher ----------------------------------------------------------


def launched(folder: Path, name: str, *arguments: object) -> None:
    """Run the launcher on the simulated run of a folder."""
    done = subprocess.run(
        [
            CHECKOUT / "producers/runSmallDataAna",
            *("-e", "xppsim03", "-r", "1", "--no-gui"),
            *("--xtc-dir", folder / "xtc", "--calib-dir", folder / "calib"),
            *("--params", folder / name, *arguments),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "MPLBACKEND": "Agg",
            "SIT_PSDM_DATA": str(folder),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_launcher_runs_the_script(tmp_path):
    from simulated import make

    from smalldata_ana.simulation.run_spec import DetectorSpec

    made = make(
        tmp_path,
        experiment="xppsim03",
        detectors=(DetectorSpec("epix100"),),
        events=4,
        with_constants=True,
    )
    assert made.spec.experiment == "xppsim03"
    script = tmp_path / "script.py"
    code = f"""
anaps.AvImage()
mask = anaps.MakeMask(shapes=[dict(shape="edges", rows=2, columns=2)])
mask.add(dict(shape="circle", center=[200, 210], radius=40))
mask.accept(name="beamstop")
for name in "AB":
    anaps.SelectRegion(ROI=[[100, 120], [50, 60]]).accept(name=name)
anaps.ROIs.rename("A", "signal")
anaps.ROIs.remove("B")
anaps.FitCircle(points=[[100, 200], [300, 200], [200, 100], [200, 300]]).accept()
anaps.exportParams(runs="1-")
anaps.saveScript({str(script)!r})
"""
    launched(tmp_path, "by_hand/p.toml", "-c", code)
    launched(tmp_path, "by_script/p.toml", "--script", script)
    one, other = (tmp_path / f"by_{who}/p.toml" for who in ("hand", "script"))
    assert without_times(other) == without_times(one)
    kinds = [entry.kind for entry in ParameterFile.load(one).entries]
    assert sorted(kinds) == ["geometry", "mask", "roi"]
