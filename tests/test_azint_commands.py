"""Azimuthal integration in the session, on a calibrant whose rings are known."""

from __future__ import annotations

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
from mouse import Mouse
from ring_run import (
    DETECTOR,
    DISTANCE,
    ENERGY,
    Q,
    make_calibrant,
    open_calibrant,
    session,
    true_center,
)
from terminal import Talk

from smalldata_ana.ana_funcs.polarization import PolarizationFit
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import NameNotFound, ParameterError, UsageError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.azint_plots import plot_azint
from smalldata_ana.session.beam_questions import beam_values, unknown_of_beam
from smalldata_ana.units import wavelength


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = open_calibrant(make_calibrant(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture(scope="module")
def average(run, tmp_path_factory):
    return session(run, tmp_path_factory.mktemp("average")).AvImage(DETECTOR)


@pytest.fixture
def anaps(run, average, tmp_path):
    fresh = session(run, tmp_path)
    fresh.images.add(average)
    yield fresh
    plt.close("all")


@pytest.fixture
def beam(run):
    return {
        "center": true_center(run),
        "dis_to_sam": DISTANCE,
        "eBeam": ENERGY,
        "polarization": "vertical",
    }


def peak(found, near):
    """Return the centre of mass of a ring over its surroundings."""
    part = np.abs(found.x - near) < 0.06
    height = found.values[0, part] - np.nanmin(found.values[0, part])
    return np.average(found.x[part], weights=height)


# ---- names ---------------------------------------------------------------------------


def test_an_integration_is_an_attribute_of_its_detector(anaps, beam, capsys):
    tool = anaps.addAzInt(DETECTOR, name="az11", **beam)
    det = anaps.det_objects[DETECTOR]
    assert det.az11 is tool.value
    assert anaps.addDetInfo(DETECTOR) is det
    assert "gone" not in capsys.readouterr().out
    anaps.addDetInfo(DETECTOR, common_mode=-1 if det.common_mode != -1 else 0)
    assert "its functions are gone" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="az11"):
        _ = anaps.det_objects[DETECTOR].az11


# ---- results -------------------------------------------------------------------------


def test_rings_are_at_their_q(anaps, beam):
    anaps.addAzInt(DETECTOR, qBin=0.005, **beam)
    found = anaps.AzInt(DETECTOR)
    np.testing.assert_allclose([peak(found, q) for q in Q], Q, atol=0.002)
    assert found.unit == "ADU"
    assert found.values.shape == (1, found.x.size)
    np.testing.assert_array_equal(np.asarray(found), found.values)


def test_masked_pixels_are_left_out_not_counted_as_zero(anaps, average, beam):
    anaps.addAzInt(DETECTOR, phiBins=4, geomCorr=False, polCorr=False, **beam)
    mask = np.ones(average.shape, int)
    mask[:, ::2] = 0
    ones = {"image": np.ones(average.shape), "mask": mask, "detname": DETECTOR}
    found = anaps.AzInt(inImage=ones)
    assert found.image == f"inImage_{DETECTOR}"
    np.testing.assert_allclose(found.values[np.isfinite(found.values)], 1)
    ignoring = anaps.AzInt(use_mask=False, inImage=ones)
    assert np.isfinite(ignoring.values).sum() > np.isfinite(found.values).sum()


def test_what_is_not_given_is_taken_from_the_accepted_geometry(anaps, run, beam):
    anaps.FitCircle(DETECTOR, ring=(253.0, 193.0, 148.0), plotIt=False).accept()
    values = dict(anaps.pending[0].values)
    del beam["center"]
    func = anaps.addAzInt(DETECTOR, **beam).value
    assert func.center == values["center"]


def test_and_from_the_exported_one(anaps, beam):
    beam["center"] = list(beam["center"])
    entry = Entry(DETECTOR, "geometry", RunRange(3), {**beam, "tx": 0.5})
    anaps.pending.append(entry)
    anaps.exportParams(runs="1-")
    func = anaps.addAzInt(DETECTOR).value
    assert (func.center, func.tx, func.eBeam) == (beam["center"], 0.5, ENERGY)
    assert anaps.addAzInt(DETECTOR, tx=0.0).given()["tx"] == 0
    assert anaps.addAzInt(DETECTOR).given() == {"qbin": 0.01}


def test_accepted_integration_is_exported(anaps, run, tmp_path, beam):
    tool = anaps.addAzInt(DETECTOR, phiBins=8, name="rings", counts=True, **beam)
    assert not anaps.pending
    tool.accept()
    anaps.exportParams(runs="1-")
    from smalldata_ana.parameters.file import ParameterFile

    (entry,) = ParameterFile.load(tmp_path / "p.toml", run.experiment).entries
    made = entry.make()
    assert (entry.kind, made.name, made.phiBins) == ("azav", "rings", 8)
    assert made.counts is True
    np.testing.assert_allclose(made.center, beam["center"])
    assert "addAzInt" in tool.scripted()


def test_a_script_adds_the_same(anaps, beam):
    tool = anaps.addAzInt(DETECTOR, phiBins=8, qBin=0.005, **beam)
    again = eval(tool.scripted(), {"anaps": anaps})
    assert again.given() == tool.given()
    assert "AzIntTool" in repr(again)


def test_arrays_cannot_be_exported(anaps, average, beam):
    tool = anaps.addAzInt(DETECTOR, userMask=np.ones(average.shape), **beam)
    with pytest.raises(UsageError, match="MakeMask"):
        tool.accept()


def test_undo_brings_the_earlier_function_back(anaps, beam):
    tool = anaps.addAzInt(DETECTOR, **beam)
    first = tool.value
    tool.value = type(first)(name="azav", qbin=0.02, **beam)
    assert anaps.getAzInt() is tool.value
    tool.undo()
    assert anaps.getAzInt() is first


def test_a_name_of_another_function_is_not_taken_from_it(anaps, beam):
    anaps.addDetInfo(DETECTOR).addFunc(
        ROIFunc(name="azav", ROI=[[0, 1], [0, 9], [0, 9]])
    )
    with pytest.raises(ParameterError, match="has a function 'azav' already"):
        anaps.addAzInt(DETECTOR, **beam)


def test_photons_need_an_image_in_the_unit_of_the_detector(anaps, average, beam):
    anaps.addAzInt(DETECTOR, ADU_per_Photon=10.0, **beam)
    assert anaps.AzInt().unit == "photon"
    other = dataclasses.replace(average, unit="keV")
    with pytest.raises(ParameterError, match="average the image with"):
        anaps.AzInt(inImage=other)
    anaps.addAzInt(DETECTOR, **beam)
    assert anaps.AzInt(inImage=other).unit == "keV"


# ---- what is missing -----------------------------------------------------------------


def test_what_is_missing_is_named(anaps):
    with pytest.raises(UsageError, match=r"center \[um\] and dis_to_sam \[mm\] and e"):
        anaps.addAzInt(DETECTOR, polarization="vertical")


def test_polarization_is_never_assumed_and_the_image_is_shown(anaps, beam):
    del beam["polarization"]
    with pytest.raises(UsageError, match="fits vertical polarization"):
        anaps.addAzInt(DETECTOR, **beam)
    anaps.addAzInt(DETECTOR, polCorr=False, **beam)


def test_polarization_that_the_image_contradicts_is_told(anaps, beam, capsys):
    anaps.addAzInt(DETECTOR, **beam)
    assert "note" not in capsys.readouterr().out
    beam["polarization"] = "horizontal"
    anaps.addAzInt(DETECTOR, **beam)
    assert "given as 'horizontal', but" in capsys.readouterr().out


def asked(anaps, talk, look=None, **given):
    return beam_values(anaps, DETECTOR, given, look=look, dialogue=talk.dialogue)


def test_somebody_is_asked_until_the_answer_makes_sense(anaps):
    talk = Talk("[1, 2, 3]", "10, 20", "-5", "?", "60", "9500", "9.5")
    values = asked(anaps, talk, tx=1.0, ty=None)
    assert values == {"tx": 1, "center": [10, 20], "dis_to_sam": 60, "eBeam": 9.5}
    assert any("must be above 0" in text for text in talk.lines)


def test_no_answer_goes_back_to_the_question_before(anaps):
    talk = Talk("10 20", "80", "", "75.5", KeyboardInterrupt, "", "9.5")
    values = asked(anaps, talk)
    assert values == {"center": [10, 20], "dis_to_sam": 75.5, "eBeam": 9.5}
    center, distance, energy = talk.prompts[:3]
    assert "center" in center
    shown = ["[80] ", "", "[75.5] ", ""]
    asked_again = [
        f"{p}{s}" for p, s in zip([distance, energy] * 2, shown, strict=True)
    ]
    assert talk.prompts[3:] == asked_again


def test_questions_that_are_left_name_what_is_missing_and_keep_the_answers(anaps):
    with pytest.raises(
        UsageError, match=r"needs center \[um\] and dis_to_sam \[mm\] a"
    ):
        asked(anaps, Talk(""))
    talk = Talk("10, 20.5", "", KeyboardInterrupt)
    with pytest.raises(UsageError, match=r"needs dis_to_sam \[mm\] and eBeam \[keV\]:"):
        asked(anaps, talk)
    talk = Talk("", "80", KeyboardInterrupt, KeyboardInterrupt, KeyboardInterrupt)
    with pytest.raises(UsageError, match=r"needs eBeam \[keV\]:"):
        asked(anaps, talk)
    assert talk.prompts[0].endswith("[10, 20.5] ")
    assert asked(anaps, Talk("", "", "9.5"))["eBeam"] == 9.5
    left = [KeyboardInterrupt] * 2
    with pytest.raises(UsageError, match="the answers are offered"):
        asked(anaps, Talk("", *left))


VERTICAL = PolarizationFit(0.1, 0.01, 0.0, 0.02)
BEAM = {"center": [0.0, 0.0], "dis_to_sam": 80.0, "eBeam": 9.5}


def test_polarization_is_asked_for_beside_what_the_image_shows(anaps):
    talk = Talk("diagonal", "2", "?", "0.1")
    values = asked(anaps, talk, lambda values: VERTICAL, **BEAM)
    assert values == BEAM | {"polarization": 0.1}
    assert "fits vertical" in talk.lines[0]
    assert any("no polarization 'diagonal'" in text for text in talk.lines)
    assert any("scattering is weak along" in text for text in talk.lines)


def test_a_typed_polarization_that_the_image_contradicts_is_asked_about(anaps):
    talk = Talk("horizontal", "?", "", "0.9", KeyboardInterrupt, "vertical")
    values = asked(anaps, talk, lambda values: VERTICAL, **BEAM)
    assert values["polarization"] == "vertical"
    keep = [text for text in talk.prompts if "keep it?" in text]
    assert "fits vertical polarization, not horizontal; keep it? (y/n) [n]" in keep[0]
    assert "not 0.9; keep it?" in keep[-1]
    kept = asked(anaps, Talk("horizontal", "y"), lambda values: VERTICAL, **BEAM)
    assert kept["polarization"] == "horizontal"
    unsure = PolarizationFit(0.0, 0.1, 0.5, 0.1)
    again = asked(anaps, Talk("horizontal"), lambda values: unsure, **BEAM)
    assert again["polarization"] == "horizontal"


def test_from_the_polarization_it_goes_back_to_the_energy(anaps):
    seen = []
    talk = Talk("9.5", "", "9.6", "vertical")
    given = {"center": [0, 0], "dis_to_sam": 80}
    values = asked(anaps, talk, lambda values: seen.append(dict(values)), **given)
    assert (values["eBeam"], values["polarization"]) == (9.6, "vertical")
    assert [values["eBeam"] for values in seen] == [9.5, 9.6]
    anaps.beam_answers.clear()
    with pytest.raises(UsageError, match=r"polarization of .* never assumed"):
        asked(anaps, Talk(""), lambda values: None, **{**BEAM, "eBeam": 9.6})


def test_what_is_not_known_of_the_beam_is_told(anaps, beam):
    assert "dis_to_sam [mm] and eBeam [keV] not known" in unknown_of_beam(
        anaps, DETECTOR
    )
    entry = Entry(DETECTOR, "geometry", RunRange(3), {"dis_to_sam": 80.0})
    anaps.pending.append(entry)
    assert ": eBeam [keV] not known yet; what needs it" in unknown_of_beam(
        anaps, DETECTOR
    )
    follows = {"eBeam": {"pv": "no:such:variable"}, "center": [0, 0]}
    anaps.pending[:] = [Entry(DETECTOR, "geometry", RunRange(3), follows)]
    assert ": dis_to_sam [mm] not known" in unknown_of_beam(anaps, DETECTOR)
    anaps.pending.clear()
    anaps.addAzInt(DETECTOR, **beam)
    assert unknown_of_beam(anaps, DETECTOR) == ""


def test_names_of_integrations(anaps, beam):
    with pytest.raises(NameNotFound, match="add one"):
        anaps.getAzInt(DETECTOR)
    anaps.addAzInt(DETECTOR, **beam)
    anaps.addAzInt(DETECTOR, name="cake", phiBins=12, **beam)
    assert anaps.getAzAvs() == ["azav", "cake"]
    assert anaps.getAzInt(azintName="cake").phiBins == 12
    with pytest.raises(NameNotFound, match="Did you mean 'cake'"):
        anaps.AzInt(azintName="cakes")
    anaps.addAzInt(DETECTOR, name="cake", phiBins=6, **beam)
    assert anaps.getAzInt(azintName="cake").phiBins == 6


# ---- plots ---------------------------------------------------------------------------


def test_curve_with_lines_of_the_calibrant(anaps, beam):
    anaps.addAzInt(DETECTOR, **beam)
    found = anaps.AzInt(plotIt=True, calibrant="lab6")
    (ax,) = plt.gcf().axes
    curve, *lines = ax.lines
    np.testing.assert_array_equal(curve.get_ydata(), found.values[0])
    drawn = [line.get_xdata()[0] for line in lines]
    np.testing.assert_allclose(drawn[:2], Q, rtol=1e-5)
    assert ax.get_xlabel() == "q [1/Å]"
    assert ax.get_ylabel() == "mean intensity [ADU]"
    with pytest.raises(ParameterError, match="no calibrant"):
        plot_azint(found, calibrant="LaB7")


def test_map_in_axes_that_are_given(anaps, beam):
    anaps.addAzInt(DETECTOR, phiBins=12, **beam)
    ax = plt.figure().subplots()
    assert anaps.plotAzInt(calibrant="LaB6", ax=ax) is ax
    (mesh,) = ax.collections
    np.testing.assert_allclose(
        mesh.get_array().filled(np.nan), anaps.azints[DETECTOR, "azav"].values
    )
    assert ax.get_ylabel() == "φ [°]"


def test_average_by_radius_has_no_calibrant_lines(anaps, beam):
    del beam["eBeam"]
    anaps.addAzInt(DETECTOR, rbin=110.0, **beam)
    ax = anaps.plotAzInt()
    assert ax.get_xlabel() == "radius [µm]"
    with pytest.raises(ParameterError, match="by radius"):
        anaps.plotAzInt(calibrant="LaB6")


def spreads(tool):
    """Return by title of a map how far apart in q its maxima are."""
    axes = [ax for ax in tool.figure.figure.axes if ax.collections and ax.lines]
    return {ax.get_title(): np.ptp(ax.lines[0].get_xdata()) for ax in axes}


def test_variation_of_the_centre_is_straight_in_the_middle(anaps, beam):
    del beam["polarization"]
    tool = anaps.AzInt_centerVar(
        DETECTOR, varCenter=400, zoom=(1.3, 1.6), qBin=0.01, **beam
    )
    spread = spreads(tool)
    assert len(spread) == 5
    x, y = beam["center"]
    middle = spread.pop(f"x = {x:.0f}, y = {y:.0f} µm")
    assert middle <= 0.02 + 1e-9
    assert min(spread.values()) > 0.035
    curves = anaps.AzInt_centerVar(DETECTOR, qBin=0.01, plotGrid=1, **beam)
    assert sum(len(ax.lines) == 13 for ax in curves.figure.figure.axes) == 5
    before = plt.get_fignums()
    with pytest.raises(ParameterError, match="shows nothing"):
        anaps.AzInt_centerVar(DETECTOR, zoom=(50, 60), **beam)
    assert plt.get_fignums() == before


def test_the_dots_are_on_a_ring_and_not_on_the_glow(anaps, average, beam):
    del beam["polarization"]
    row, column = average.geometry.image_from_um(*beam["center"])
    ix, iy = average.geometry.ix, average.geometry.iy
    radius = np.hypot(ix - row, iy - column)
    glow = np.where(radius > 20, 1e4 * np.exp(-(radius - 20) / 8), 0.1)
    rings = 30 * np.exp(-0.5 * ((radius - 120) / 2) ** 2)
    options = {"qBin": 0.01, "varCenter": 300, "inImage": glow + rings} | beam
    tool = anaps.AzInt_centerVar(DETECTOR, **options)
    x, y = tool.value.center_um
    spread = spreads(tool)
    assert spread.pop(f"x = {x:.0f}, y = {y:.0f} µm") < 0.025
    assert min(spread.values()) > 0.03
    angle = np.arctan(120e-3 * average.geometry.pixel_size / DISTANCE)
    q = 4 * np.pi / wavelength(ENERGY) * np.sin(angle / 2)
    for drawn in (ax.lines[0] for ax in tool.figure.figure.axes if ax.lines):
        np.testing.assert_allclose(drawn.get_xdata(), q, atol=0.04)
    without = anaps.AzInt_centerVar(DETECTOR, **(options | {"inImage": rings}))
    assert without.glow_end == 0


def test_the_varied_centre_is_a_tool(anaps, beam):
    del beam["polarization"]
    x, y = beam.pop("center")
    style = {"varCenter": 400.0, "zoom": (1.3, 1.6), "qBin": 0.01}
    tool = anaps.AzInt_centerVar(DETECTOR, center=(x + 400, y), **style, **beam)
    np.testing.assert_allclose(tool.value.center_um, (x + 400, y))
    wrong = f"x = {x + 400:.0f}, y = {y:.0f} µm"
    right = f"x = {x:.0f}, y = {y:.0f} µm"
    assert spreads(tool)[wrong] > spreads(tool)[right]
    ax = next(a for a in tool.figure.figure.axes if a.get_title() == right)
    Mouse(ax).click(ax.transData.inverted().transform(middle_of(ax))[::-1])
    np.testing.assert_allclose(tool.value.center_um, (x, y))
    assert f"x = {x - 400:.0f}, y = {y:.0f} µm" in spreads(tool)
    np.testing.assert_allclose(tool.undo().center_um, (x + 400, y))
    assert wrong in spreads(tool)
    np.testing.assert_allclose(tool.redo().center_um, (x, y))
    np.testing.assert_allclose(tool.reset().center_um, (x + 400, y))
    tool.move(x - 50, y + 25)
    tool.value = (x, y)
    assert "center = " in repr(tool)
    with pytest.raises(ParameterError, match="center"):
        tool.move(np.nan, 0)
    with pytest.raises(ParameterError, match=r"outside .* at most 10 times"):
        tool.move(1e6, 1e6)
    np.testing.assert_allclose(tool.value.center_um, (x, y))
    entry = tool.accept()
    assert (entry.kind, entry.made["how"]) == ("geometry", "AzInt_centerVar")
    np.testing.assert_allclose(entry.values["center"], (x, y))
    again = eval(tool.scripted(), {"anaps": anaps})
    np.testing.assert_allclose(again.value.center_um, (x, y))


def test_a_centre_that_was_not_moved_is_said_to_be_as_given(anaps, beam):
    del beam["polarization"]
    x, y = beam["center"]
    tool = anaps.AzInt_centerVar(DETECTOR, qBin=0.05, phiBins=5, plotIt=False, **beam)
    assert tool.accept().made["fit"] == "as given"
    tool.move(x + 10, y)
    assert "straight over phi" in tool.accept().made["fit"]
    tool.undo()
    assert tool.accept().made["fit"] == "as given"


def test_what_an_integration_of_the_session_knows_is_not_asked_again(anaps, beam):
    polarization = beam.pop("polarization")
    first = anaps.addAzInt(DETECTOR, name="azv", polarization=polarization, **beam)
    second = anaps.addAzInt(DETECTOR, name="azq", polarization=0.3).value
    assert second.dis_to_sam == first.value.dis_to_sam
    assert second.eBeam == first.value.eBeam
    assert second.center == first.value.center
    assert second.polarization == 0.3
    values = anaps.addAzInt(DETECTOR, name="az3", dis_to_sam=80.0).accept().values
    assert values["dis_to_sam"] == 80.0
    assert values["eBeam"] == first.value.eBeam


def test_integrations_are_in_the_history_and_the_script_does_what_it_needs(anaps, beam):
    anaps.addAzInt(DETECTOR, qBin=0.05, **beam)
    anaps.AzInt(DETECTOR)
    add, look = anaps.record.steps
    assert add.command.startswith("anaps.addAzInt(")
    assert "dis_to_sam" in add.command
    assert look.command.startswith("anaps.AzInt(")
    script = anaps.record.script("exp", 3)
    assert "anaps.addAzInt(" in script
    assert "anaps.AzInt(" not in script
    anaps.addAzInt(DETECTOR, qBin=0.02, **beam).accept()
    assert [s.command.split("(")[0] for s in anaps.record.steps[2:]] == [
        "anaps.addAzInt"
    ]
    assert anaps.record.steps[-1].command.endswith(".accept(name='azav')")


def test_the_variation_is_written_again_when_the_centre_was_moved(anaps, beam):
    del beam["polarization"]
    anaps.pictures.activate()
    tool = anaps.AzInt_centerVar(DETECTOR, qBin=0.05, phiBins=5, **beam)
    anaps.pictures.write()
    (path,) = anaps.places.images.glob("*AzInt_centerVar*.png")
    before = path.read_bytes()
    tool.move(*(np.array(beam["center"]) + 2000))
    anaps.pictures.write()
    assert path.read_bytes() != before


def middle_of(ax):
    return ax.transAxes.transform((0.5, 0.5))


def test_a_variation_needs_a_step(anaps, beam):
    del beam["polarization"]
    with pytest.raises(ParameterError, match="varCenter = 0"):
        anaps.AzInt_centerVar(DETECTOR, varCenter=0, **beam)


def test_an_exported_integration_is_there_in_the_next_session(
    anaps, run, average, tmp_path, beam, caplog
):
    anaps.addAzInt(DETECTOR, phiBins=4, **beam).accept()
    expected = anaps.AzInt(DETECTOR)
    anaps.exportParams(runs="1-")
    later = session(run, tmp_path)
    later.images.add(average)
    assert later.getAzAvs(DETECTOR) == ["azav"]
    np.testing.assert_array_equal(later.AzInt().values, expected.values)
    later.addAzInt(DETECTOR, name="fine", qBin=0.002)
    assert later.getAzAvs(DETECTOR) == ["azav", "fine"]


def test_an_exported_integration_that_does_not_fit_is_left_out(
    anaps, tmp_path, beam, caplog
):
    anaps.addAzInt(DETECTOR, **beam).accept()
    anaps.exportParams(runs="1-")
    path = tmp_path / "p.toml"
    path.write_text(
        path.read_text()
        .replace('"azav"', '"other"')
        .replace("dis_to_sam", "phiBins = [0, 0]\ndis_to_sam")
    )
    other = session(anaps.run, tmp_path)
    with pytest.raises(NameNotFound, match="has no azimuthal integration"):
        other.getAzInt(DETECTOR)
    assert "left out" in caplog.text


def test_what_an_accepted_integration_knows_is_not_asked_again(anaps, beam):
    anaps.addAzInt(DETECTOR, **beam).accept()
    second = anaps.addAzInt(DETECTOR, name="fine", qBin=0.002)
    assert (second.value.eBeam, second.value.dis_to_sam) == (ENERGY, DISTANCE)
    entry = second.accept()
    assert entry.values["dis_to_sam"] == DISTANCE
    tool = anaps.AzInt_centerVar(DETECTOR, plotIt=False)
    np.testing.assert_allclose(tool.value.center_um, beam["center"])
    tool.move(*(np.array(beam["center"]) + 30))
    tool.accept()
    third = anaps.addAzInt(DETECTOR, name="third")
    np.testing.assert_allclose(third.value.center, tool.value.center_um)
    anaps.exportParams()
    assert anaps.addAzInt(DETECTOR, name="fourth").value.dis_to_sam == DISTANCE


def test_an_image_without_a_good_pixel_can_be_shown(anaps, average, beam):
    anaps.addAzInt(DETECTOR, phiBins=6, **beam)
    nothing = {"image": average.data, "mask": np.zeros(average.shape)}
    found = anaps.AzInt(inImage=nothing, plotIt=True)
    assert np.isnan(found.values).all()
