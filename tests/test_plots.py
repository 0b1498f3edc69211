"""What the plots show, drawn without a window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import STACKED, ImageGeometry
from smalldata_ana.errors import NameNotFound, ParameterError
from smalldata_ana.event_images import PixelHistogram
from smalldata_ana.photon_peaks import Peak, PhotonPeaks
from smalldata_ana.session.plots import (
    MASKED_COLOUR,
    colour_limits,
    image_title,
    plot_histogram,
    plot_image,
)
from smalldata_ana.sources.base import PixelPositions

SHAPE = (2, 40, 60)
GAP = 4
MADE = {
    "experiment": "xppsim01",
    "run": 1,
    "label": "pedSub_",
    "correction": "pedestal and gain",
    "common_mode": 0,
}


@pytest.fixture(autouse=True)
def figures():
    """Draw without windows, and close all figures."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


@pytest.fixture
def average() -> AverageImage:
    """Return rings on two panels, one above the other, with a gap."""
    rows, columns = np.meshgrid(np.arange(40.0), np.arange(60.0), indexing="ij")
    x = np.stack([rows, rows + 40 + GAP]) * 75
    y = np.stack([columns, columns]) * 75
    radius = np.hypot(x / 75 - 45, y / 75 - 28)
    geometry = ImageGeometry.from_positions(PixelPositions(x, y, 0 * x, 75.0), SHAPE)
    good = np.ones(SHAPE, bool)
    good[1, 5, 7] = False
    data = np.exp(-(((radius - 20) / 3) ** 2)).astype(np.float32)
    data[1, 5, 7] = 1e6
    return AverageImage(
        name="AvImg_pedSub_jungfrau1M",
        detector="jungfrau1M",
        data=data,
        unit="keV",
        good=good,
        events=np.arange(9),
        timestamps=np.arange(9, dtype=np.uint64),
        made=MADE,
        find_geometry=lambda: geometry,
        std=data / 2,
    )


def colour_bar(ax):
    return ax.images[0].colorbar


def test_the_image_is_drawn_plainly(average):
    ax = plot_image(average)
    ax.figure.canvas.draw()
    drawn = ax.images[0].get_array()
    np.testing.assert_array_equal(drawn.filled(np.nan), average.image)
    # The centre of pixel 0, 0 is at 0, 0, and rows grow downwards.
    assert tuple(ax.images[0].get_extent()) == (-0.5, 59.5, 83.5, -0.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column [pixel]", "row [pixel]")
    assert colour_bar(ax).ax.get_ylabel() == "mean [keV]"
    assert ax.get_title() == (
        "xppsim01 run 1, jungfrau1M\nmean of 9 events, pedestal and gain"
    )


def test_the_colour_bar_is_as_high_as_the_image(average):
    ax = plot_image(average, roi=[[1, 2], [10, 20], [5, 9]])
    ax.figure.draw_without_rendering()
    for image in (ax.images[0], ax.figure.axes[1].images[0]):
        shown = image.axes.get_window_extent()
        for bar in image.axes.child_axes:
            beside = bar.get_window_extent()
            assert (beside.y0, beside.y1) == pytest.approx((shown.y0, shown.y1))


def test_colour_limits_are_percentiles_of_good_pixels(average):
    ax = plot_image(average, limits=(10, 90))
    expected = np.percentile(average.data[average.good], (10, 90))
    np.testing.assert_allclose(ax.images[0].get_clim(), expected)


def test_colour_limits_of_a_large_image_are_those_of_a_sample(average):
    data = np.random.default_rng(1).normal(0, 1, (8, 512, 1024)).astype(np.float32)
    large = dataclasses.replace(average, data=data, good=np.ones(data.shape, bool))
    expected = np.percentile(data, (5, 99.5))
    np.testing.assert_allclose(colour_limits(large, (5, 99.5)), expected, atol=0.05)


def test_colour_limits_of_a_sparse_and_of_an_empty_image(average):
    sparse = np.zeros(SHAPE, np.float32)
    sparse[0, 1, 2] = 7
    sparse[1, 5, 7] = 1000
    assert colour_limits(dataclasses.replace(average, data=sparse), (5, 99)) == (0, 7)
    flat = dataclasses.replace(average, data=np.full(SHAPE, 3.0, np.float32))
    assert colour_limits(flat, (5, 99)) == (3, 4)
    none = dataclasses.replace(average, good=np.zeros(SHAPE, bool))
    assert colour_limits(none, (5, 99)) == (0, 1)


def test_gaps_and_masked_pixels_are_seen(average):
    from matplotlib.colors import to_rgba

    ax = plot_image(average, use_mask=True)
    assert len(ax.images) == 2
    overlay = ax.images[1]
    masked = np.argwhere(~overlay.get_array().mask & (overlay.get_array().data == 1))
    assert masked.tolist() == [[40 + GAP + 5, 7]]
    assert overlay.cmap.colors == [MASKED_COLOUR]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["masked (1 pixels)", "gap"]
    assert tuple(ax.images[0].cmap.get_bad()) == to_rgba("0.75")


def test_another_statistic(average):
    ax = plot_image(average, statistic="std")
    assert colour_bar(ax).ax.get_ylabel() == "standard deviation [keV]"
    with pytest.raises(NameNotFound, match="'median'"):
        plot_image(average, statistic="median")


def test_a_region_is_outlined_and_enlarged(average):
    ax = plot_image(average, roi=[[1, 2], [10, 20], [5, 9]])
    (outline,) = ax.patches
    assert outline.get_bbox().extents.tolist() == [4.5, 53.5, 8.5, 63.5]
    _, beside = ax.figure.axes
    assert beside.get_title() == "region"
    assert beside.get_xlim() == (4.5, 8.5)
    assert beside.get_ylim() == (63.5, 53.5)


def test_a_region_over_two_panels(average):
    roi = [[[0, 1], [30, 40], [5, 9]], [[1, 2], [0, 3], [5, 9]]]
    ax = plot_image(average, roi=roi)
    assert len(ax.patches) == 2
    assert ax.figure.axes[1].get_ylim() == (46.5, 29.5)
    with pytest.raises(ParameterError, match="does not lie in 'jungfrau1M'"):
        plot_image(average, roi=[[2, 3], [0, 3], [5, 9]])


def test_given_axes_are_used(average, figures):
    _, axes = figures.subplots(1, 2)
    assert plot_image(average, ax=axes[0], roi=[[0, 1], [1, 2], [3, 4]]) is axes[0]
    assert len(axes[0].figure.axes) == 2


def test_the_place_and_the_value_are_under_the_cursor(average):
    text = plot_image(average).format_coord
    value = average.data[1, 3, 30]
    assert text(30.2, 46.7) == f"panel 1, row 3, column 30 = {value:.5g} keV"
    assert text(7, 49) == "panel 1, row 5, column 7 = 1e+06 keV (masked)"
    assert text(7, 42) == "gap"
    assert text(-3, 2) == ""


def test_a_camera_has_no_panels(average):
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    camera = dataclasses.replace(
        average,
        data=data,
        good=np.ones(data.shape, bool),
        std=None,
        find_geometry=lambda: ImageGeometry.from_positions(None, data.shape),
    )
    ax = plot_image(camera, roi=[[1, 2], [0, 3]])
    assert ax.format_coord(2, 1) == "row 1, column 2 = 6 keV"
    assert ax.patches[0].get_bbox().extents.tolist() == [-0.5, 0.5, 2.5, 1.5]


def test_raw_for_lack_of_constants_is_said(average):
    made = {**MADE, "common_mode": -1, "correction": "raw words"}
    raw = dataclasses.replace(average, made=made, unit="ADU")
    ax = plot_image(raw)
    assert "RAW DATA: no calibration constants that fit" in ax.get_title()
    asked = dataclasses.replace(raw, made={**made, "common_mode_asked": -1})
    assert "RAW DATA" not in image_title(asked)


def test_the_title_says_that_there_is_no_geometry(average):
    unknown = ImageGeometry.from_positions(None, SHAPE)
    shown = dataclasses.replace(average, find_geometry=lambda: unknown)
    assert plot_image(shown).get_title().endswith(f"\n{STACKED}")
    assert STACKED not in image_title(average)


def test_the_title_says_what_was_done(average):
    made = {
        **MADE,
        "selection": "x_on",
        "thresADU": 1.5,
        "thresRms": 0.0,
        "interrupted": True,
    }
    title = image_title(dataclasses.replace(average, made=made))
    said = " ".join(title.split())
    assert said.endswith("gain, selection x_on, thresADU 1.5, interrupted")
    assert max(map(len, title.splitlines())) <= 70
    assert plot_image(average, title="mine").get_title() == "mine"


def test_numbers_of_hits_have_whole_ticks(average):
    data = np.clip(average.data * 3, 0, 2).round()
    hits = dataclasses.replace(average, data=data, statistic="sum", unit="")
    ax = plot_image(hits)
    ax.figure.canvas.draw()
    assert colour_bar(ax).ax.get_ylabel() == "number of hits"
    assert all(tick == round(tick) for tick in colour_bar(ax).get_ticks())


@pytest.mark.parametrize(
    "limits", [(5, 5), (-1, 50), (50, 101), (90, 10), (5,), (), 5, "auto", (0, "x")]
)
def test_limits_that_make_no_sense(average, limits):
    with pytest.raises(ParameterError, match="percentiles"):
        plot_image(average, limits=limits)


def test_an_unknown_colour_map(average):
    with pytest.raises(ParameterError, match="no colour map 'virids'"):
        plot_image(average, cmap="virids")


def test_nothing_is_left_open_after_bad_input(average, figures):
    for options in ({"limits": (9, 1)}, {"cmap": "x"}, {"roi": [[9, 1]]}):
        with pytest.raises(ParameterError):
            plot_image(average, **options)
    assert not figures.get_fignums()


def test_a_histogram(figures):
    histogram = PixelHistogram(
        counts=np.array([1, 0, 7]),
        edges=np.array([0.0, 1, 2, 3]),
        unit="keV",
        n_used=4,
        below=2,
        above=3,
        made={"experiment": "xppsim01", "run": 1, "detector": "epix"},
    )
    assert repr(histogram) == (
        "<PixelHistogram epix: 3 bins from 0 to 3 keV, 4 events, 2 values below and "
        "3 above>"
    )
    ax = plot_histogram(histogram)
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == "pixel value [keV]"
    assert ax.get_ylabel() == "number of values"
    assert ax.get_yscale() == "log"
    assert ax.get_title() == (
        "xppsim01 run 1, epix\n4 events, 2 values below and 3 above"
    )
    given = figures.subplots()[1]
    assert plot_histogram(histogram, log=False, ax=given, title="t") is given
    assert (given.get_yscale(), given.get_title()) == ("linear", "t")


@pytest.mark.usefixtures("figures")
def test_peaks_are_drawn_over_a_histogram():
    zero, one = Peak(0.1, 0.01, 0.3, 0.01, 900), Peak(9.4, 0.01, 0.5, 0.01, 50)
    histogram = PixelHistogram(
        counts=np.arange(12),
        edges=np.arange(-1.0, 12),
        unit="keV",
        n_used=4,
        below=0,
        above=0,
        made={"experiment": "xppsim01", "run": 1, "detector": "epix"},
    )
    ax = plot_histogram(histogram, peaks=PhotonPeaks(zero, one, "keV"))
    curve, *positions = ax.lines
    assert curve.get_ydata().max() == pytest.approx(900)
    assert [line.get_xdata()[0] for line in positions] == [0.1, 9.4]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [
        "no photon: 0.1 keV, sigma 0.3", "one photon: 9.4 keV, sigma 0.5"
    ]  # fmt: skip
    alone = plot_histogram(histogram, peaks=PhotonPeaks(zero, None, "keV"))
    assert len(alone.lines) == 2
