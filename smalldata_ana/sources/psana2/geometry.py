"""Where a detector's pixels are, from its geometry constants, through psana."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import GeometryError, counted
from smalldata_ana.sources.base import DetectorInfo, Extent, PixelPositions
from smalldata_ana.sources.constants import Constant
from smalldata_ana.sources.psana2.mended import psana

NOMINAL = "nominal geometry, not measured"
"""The note of a geometry that is the same for all detectors of a kind."""


Array = npt.NDArray[Any]

_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)
"""What psana raises for a text that it cannot read; it has no error for that."""


def pixel_positions(
    reader: Any, info: DetectorInfo, constant: Constant | None
) -> PixelPositions | None:
    """Return the positions of the pixels of a raw frame.

    Parameters
    ----------
    reader : psana's object for the detector, which knows a default geometry; or None
    info : the detector
    constant : its geometry from the store, or None for the default

    Returns
    -------
    The positions in the psana frame [um], or None where there is no geometry at all.

    Raises
    ------
    GeometryError
        if the geometry is for panels of another size, lacks panels, or is not one
    """
    if constant is not None:
        return positions_from_text(str(constant.value), info, constant.origin)
    text = _default_of(reader)
    if text is None:
        return None
    try:
        positions = positions_from_text(text, info, "psana's default")
    except GeometryError:
        # it is for another size of the same kind
        return None
    return dataclasses.replace(positions, note=NOMINAL)


def positions_from_text(text: str, info: DetectorInfo, origin: str) -> PixelPositions:
    """Return where a detector's pixels are, from a geometry as psana writes it.

    Parameters
    ----------
    text : the geometry, for all panels of the detector
    info : the detector; its data may hold only some of the panels
    origin : where the text came from

    Raises
    ------
    GeometryError
        if the text is not a geometry, one of panels of another size, or one that lacks
        panels of the data
    """
    coordinates, pixel_size = _parsed(text, origin)
    frame = info.shape[-2:]
    x, y, z = (_panels_first(axis, frame) for axis in coordinates)
    panels = math.prod(x.shape[:-2])
    whole = math.prod(info.shape) == len(info.panels) * math.prod(frame)
    enough = panels > max(info.panels) and (len(info.shape) > 2 or panels == 1)
    if x.shape[-2:] != frame or not whole or not enough:
        size = " x ".join(map(str, x.shape[-2:]))
        raise GeometryError(
            f"the geometry of {info.name!r} ({origin}) has {x.size} pixels, "
            f"{counted(panels, 'panel')} of {size}; its data have frames of "
            f"{info.shape}, panels {', '.join(map(str, info.panels))}"
        )
    extent = Extent.of(x, y, z)
    x, y, z = (
        axis.reshape(-1, *frame)[list(info.panels)].reshape(info.shape)
        for axis in (x, y, z)
    )
    return PixelPositions(x, y, z, pixel_size, origin, extent, panels=panels)


def default_text(name: str) -> str:
    """Return one of the default geometries that come with psana.

    Parameters
    ----------
    name : as in the names of its files, e.g. ``jungfrau1M``

    Raises
    ------
    GeometryError
        if there is none of that name
    """
    folder = Path(psana().__file__).parent / "pscalib/geometry/data"
    try:
        return (folder / f"geometry-def-{name}.data").read_text()
    except OSError as error:
        raise GeometryError(f"psana has no default geometry {name!r}") from error


def _parsed(text: str, origin: str) -> tuple[Any, float]:
    """Return the coordinates of the pixels of a geometry text, and their size [um].

    psana computes the coordinates each time that it is asked for them.
    """
    psana()
    from psana.pscalib.geometry.GeometryAccess import GeometryAccess

    geometry = GeometryAccess()
    try:
        geometry.load_pars_from_str(text)
        coordinates = geometry.get_pixel_coords()
        pixel_size = float(geometry.get_pixel_scale_size())
    except _UNREADABLE as error:
        raise GeometryError(
            f"not a geometry text of psana, or one of panels that it does not know: "
            f"{origin}"
        ) from error
    if coordinates is None or coordinates[0] is None:
        raise GeometryError(f"the geometry has no panels that psana knows: {origin}")
    return coordinates, pixel_size


def _panels_first(axis: Any, frame: tuple[int, ...]) -> Array:
    """Return coordinates as (..., rows, columns); of a cspad2x2, panels come last."""
    coordinates = np.asarray(axis, np.float64)
    if coordinates.shape[-2:] != frame and coordinates.shape[:2] == frame:
        return np.ascontiguousarray(np.moveaxis(coordinates, -1, 0))
    return coordinates


def _default_of(reader: Any) -> str | None:
    if getattr(reader, "_path_geo_default", None) is None:
        return None
    try:
        return str(reader._det_geotxt_default())
    except OSError:
        # psana names a default file for some cameras that does not exist
        return None
