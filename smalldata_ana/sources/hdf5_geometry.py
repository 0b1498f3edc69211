"""Positions of pixels in a group of an HDF5 file.

The layout is described in `smalldata_ana.sources.hdf5_run`.
"""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np

from smalldata_ana.sources.base import Extent, PixelPositions

AXES = ("x", "y", "z")
EXTENT: Mapping[str, tuple[int, ...]] = {
    "extent_x": (2,),
    "extent_y": (2,),
    "mean_z": (),
}
"""Attributes and their shapes; they are there together, or not at all."""


def write_positions(group: h5py.Group, positions: PixelPositions) -> None:
    """Write positions into an empty group."""
    for axis in AXES:
        group[axis] = getattr(positions, axis)
    group.attrs["pixel_size"] = positions.pixel_size
    group.attrs["origin"] = positions.origin
    group.attrs["note"] = positions.note
    extent = positions.extent
    if extent is not None:
        values = (extent.x, extent.y, extent.mean_z)
        group.attrs.update(zip(EXTENT, values, strict=True))


def read_positions(group: h5py.Group, origin: str) -> PixelPositions:
    """Read positions from a group.

    Parameters
    ----------
    group : checked by `smalldata_ana.sources.hdf5_contents`
    origin : of positions that do not tell where they came from
    """
    x, y, z = (np.asarray(group[axis][()], np.float64) for axis in AXES)
    attributes = group.attrs
    return PixelPositions(
        x,
        y,
        z,
        pixel_size=float(attributes["pixel_size"]),
        origin=str(attributes.get("origin", origin)),
        extent=_read_extent(group),
        note=str(attributes.get("note", "")),
    )


def _read_extent(group: h5py.Group) -> Extent | None:
    if not all(name in group.attrs for name in EXTENT):
        return None
    x, y, mean_z = (group.attrs[name] for name in EXTENT)
    return Extent((float(x[0]), float(x[1])), (float(y[0]), float(y[1])), float(mean_z))
