"""Geometries for detectors that have none of their own.

What is drawn then is right to about a millimetre: panels lie where the design has
them.  Users are told so (`PixelPositions.note`).
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import GeometryError, MissingSoftwareError
from smalldata_ana.sources.base import DetectorInfo, PixelPositions, Run
from smalldata_ana.sources.psana2.geometry import (
    NOMINAL,
    default_text,
    positions_from_text,
)

logger = logging.getLogger(__name__)

_BY_PANELS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "cspad": {2: "cspad2x2", 32: "cspad"},
        "epix100": {1: "epix100a"},
        "epix10ka": {1: "epix10ka", 4: "epix10kaquad", 16: "epix10ka2M"},
        "epixm320": {4: "epixm320"},
        "jungfrau": {
            1: "jungfrau05M",
            2: "jungfrau1M",
            8: "jungfrau4M",
            32: "jungfrau16M",
        },
    }
)
"""The geometry of each detector type by the number of its panels, for `text`."""

_HEADER = """\
# TITLE      Nominal geometry of {title}
# CALIB_TYPE geometry
# HDR PARENT IND OBJECT IND X0[um] Y0[um] Z0[um] ROT-Z ROT-Y ROT-X TILT-Z TILT-Y TILT-X
"""
_PANEL = 20200.0, 20860.0
_QUAD_EDGE, _HOLE = 82000.0, 9000.0


def positions_of(run: Run, detector: str) -> PixelPositions | None:
    """Return where the pixels of a detector are: as the run has it, else nominally.

    Parameters
    ----------
    run : the run
    detector : name of an area detector

    Returns
    -------
    The positions [um], or None for panels of which nothing is known.

    Raises
    ------
    GeometryError
        if the geometry of the run is not this detector's
    """
    known, info = run.pixel_positions(detector), run.detectors[detector]
    if known is None or (known.note == NOMINAL and not fits_kind(known, info)):
        return nominal_positions(info)
    check_panels(known, info)
    return known


def fits_kind(positions: PixelPositions, info: DetectorInfo) -> bool:
    """Tell whether a geometry has the panels of a detector's kind.

    Where the kind has a fixed number of panels, and the data hold panels of just these
    numbers, a geometry of more is another detector's.
    """
    panels = kind_of(info.dettype, info.shape).panels
    if panels is None or info.panels != tuple(range(panels)):
        return True
    return positions.panels in {None, panels}


def check_panels(positions: PixelPositions, info: DetectorInfo) -> None:
    """Check that a geometry has the panels of a detector's kind.

    Raises
    ------
    GeometryError
        if it has not; see `fits_kind`
    """
    if not fits_kind(positions, info):
        kind = kind_of(info.dettype, info.shape)
        raise GeometryError(
            f"the geometry of {info.name!r} ({positions.origin}) has "
            f"{positions.panels} panels; a {kind.title} has {kind.panels}, and its "
            f"data hold the panels {', '.join(map(str, info.panels))}"
        )


def nominal_positions(info: DetectorInfo) -> PixelPositions | None:
    """Return where the pixels of a detector are by design.

    That is one of `text`, or, for a detector without panels, a plane of pixels of the
    kind's size around the origin.  Of detectors that differ in the number of panels,
    the smallest that has the panels in the data is taken.

    Parameters
    ----------
    info : the detector

    Returns
    -------
    The positions [um], or None where the arrangement or the pixel size is not known.
    """
    kind = kind_of(info.dettype, info.shape)
    name = _name(info)
    if name is not None and all(
        wanted in {None, there}
        for wanted, there in zip(kind.panel_shape, info.shape[-2:], strict=True)
    ):
        return _from_text(name, info)
    size = kind.pixel_size_in(info.shape)
    if size is None or math.prod(info.shape[:-2]) > 1:
        return None
    return flat_positions(info.shape, size)


def _name(info: DetectorInfo) -> str | None:
    """Return the name of the smallest arrangement that has the panels in the data."""
    by_panels = _BY_PANELS.get(info.dettype, {})
    enough = [panels for panels in by_panels if panels > max(info.panels)]
    return by_panels[min(enough)] if enough else None


def _from_text(name: str, info: DetectorInfo) -> PixelPositions | None:
    """Return the positions of `text`, or None where there is no psana to read it."""
    try:
        found = positions_from_text(text(name), info, f"nominal geometry {name}")
    except (GeometryError, MissingSoftwareError) as error:
        logger.warning("no nominal geometry of %s: %s", info.name, error)
        return None
    return dataclasses.replace(found, note=NOMINAL)


def flat_positions(shape: tuple[int, ...], pixel_size: float) -> PixelPositions:
    """Return the positions of pixels without gaps, the origin in their middle.

    Parameters
    ----------
    shape : of a raw frame, (rows, columns) or (1, rows, columns)
    pixel_size : their edge [um]
    """
    x, y = (
        (np.arange(n, dtype=np.float64) - (n - 1) / 2) * pixel_size for n in shape[-2:]
    )
    down, right = (axis.reshape(shape) for axis in np.meshgrid(x, y, indexing="ij"))
    return PixelPositions(
        down, right, np.zeros(shape), pixel_size, "a plane of square pixels"
    )


def text(name: str) -> str:
    """Return a geometry by design, as psana writes it.

    Parameters
    ----------
    name : as in the names of psana's default files, e.g. ``jungfrau1M``; or
        ``epix10ka`` and ``epix10ka2M``, which psana has none of

    Raises
    ------
    GeometryError
        if there is none of that name
    """
    own = {"epix10ka": _one_panel, "epix10ka2M": _four_quads}
    if name not in own:
        return default_text(name)
    title, lines = own[name]()
    return _HEADER.format(title=title) + "".join(f"{line}\n" for line in lines)


def _one_panel() -> tuple[str, Iterator[str]]:
    line = _line("IP", 0, "EPIX10KA:V1", 0, 0.0, 0.0, 0.0, 90)
    return "an epix10ka: one panel", iter([line])


def _four_quads() -> tuple[str, Iterator[str]]:
    return "an epix10ka2M: four quads around a square hole", _quads()


def _quads() -> Iterator[str]:
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
