"""Choosing goes on although the parameter file is wrong; writing needs it right."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from ring_run import (
    DETECTOR,
    DISTANCE,
    ENERGY,
    make_calibrant,
    open_calibrant,
    whole_session,
)
from terminal import Talk

from smalldata_ana.errors import FileError, NameNotFound, ParameterError
from smalldata_ana.parameters.file import ParameterFile, right_entries
from smalldata_ana.session.tools.roi import RoiTool
from smalldata_ana.session.tools.roi_dialogue import choose_region

WRONG = """
[[detector.opal.roi]]
runs = "1-"
ROY = [[0, 1], [4, 20], [5, 15]]
"""
RIGHT = f"""
[[detector.{DETECTOR}.roi]]
runs = "1-"
name = "ROI_0"
ROI = [[0, 1], [4, 20], [5, 15]]
[[detector.{DETECTOR}.geometry]]
runs = "1-"
dis_to_sam = {DISTANCE}
eBeam = {ENERGY}
"""
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "{}"\n'
BOX = [[1, 2], [4, 20], [5, 15]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = open_calibrant(make_calibrant(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture(scope="module")
def average(run, tmp_path_factory):
    return whole_session(run, tmp_path_factory.mktemp("average")).AvImage(DETECTOR)


@pytest.fixture
def anaps(run, average, tmp_path):
    (tmp_path / "p.toml").write_text(HEAD.format(run.experiment) + RIGHT + WRONG)
    session = whole_session(run, tmp_path)
    session.images.add(average)
    yield session
    plt.close("all")


def test_a_region_that_was_typed_is_taken(anaps, average):
    tool = RoiTool(anaps, DETECTOR, average=average)
    choose_region(tool, Talk("100 110 100 120", "", "").dialogue)
    (entry,) = anaps.pending
    assert entry.name == "ROI_1"


ACCEPTS = {
    "SelectRegion": lambda a: a.SelectRegion(DETECTOR, ROI=BOX),
    "MakeMask": lambda a: a.MakeMask(DETECTOR, shapes=[{"shape": "edges"}]),
    "FitCircleAuto": lambda a: a.FitCircleAuto(DETECTOR, use_mask_local=True),
    "centerFromAzimuth": lambda a: a.FitCircleAuto(DETECTOR),
    "addAzInt": lambda a: a.addAzInt(DETECTOR, center=[0, 0], polCorr=False),
}


@pytest.mark.parametrize("command", ACCEPTS)
def test_what_is_chosen_is_accepted_with_what_is_right_of_the_file(
    anaps, caplog, command
):
    entry = ACCEPTS[command](anaps).accept()
    assert anaps.pending == [entry]
    assert entry.detector == DETECTOR
    if entry.kind == "geometry":
        assert entry.values["dis_to_sam"] == DISTANCE
    warnings = [text for text in caplog.messages if "left out" in text]
    (warning,) = warnings
    assert "ROY" in warning


def test_the_azimuth_refines_a_centre(anaps, run):
    fitted = anaps.FitCircleAuto(DETECTOR).value.center_um
    assert anaps.centerFromAzimuth(DETECTOR, center=list(fitted))


def test_regions_that_are_right_are_listed(anaps):
    assert "ROI_0" in repr(anaps.ROIs)
    anaps.ROIs.rename("ROI_0", "spot")
    assert [region.name for region in anaps.ROIs] == ["spot"]
    anaps.places.params.write_text("no TOML")
    assert len(anaps.ROIs) == 1


def test_of_another_experiment_or_version_nothing_is_right(anaps):
    path = anaps.places.params
    for head in (HEAD.format("other"), 'schema = "smalldata-ana-params/9"\n'):
        path.write_text(head + RIGHT)
        entries, problems = right_entries(path, anaps.run.experiment)
        assert entries == []
        assert len(problems) == 1


def test_an_export_says_what_can_be_done(anaps, tmp_path):
    anaps.SelectRegion(DETECTOR, ROI=BOX).accept()
    before = anaps.places.params.read_bytes()
    with pytest.raises(ParameterError, match="ROY") as raised:
        anaps.exportParams()
    for way in ("Mend the file", "anaps.forget(name)", "exportParams(path='…')"):
        assert way in str(raised.value)
    assert anaps.places.params.read_bytes() == before
    other = tmp_path / "other.toml"
    anaps.exportParams(path=other)
    assert [e.name for e in ParameterFile.load(other).entries] == ["ROI_1"]


def test_a_path_that_cannot_be_written_is_named(anaps, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "x.toml"
    anaps.MakeMask(DETECTOR, shapes=[{"shape": "edges"}]).accept()
    with pytest.raises(FileError, match=f"nothing was exported to {target}: "):
        anaps.exportParams(path=target)
    assert len(anaps.pending) == 1


def test_the_doctor_goes_on_with_what_is_right(anaps):
    diagnosis = anaps.doctor()
    (finding,) = [f for f in diagnosis if f.what == "parameters"]
    assert finding.level == "error"
    assert "ROY" in finding.text
    assert f"{DETECTOR} ROI_0" in [f.what for f in diagnosis]


# -- what is accepted can be withdrawn -------------------------------------------------


def test_what_is_forgotten_is_not_exported(anaps, capsys):
    anaps.places.params.unlink()
    anaps.SelectRegion(DETECTOR, ROI=BOX).accept("A")
    anaps.SelectRegion(DETECTOR, ROI=BOX).accept("B")
    anaps.FitCircleAuto(DETECTOR).accept()
    anaps.forget("A")
    anaps.forget("geometry", DETECTOR)
    assert [entry.name for entry in anaps.pending] == ["B"]
    assert f"forgotten: detector.{DETECTOR}.roi 'A'" in capsys.readouterr().out
    commands = [step.command for step in anaps.history()]
    assert f"anaps.forget(detname={DETECTOR!r}, name='A')" in commands
    with pytest.raises(NameNotFound, match=r"'A' in .*; there are 'B', 'roi'"):
        anaps.forget("A", DETECTOR)
    script = anaps.saveScript(anaps.places.params.with_name("again.py")).read_text()
    again = whole_session(anaps.run, anaps.places.params.parent)
    again.images.add(anaps.getAvImage(DETECTOR))
    exec(script, {"anaps": again})
    assert [entry.name for entry in again.pending] == ["B"]
