"""What was chosen in tools and is not accepted is known, as long as it can be."""

from __future__ import annotations

import gc

import matplotlib.pyplot as plt
import pytest
from ring_run import DETECTOR, make_calibrant, open_calibrant, whole_session

BOX = [[1, 2], [4, 20], [5, 15]]
EDGES = {"shape": "edges"}
DISC = {"shape": "circle", "center": [100, 100], "radius": 30}


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
    session = whole_session(run, tmp_path)
    session.images.add(average)
    yield session
    plt.close("all")


def integrate(anaps, **more):
    return anaps.addAzInt(
        DETECTOR, center=[0, 0], dis_to_sam=50, eBeam=9.5, polCorr=False, **more
    )


CHOOSE = {
    "SelectRegion": lambda a: a.SelectRegion(DETECTOR, ROI=BOX),
    "MakeMask": lambda a: a.MakeMask(DETECTOR, shapes=[EDGES, DISC]),
    "suggestMask": lambda a: a.suggestMask(DETECTOR, ["hot"], sigma=4, plot=False),
    "FitCircleAuto": lambda a: a.FitCircleAuto(DETECTOR),
    "addAzInt": integrate,
}


@pytest.mark.parametrize("command", CHOOSE)
def test_a_tool_is_open_until_it_is_accepted(anaps, command):
    tool = CHOOSE[command](anaps)
    assert list(anaps.tools) == [tool]
    tool.accept()
    assert not list(anaps.tools)


def test_a_tool_without_a_value_is_none(anaps):
    tools = [
        anaps.SelectRegion(DETECTOR),
        anaps.MakeMask(DETECTOR),
        anaps.FitCircleMouse(DETECTOR),
        anaps.AzInt_centerVar(DETECTOR, center=[0, 0], dis_to_sam=50, eBeam=9.5),
    ]
    assert not list(anaps.tools)
    tools[-1].move(100, 100)
    assert list(anaps.tools) == tools[-1:]


def test_what_is_changed_after_it_was_accepted_is_open_again(anaps):
    mask = anaps.MakeMask(DETECTOR, shapes=[EDGES])
    mask.accept()
    mask.add(DISC)
    assert list(anaps.tools) == [mask]
    mask.undo()
    assert not list(anaps.tools)


def test_a_mask_that_is_in_a_file_or_the_store_is_not_lost(anaps, tmp_path):
    first, second = (anaps.MakeMask(DETECTOR, shapes=[EDGES]) for _ in range(2))
    first.save(tmp_path / "mask.npy")
    assert list(anaps.tools) == [second]
    second.to_store()
    assert not list(anaps.tools)


def test_one_geometry_stands_for_all_that_were_fitted(anaps):
    first, second = (anaps.FitCircleAuto(DETECTOR) for _ in range(2))
    region = anaps.SelectRegion(DETECTOR, ROI=BOX)
    assert list(anaps.tools) == [first, second, region]
    second.accept()
    assert list(anaps.tools) == [region]


def test_an_integration_takes_the_place_of_one_of_its_name(anaps):
    tools = [integrate(anaps), integrate(anaps, phiBins=4)]
    tools.append(integrate(anaps, name="other"))
    assert list(anaps.tools) == tools[1:]


def test_a_tool_that_nobody_has_is_forgotten(anaps):
    anaps.SelectRegion(DETECTOR, ROI=BOX)
    gc.collect()
    assert not list(anaps.tools)
