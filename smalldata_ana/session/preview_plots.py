"""The first results of a preview, as a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from smalldata_ana.detector.protocol import MISSING_INTEGER, Array
from smalldata_ana.session.figures import free_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from smalldata_ana.producing.preview import Preview

_MOST = 6
"""Panels of a figure."""

_LEAST = 8
"""Values of an event that are a curve; fewer are not shown."""

_WIDE = 100
"""How many medians the largest value of a curve has to be for a logarithmic axis."""


def plot_preview(preview: Preview) -> Figure:
    """Plot the first results: curves, and numbers against the event.

    Parameters
    ----------
    preview : what was found
    """
    from matplotlib import pyplot as plt

    chosen = list(_chosen(preview))
    columns = min(3, max(1, len(chosen)))
    lines = max(1, math.ceil(len(chosen) / columns))
    figure, axes = plt.subplots(
        lines,
        columns,
        num=free_label(f"preview {preview.title}"),
        figsize=(4.5 * columns, 3.2 * lines),
        squeeze=False,
        layout="constrained",
    )
    for ax, path in zip(axes.flat, chosen, strict=False):
        _plot(ax, preview, path)
    for ax in axes.flat[len(chosen) :]:
        ax.set_axis_off()
    return figure


def _chosen(preview: Preview) -> Iterator[str]:
    """Yield the paths of the first results: curves before numbers."""
    by_size: dict[int, list[str]] = {1: [], 2: []}
    for path in preview.results:
        values = preview.values[path]
        curve = values.ndim > 1
        long_enough = not curve or values.shape[-1] >= _LEAST
        if values.ndim <= 3 and long_enough and np.isfinite(_known(values)).any():
            by_size[2 if curve else 1].append(path)
    yield from [*by_size[2][: _MOST // 2], *by_size[1], *by_size[2][_MOST // 2 :]][
        :_MOST
    ]


def _known(values: Array) -> Array:
    """Return values as numbers, with NaN for those that are missing."""
    return np.where(values == MISSING_INTEGER, np.nan, values.astype(float))


def _plot(ax: Axes, preview: Preview, path: str) -> None:
    values = _known(preview.values[path])
    unit = next(d.unit for d in preview.table if d.path == path)
    if values.ndim == 1:
        ax.plot(preview.results[path], values, ".")
        ax.set_xlabel("event")
    else:
        # One curve for each bin in phi, or the like: the mean over the events.
        mean = np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)
        curves = np.atleast_2d(mean)
        label, along = preview.axes.get(path, ("bin", np.arange(curves.shape[-1])))
        ax.plot(along, curves.T)
        ax.set_xlabel(label)
        if np.nanmax(curves) > _WIDE * abs(np.nanmedian(curves)):
            ax.set_yscale("log", nonpositive="mask")
    ax.set_title(path, fontsize="small")
    ax.set_ylabel(unit)
