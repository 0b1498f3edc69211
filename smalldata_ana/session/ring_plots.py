"""Rings over a picture, and the mean over them by radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import AverageImage
from smalldata_ana.beam_center import CenterFit
from smalldata_ana.session.known_geometry import known_geometry
from smalldata_ana.session.plots import plot_image
from smalldata_ana.session.tools.outlines import Line, circle_line, draw_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RING_COLOUR = "tab:red"
POINT_COLOUR = "tab:orange"
KNOWN_COLOUR = "white"
"""Of the centre that was accepted or exported before."""

_CROSS = 0.012
"""Half the size of a cross [of the larger edge of the image]."""
_MOST_PIXELS = 500_000

Floats = npt.NDArray[np.float64]


def ring_lines(fit: CenterFit, shape: tuple[int, ...]) -> list[Line]:
    """Return the lines of fitted rings and of their centre.

    Parameters
    ----------
    fit : the rings
    shape : of the assembled image
    """
    rings = [circle_line(fit.center_px, radius) for radius in fit.radius_px]
    return [*rings, *cross_lines([fit.center_px], shape)]


def cross_lines(
    points: Sequence[Sequence[float]], shape: tuple[int, ...]
) -> list[Line]:
    """Return the lines of a cross at each of some points.

    Parameters
    ----------
    points : row and column of each
    shape : of the assembled image
    """
    size = _CROSS * max(shape)
    arms = np.array([[[-size, 0], [size, 0]], [[0, -size], [0, size]]])
    return [np.asarray(point) + arm for point in points for arm in arms]


def known_center_lines(session: Any, average: AverageImage) -> list[Line]:
    """Return the cross at the centre that was accepted or exported, if there is one.

    Parameters
    ----------
    session : the session
    average : the image on which it is to be drawn
    """
    center = known_geometry(session, average.detector).get("center")
    geometry = average.geometry
    if center is None or geometry.corner is None:
        return []
    row, column = geometry.image_from_um(*center)
    return cross_lines([(float(row), float(column))], geometry.shape)


def draw_known_center(session: Any, ax: Axes, average: AverageImage) -> None:
    """Draw the centre that was accepted or exported over an image.

    Parameters
    ----------
    session : the session
    ax : axes of the image
    average : the image
    """
    lines = known_center_lines(session, average)
    if lines:
        draw_lines(ax, lines, KNOWN_COLOUR, "center")


def flat_points(points: Sequence[Any]) -> list[Any]:
    """Return points in one list, also those that are listed for several rings."""
    nested = any(np.ndim(point) > 1 for point in points)
    return [p for ring in points for p in ring] if nested else list(points)


def plot_rings(
    average: AverageImage,
    fit: CenterFit,
    *,
    points: Sequence[Any] = (),
    title: str | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Show an average image with fitted rings over it.

    Parameters
    ----------
    average : the image
    fit : the rings
    points : row and column of points that were picked
    title : over the picture
    ax : axes to draw in; by default those of a new figure
    style : of `plot_image`

    Returns
    -------
    The axes of the image.
    """
    ax = plot_image(average, title=title, ax=ax, **style)
    shape = average.geometry.shape
    draw_lines(ax, ring_lines(fit, shape), RING_COLOUR, "")
    draw_lines(ax, cross_lines(flat_points(points), shape), POINT_COLOUR, "")
    return ax


class RadialProfile:
    """The mean of an image by the distance from a centre, fast enough to follow it.

    Parameters
    ----------
    image : assembled, (rows, columns)
    good : bool, pixels to use
    """

    def __init__(
        self, image: npt.NDArray[np.float32], good: npt.NDArray[np.bool_]
    ) -> None:
        rows, columns = np.nonzero(good & np.isfinite(image))
        # An odd step does not stay in one column.
        part = slice(None, None, (rows.size // _MOST_PIXELS) | 1)
        self._rows, self._columns = rows[part], columns[part]
        self._values = image[self._rows, self._columns].astype(np.float64)

    def about(self, center: tuple[float, float]) -> tuple[Floats, Floats]:
        """Return radius [px] and mean of each bin of one pixel that is seen.

        Parameters
        ----------
        center : row and column
        """
        distance = np.hypot(self._rows - center[0], self._columns - center[1])
        bins = np.rint(distance).astype(np.intp)
        counts = np.bincount(bins)
        seen = np.flatnonzero(counts)
        sums = np.bincount(bins, self._values)
        return seen.astype(np.float64), sums[seen] / counts[seen]
