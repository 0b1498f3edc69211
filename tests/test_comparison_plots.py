"""The picture and the numbers of compared common modes, on made-up noise."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from smalldata_ana.common_mode_noise import (
    Comparison,
    ModeNoise,
    compare_common_modes,
)
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import nominal_positions
from smalldata_ana.line_noise import LineNoise
from smalldata_ana.session.comparison_plots import plot_comparison
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 12
SHAPE = (1, 704, 768)
NOISE, ROWS, COLUMNS = 5.0, 4.0, 3.0
GAIN = 17.0
BANK = 96


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Hdf5Run:
    """Return an epix100 whose banks have a noise of rows and one of columns."""
    rng = np.random.default_rng(8)
    rows = ROWS * rng.standard_normal((EVENTS, 704, 768 // BANK, 1))
    halves = COLUMNS * rng.standard_normal((EVENTS, 2, 1, 768))
    frames = 1000 + NOISE * rng.standard_normal((EVENTS, 704, 768), np.float32)
    frames += rows.repeat(BANK, axis=3).reshape(frames.shape)
    frames += halves.repeat(352, axis=2).reshape(frames.shape)
    constants = {
        "pedestals": np.full(SHAPE, 1000, np.float32),
        "pixel_gain": np.full(SHAPE, GAIN, np.float32),
        "pixel_rms": np.full(SHAPE, NOISE, np.float32),
    }
    path = write_run(
        tmp_path_factory.mktemp("epix") / "run.h5",
        experiment="xpptut15",
        run=3,
        images={"epix100": frames.round().astype(np.uint16)[:, np.newaxis]},
        dettypes={"epix100": "epix100"},
        constants={"epix100": constants},
    )
    return Hdf5Run(path)


def test_noise_of_rows_and_columns_is_that_of_the_banks(run):
    compared = compare_common_modes(run, "epix100", [0, 46], events=np.arange(EVENTS))
    before, after = compared.modes
    total = np.sqrt(NOISE**2 + ROWS**2 + COLUMNS**2)
    assert before.noise == pytest.approx(total / GAIN, rel=0.01)
    assert before.row_noise.value == pytest.approx(ROWS / GAIN, rel=0.02)
    assert before.column_noise.value == pytest.approx(COLUMNS / GAIN, rel=0.05)
    assert after.noise == pytest.approx(NOISE / GAIN, rel=0.02)
    for lines in (after.row_noise, after.column_noise):
        assert lines.value < lines.limit < 0.1 * NOISE / GAIN
    assert compared.recommended == 46
    assert "does not tell which events had X-rays" in compared.notes[0]


@pytest.mark.parametrize(
    ("noise", "text"),
    [
        (LineNoise(0.2351, 0.012), "0.24"),
        (LineNoise(0.0, 0.012), "< 0.01"),
        (LineNoise(0.004, 0.005), "< 0.005"),
        (LineNoise(np.nan, np.nan), "nan"),
    ],
)
def test_noise_that_cannot_be_seen_is_a_limit(noise, text):
    assert str(noise) == text


def modes(shape: tuple[int, ...], numbers: dict[int, str]) -> tuple[ModeNoise, ...]:
    rng = np.random.default_rng(1)
    image = rng.standard_normal(shape).astype(np.float32)
    lines = LineNoise(0.1, 0.01)
    good = np.ones(shape, bool)
    return tuple(
        ModeNoise(
            number, "", unit, image, abs(image), good, 0, 0.123, lines, lines, 1.0
        )
        for number, unit in numbers.items()
    )


EPIX100 = dict.fromkeys((0, 30, 4, 34, 6, 36, 45, 46, 47), "keV") | dict.fromkeys(
    (145, 146, 147), "ADU"
)


@pytest.mark.parametrize(
    ("dettype", "shape", "numbers"),
    [
        ("epix100", SHAPE, EPIX100),
        ("jungfrau", (2, 512, 1024), dict.fromkeys((0, 30, 7, 71, 72), "keV")),
        ("opal", (128, 256), {0: "ADU"}),
    ],
)
def test_nothing_in_the_picture_overlaps(dettype, shape, numbers):
    info = DetectorInfo(
        "det", dettype, shape, np.dtype(np.uint16), tuple(range(shape[0]))
    )
    geometry = ImageGeometry.from_positions(nominal_positions(info), shape)
    reason = "noise 0.312 keV instead of 0.444 with 0; of rows < 0.01 instead of 0.2"
    note = "20 of the 20 events had X-rays, so the noise contains photons; " * 2
    comparison = Comparison("run 1", 9, modes(shape, numbers), 0, reason, (note,))
    figure = plot_comparison(comparison, geometry)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    assert sum(bool(ax.images) for ax in figure.axes) == 2 * len(numbers)
    drawn = [ax for ax in figure.axes if ax.axison]
    # with their titles, labels and numbers
    boxes = [ax.get_tightbbox(renderer) for ax in drawn]
    boxes += [t.get_window_extent(renderer) for t in headings(figure)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.shrunk(0.99, 0.99).overlaps(other.shrunk(0.99, 0.99))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def headings(figure) -> list[plt.Text]:
    """Return the texts of a figure and of its parts that are not those of axes."""
    return [*figure.texts, *(t for part in figure.subfigs for t in headings(part))]
