"""Where a detector's pixels are, from its geometry constants, through psana."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_ana.errors import GeometryError
from smalldata_ana.sources.base import DetectorInfo, PixelPositions
from smalldata_ana.sources.constants import Constant


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
        if the geometry is for another number of panels or pixels
    """
    from psana.pscalib.geometry.GeometryAccess import GeometryAccess

    text = _text(reader, constant)
    if text is None:
        return None
    origin = "psana's default" if constant is None else constant.origin
    geometry = GeometryAccess()
    geometry.load_pars_from_str(text)
    x, y, z = (np.asarray(axis, np.float64) for axis in geometry.get_pixel_coords())
    size = int(np.prod(info.shape))
    frame = info.shape[-2:]
    all_panels = x.size // int(np.prod(frame))
    if x.size % size or all_panels <= max(info.panels):
        if constant is None:
            return None
        raise GeometryError(
            f"the geometry of {info.name!r} ({origin}) has {x.size} pixels in "
            f"{all_panels} panels; its data have {size} in {len(info.panels)}"
        )
    x, y, z = (
        axis.reshape(-1, *frame)[list(info.panels)].reshape(info.shape)
        for axis in (x, y, z)
    )
    pixel_size = float(geometry.get_pixel_scale_size())
    return PixelPositions(x, y, z, pixel_size=pixel_size, origin=origin)


def _text(reader: Any, constant: Constant | None) -> str | None:
    if constant is not None:
        return str(constant.value)
    if getattr(reader, "_path_geo_default", None) is None:
        return None
    try:
        return str(reader._det_geotxt_default())
    except OSError:
        # psana names a default file for some cameras that does not exist
        return None
