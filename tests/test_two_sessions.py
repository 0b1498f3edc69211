"""Two people at once: what either accepted applies in production, or it is said."""

from __future__ import annotations

import dataclasses

import pytest
import session_run

from smalldata_ana.errors import ParameterError, UsageError
from smalldata_ana.parameters import provenance
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.sources.hdf5_run import Hdf5Run

BOX, OTHER = [[2, 8], [3, 9]], [[10, 18], [3, 9]]
EDGES = {"shape": "edges"}
DISC = {"shape": "circle", "center": [12, 8], "radius": 3}


@pytest.fixture
def two(tmp_path):
    """Two sessions on the same run: those of A and of B."""
    run = Hdf5Run(session_run.write(tmp_path))
    where = places("xpptut15", directory=tmp_path, params=tmp_path / "p.toml")
    yield [SmallDataAna_psana(run, places_of=lambda exp: where) for _ in "AB"]
    run.close()


@pytest.fixture
def as_b(monkeypatch):
    """Let what is made now be B's."""
    monkeypatch.setattr(provenance, "author", lambda: "B@host")


def applied(anaps):
    """Return what the producer applies to the run."""
    path = anaps.places.params
    assert problems_of_file(path) == []
    return ParameterFile.load(path).resolve(session_run.RUN).detectors["opal"]


def test_regions_and_masks_of_both_apply_where_nobody_named_them(two, as_b):
    for session, box, shape in zip(two, (BOX, OTHER), (EDGES, DISC), strict=True):
        session.SelectRegion("opal", ROI=box).accept()
        session.MakeMask("opal", shapes=[shape]).accept()
        assert [entry.name for entry in session.pending] == ["ROI_0", "mask"]
    a, b = two
    b.exportParams()
    report = str(a.exportParams())
    regions = {e.name: e.values["ROI"] for e in applied(a) if e.kind == "roi"}
    assert regions == {"ROI_0": OTHER, "ROI_1": BOX}
    masks = {e.name: e.values["shapes"] for e in applied(a) if e.kind == "mask"}
    assert masks["mask"][0]["shape"] == "circle"
    assert masks["mask_1"][0]["shape"] == "edges"
    for old, new in (("ROI_0", "ROI_1"), ("mask", "mask_1")):
        assert (
            f"note: {old!r} of 'opal' is exported as {new!r}, because {old!r} was "
            "exported by B@host meanwhile"
        ) in report


def test_a_mask_keeps_the_name_that_it_was_exported_under(two):
    a, b = two
    mask = a.MakeMask("opal", shapes=[EDGES])
    mask.accept()
    b.MakeMask("opal", shapes=[DISC]).accept()
    b.exportParams()
    mask.add(DISC)
    assert mask.accept().name == "mask"
    a.exportParams()
    mask.remove(0)
    assert mask.accept().name == "mask_1"
    a.exportParams()
    sizes = {e.name: len(e.values["shapes"]) for e in applied(a)}
    assert sizes == {"mask": 1, "mask_1": 1}


def test_the_script_has_the_name_of_the_file(two, tmp_path):
    a, b = two
    for session in (a, b):
        session.SelectRegion("opal", ROI=BOX).accept()
    b.exportParams()
    a.exportParams()
    script = a.saveScript(tmp_path / "again.py").read_text()
    assert ".accept(name='ROI_1')" in script
    assert "ROI_0" not in script.split("exportParams")[0]


def test_a_given_name_is_kept_and_what_it_displaces_is_said(two, as_b):
    for session, box in zip(two, (BOX, OTHER), strict=True):
        session.SelectRegion("opal", ROI=box).accept("A")
    a, b = two
    assert "warning" not in str(b.exportParams())
    report = str(a.exportParams())
    assert "warning: it was exported by B@host after you accepted yours" in report
    assert [e.values["ROI"] for e in applied(a)] == [BOX]


def test_what_was_there_before_is_replaced_without_a_warning(two, tmp_path):
    a, b = two
    for session in (b, a, a):
        session.SelectRegion("opal", ROI=BOX).accept("A")
        assert "warning" not in str(session.exportParams())
    a.SelectRegion("opal", ROI=BOX).accept("A")
    other = tmp_path / "q.toml"
    for _ in range(2):
        a.SelectRegion("opal", ROI=BOX).accept("A")
        assert "warning" not in str(a.exportParams(path=other))


def test_an_automatic_name_avoids_those_that_are_added_with_it(tmp_path):
    entry = Entry("det", "roi", RunRange(1), {"ROI": BOX}, "ROI_0", automatic=True)
    path = tmp_path / "p.toml"
    append(path, [entry], "xpptut15")
    given = dataclasses.replace(entry, name="ROI_1", automatic=False)
    done = append(path, [entry, given, entry], "xpptut15")
    assert done.names == ("ROI_2", "ROI_1", "ROI_3")
    assert [e.name for e in done.entries] == ["ROI_2", "ROI_1", "ROI_3"]


# -- one name for two kinds ------------------------------------------------------------


def with_azav(session, name):
    values = {"center": [0.0, 0.0], "dis_to_sam": 80.0, "eBeam": 9.5, "polCorr": False}
    return Entry("opal", "azav", RunRange(session_run.RUN), values, name)


@pytest.mark.parametrize("exported", [False, True])
def test_a_name_that_another_kind_has_is_not_accepted(two, exported):
    a, _ = two
    a.SelectRegion("opal", ROI=BOX).accept("ROI_0")
    if exported:
        a.exportParams(runs="20-")
    pending = list(a.pending)
    says = r"'ROI_0', runs 14-: .*roi 'ROI_0', runs .* same name; 'ROI_1' is free"
    with pytest.raises(UsageError, match=says):
        a.take(with_azav(a, "ROI_0"), a.SelectRegion("opal", ROI=BOX))
    assert a.pending == pending
    a.take(with_azav(a, "ROI_1"), a.SelectRegion("opal", ROI=BOX))
    a.exportParams()


def test_renaming_to_the_name_of_another_kind_changes_nothing(two):
    a, _ = two
    a.SelectRegion("opal", ROI=BOX).accept("A")
    a.take(with_azav(a, "B"), a.SelectRegion("opal", ROI=BOX))
    pending, steps = list(a.pending), len(a.history())
    with pytest.raises(UsageError, match="has the same name"):
        a.ROIs.rename("A", "B")
    assert a.pending == pending
    assert len(a.history()) == steps


def test_a_clash_that_came_meanwhile_names_entries_and_can_be_withdrawn(two):
    a, b = two
    a.SelectRegion("opal", ROI=BOX).accept("A")
    a.SelectRegion("opal", ROI=OTHER).accept("B")
    b.take(with_azav(b, "A"), b.SelectRegion("opal", ROI=BOX))
    b.exportParams()
    line = ParameterFile.load(a.places.params).entries[0].line
    says = rf"\ndetector\.opal\.roi 'A', runs 14-: line {line}: .*azav 'A'.*same name\n"
    with pytest.raises(ParameterError, match=says):
        a.exportParams()
    a.forget("A")
    a.exportParams()
    assert {e.name for e in applied(a)} == {"A", "B"}


def test_two_detectors_have_the_name(two):
    a, _ = two
    a.SelectRegion("opal", ROI=BOX).accept("A")
    a.SelectRegion("epix100", ROI=[[0, 1], *BOX]).accept("A")
    with pytest.raises(UsageError, match=r"which 'A'\? .* give detname="):
        a.forget("A")
    a.forget("A", "epix100")
    assert [entry.detector for entry in a.pending] == ["opal"]


# -- what is told of an export ---------------------------------------------------------


def test_a_removal_is_switched_off(two):
    a, _ = two
    a.SelectRegion("opal", ROI=BOX).accept("A")
    a.exportParams(runs="1-")
    a.ROIs.remove("A")
    text = str(a.exportParams())
    assert "    switched off\n" in text
    assert "ROI =" not in text
    assert "enabled: True -> False" in text


def test_what_is_drawn_and_not_accepted_is_noted(two):
    a, _ = two
    tool = a.SelectRegion("opal", ROI=BOX)
    with pytest.raises(UsageError, match="nothing to export\nnot accepted: <RoiTool"):
        a.exportParams()
    mask = a.MakeMask("opal", shapes=[EDGES])
    mask.accept()
    mask.add(DISC)
    text = str(a.exportParams())
    for one in (tool, mask):
        assert f"note: not accepted: {one!r}; .accept() takes it" in text
