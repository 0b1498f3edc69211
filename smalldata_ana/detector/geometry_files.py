"""Geometries of other programs: psana's text in, CrystFEL's ``.geom`` out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.nominal_geometry import check_panels
from smalldata_ana.detector.panel_grid import PanelGrid, panel_grids
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.safe_files import reason, replacing
from smalldata_ana.sources.base import DetectorInfo, PixelPositions
from smalldata_ana.sources.psana2.geometry import positions_from_text

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]
Box = tuple[Span, Span, Span]
"""Panels, rows and columns, each from, and up to but not including."""

_BREAK = 1e-3
"""A step between pixels that differs by more than this is one between chips [1]."""


def read_psana_geometry(
    path: str | os.PathLike[str], info: DetectorInfo
) -> PixelPositions:
    """Read where a detector's pixels are from a geometry file of psana.

    Parameters
    ----------
    path : the file, e.g. ``0-end.data`` of a calibration folder
    info : the detector, as `Run.detectors` has it

    Raises
    ------
    FileError
        if the file cannot be read
    GeometryError
        if it is not a geometry, or one for another number of panels or pixels
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not a text") from error
    positions = positions_from_text(text, info, str(path))
    check_panels(positions, info)
    return positions


def write_crystfel(
    path: str | os.PathLike[str],
    positions: PixelPositions,
    beam: BeamGeometry,
    *,
    bad: Sequence[Box] = (),
    data: str = "/entry/data/data",
    adu_per_ev: float | None = None,
) -> None:
    """Write a ``.geom`` file of CrystFEL for raw frames, panels one below the other.

    A panel is written as one or more: it is cut where the distance between its pixels
    changes, at wide pixels and at gaps between its chips.  CrystFEL's x is to the left
    on our images, its y up, its z along the beam.

    Parameters
    ----------
    path : the file to make or to replace
    positions : of the pixels
    beam : where it meets the detector
    bad : regions that are not to be used, ``((panel, panel), (row, row), (column,
        column))``, each from, and up to but not including
    data : where in an HDF5 file the frames are, (events, rows of all panels, columns)
    adu_per_ev : what a photon's energy counts in them; 0.001 for images in keV

    Raises
    ------
    ParameterError
        if the photon energy is not known, or a bad region is not on the detector
    GeometryError
        if the pixels of a panel are not in straight rows and columns
    FileError
        if the file cannot be written
    """
    grids = panel_grids(positions)
    pieces = [piece for n, grid in enumerate(grids) for piece in _pieces(n, grid)]
    lines = [
        *_head(positions, beam, data, adu_per_ev),
        *_groups(pieces),
        *_bad_regions(bad, pieces, (len(grids), *grids[0].shape)),
        *(
            line
            for piece in pieces
            for line in _panel(piece, grids[piece.panel], positions, beam)
        ),
    ]
    with replacing(path) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Piece:
    """A part of a panel without gaps: rows and columns, up to but not including."""

    panel: int
    name: str
    rows: Span
    columns: Span
    first_row: int


def _pieces(panel: int, grid: PanelGrid) -> Iterator[_Piece]:
    number = 0
    for rows in _spans(grid.rows, grid.pixel_size):
        for columns in _spans(grid.columns, grid.pixel_size):
            yield _Piece(
                panel, f"p{panel}a{number}", rows, columns, panel * grid.shape[0]
            )
            number += 1


def _spans(distances: Floats, pixel_size: float) -> Iterator[Span]:
    steps = np.diff(distances) / pixel_size
    ends = 1 + np.flatnonzero(np.abs(steps - 1) > _BREAK)
    bounds = [0, *(int(end) for end in ends), len(distances)]
    yield from itertools.pairwise(bounds)


def _head(
    positions: PixelPositions,
    beam: BeamGeometry,
    data: str,
    adu_per_ev: float | None,
) -> Iterator[str]:
    if beam.energy is None:
        raise ParameterError("a .geom file needs the photon energy; give it in keV")
    yield f"; geometry of smalldata_ana, from: {' '.join(positions.origin.split())}"
    yield f"photon_energy = {1e3 * beam.energy:.6f}"
    yield f"clen = {_camera_length(beam):.9f}"
    yield f"res = {1e6 / positions.pixel_size:.6f}"
    if adu_per_ev is not None:
        yield f"adu_per_eV = {adu_per_ev:.9g}"
    yield f"data = {data}"
    yield "dim0 = %"
    yield "dim1 = ss"
    yield "dim2 = fs"


def _groups(pieces: Sequence[_Piece]) -> Iterator[str]:
    """Chips of a panel move together."""
    panels = sorted({piece.panel for piece in pieces})
    yield ""
    for panel in panels:
        names = ",".join(piece.name for piece in pieces if piece.panel == panel)
        yield f"rigid_group_p{panel} = {names}"
    groups = ",".join(f"p{panel}" for panel in panels)
    yield f"rigid_group_collection_panels = {groups}"


def _bad_regions(
    bad: Sequence[Box], pieces: Sequence[_Piece], shape: tuple[int, int, int]
) -> Iterator[str]:
    number = 0
    for box in bad:
        if not all(0 <= a < b <= n for (a, b), n in zip(box, shape, strict=True)):
            raise ParameterError(
                f"the bad region {box} is not on a detector of {shape}"
            )
        panels, rows, columns = box
        for piece in pieces:
            ss, fs = _common(rows, piece.rows), _common(columns, piece.columns)
            if not panels[0] <= piece.panel < panels[1] or ss is None or fs is None:
                continue
            yield ""
            yield from _limits(f"bad{number}", piece, ss, fs)
            yield f"bad{number}/panel = {piece.name}"
            number += 1


def _common(one: Span, other: Span) -> Span | None:
    begin, end = max(one[0], other[0]), min(one[1], other[1])
    return (begin, end) if begin < end else None


def _limits(name: str, piece: _Piece, rows: Span, columns: Span) -> Iterator[str]:
    """Write the limits of a region in the raw frame, which are inclusive."""
    yield f"{name}/min_fs = {columns[0]}"
    yield f"{name}/max_fs = {columns[1] - 1}"
    yield f"{name}/min_ss = {rows[0] + piece.first_row}"
    yield f"{name}/max_ss = {rows[1] - 1 + piece.first_row}"


def _panel(
    piece: _Piece, grid: PanelGrid, positions: PixelPositions, beam: BeamGeometry
) -> Iterator[str]:
    row, column = piece.rows[0], piece.columns[0]
    # the corner of the first pixel, and one pixel from there along each axis
    at = np.array([[row, column], [row, column + 1], [row + 1, column]]) - 0.5
    x, y, z = _extrapolated(grid, row, column, at)
    corner, fs, ss = _in_crystfel(x, y, z - positions.whole.mean_z, beam)
    size = positions.pixel_size
    offset = 1e-6 * corner[2] - _camera_length(beam)
    yield ""
    yield from _limits(piece.name, piece, piece.rows, piece.columns)
    yield f"{piece.name}/fs = {_vector((fs - corner) / size)}"
    yield f"{piece.name}/ss = {_vector((ss - corner) / size)}"
    yield f"{piece.name}/corner_x = {corner[0] / size:.6f}"
    yield f"{piece.name}/corner_y = {corner[1] / size:.6f}"
    yield f"{piece.name}/coffset = {offset:.9f}"


def _extrapolated(grid: PanelGrid, row: int, column: int, at: Floats) -> Floats:
    """Return points near a pixel as if its panel had no gaps, (3, points)."""
    origin = grid.position(np.array(row), np.array(column))
    offset = at - [row, column]
    points: Floats = origin + grid.pixel_size * (
        offset[:, :1] * grid.down + offset[:, 1:] * grid.right
    )
    return points.T


def _in_crystfel(x: Any, y: Any, z: Any, beam: BeamGeometry) -> Floats:
    """Return points in CrystFEL's frame, which is that of the laboratory, (points, 3).

    The frame of the laboratory is right-handed with y up and z along the beam.
    """
    return np.stack(beam.laboratory(x, y, z), axis=-1)


def _camera_length(beam: BeamGeometry) -> float:
    """Return the distance of the sample along the beam [m]."""
    return 1e-3 * beam.distance / -float(beam.direction[2])


def _vector(direction: Floats) -> str:
    return " ".join(
        f"{value:+.9f}{axis}" for value, axis in zip(direction, "xyz", strict=True)
    )
