"""What exportParams writes, what it says of it, and what it leaves when it fails."""

from types import SimpleNamespace

import numpy as np
import pytest

from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.errors import FileError, ParameterError, UsageError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session import export
from smalldata_ana.session.export import export_params
from smalldata_ana.session.regions import Regions
from smalldata_ana.session.state import SessionState
from smalldata_ana.session.tools.roi import RoiTool

BOX = [[0, 1], [4, 20], [5, 15]]
OTHER = [[1, 2], [4, 20], [5, 15]]


@pytest.fixture
def session(tmp_path):
    where = places("xpptut15", params=tmp_path / "p.toml")
    detectors = {"det": SimpleNamespace(shape=(2, 24, 16))}
    run = SimpleNamespace(number=12, experiment="xpptut15", detectors=detectors)
    return SessionState(run, places_of=lambda experiment: where)


def accept(session, kind="roi", name="A", **values):
    session.pending.append(Entry("det", kind, RunRange(12), values, name))


def entries(session):
    return ParameterFile.load(session.places.params).entries


def test_what_is_replaced_is_said_value_by_value(session):
    accept(session, ROI=BOX, thresADU=7.0)
    export_params(session, "1-")
    accept(session, ROI=OTHER, writeArea=True)
    text = str(export_params(session, "12-"))
    assert "instead of line 5 for runs 12-:" in text
    assert f"      ROI: {BOX} -> {OTHER}\n" in text
    assert "      thresADU: 7.0 -> not given\n" in text
    assert "      writeArea: not given -> True\n" in text
    assert text.endswith("takes effect for runs 12-")


def test_what_is_new_replaces_nothing(session):
    accept(session, ROI=BOX)
    assert "instead" not in str(export_params(session))


def test_what_is_removed_is_switched_off(session):
    accept(session, ROI=BOX)
    export_params(session, "1-")
    Regions(session).remove("A")
    text = str(export_params(session))
    assert "    switched off\n" in text
    assert "      enabled: True -> False\n" in text
    assert "ROI =" not in text


def test_the_run_of_the_session_is_missed(session):
    accept(session, ROI=BOX)
    text = str(export_params(session, "20-"))
    assert text.endswith("note: runs 20- are without the run of this session, 12")


def test_what_is_drawn_and_not_accepted_is_noted(session):
    tool = RoiTool(session, "det", ROI=OTHER)
    with pytest.raises(UsageError, match="nothing to export\nnot accepted: <RoiTool"):
        export_params(session)
    accept(session, ROI=BOX)
    text = str(export_params(session))
    assert text.endswith(f"note: not accepted: {tool!r}; .accept() takes it")


def test_the_same_again(session):
    for _ in range(2):
        accept(session, ROI=BOX)
        report = export_params(session)
    assert "      the same values" in str(report)


def test_each_older_range_is_said(session):
    for runs, box in (("1-13", BOX), ("14-20", OTHER)):
        accept(session, ROI=box)
        export_params(session, runs)
    accept(session, ROI=OTHER)
    report = export_params(session, "12-30", replace=True)
    assert [str(e.runs) for e in report.entries] == ["12-30", "14-20"]
    first, second = report.exported
    assert [str(r) for r in first.effective] == ["12-13", "21-30"]
    assert [(str(r), e.line) for r, e in first.replaced] == [("12-13", 5)]
    assert [str(r) for r in second.effective] == ["14-20"]
    assert [e.line for _, e in second.replaced] == [11]
    for run in (12, 14, 20, 30):
        (chosen,) = (
            ParameterFile.load(session.places.params).resolve(run).detectors["det"]
        )
        assert chosen.values == {"ROI": OTHER}
        assert chosen in report.entries


def test_without_replace_it_says_where_it_takes_no_effect(session):
    for runs in ("20-", "14-15", "14-15"):
        accept(session, ROI=BOX)
        text = str(export_params(session, runs))
    accept(session, ROI=BOX)
    text = str(export_params(session, "12-"))
    assert "takes effect for runs 12-13, 16-19; elsewhere an entry" in text
    assert "replace=True" in text


def test_an_entry_that_hardly_applies(session):
    accept(session, ROI=BOX)
    export_params(session, "14-")
    accept(session, ROI=BOX)
    export_params(session, "13-")
    accept(session, ROI=BOX)
    assert "takes effect for runs 12; elsewhere" in str(export_params(session, "12-"))


def test_only_what_is_asked_for_is_exported(session):
    accept(session, ROI=BOX)
    accept(session, "common_mode", "", common_mode=7)
    text = str(export_params(session, "12-", what="common_mode"))
    assert "common_mode, runs 12-\n    common_mode = 7\n    takes effect" in text
    assert [e.kind for e in session.pending] == ["roi"]


def test_a_mask_is_written_beside_the_file(session, tmp_path):
    good = np.ones((2, 3), bool)
    for array in (good, ~good):
        entry = mask_entry("opal", array, RunRange(12), name="A", made={"run": 12})
        session.pending = [entry]
        report = export_params(session, "1-")
    assert "sha256: " in str(report)
    assert {p.name for p in (tmp_path / "masks").iterdir()} == {
        "opal_r0012_1.h5",
        "opal_r0012_2.h5",
    }
    assert problems_of_file(session.places.params) == []


def test_another_path_has_its_own_masks(session, tmp_path):
    session.pending = [mask_entry("opal", np.ones((2, 3), bool), RunRange(12))]
    export_params(session, path=tmp_path / "mine" / "p.toml")
    assert (tmp_path / "mine" / "masks" / "opal_r0012_1.h5").exists()
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize("error", [FileError, KeyboardInterrupt])
def test_a_failure_leaves_no_mask(session, tmp_path, monkeypatch, error):
    session.pending = [mask_entry("opal", np.ones((2, 3), bool), RunRange(12))]

    def fail(*arguments, **options):
        raise error("no")

    monkeypatch.setattr(export, "append", fail)
    with pytest.raises(error):
        export_params(session)
    assert list((tmp_path / "masks").iterdir()) == []
    assert len(session.pending) == 1


def test_a_failure_behind_the_renaming_keeps_the_mask(session, monkeypatch):
    session.pending = [mask_entry("opal", np.ones((2, 3), bool), RunRange(12))]
    writing = export.append

    def fail(*arguments, **options):
        writing(*arguments, **options)
        raise FileError("the folder cannot be flushed")

    monkeypatch.setattr(export, "append", fail)
    with pytest.raises(FileError):
        export_params(session)
    assert problems_of_file(session.places.params) == []


def test_two_masks_are_both_pending_until_they_are_exported(session):
    ones = np.ones((2, 3), bool)
    session.pending = [mask_entry("opal", ones, RunRange(12), name=n) for n in "AB"]
    export_params(session, what="A")
    assert [e.name for e in session.pending] == ["B"]


def test_a_centre_without_distance_is_an_entry(session):
    accept(session, "geometry", "", center=[1.0, 2.0], center_err=[0.1, 0.2])
    export_params(session)
    (entry,) = entries(session)
    assert entry.values == {"center": [1.0, 2.0], "center_err": [0.1, 0.2]}


def test_names_that_do_not_go_together_stay_pending(session):
    accept(session, ROI=BOX)
    accept(session, "image", "A")
    with pytest.raises(ParameterError, match="same name"):
        export_params(session)
    assert len(session.pending) == 2
    assert not session.places.params.exists()


# -- leaving ---------------------------------------------------------------------------
