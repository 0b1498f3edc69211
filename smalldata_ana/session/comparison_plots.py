"""Plots that compare common-mode corrections."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.session.figures import free_label
from smalldata_ana.session.plots import SCALING, gap_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from smalldata_ana.common_mode_noise import Comparison, ModeNoise
    from smalldata_ana.detector.geometry import ImageGeometry

Array = npt.NDArray[Any]
Images = Mapping[str, Array]
"""By their titles."""

_COLUMNS = 3
_IMAGE_WIDTH = 2.3
_TITLE_HEIGHT = 0.35
_AXIS_LABELS = 0.7
_BAR_WIDTH = 0.9
_HISTOGRAM_HEIGHT = 3.0
_LETTERS_PER_INCH = 12

_PERCENTILES = (1, 99)
_MOST = 99.5
_SAMPLE = 100_000
_BINS = 120


def plot_comparison(comparison: Comparison, geometry: ImageGeometry) -> Figure:
    """Show mean and noise of each correction, and how the noise is distributed.

    Images of one unit share their colours, and are zoomed together.

    Parameters
    ----------
    comparison : what was compared
    geometry : how a frame is assembled
    """
    import matplotlib.pyplot as plt

    by_unit: dict[str, list[ModeNoise]] = {}
    for mode in comparison.modes:
        by_unit.setdefault(mode.unit, []).append(mode)
    columns = min(_COLUMNS, max(map(len, by_unit.values())))
    rows, cols = geometry.shape
    line = _IMAGE_WIDTH * rows / cols + _TITLE_HEIGHT
    heights = [
        line * -(-len(modes) // columns) + _AXIS_LABELS for modes in by_unit.values()
    ]
    width = 2 * (columns * _IMAGE_WIDTH + _AXIS_LABELS + _BAR_WIDTH)
    heading = _heading(comparison, int(width * _LETTERS_PER_INCH))
    heights.append(_HISTOGRAM_HEIGHT)
    figure = plt.figure(
        figsize=(width, sum(heights) + 0.22 * (heading.count("\n") + 2)),
        layout="constrained",
        num=free_label("common modes"),
    )
    figure.suptitle(heading, fontsize="medium")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    *blocks, below = parts[:, 0]
    histograms = below.subplots(1, len(by_unit), squeeze=False)[0]
    for block, ax, (unit, modes) in zip(
        blocks, histograms, by_unit.items(), strict=True
    ):
        _draw_modes(block, modes, unit, comparison, geometry, columns)
        _draw_distributions(ax, modes, unit, comparison)
    return figure


def _heading(comparison: Comparison, letters: int) -> str:
    """Return what the figure is about, in lines of so many letters."""
    lines = [
        f"{comparison.title}, {comparison.n_used} events",
        f"recommended: {comparison.recommended}, because {comparison.reason}",
        *(f"note: {note}" for note in comparison.notes),
    ]
    return "\n".join(textwrap.fill(line, letters) for line in lines)


def _draw_modes(
    block: SubFigure,
    modes: Sequence[ModeNoise],
    unit: str,
    comparison: Comparison,
    geometry: ImageGeometry,
    columns: int,
) -> None:
    """Draw the mean images of corrections with one unit, and beside them the noise."""
    left, right = block.subfigures(1, 2, squeeze=False)[0]
    good = modes[0].good
    means = {_name(mode, comparison): mode.mean for mode in modes}
    stds = {f"{mode.number}: noise {mode.noise:.3g} {unit}": mode.std for mode in modes}
    _draw_images(left, means, f"mean [{unit}]", good, geometry, columns)
    label = f"standard deviation of a pixel [{unit}]"
    _draw_images(right, stds, label, good, geometry, columns)


def _name(mode: ModeNoise, comparison: Comparison) -> str:
    chosen = mode.number == comparison.recommended
    return f"{mode.number} (recommended)" if chosen else str(mode.number)


def _draw_images(
    figure: SubFigure,
    images: Images,
    label: str,
    good: Array,
    geometry: ImageGeometry,
    columns: int,
) -> None:
    """Draw images with the same colours, and one colour bar for all of them."""
    from matplotlib.colors import Normalize

    norm = Normalize(*_limits(list(images.values()), good))
    lines = -(-len(images) // columns)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
        picture = ax.imshow(
            geometry.assemble(np.asarray(image, np.float32), fill=np.nan),
            norm=norm,
            interpolation=SCALING,
            cmap=gap_colours("viridis"),
        )
        ax.set_title(title, fontsize="medium")
    for place in range(len(images), axes.size):
        axes.flat[place].set_axis_off()
        axes.flat[place - columns].tick_params(labelbottom=True)
    figure.supxlabel("column [pixel]", fontsize="medium")
    figure.supylabel("row [pixel]", fontsize="medium")
    figure.colorbar(picture, ax=axes, extend="both", label=label, aspect=30, pad=0.02)


def _limits(images: Sequence[Array], good: Array) -> tuple[float, float]:
    """Return values at two percentiles of the good pixels, from a sample of them."""
    step = (good.size // _SAMPLE) | 1
    sample = np.concatenate([image[good][::step] for image in images])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, _PERCENTILES)
    return float(low), float(high if high > low else low + 1)


def _draw_distributions(
    ax: Axes, modes: Sequence[ModeNoise], unit: str, comparison: Comparison
) -> None:
    """Draw the histograms of the standard deviation over each other."""
    from matplotlib import colormaps

    known = [mode.std[mode.good & np.isfinite(mode.std)] for mode in modes]
    ends = [float(np.percentile(values, _MOST)) for values in known if values.size]
    edges = np.linspace(0, max([*ends, 1e-6]), _BINS + 1)
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    for place, (mode, values) in enumerate(zip(modes, known, strict=True)):
        chosen = mode.number == comparison.recommended
        ax.stairs(
            np.histogram(values, edges)[0],
            edges,
            label=_name(mode, comparison),
            color=colours[place % len(colours)],
            linewidth=2.5 if chosen else 1,
            zorder=2 if chosen else 3,
        )
    ax.set(
        xlim=(0, edges[-1]),
        xlabel=f"standard deviation of a pixel [{unit}]",
        ylabel="number of pixels",
        yscale="log",
    )
    ax.legend(title="common mode", fontsize="small", ncols=2)
