"""Plots of calibration constants, and of their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.session.figures import free_label
from smalldata_ana.session.plots import SCALING, colour_bar, gap_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from smalldata_ana.detector.geometry import ImageGeometry
    from smalldata_ana.sources.base import DetectorInfo
    from smalldata_ana.sources.constants_store import ConstantsStore

Array = npt.NDArray[Any]

_LABELS = {"pedestals": "pedestal [ADU]", "pixel_rms": "noise [ADU]"}
_PERCENTILES = (1, 99)
_BINS = 120


def plot_constants(
    constants: Mapping[str, Array],
    info: DetectorInfo,
    stages: Sequence[str],
    geometry: ImageGeometry,
    title: str,
) -> Figure:
    """Show pedestals and noise: a line of images and histograms for each gain stage.

    Parameters
    ----------
    constants : ``pedestals``, and where there are ``pixel_rms``, ``pixel_status``, in
        psana's shapes
    info : the detector
    stages : names of its gain stages
    geometry : how a frame is assembled
    title : of the figure
    """
    import matplotlib.pyplot as plt

    frames = {
        name: _frames(value, info, len(stages)) for name, value in constants.items()
    }
    columns = [name for name in _LABELS if name in frames]
    figure, axes = plt.subplots(
        len(stages),
        2 * len(columns),
        figsize=(3.6 * 2 * len(columns), 1 + 3.2 * len(stages)),
        squeeze=False,
        layout="constrained",
        num=free_label(f"{info.name} constants"),
    )
    spacing = figure.get_layout_engine()
    if spacing is not None:
        spacing.set(w_pad=0.1)  # type: ignore[call-arg]
    for number, stage in enumerate(stages):
        status = frames.get("pixel_status")
        good = np.ones(info.shape, bool) if status is None else status[number] == 0
        for place, name in enumerate(columns):
            image, beside = axes[number, 2 * place : 2 * place + 2]
            frame = frames[name][number]
            label = _LABELS[name]
            _draw_image(image, frame, good, geometry)
            _draw_histogram(beside, frame, good, label)
            lead = f"{stage}: " if len(stages) > 1 else ""
            image.set_title(f"{lead}{label}", fontsize="medium")
    figure.suptitle(title)
    return figure


def _frames(value: Array, info: DetectorInfo, stages: int) -> Array:
    """Return constants of the data's panels, (stages, *frame)."""
    full = value.reshape(stages, -1, *info.shape[-2:])
    return full[:, list(info.panels)].reshape(stages, *info.shape)


def _draw_image(ax: Axes, frame: Array, good: Array, geometry: ImageGeometry) -> None:
    known = frame[good & np.isfinite(frame)]
    if not known.size:
        ax.text(0.5, 0.5, "no numbers", ha="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    low, high = np.percentile(known, _PERCENTILES)
    picture = ax.imshow(
        geometry.assemble(np.asarray(frame, np.float32), fill=np.nan),
        vmin=low,
        vmax=high if high > low else low + 1,
        interpolation=SCALING,
        cmap=gap_colours("viridis"),
    )
    colour_bar(picture, ax, extend="both")
    ax.set(xlabel="column [pixel]", ylabel="row [pixel]")


def _draw_histogram(ax: Axes, frame: Array, good: Array, label: str) -> None:
    known = good & np.isfinite(frame)
    values = frame[known]
    if not values.size:
        ax.set_axis_off()
        return
    low, high = values.min(), values.max()
    low, high = (low, high) if high > low else (low - 0.5, low + 0.5)
    ax.hist(values, bins=_BINS, range=(float(low), float(high)), histtype="stepfilled")
    ax.set_yscale("log")
    bad = frame.size - values.size
    ax.set_title(
        f"mean {values.mean(dtype=float):.1f}, std {values.std(dtype=float):.3g}\n"
        f"{bad} bad pixels left out",
        fontsize="small",
    )
    ax.set(xlabel=label, ylabel="number of pixels")


@dataclass(frozen=True)
class HistoryEntry:
    """The values of one constant for a range of runs.

    Attributes
    ----------
    name : of the constant
    stage : name of the gain stage
    begin, end : the runs; ``end`` None: until further notice
    median, low, high : of the pixels, and where 68 % of them are [ADU]
    """

    name: str
    stage: str
    begin: int
    end: int | None
    median: float
    low: float
    high: float


def constants_history(
    store: ConstantsStore, detector: str, stages: Sequence[str]
) -> list[HistoryEntry]:
    """Return pedestals and noise in a store, in the order of the runs.

    Parameters
    ----------
    store : where the constants are
    detector : whose they are
    stages : names of its gain stages
    """
    found = []
    for record in store.list(detector):
        if record.name not in _LABELS:
            continue
        value = np.asarray(record.read().value)
        by_stage = value.reshape(len(stages), -1) if len(stages) > 1 else [value]
        for stage, values in zip(stages, by_stage, strict=True):
            known = values[np.isfinite(values)]
            if known.size:
                low, median, high = np.percentile(known, (16, 50, 84))
                found.append(
                    HistoryEntry(
                        record.name,
                        stage,
                        record.begin,
                        record.end,
                        float(median),
                        float(low),
                        float(high),
                    )
                )
    return found


def plot_history(history: Sequence[HistoryEntry], run: int, title: str) -> Figure:
    """Show constants against the runs that they are valid for.

    Parameters
    ----------
    history : see `constants_history`
    run : number of the session's run, which is marked
    title : of the figure
    """
    import matplotlib.pyplot as plt

    stages = list(dict.fromkeys(entry.stage for entry in history))
    figure, axes = plt.subplots(
        len(stages),
        len(_LABELS),
        figsize=(10, 1 + 2.6 * len(stages)),
        squeeze=False,
        sharex=True,
        layout="constrained",
        num=free_label("history of constants"),
    )
    last = max([run, *(e.begin for e in history), *(e.end or 0 for e in history)]) + 1
    for line, stage in zip(axes, stages, strict=True):
        for ax, (name, label) in zip(line, _LABELS.items(), strict=True):
            entries = [e for e in history if (e.stage, e.name) == (stage, name)]
            _draw_history(ax, entries, last)
            ax.axvline(run, color="tab:red", linestyle="--", label=f"run {run}")
            lead = f"{stage}: " if len(stages) > 1 else ""
            ax.set(ylabel=f"{lead}{label}")
    for ax in axes[-1]:
        ax.set(xlabel="run")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend(fontsize="small")
    figure.align_ylabels(axes)
    figure.suptitle(f"{title}\nmedian of the pixels, and where 68 % of them are")
    return figure


def _draw_history(ax: Axes, entries: Sequence[HistoryEntry], last: int) -> None:
    """Draw each constant over the runs for which no newer one is valid."""
    ordered = sorted(entries, key=lambda entry: entry.begin)
    ends = [entry.begin for entry in ordered[1:]] + [last]
    for entry, newer in zip(ordered, ends, strict=True):
        end = newer if entry.end is None else min(newer, entry.end + 1)
        # A run is half a number wide to both sides.
        runs = [entry.begin - 0.5, end - 0.5]
        ax.fill_between(runs, entry.low, entry.high, color="tab:blue", alpha=0.25)
        ax.plot(runs, [entry.median] * 2, color="tab:blue", marker="|")
