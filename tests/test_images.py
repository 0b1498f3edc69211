"""The mapping of average images that the session has."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import NameNotFound
from smalldata_ana.session.images import Images


def image(name: str, detector: str = "epix", **more: object) -> AverageImage:
    shape = (3, 4)
    return AverageImage(
        name=name,
        detector=detector,
        data=np.ones(shape, np.float32),
        unit="keV",
        good=np.ones(shape, bool),
        events=np.arange(5),
        timestamps=np.arange(5, dtype=np.uint64),
        made={"run": 7},
        find_geometry=lambda: ImageGeometry.from_positions(None, shape),
        **more,
    )


@pytest.fixture
def images() -> Images:
    images = Images()
    images.add(image("AvImg_pedSub_epix", std=np.zeros((3, 4), np.float32)))
    images.add(image("AvImg_raw_opal", "opal"))
    return images


def test_names_are_upstreams(images):
    assert list(images) == [
        "AvImg_pedSub_epix",
        "AvImg_std_pedSub_epix",
        "AvImg_raw_opal",
    ]
    assert len(images) == 3
    assert "AvImg_std_pedSub_epix" in images
    assert images["AvImg_std_pedSub_epix"].data is images["AvImg_pedSub_epix"].std
    assert images._ipython_key_completions_() == list(images)


def test_the_latest_is_last(images):
    assert images.latest().name == "AvImg_raw_opal"
    assert images.latest("epix").name == "AvImg_pedSub_epix"
    assert images.latest("zyla") is None
    assert Images().latest() is None
    images.add(image("AvImg_pedSub_epix"))
    assert list(images) == ["AvImg_raw_opal", "AvImg_pedSub_epix"]


def test_an_unknown_name_says_what_there_is(images):
    with pytest.raises(NameNotFound, match="Did you mean 'AvImg_pedSub_epix'"):
        images["AvImg_pedSub_epx"]
    with pytest.raises(KeyError) as error:
        images["AvImg_raw_opal2"]
    assert str(error.value).startswith("no average image 'AvImg_raw_opal2'; there are")
    assert images.get("none") is None
    with pytest.raises(NameNotFound, match="make one first"):
        Images()["x"]


class Printer:
    def __init__(self) -> None:
        self.written = ""

    def text(self, text: str) -> None:
        self.written += text


def test_they_print_as_a_table(images):
    printer = Printer()
    images._repr_pretty_(printer, False)
    lines = printer.written.splitlines()
    assert lines[0].split() == ["name", "shows", "events", "shape", "run"]
    assert lines[1].startswith("AvImg_pedSub_epix      mean [keV]  ")
    assert "standard deviation [keV]" in lines[2]
    assert "3 x 4" in lines[3]
    html = images._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>AvImg_std_pedSub_epix</td>" in html
    empty = Printer()
    Images()._repr_pretty_(empty, False)
    assert empty.written == "<Images: none yet>"
