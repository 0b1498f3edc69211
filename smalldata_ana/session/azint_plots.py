"""Plots of azimuthal averages: I(q), the map of q and phi, lines of calibrants.

Every function draws in the axes that it is given, or else in a new figure, and leaves
it to the session to show the figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana import units
from smalldata_ana.errors import ParameterError
from smalldata_ana.geometry_refinement.calibrants import (
    calibrant_name,
    ring_spacings,
)
from smalldata_ana.session.azint import AzimuthalAverage
from smalldata_ana.session.figures import free_label
from smalldata_ana.session.plots import GAP_COLOUR, colour_bar, gap_colours
from smalldata_ana.session.scales import is_wide, scale_limits, set_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

LINE_COLOUR = "tab:red"
PEAK_COLOUR = "tab:red"

_FOOT = 0.9
"""How far below its top a ring ends [its height]."""
_LABELS = {"q": "q [1/Å]", "r": "radius [µm]"}
_PHI_LABEL = "φ [°]"
_PLACES = {
    (0, 0): (1, 1),
    (-1, 0): (0, 1),
    (1, 0): (2, 1),
    (0, -1): (1, 0),
    (0, 1): (1, 2),
}
"""Row and column of the axes by the step in x (down) and y (right), as on the image."""


def plot_azint(
    found: AzimuthalAverage,
    *,
    calibrant: str | None = None,
    cmap: str = "viridis",
    ax: Axes | None = None,
) -> Axes:
    """Show an azimuthal average: a curve, or a map if it has several bins in phi.

    Parameters
    ----------
    found : the average
    calibrant : its lines are drawn; a name of `geometry_refinement.calibrants`
    cmap : Matplotlib's name of the colour map
    ax : axes to draw in; by default those of a new figure

    Returns
    -------
    The axes.

    Raises
    ------
    ParameterError
        if there is no such calibrant or colour map, or the average is not over q
    """
    lines = None if calibrant is None else calibrant_lines(calibrant, found)
    ax = _new_axes(found) if ax is None else ax
    if len(found.values) > 1:
        _draw_map(ax, found, cmap)
    else:
        _draw_curves(ax, found)
    if lines is not None:
        _draw_lines(ax, lines, str(calibrant))
    ax.set_title(f"{found.title}\n{found.name} of {found.image}", fontsize="medium")
    return ax


def calibrant_lines(calibrant: str, found: AzimuthalAverage) -> Floats:
    """Return q of the lines of a calibrant within an average [1/angstrom].

    Parameters
    ----------
    calibrant : its name
    found : the average

    Raises
    ------
    ParameterError
        if there is no such calibrant, or the average is not over q
    """
    if found.axis != "q":
        raise ParameterError(
            f"{found.name!r} is an average by radius; lines of {calibrant!r} need one "
            "over q, without rbin"
        )
    q = 2 * np.pi / ring_spacings(calibrant)
    inside: Floats = q[(q > found.edges[0]) & (q < found.edges[-1])]
    return inside


def draw_center_variation(
    figure: Figure,
    found: Mapping[tuple[int, int], AzimuthalAverage],
    center: tuple[float, float],
    step: float,
    zoom: Sequence[float] | None = None,
    *,
    inner: float = 0.0,
    curves: bool = False,
    cmap: str = "viridis",
) -> dict[tuple[int, int], Axes]:
    """Show azimuthal averages about a centre and centres around it, as a cross.

    Upwards and downwards are steps in x, to the left and right steps in y, as on the
    picture.  A dot marks where the strongest ring is highest in each bin in phi.

    Parameters
    ----------
    figure : an empty figure
    found : averages by step in x and y
    center : x and y [um]
    step : [um]
    zoom : lowest and highest q that are shown
    inner : q up to which there is the glow around the beam, and no ring
    curves : curves, one for each bin in phi, instead of maps
    cmap : Matplotlib's name of the colour map

    Returns
    -------
    The axes by step in x and y.
    """
    first = next(iter(found.values()))
    grid = figure.subplots(3, 3, sharex=True)
    for ax in grid.flat:
        ax.set_axis_off()
    norm = None if curves else _scale(first.values[:, shown_bins(first, zoom)])
    axes = {}
    for (down, right), average in found.items():
        ax = axes[down, right] = grid[_PLACES[down, right]]
        ax.set_axis_on()
        if curves:
            _draw_curves(ax, average)
        else:
            _draw_map(ax, average, cmap, norm)
            _draw_peaks(ax, average, shown_bins(average, zoom) & (average.x > inner))
        ax.tick_params(labelbottom=True)
        x, y = center[0] + down * step, center[1] + right * step
        ax.set_title(f"x = {x:.0f}, y = {y:.0f} µm", fontsize="medium")
        if zoom is not None:
            ax.set_xlim(*zoom)
    figure.suptitle(f"{first.title}: {first.image}", fontsize="medium")
    return axes


def _new_axes(found: AzimuthalAverage) -> Axes:
    import matplotlib.pyplot as plt

    label = free_label(f"AzInt_{found.detector}_{found.name}")
    return plt.figure(label, layout="constrained", figsize=(8, 5)).subplots()


def _intensity(found: AzimuthalAverage) -> str:
    unit = units.label(found.unit)
    return f"mean intensity [{unit}]" if unit else "mean intensity"


def _draw_curves(ax: Axes, found: AzimuthalAverage) -> None:
    many = len(found.values) > 1
    for phi, values in zip(found.phi, found.values, strict=True):
        ax.plot(found.x, values, linewidth=1, label=f"φ = {phi:.0f}°" if many else None)
    ax.set(xlabel=_LABELS[found.axis], ylabel=_intensity(found))
    ax.margins(x=0)
    set_scale(ax, found.values)


def _draw_map(ax: Axes, found: AzimuthalAverage, cmap: str, norm: Any = None) -> None:
    mesh: Any = ax.pcolormesh(
        found.edges,
        found.phi_edges,
        found.values,
        norm=_scale(found.values) if norm is None else norm,
        cmap=gap_colours(cmap),
    )
    ax.set_facecolor(GAP_COLOUR)
    ax.set(xlabel=_LABELS[found.axis], ylabel=_PHI_LABEL)
    colour_bar(mesh, ax, label=_intensity(found))


def _draw_peaks(
    ax: Axes, found: AzimuthalAverage, among: npt.NDArray[np.bool_]
) -> None:
    """Draw a dot at the maximum of the strongest ring in each bin in phi."""
    ring = strongest_ring(found, among)
    values = np.where(ring & np.isfinite(found.values), found.values, -np.inf)
    seen = np.isfinite(values).any(axis=1)
    peaks = found.x[np.argmax(values, axis=1)]
    ax.plot(peaks[seen], found.phi[seen], ".", color=PEAK_COLOUR)


def strongest_ring(
    found: AzimuthalAverage, among: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the bins of the ring that is highest above its surroundings, (bins,).

    Parameters
    ----------
    found : the average
    among : bins to look at, (bins,); where they hold no ring, they are returned
    """
    from scipy.signal import find_peaks, peak_widths

    bins = np.flatnonzero(among & np.isfinite(found.values).any(axis=0))
    mean = np.nanmean(found.values[:, bins], axis=0)
    places, peaks = find_peaks(mean, prominence=0)
    if not places.size:
        return among
    strongest = places[[np.argmax(peaks["prominences"])]]
    _, _, left, right = peak_widths(mean, strongest, rel_height=_FOOT)
    ring = np.zeros_like(among)
    ring[bins[math.ceil(left[0]) : math.floor(right[0]) + 1]] = True
    return ring


def _draw_lines(ax: Axes, q: Floats, calibrant: str) -> None:
    label = f"{calibrant_name(calibrant)} ({len(q)} lines)"
    for number, place in enumerate(q):
        ax.axvline(
            place,
            color=LINE_COLOUR,
            linestyle="--",
            linewidth=0.8,
            label=label if number == 0 else None,
        )
    if q.size:
        ax.legend(fontsize="small", loc="upper right")


def shown_bins(
    found: AzimuthalAverage, zoom: Sequence[float] | None
) -> npt.NDArray[np.bool_]:
    """Return which bins are shown, (bins,).

    Parameters
    ----------
    found : the average
    zoom : lowest and highest q that are shown

    Raises
    ------
    ParameterError
        if nothing is shown
    """
    low, high = (-np.inf, np.inf) if zoom is None else zoom
    shown: npt.NDArray[np.bool_] = (found.x >= low) & (found.x <= high)
    if np.isfinite(found.values[:, shown]).any():
        return shown
    raise ParameterError(
        f"zoom = {low:g}, {high:g} shows nothing; the average reaches from "
        f"{found.edges[0]:g} to {found.edges[-1]:g} {_LABELS[found.axis]}"
    )


def _scale(values: Floats) -> Any:
    """Return how values become colours, linear or logarithmic."""
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm if is_wide(values) else Normalize
    return norm(*scale_limits(values), clip=True)
