"""Where the pixels of the simulated detectors are: nominal geometries."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector import nominal_geometry
from smalldata_ana.simulation.detectors import Kind
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.psana2.geometry import positions_from_text

Array = npt.NDArray[Any]


def positions(kind: Kind) -> tuple[Array, Array, Array]:
    """Return x, y, z of the pixels in the psana frame [um], each in a frame's shape.

    A detector without geometry is taken as flat, its panels one below the other.
    """
    if kind.geometry is None:
        return _plain_grid(kind)
    info = DetectorInfo(
        name=kind.geometry,
        dettype=kind.dettype,
        shape=kind.frame,
        dtype=np.dtype(np.uint16),
        panels=tuple(range(kind.frame[0])),
    )
    found = positions_from_text(
        nominal_geometry.text(kind.geometry), info, kind.geometry
    )
    return found.x, found.y, found.z


def _plain_grid(kind: Kind) -> tuple[Array, Array, Array]:
    panels, rows, columns = kind.frame
    plane = nominal_geometry.flat_positions((panels * rows, columns), kind.pixel)
    x, y, z = (axis.reshape(kind.frame) for axis in (plane.x, plane.y, plane.z))
    return x, y, z
