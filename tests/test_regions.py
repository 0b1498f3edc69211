"""The list of regions, `anaps.ROIs`, and regions over the image."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from region_session import BOX, DETECTOR, lines, texts
from rings_image import GAP, PANEL, ring_image

from smalldata_ana.errors import NameNotFound, ParameterError, UsageError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.session.export import export_params
from smalldata_ana.session.regions import COLOUR

pytest_plugins = ["tool_fixtures"]
pytestmark = pytest.mark.usefixtures("plt")


def accept(session, name: str, detector: str = DETECTOR, roi=BOX) -> None:
    session.SelectRegion(detector, ROI=roi).accept(name)


def names(session) -> list[str]:
    return [region.name for region in session.ROIs]


def resolved(session, run: int) -> list[tuple[str, object]]:
    file = ParameterFile.load(session.places.params, "xpptut15")
    entries = file.resolve(run).detectors.get(DETECTOR, ())
    return [(entry.name, entry.values["ROI"]) for entry in entries]


def test_no_regions(session):
    assert len(session.ROIs) == 0
    assert repr(session.ROIs) == "no regions yet: SelectRegion()"


def test_those_of_the_session_and_of_the_file(session):
    accept(session, "old")
    export_params(session, runs="1-11")
    accept(session, "A")
    export_params(session)
    accept(session, "B")
    accept(session, "C", "opal", [[1, 9], [2, 7]])
    assert names(session) == ["A", "B", "C"]
    text = repr(session.ROIs)
    assert "parameter file" in text
    assert "not exported yet" in text
    assert str(BOX) in text
    assert "<td>B</td>" in session.ROIs._repr_html_()
    assert session.ROIs._ipython_key_completions_() == ["A", "B", "C"]
    assert session.ROIs["B"].value == BOX
    assert "B" in session.ROIs
    assert "old" not in session.ROIs
    with pytest.raises(NameNotFound, match="no region 'D'"):
        session.ROIs["D"]


def test_a_region_accepted_again_stands_for_that_of_the_file(session):
    accept(session, "A")
    export_params(session)
    accept(session, "A", roi=[[0, 1], [0, 2], [0, 2]])
    (region,) = session.ROIs
    assert not region.exported
    assert region.value == [[0, 1], [0, 2], [0, 2]]


def test_what_is_not_exported_is_renamed_and_removed(session, capsys):
    accept(session, "A")
    accept(session, "B")
    session.ROIs.rename("A", "spot")
    assert sorted(names(session)) == ["B", "spot"]
    session.ROIs.remove("B")
    told = capsys.readouterr().out
    assert "taken away:" in told
    assert "switches it off" not in told
    assert names(session) == ["spot"]
    assert [entry.name for entry in session.pending] == ["spot"]


def test_what_is_done_to_regions_comes_into_the_record(session):
    accept(session, "A")
    accept(session, "B")
    session.ROIs.rename("A", "C")
    session.ROIs.remove("B")
    assert [step.command for step in session.record.steps] == [
        f"anaps.SelectRegion('{DETECTOR}', ROI={BOX}).accept(name='A')",
        f"anaps.SelectRegion('{DETECTOR}', ROI={BOX}).accept(name='B')",
        f"anaps.ROIs.rename('A', 'C', '{DETECTOR}')",
        f"anaps.ROIs.remove('B', '{DETECTOR}')",
    ]


def test_names_of_other_runs_are_not_given_again(session):
    accept(session, "ROI_0")
    export_params(session, runs="40-")
    assert session.SelectRegion(DETECTOR, ROI=BOX).accept().name == "ROI_1"


def test_what_is_exported_is_removed_from_this_run_on(session, capsys):
    accept(session, "A")
    export_params(session, runs="1-")
    session.ROIs.remove("A")
    assert "anaps.exportParams() switches it off" in capsys.readouterr().out
    assert names(session) == []
    (off,) = session.pending
    assert not off.enabled
    assert resolved(session, 12) == [("A", BOX)]
    export_params(session)
    assert resolved(session, 11) == [("A", BOX)]
    assert resolved(session, 12) == []
    assert names(session) == []
    assert "enabled = false" in session.places.params.read_text()


def test_what_is_exported_is_renamed_from_this_run_on(session):
    accept(session, "A")
    export_params(session, runs="1-")
    session.ROIs.rename("A", "spot")
    assert names(session) == ["spot"]
    export_params(session)
    assert resolved(session, 11) == [("A", BOX)]
    assert resolved(session, 12) == [("spot", BOX)]
    accept(session, "A")
    assert sorted(names(session)) == ["A", "spot"]


def test_removing_what_replaces_an_exported_one_takes_both_away(session):
    accept(session, "A")
    export_params(session)
    accept(session, "A", roi=[[0, 1], [0, 2], [0, 2]])
    session.ROIs.remove("A")
    export_params(session)
    assert resolved(session, 12) == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.rename("A", "B"), UsageError, "has a region 'B' already"),
        (lambda r: r.rename("X", "Y"), NameNotFound, "no region 'X'"),
        (lambda r: r.rename("A", "a/b"), ParameterError, "is not a name"),
        (lambda r: r.remove("both"), UsageError, "which 'both'"),
        (lambda r: r.remove("A", "opal"), NameNotFound, "no region 'A' in opal"),
    ],
)
def test_what_cannot_be_renamed_or_removed(session, call, error, message):
    accept(session, "A")
    accept(session, "B")
    accept(session, "both")
    accept(session, "both", "opal", [[1, 9], [2, 7]])
    before = list(session.pending)
    with pytest.raises(error, match=message):
        call(session.ROIs)
    assert session.pending == before
    session.ROIs.remove("both", "opal")
    assert names(session) == ["A", "B", "both"]


# ---- shown ---------------------------------------------------------------------------


def test_regions_are_shown_over_the_image_with_their_names(session, average):
    assert lines(session.plotAvImage(DETECTOR)) == []
    accept(session, "A")
    accept(session, "both", roi=[[0, 2], [1, 3], [2, 9]])
    accept(session, "C", "opal", [[1, 9], [2, 7]])
    ax = session.plotAvImage(DETECTOR)
    assert [text.get_text() for text in ax.texts] == ["A", "both"]
    drawn = lines(ax)
    assert len(drawn) == 3
    np.testing.assert_allclose(drawn[0].min(axis=0), (3.5, 4.5))
    np.testing.assert_allclose(drawn[0].max(axis=0), (19.5, 14.5))
    assert {line.get_color() for line in ax.lines} == {COLOUR}
    assert lines(session.plotAvImage(DETECTOR, regions=False)) == []
    assert lines(session.plotAvImage(DETECTOR, ROI=BOX)) == []
    assert len(lines(session.plotAvImage(DETECTOR, ROI=BOX, regions=True))) == 3
    assert len(lines(session.ROIs.show())) == 3


def test_regions_do_not_move_the_view(session, average):
    accept(session, "A")
    ax = session.plotAvImage(DETECTOR)
    rows, columns = average.geometry.shape
    assert ax.get_xlim() == (-0.5, columns - 0.5)
    assert ax.get_ylim() == (rows - 0.5, -0.5)


def test_a_new_tool_shows_what_there_is(session, average):
    accept(session, "A")
    export_params(session)
    accept(session, "B", roi=[[1, 2], [0, 5], [0, 5]])
    tool = session.SelectRegion(DETECTOR)
    assert {"A", "B"} <= set(texts(tool.figure.ax))
    assert tool.free_name() == "ROI_0"


def test_a_damaged_file_does_not_keep_the_image_from_being_shown(
    session, average, caplog
):
    session.places.params.write_text("schema = 3")
    with caplog.at_level(logging.WARNING):
        assert lines(session.plotAvImage(DETECTOR)) == []
        session.SelectRegion(DETECTOR)
    (warning,) = caplog.messages
    assert "schema = 3" in warning
    assert "1 more problem" in warning
    assert len(session.ROIs) == 0


def test_a_panel_is_as_tall_as_the_image_says():
    """The picture of the tests is what they take it to be."""
    assert ring_image().geometry.shape == (2 * PANEL[0] + GAP, PANEL[1])
