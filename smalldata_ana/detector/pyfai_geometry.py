"""Our geometries for pyFAI: a detector with true pixel corners, and ``.poni`` files.

pyFAI's first axis is psana's x (down), its second psana's y (right), both from the
outer corner of the assembled image's first pixel; its third is the beam's.  The same
``.poni`` file therefore serves for raw frames with `pyfai_detector`, and, to within a
pixel, for the assembled image with a plain detector of that pixel size.  ``chi`` is our
azimuth: 0 to the right, 90 degrees down.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry, Poni, on_plane
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.panel_grid import panel_grids
from smalldata_ana.errors import FileError, GeometryError
from smalldata_ana.safe_files import replacing
from smalldata_ana.sources.base import PixelPositions

_ORIENTATION = 3
"""Rows and columns grow along pyFAI's axes."""

_SIZES_DIFFER = 1e-3
"""Relative difference of two pixel sizes that are not the same."""


@contextlib.contextmanager
def quiet_pyfai() -> Iterator[None]:
    """Silence what pyFAI logs while it is imported and set up: it is about itself."""
    loggers = [logging.getLogger(name) for name in ("pyFAI", "silx", "fabio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def pixel_corners(positions: PixelPositions) -> npt.NDArray[np.float32]:
    """Return the corners of the pixels, as pyFAI has them.

    Each pixel has the normal size, and the directions of its panel.

    Parameters
    ----------
    positions : of the pixels

    Returns
    -------
    float32, (rows of all panels, columns, 4, 3): third, first and second coordinate of
    pyFAI [m] of the corners at (row, column), (row + 1, column), (row + 1, column + 1)
    and (row, column + 1).
    """
    grids = panel_grids(positions)
    half = positions.pixel_size / 2
    extent = positions.whole
    begin = np.array([extent.x[0] - half, extent.y[0] - half, 0.0])
    shape = len(grids), *grids[0].shape
    middles = np.stack(on_plane(positions), axis=-1).reshape(*shape, 3)
    corners = np.empty((*shape, 4, 3), np.float32)
    for panel, grid in enumerate(grids):
        for number, (down, right) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
            offset = half * (down * grid.down + right * grid.right) - begin
            place = 1e-6 * (middles[panel] + offset)
            corners[panel, ..., number, 0] = -place[..., 2]
            corners[panel, ..., number, 1:] = place[..., :2]
    return corners.reshape(-1, *corners.shape[2:])


def pyfai_detector(positions: PixelPositions) -> Any:
    """Return a detector of pyFAI for raw frames, panels one below the other.

    Its images are ``frame.reshape(-1, columns)``.

    Parameters
    ----------
    positions : of the pixels

    Raises
    ------
    GeometryError
        if the pixels of a panel are not in straight rows and columns
    """
    corners = pixel_corners(positions)
    size = 1e-6 * positions.pixel_size
    detector = _panel_detector()(size, size, max_shape=corners.shape[:2])
    detector.set_pixel_corners(corners)
    return detector


@functools.cache
def _panel_detector() -> type[Any]:
    """Return our class of detectors; pyFAI is imported at the first call."""
    from pyFAI.detectors import Detector

    class PanelDetector(Detector):  # type: ignore[misc]
        """Raw pixels of panels, each with corners of its own."""

        # pyFAI copies detectors without what it has found out of their corners.
        IS_CONTIGUOUS = False
        IS_FLAT = False
        uniform_pixel = False

    return PanelDetector


def pyfai_parameters(positions: PixelPositions, beam: BeamGeometry) -> dict[str, Any]:
    """Return what pyFAI's ``Geometry`` and ``AzimuthalIntegrator`` take.

    Parameters
    ----------
    positions : of the pixels
    beam : where it meets the detector

    Examples
    --------
    ``AzimuthalIntegrator(**pyfai_parameters(positions, beam))``
    """
    extent, half = positions.whole, positions.pixel_size / 2
    poni = beam.to_poni((extent.x[0] - half, extent.y[0] - half))
    return {"detector": pyfai_detector(positions), **poni._asdict()}


@quiet_pyfai()
def write_poni(
    path: str | os.PathLike[str], beam: BeamGeometry, geometry: ImageGeometry
) -> None:
    """Write a ``.poni`` file for the assembled image.

    Parameters
    ----------
    path : the file to make or to replace
    beam : where it meets the detector
    geometry : of the image

    Raises
    ------
    GeometryError
        if positions in um are not known
    FileError
        if the file cannot be written
    """
    from pyFAI.detectors import Detector
    from pyFAI.io.ponifile import PoniFile

    corner, size = _known(geometry)
    detector = Detector(
        1e-6 * size, 1e-6 * size, max_shape=geometry.shape, orientation=_ORIENTATION
    )
    poni = PoniFile()
    poni.read_from_dict(
        {
            "poni_version": 2.1,
            "detector": "Detector",
            "detector_config": detector.get_config(),
            **beam.to_poni(corner)._asdict(),
        }
    )
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as file:
        poni.write(file)


def read_poni(path: str | os.PathLike[str], geometry: ImageGeometry) -> BeamGeometry:
    """Read a ``.poni`` file that was made with the assembled image.

    Parameters
    ----------
    path : the file
    geometry : of the image

    Raises
    ------
    FileError
        if there is no such file, or it is not a ``.poni`` file
    GeometryError
        if it is for another pixel size or shape, or for an image whose rows or columns
        count the other way; or if positions in um are not known
    ParameterError
        if its numbers make no sense
    """
    corner, size = _known(geometry)
    found = _load(Path(path).expanduser())
    _check_detector(found.detector, geometry.shape, size, path)
    angles = (found.rot1 or 0.0, found.rot2 or 0.0, found.rot3 or 0.0)
    poni = Poni(
        found.dist, found.poni1, found.poni2, *angles, wavelength=found.wavelength
    )
    return BeamGeometry.from_poni(poni, corner)


@quiet_pyfai()
def _load(path: Path) -> Any:
    from pyFAI.io.ponifile import PoniFile

    try:
        found = PoniFile(str(path))
    except FileNotFoundError as error:
        raise FileError(f"there is no file {path}") from error
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise FileError(f"{path} cannot be read as a .poni file: {error}") from error
    if None in {found.dist, found.poni1, found.poni2}:
        raise FileError(f"{path} is not a .poni file: it has no distance and centre")
    return found


def _check_detector(
    detector: Any, shape: tuple[int, int], size: float, path: str | os.PathLike[str]
) -> None:
    """Check that a detector of pyFAI can be that of an image."""
    theirs = {1e6 * edge for edge in (detector.pixel1, detector.pixel2) if edge}
    if any(abs(edge / size - 1) > _SIZES_DIFFER for edge in theirs):
        raise GeometryError(
            f"{path} is for pixels of {max(theirs):g} um, but the image has {size:g} um"
        )
    if detector.max_shape and tuple(detector.max_shape) != shape:
        raise GeometryError(
            f"{path} is for images of {tuple(detector.max_shape)}, but this one is "
            f"{shape}"
        )
    if detector.orientation != _ORIENTATION:
        raise GeometryError(
            f"{path} is for orientation {int(detector.orientation)}; images here have "
            f"{_ORIENTATION}: calibrate with that one"
        )


def _known(geometry: ImageGeometry) -> tuple[tuple[float, float], float]:
    """Return corner and pixel size [um] of an image."""
    size = geometry.um_from_image(0.5, 0)[0] - geometry.um_from_image(-0.5, 0)[0]
    x, y = geometry.um_from_image(-0.5, -0.5)
    return (float(x), float(y)), float(size)
