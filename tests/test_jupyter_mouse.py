"""A region drawn in JupyterLab, with the mouse of a real browser."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from jupyter_lab import Notebook, browser, jupyter_lab, write_notebook
from simulated import ours

from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run

DETECTOR = "jungfrau1M"
BEGIN, END = (200, 140), (320, 230)
"""Where the mouse is pressed and released [dots right of and below the corner]."""

ZOOM, HOME = "Zoom to rectangle", "Reset original view"

SOURCE = "-e xppsim02 -r 1 --xtc-dir {made.xtc_dir} --calib-dir {made.calib_dir}"
STATE = "print(roi.value is None, axes.get_xlim()[0] > 0, figure.canvas.toolbar.mode)"
"""Around the whole image there is a margin, so that the lower limit is negative."""

POINTS = f"""
dots = [(x, figure.bbox.height - y) for x, y in {[BEGIN, END]}]
print(axes.transData.inverted().transform(dots).tolist())
"""
CELLS = (
    "from matplotlib import pyplot as plt\n%load_ext smalldata_ana",
    "%smalldata_ana {source} --params params.toml",
    "anaps.AvImage()",
    "roi = anaps.SelectRegion()\nfigure = plt.gcf()\naxes = figure.axes[0]",
    STATE,
    POINTS.strip(),
    "roi.accept()",
    "anaps.exportParams(runs='1-')",
)
SELECT, LOOK, WHERE, ACCEPT, EXPORT = range(3, 8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    browser()
    spec = RunSpec(experiment="xppsim02", detectors=(DetectorSpec(DETECTOR),), events=6)
    return make_run(tmp_path_factory.mktemp("jupyter"), spec)


def boxes_between(made: SimulatedRun, points: list[list[float]]) -> list[object]:
    """Return the boxes of the pixels that lie between two (column, row)."""
    with contextlib.closing(ours(made)) as run:
        positions = run.pixel_positions(DETECTOR)
    assert positions is not None
    inside = np.ones(positions.x.shape, bool)
    for place, axis in ((positions.x, 1), (positions.y, 0)):
        index = np.rint((place - place.min()) / positions.pixel_size)
        begin, end = sorted(point[axis] for point in points)
        inside &= (begin <= index) & (index <= end)
    boxes: list[object] = []
    for panel in np.flatnonzero(inside.any(axis=(1, 2))).tolist():
        reach = [np.flatnonzero(inside[panel].any(axis=axis)) for axis in (1, 0)]
        box = [[int(pixels[0]), int(pixels[-1]) + 1] for pixels in reach]
        boxes.append([[panel, panel + 1], *box])
    return boxes


def test_a_region_drawn_in_a_notebook_is_the_one_in_the_file(
    made: SimulatedRun, tmp_path: Path
) -> None:
    source = SOURCE.format(made=made)
    cells = [cell.replace("{source}", source) for cell in CELLS]
    write_notebook(tmp_path / "region.ipynb", cells)
    with (
        jupyter_lab(tmp_path) as address,
        Notebook.shown(
            address.format("region.ipynb"), tmp_path / "profile"
        ) as notebook,
    ):
        for number in range(SELECT + 1):
            notebook.run(number)
        notebook.toolbar(ZOOM)
        notebook.until(LOOK, "True False zoom rect")
        notebook.until(LOOK, "True True zoom rect", lambda: notebook.drag(BEGIN, END))
        notebook.toolbar(ZOOM)
        notebook.toolbar(HOME)
        notebook.until(LOOK, "True False")
        points = json.loads(notebook.run(WHERE))
        notebook.until(LOOK, "False False", lambda: notebook.drag(BEGIN, END))
        assert "ROI_0" in notebook.run(ACCEPT)
        notebook.run(EXPORT)
    exported = tomllib.loads((tmp_path / "params.toml").read_text())
    (region,) = exported["detector"][DETECTOR]["roi"]
    assert [region["ROI"]] == boxes_between(made, points)
