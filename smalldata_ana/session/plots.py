"""Plots of average images and of histograms.

Every function draws in the axes that it is given, or else in a new figure, returns
the axes, and leaves it to the session to show the figure.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.ana_funcs.regions import Box, Region, boxes_within
from smalldata_ana.average_image import QUANTITIES, AverageImage
from smalldata_ana.errors import ParameterError, counted
from smalldata_ana.event_images import PixelHistogram
from smalldata_ana.session.figures import free_label
from smalldata_ana.session.preferences import colour_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

    from smalldata_ana.photon_peaks import PhotonPeaks

Outline = tuple[float, float, float, float]

GAP_COLOUR = "0.75"
MASKED_COLOUR = "tab:pink"
REGION_COLOUR = "tab:red"
WARNING_COLOUR = "tab:red"

SCALING = "antialiased"
"""How an image is drawn on fewer pixels than it has: no row or column is left out."""

_SAMPLE = 200_000

_TITLE_WIDTH = 70
"""So that a title is not cut in the figures of this session [characters]."""


def plot_image(
    average: AverageImage,
    *,
    limits: tuple[float, float] = (5, 99.5),
    use_mask: bool = False,
    roi: Region | None = None,
    statistic: str | None = None,
    cmap: str = "viridis",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show an average image, assembled, with row 0 at the top.

    The centre of a pixel is at whole numbers.  Under the cursor the toolbar shows
    panel, row and column in the raw frame, and the value.

    Parameters
    ----------
    average : the image
    limits : colour limits, percentiles of the good pixels
    use_mask : show pixels that are not good in a colour of their own, instead of
        their values
    roi : a region in raw indices to outline, in a new figure also enlarged beside
        the image
    statistic : show this one of ``average.statistics()``; by default the first
    cmap : Matplotlib's name of the colour map
    title : instead of the one that says what the image is
    ax : axes to draw in; by default those of a new figure

    Returns
    -------
    The axes of the image.

    Raises
    ------
    NameNotFound
        if this statistic was not made
    ParameterError
        if `limits` or `cmap` makes no sense, or `roi` does not lie in the detector
    """
    shown = average if statistic is None else average.of(statistic)
    boxes = [] if roi is None else boxes_within(roi, shown.shape, shown.detector)
    outlines = _outlines(shown, boxes)
    vmin, vmax = colour_limits(shown, limits)
    style = {
        "vmin": vmin,
        "vmax": vmax,
        "cmap": gap_colours(cmap),
    }
    ax, beside = _axes(ax, shown.name, two=bool(boxes))
    picture = _draw(ax, shown, style, use_mask)
    _draw_outlines(ax, outlines)
    if use_mask:
        _explain_colours(ax, shown)
    if beside is not None:
        _draw(beside, shown, style, use_mask)
        _zoom_to(beside, outlines)
    _add_colour_bar(picture, ax if beside is None else beside, shown)
    ax.set_title(image_title(shown) if title is None else title, fontsize="medium")
    if shown.lacks_constants:
        ax.title.set_color(WARNING_COLOUR)
    return ax


def colour_limits(
    shown: AverageImage, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Return values at two percentiles of the good pixels, from a sample of them.

    Where these are the same, as in a sparse image, smallest and largest value are
    taken.

    Parameters
    ----------
    shown : the image
    percentiles : two growing numbers from 0 to 100

    Raises
    ------
    ParameterError
        if they are not
    """
    low, high = _checked_percentiles(percentiles)
    values, good = shown.data.reshape(-1), shown.good.reshape(-1)
    # An odd step does not stay in one column of the panels.
    step = (values.size // _SAMPLE) | 1
    sample = values[::step][good[::step]]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    begin, end = np.percentile(sample, [low, high])
    if begin == end:
        finite = values[good & np.isfinite(values)]
        begin, end = finite.min(), finite.max()
    return float(begin), float(end if end > begin else begin + 1)


def _checked_percentiles(limits: Any) -> tuple[float, float]:
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        low = high = math.nan
    if 0 <= low < high <= 100:
        return low, high
    what = f"limits = {limits!r} are not two growing percentiles in 0..100"
    # A region by position ends up here.
    is_region = isinstance(limits, Sequence) and any(
        isinstance(pair, list | tuple) for pair in limits
    )
    raise ParameterError(f"{what}. Did you mean ROI=…?" if is_region else what)


def image_title(shown: AverageImage) -> str:
    """Return what an image is, in a few lines that are as wide as a figure."""
    made = shown.made
    parts = [
        f"{QUANTITIES[shown.statistic]} of {counted(shown.n_used, 'event')}",
        made["correction"],
    ]
    parts += [f"selection {made['selection']}"] if made.get("selection") else []
    parts += [
        f"{name} {made[name]:g}" for name in ("thresADU", "thresRms") if made.get(name)
    ]
    parts += ["interrupted"] if made.get("interrupted") else []
    lines = [
        f"{made['experiment']} run {made['run']}, {shown.detector}",
        ", ".join(parts),
    ]
    if shown.lacks_constants:
        lines.append("RAW DATA: no calibration constants that fit")
    lines += [shown.geometry.note] if shown.geometry.note else []
    return "\n".join(textwrap.fill(line, _TITLE_WIDTH) for line in lines)


def _axes(
    ax: Axes | None, label: str, *, two: bool = False
) -> tuple[Axes, Axes | None]:
    """Return axes for the image, and axes beside it in a new figure for two."""
    if ax is not None:
        return ax, None
    import matplotlib.pyplot as plt

    if not two:
        figure = plt.figure(free_label(label), layout="constrained", figsize=(7, 6))
        return figure.subplots(), None
    figure = plt.figure(free_label(label), layout="constrained", figsize=(11, 6))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    return left, right


def _draw(
    ax: Axes, shown: AverageImage, style: Mapping[str, Any], use_mask: bool
) -> AxesImage:
    """Draw an image, with the pixels that are not good in their colour."""
    from matplotlib.colors import ListedColormap

    picture = ax.imshow(shown.image, origin="upper", interpolation=SCALING, **style)
    layers = [picture]
    if use_mask:
        bad = shown.geometry.assemble(np.where(shown.good, np.float32(np.nan), 1))
        colours = ListedColormap([MASKED_COLOUR])
        layers.append(
            ax.imshow(bad, origin="upper", interpolation=SCALING, cmap=colours)
        )
    for layer in layers:
        # What Matplotlib would add to our text about the cursor.
        layer.format_cursor_data = lambda data: ""  # type: ignore[method-assign]
    ax.set(xlabel="column [pixel]", ylabel="row [pixel]")
    ax.format_coord = Cursor(shown)  # type: ignore[method-assign]
    return picture


def _explain_colours(ax: Axes, shown: AverageImage) -> None:
    from matplotlib.patches import Patch

    count = int(np.count_nonzero(~shown.good))
    ax.legend(
        handles=[
            Patch(color=MASKED_COLOUR, label=f"masked ({count} pixels)"),
            Patch(color=GAP_COLOUR, label="gap"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=2,
        frameon=False,
    )


def _add_colour_bar(picture: AxesImage, ax: Axes, shown: AverageImage) -> None:
    from matplotlib.ticker import MaxNLocator

    # What has no unit is a number of hits.
    ticks = None if shown.unit else MaxNLocator(integer=True, min_n_ticks=1)
    colour_bar(picture, ax, label=shown.quantity, ticks=ticks)


def gap_colours(name: str) -> Colormap:
    """Return a colour map in which gaps, which are NaN, have their own colour.

    Parameters
    ----------
    name : of one of Matplotlib's colour maps

    Raises
    ------
    ParameterError
        if there is none of that name
    """
    return colour_map(name).with_extremes(bad=GAP_COLOUR)


def colour_bar(picture: AxesImage, ax: Axes, **options: Any) -> None:
    """Draw a colour bar beside an image, as high as the image is drawn.

    Parameters
    ----------
    picture : the image
    ax : beside these axes
    options : of Matplotlib's ``colorbar``
    """
    # Within its axes it follows the image, which does not fill the place that it has.
    ax.figure.colorbar(picture, cax=ax.inset_axes((1.03, 0, 0.04, 1)), **options)


def _outlines(shown: AverageImage, boxes: Sequence[Box]) -> list[Outline]:
    """Return left, right, top and bottom in the image, for each box on each panel."""
    geometry, outlines = shown.geometry, []
    for box in boxes:
        *panels, (r0, r1), (c0, c1) = box
        for panel in range(*panels[0]) if panels else [...]:
            inside: Any = (panel, slice(r0, r1), slice(c0, c1))
            rows, columns = geometry.ix[inside], geometry.iy[inside]
            outlines.append(
                (
                    columns.min() - 0.5,
                    columns.max() + 0.5,
                    rows.min() - 0.5,
                    rows.max() + 0.5,
                )
            )
    return outlines


def _draw_outlines(ax: Axes, outlines: Sequence[Outline]) -> None:
    from matplotlib.patches import Rectangle

    for left, right, top, bottom in outlines:
        ax.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=REGION_COLOUR,
                linewidth=1.5,
            )
        )


def _zoom_to(ax: Axes, outlines: Sequence[Outline]) -> None:
    """Show only the part of an image that holds all outlines."""
    begin, end = np.min(outlines, axis=0), np.max(outlines, axis=0)
    ax.set(xlim=(begin[0], end[1]), ylim=(end[3], begin[2]))
    ax.set_title("region", fontsize="medium")
    if len(outlines) > 1:
        _draw_outlines(ax, outlines)


class Cursor:
    """Tells what is under the cursor, in raw indices.

    Parameters
    ----------
    shown : the image
    """

    def __init__(self, shown: AverageImage) -> None:
        self._shown = shown

    def __call__(self, x: float, y: float) -> str:
        """Return what is at a point of the axes."""
        shown = self._shown
        row, column = round(y), round(x)
        index = shown.geometry.panel_pixel(row, column)
        if index is None:
            rows, columns = shown.geometry.shape
            return "gap" if 0 <= row < rows and 0 <= column < columns else ""
        names = ("panel", "row", "column")[-len(index) :]
        place = ", ".join(f"{n} {i}" for n, i in zip(names, index, strict=True))
        masked = "" if shown.good[index] else " (masked)"
        return f"{place} = {shown.data[index]:.5g} {shown.unit}".rstrip() + masked


def plot_histogram(
    histogram: PixelHistogram,
    *,
    peaks: PhotonPeaks | None = None,
    log: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show a histogram of pixel values.

    Parameters
    ----------
    histogram : what `pixel_histogram` returned
    peaks : what was fitted to it, to be drawn over it
    log : numbers on a logarithmic axis
    title : instead of the one that says what it is
    ax : axes to draw in; by default those of a new figure

    Returns
    -------
    The axes.
    """
    made = histogram.made
    ax, _ = _axes(ax, f"pixelHistogram_{made['detector']}")
    ax.stairs(histogram.counts, histogram.edges, fill=True)
    if log:
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylim(bottom=0.5)
    ax.margins(x=0)
    _draw_peaks(ax, peaks)
    ax.set(
        xlabel=f"pixel value [{histogram.unit}]",
        ylabel="number of values",
    )
    ax.set_title(
        f"{made['experiment']} run {made['run']}, {made['detector']}\n"
        f"{counted(histogram.n_used, 'event')}, "
        f"{counted(histogram.below, 'value')} below "
        f"and {histogram.above} above"
        if title is None
        else title,
        fontsize="medium",
    )
    return ax


def _draw_peaks(ax: Axes, peaks: PhotonPeaks | None) -> None:
    """Draw lines at fitted peaks, as wide as their sigma, and the zero peak itself."""
    if peaks is None:
        return
    zero = peaks.zero
    x = zero.position + zero.sigma * np.linspace(-4, 4, 101)
    y = zero.height * np.exp(-(((x - zero.position) / zero.sigma) ** 2) / 2)
    ax.plot(x, y, color="black", linewidth=1)
    for peak, name, colour in (
        (zero, "no photon", "black"),
        (peaks.one, "one photon", "tab:red"),
    ):
        if peak is not None:
            label = f"{name}: {peak.position:.4g} {peaks.unit}, sigma {peak.sigma:.3g}"
            ax.axvline(peak.position, color=colour, linestyle="--", label=label)
            reach = (peak.position - peak.sigma, peak.position + peak.sigma)
            ax.axvspan(*reach, color=colour, alpha=0.15)
    ax.legend(fontsize="small")
