"""Where the pixels of the simulated detectors are: psana's own geometry texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.simulation.detectors import Kind
from smalldata_ana.sources.psana2.mended import psana

Array = npt.NDArray[Any]

_HEADER = """\
# TITLE      Geometry of a simulated epix10ka2M: four quads around a square hole
# CALIB_TYPE geometry
# HDR PARENT IND OBJECT IND X0[um] Y0[um] Z0[um] ROT-Z ROT-Y ROT-X TILT-Z TILT-Y TILT-X
"""
_PANEL = 20200.0, 20860.0
_QUAD_EDGE, _HOLE = 82000.0, 9000.0


def text(name: str) -> str:
    """Return the geometry of a detector, as psana writes it.

    Parameters
    ----------
    name : as in the names of psana's default files, e.g. ``jungfrau1M``, or
        ``epix10ka2M``, which psana has none of
    """
    if name == "epix10ka2M":
        return _HEADER + "".join(line + "\n" for line in _four_quads())
    folder = Path(psana().__file__).parent / "pscalib/geometry/data"
    return (folder / f"geometry-def-{name}.data").read_text()


def _four_quads() -> Iterator[str]:
    # four squares turned by 90 degrees each leave a square hole between them
    far, near = (_QUAD_EDGE + _HOLE) / 2, (_QUAD_EDGE - _HOLE) / 2
    places = (far, near), (-near, far), (-far, -near), (near, -far)
    corners = (1, -1), (-1, -1), (1, 1), (-1, 1)
    for quad, (x, y) in enumerate(places):
        for number, (right, up) in enumerate(corners):
            yield _line(
                "QUAD", quad, "EPIX10KA:V1", 4 * quad + number,
                right * _PANEL[0], up * _PANEL[1], 0.0, 0,
            )  # fmt: skip
        yield _line("CAMERA", 0, "QUAD", quad, x, y, 0.0, 90 * quad)
    yield _line("IP", 0, "CAMERA", 0, 0.0, 0.0, -100000.0, 90)


def _line(
    parent: str,
    parent_number: int,
    child: str,
    number: int,
    x: float,
    y: float,
    z: float,
    rotation: int,
) -> str:
    place = f"{x:9.0f} {y:9.0f} {z:9.0f}"
    return (
        f"{parent:8s} {parent_number:2d} {child:12s} {number:3d} {place} "
        f"{rotation:4d} 0 0 0.0 0.0 0.0"
    )


def positions(kind: Kind) -> tuple[Array, Array, Array]:
    """Return x, y, z of the pixels in the psana frame [um], each in a frame's shape.

    A detector without geometry is taken as flat, its panels one below the other.
    """
    if kind.geometry is None:
        return _plain_grid(kind)
    psana()
    from psana.pscalib.geometry.GeometryAccess import GeometryAccess

    access = GeometryAccess()
    access.load_pars_from_str(text(kind.geometry))
    x, y, z = access.get_pixel_coords(oname=None, oindex=0, do_tilt=True, cframe=0)
    return x.reshape(kind.frame), y.reshape(kind.frame), z.reshape(kind.frame)


def _plain_grid(kind: Kind) -> tuple[Array, Array, Array]:
    panels, rows, columns = kind.frame
    down = (np.arange(panels * rows) - (panels * rows - 1) / 2) * kind.pixel
    right = (np.arange(columns) - (columns - 1) / 2) * kind.pixel
    x, y = np.meshgrid(down, right, indexing="ij")
    return x.reshape(kind.frame), y.reshape(kind.frame), np.zeros(kind.frame)
