"""SelectRegion by script, and exportParams."""

from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import small_run

from smalldata_ana.errors import (
    DetectorNotFound,
    NameNotFound,
    ParameterError,
    UsageError,
)
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.places import places
from smalldata_ana.session.export import export_params
from smalldata_ana.session.state import SessionState
from smalldata_ana.session.tools.roi import RoiTool

BOX = [[0, 1], [4, 20], [5, 15]]
OTHER = [[1, 2], [4, 20], [5, 15]]


@pytest.fixture
def session(tmp_path):
    run = small_run(tmp_path)
    where = places("xpptut15", params=tmp_path / "p.toml")
    yield SessionState(run, places_of=lambda experiment: where)
    run.close()


@pytest.fixture
def entries(session):
    return lambda: ParameterFile.load(session.places.params, "xpptut15").entries


def test_undo_redo_reset(session):
    tool = RoiTool(session, "jungfrau1M", ROI=BOX)
    tool.value = OTHER
    tool.value = [BOX, OTHER]
    assert tool.undo() == OTHER
    assert tool.undo() == BOX
    assert tool.redo() == tool.value == OTHER
    assert tool.reset() == BOX
    assert tool.undo() == OTHER
    tool.value = BOX
    with pytest.raises(UsageError, match="nothing to redo"):
        tool.redo()
    for _ in range(2):
        tool.undo()
    with pytest.raises(UsageError, match="nothing to undo"):
        tool.undo()


def test_the_text_of_a_tool(session):
    tool = RoiTool(session, "jungfrau1M", ROI=[BOX, OTHER])
    assert repr(tool) == (
        f"<RoiTool: jungfrau1M, ROI={[BOX, OTHER]}, {2 * 16 * 10} pixels>"
    )
    assert repr(RoiTool(session, "opal")) == "<RoiTool: opal, no region>"


def test_nothing_is_taken_before_accept(session):
    tool = RoiTool(session, "jungfrau1M", ROI=BOX)
    assert session.pending == []
    tool.accept()
    assert [entry.name for entry in session.pending] == ["ROI_0"]


def test_accepting_a_name_again_replaces_it(session):
    RoiTool(session, "jungfrau1M", ROI=BOX).accept("A")
    RoiTool(session, "jungfrau1M", ROI=OTHER).accept("A")
    (entry,) = session.pending
    assert entry.values == {"ROI": OTHER}


def test_names_that_are_taken_are_not_given_again(session):
    RoiTool(session, "jungfrau1M", ROI=BOX).accept()
    export_params(session)
    assert RoiTool(session, "jungfrau1M", ROI=BOX).accept().name == "ROI_1"
    assert RoiTool(session, "jungfrau1M", ROI=BOX).accept().name == "ROI_2"
    assert RoiTool(session, "opal", ROI=[[1, 2], [3, 4]]).accept().name == "ROI_0"


def test_the_file_holds_what_was_accepted(session, entries):
    image = SimpleNamespace(
        data=np.ones((2, 24, 16), np.float32),
        good=np.ones((2, 24, 16), bool),
        name="AvImg_pedSub_jungfrau1M",
        n_used=100,
        made={"selection": "xon", "common_mode": 0},
    )
    RoiTool(session, "jungfrau1M", ROI=BOX, average=image).accept(name="A")
    export_params(session, runs="12-40")
    (entry,) = entries()
    assert (entry.detector, entry.kind, entry.name) == ("jungfrau1M", "roi", "A")
    assert str(entry.runs) == "12-40"
    assert entry.values == {"ROI": BOX}
    made = dict(entry.made)
    assert isinstance(made.pop("at"), datetime)
    assert "@" in made.pop("by")
    assert made.pop("tool").startswith("smalldata_ana ")
    assert len(made.pop("image_sha256")) == 64
    assert made.pop("statistics")["mean"] == 1
    assert made == {
        "how": "SelectRegion",
        "run": 12,
        "image": "AvImg_pedSub_jungfrau1M",
        "events": 100,
        "selection": "xon",
        "common_mode": 0,
    }


def test_runs_are_this_one_on_and_what_is_exported_is_done(session, entries):
    RoiTool(session, "jungfrau1M", ROI=BOX).accept()
    export_params(session)
    assert [str(entry.runs) for entry in entries()] == ["12-"]
    assert session.pending == []
    with pytest.raises(UsageError, match="nothing to export"):
        export_params(session)


def test_some_of_it_to_another_file(session, tmp_path):
    for name in "ABC":
        RoiTool(session, "jungfrau1M", ROI=BOX).accept(name)
    export_params(session, path=tmp_path / "other.toml", what=["A", "C"])
    written = ParameterFile.load(tmp_path / "other.toml").entries
    assert [entry.name for entry in written] == ["A", "C"]
    assert [entry.name for entry in session.pending] == ["B"]
    export_params(session, what="roi")
    assert session.pending == []


def test_the_report_says_for_which_runs_an_entry_takes_effect(session):
    for runs in ("20-30", "12-", "12-", "1-40"):
        RoiTool(session, "jungfrau1M", ROI=BOX).accept("A")
        report = export_params(session, runs=runs)
    (ranges,) = report.effective
    assert [str(r) for r in ranges] == ["1-11"]
    assert str(session.places.params) in str(report)
    assert f"ROI = {BOX}" in str(report)
    assert "takes effect for runs 1-11; elsewhere" in str(report)


def test_the_report_of_an_entry_that_applies_to_all_its_runs(session):
    for runs in ("12-", "14-15"):
        RoiTool(session, "jungfrau1M", ROI=BOX).accept("A")
        report = export_params(session, runs=runs)
    assert str(report).endswith(
        "takes effect for runs 14-15\n"
        "  note: runs 14-15 are without the run of this session, 12"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("jungfrau", BOX), DetectorNotFound, "Did you mean 'jungfrau1M'"),
        (("jungfrau1M", [[0, 9], [0, 9]]), ParameterError, "does not lie"),
        (("jungfrau1M", [[0, 3], [0, 9], [0, 9]]), ParameterError, r"\(2, 24, 16\)"),
        (("jungfrau1M", [[5, 3], [0, 9], [0, 9]]), ParameterError, "begin < end"),
    ],
)
def test_wrong_regions(session, arguments, error, message):
    with pytest.raises(error, match=message):
        RoiTool(session, *arguments)


def test_a_wrong_value_leaves_the_one_before(session):
    tool = RoiTool(session, "jungfrau1M", ROI=BOX)
    with pytest.raises(ParameterError, match="does not lie"):
        tool.value = [[0, 3], [0, 9], [0, 9]]
    assert tool.value == BOX


def test_accepting_without_a_region(session):
    with pytest.raises(UsageError, match="no region is chosen"):
        RoiTool(session, "jungfrau1M").accept()


@pytest.mark.parametrize("name", ["a/b", "."])
def test_accepting_under_a_name_that_cannot_be_one(session, name):
    with pytest.raises(ParameterError, match="is not a name"):
        RoiTool(session, "jungfrau1M", ROI=BOX).accept(name)
    assert session.pending == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"runs": "x"}, ParameterError, "'x' is not a range"),
        ({"what": "ROI_1"}, NameNotFound, r"Did you mean 'ROI_0'\?"),
    ],
)
def test_a_wrong_export_writes_nothing(session, options, error, message):
    RoiTool(session, "jungfrau1M", ROI=BOX).accept()
    with pytest.raises(error, match=message):
        export_params(session, **options)
    assert len(session.pending) == 1
    assert not session.places.params.exists()


def test_a_damaged_file_keeps_the_entries_pending(session):
    tool = RoiTool(session, "jungfrau1M", ROI=BOX)
    tool.accept()
    session.places.params.write_text("schema = 3")
    with pytest.raises(ParameterError, match="schema = 3"):
        export_params(session)
    assert len(session.pending) == 1
    assert session.places.params.read_text() == "schema = 3"
