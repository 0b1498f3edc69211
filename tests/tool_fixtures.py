"""What the tests of the tools share: a session, and figures without windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from region_session import DETECTOR, PANELS, Session
from rings_image import ring_image
from small_run import small_run

from smalldata_ana.average_image import AverageImage
from smalldata_ana.places import places
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.roi import RoiTool


@pytest.fixture
def plt() -> Iterator[Any]:
    """Draw without windows, and close all figures."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


@pytest.fixture
def figure(plt: Any) -> ToolFigure:
    return ToolFigure(ring_image(), Display(), "test")


@pytest.fixture
def session(plt: Any, tmp_path: Path) -> Iterator[Session]:
    run = small_run(tmp_path)
    where = places("xpptut15", params=tmp_path / "p.toml", directory=tmp_path)
    yield Session(run, places_of=lambda experiment: where)
    run.close()


@pytest.fixture
def average(session: Session) -> AverageImage:
    """The image of the session."""
    image = ring_image(PANELS, events=np.arange(4))
    session.images.add(image)
    return image


@pytest.fixture
def tool(session: Session, average: AverageImage) -> RoiTool:
    """The tool that draws a region on the image of the session."""
    tool = RoiTool(session, DETECTOR, average=average)
    tool.show(Display())
    return tool
