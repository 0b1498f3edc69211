"""What was chosen is seen over the image again."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import session_run
from matplotlib.figure import Figure

from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session import chosen
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.sources.hdf5_run import Hdf5Run


@pytest.fixture
def anaps(tmp_path):
    run = Hdf5Run(session_run.write(tmp_path))
    where = places("xpptut15", directory=tmp_path, params=tmp_path / "p.toml")
    yield SmallDataAna_psana(run, places_of=lambda exp: where)
    run.close()


def masks_of(anaps, **options):
    ax = Figure().subplots()
    anaps.plotAvImage("opal", ax=ax, **options)
    return [image for image in ax.images if image.get_gid() == "mask"]


def test_a_mask_is_seen_over_the_image_before_and_after_its_export(anaps):
    anaps.AvImage("opal", numEvts=4)
    assert not masks_of(anaps)
    good = np.ones(session_run.SHAPES["opal"], bool)
    good[3:7, 2:5] = False
    anaps.pending.append(mask_entry("opal", good, RunRange(14)))
    for _ in range(2):
        (image,) = masks_of(anaps)
        np.testing.assert_array_equal(~image.get_array().mask, ~good)
        if anaps.pending:
            anaps.exportParams()
    assert not masks_of(anaps, regions=False)


def test_regions_are_seen_with_their_names(anaps):
    anaps.AvImage("opal", numEvts=4)
    values = {"ROI": [[2, 8], [3, 9]]}
    anaps.pending.append(Entry("opal", "roi", RunRange(14), values, name="spot"))
    ax = Figure().subplots()
    anaps.plotAvImage("opal", ax=ax)
    assert "spot" in {text.get_text() for text in ax.texts}


def test_a_damaged_file_does_not_hide_the_image(anaps, caplog):
    anaps.AvImage("opal", numEvts=4)
    anaps.places.params.write_text("this is no TOML")
    assert not masks_of(anaps)
    (warning,) = caplog.messages
    assert "this is no TOML" not in warning
    assert "is not TOML" in warning


def tools_of(anaps):
    yield anaps.SelectRegion("opal").figure
    yield anaps.SelectRegionDroplet("opal").figure
    yield anaps.MakeMask("opal").picture.figure
    yield anaps.FitCircleMouse("opal").figure.canvas


def test_each_tool_shows_all_that_was_chosen(anaps, monkeypatch):
    anaps.AvImage("opal", numEvts=4)
    good = np.ones(session_run.SHAPES["opal"], bool)
    good[3:7, 2:5] = False
    anaps.pending.append(mask_entry("opal", good, RunRange(14)))
    values = {"ROI": [[2, 8], [3, 9]]}
    anaps.pending.append(Entry("opal", "roi", RunRange(14), values, name="spot"))
    center = [np.ones((2, 2)), np.ones((2, 2))]
    monkeypatch.setattr(chosen, "known_center_lines", lambda *_: center)
    for figure in tools_of(anaps):
        written = {text.get_text() for text in figure.ax.texts}
        assert {"spot", "center"} <= written
        assert "taken" in figure._overlays
    plt.close("all")


WITH_A_WRONG_LINE = """
schema = "smalldata-ana-params/1"
experiment = "xpptut15"
[[detector.epix100.roi]]
runs = "1-"
ROY = [[0, 1], [4, 20], [5, 15]]
[[detector.opal.roi]]
runs = "1-"
name = "spot"
ROI = [[2, 8], [3, 9]]
"""


@pytest.mark.parametrize("text", ["this is no TOML", WITH_A_WRONG_LINE])
@pytest.mark.parametrize(
    "command",
    [
        "SelectRegion",
        "SelectRegionDroplet",
        "MakeMask",
        "suggestMask",
        "FitCircleMouse",
    ],
)
def test_a_tool_opens_although_the_file_is_damaged(anaps, caplog, command, text):
    anaps.AvImage("opal", numEvts=4)
    anaps.places.params.write_text(text)
    assert getattr(anaps, command)("opal")
    axes = [ax for number in plt.get_fignums() for ax in plt.figure(number).axes]
    written = {text.get_text() for ax in axes for text in ax.texts}
    assert ("spot" in written) == (text == WITH_A_WRONG_LINE)
    assert len(caplog.messages) == 1
    plt.close("all")


def test_a_tool_opens_although_a_mask_is_gone(anaps, caplog):
    anaps.AvImage("opal", numEvts=4)
    anaps.MakeMask("opal", shapes=[{"shape": "edges"}]).accept()
    anaps.exportParams()
    for path in (anaps.places.params.parent / "masks").iterdir():
        path.unlink()
    assert anaps.MakeMask("opal").picture
    assert not masks_of(anaps)
    assert "masks are not shown: there is no mask" in caplog.text
    plt.close("all")
