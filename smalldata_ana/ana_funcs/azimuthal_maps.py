"""What every pixel is in an azimuthal average: its angles, and what it should see.

The maps are made block by block, so that little memory is needed beside them, and are
shared by the functions of a detector (`ImageSource.shared`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry, on_plane
from smalldata_ana.detector.protocol import Array, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import PixelPositions

Floats = npt.NDArray[np.float64]

_BLOCK = 1 << 15
"""Pixels that are computed at once; their intermediate values stay in the cache."""

_FAR = 1e6
"""Length of a vector whose direction is turned like a position [um]."""


@dataclass(frozen=True, eq=False)
class PixelAngles:
    """In which direction each pixel is seen from the sample.

    Attributes
    ----------
    sine : of half the scattering angle, sin(2θ/2), float64, (pixels,); NaN where it
        is not known
    phi : azimuth, 0 along psana +y and 90 along +x, float32, (pixels,), 0 to 360 [deg]
    """

    sine: Floats
    phi: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corrections:
    """What is corrected for.

    Attributes
    ----------
    solid_angle : whether for the solid angle of the pixels
    polarization : fraction of laboratory-horizontal polarization, or None
    sensor : thickness of the sensor in attenuation lengths, or None
    """

    solid_angle: bool = False
    polarization: float | None = None
    sensor: float | None = None

    @property
    def need_normals(self) -> bool:
        """Whether it must be known how the panels are tilted."""
        return self.solid_angle or self.sensor is not None


def pixel_angles(source: ImageSource, beam: BeamGeometry) -> PixelAngles:
    """Return in which direction each pixel is seen.

    Parameters
    ----------
    source : the detector, whose other functions share what is found
    beam : where it meets the detector

    Raises
    ------
    ParameterError
        if the positions of the pixels are not known
    """
    positions = _positions(source)
    key = "pixel angles", replace(beam, energy=None)
    return source.shared(key, lambda: _angles(positions, beam))


def pixel_response(
    source: ImageSource, beam: BeamGeometry, corrections: Corrections
) -> npt.NDArray[np.float32]:
    """Return what each pixel sees of scattering that is the same in all directions.

    The factors are relative to a pixel where the beam meets the detector's mean plane:
    the solid angle |n·r|/r² with the normal n of the pixel's own panel, all pixels of
    the same area; the polarization factor 1 - f X² - (1 - f) Y², with the direction
    (X, Y, Z) of the pixel in the laboratory and the horizontal fraction f; and the
    absorption in the sensor 1 - exp(-t/|n·r|), t in attenuation lengths.

    Parameters
    ----------
    source : the detector, whose other functions share what is found
    beam : where it meets the detector
    corrections : which factors

    Returns
    -------
    float32, (pixels,)

    Raises
    ------
    ParameterError
        if positions or normals are needed and not known
    """
    positions = _positions(source)
    if corrections.need_normals and source.normals is None:
        raise ParameterError(
            f"how the panels of {source.name!r} are tilted is not known, so there is "
            "no correction of solid angle and sensor; geomCorr=False, without "
            "sensor_thickness"
        )
    key = "pixel response", replace(beam, energy=None), corrections
    return source.shared(
        key, lambda: _response(positions, source.normals, beam, corrections)
    )


def _positions(source: ImageSource) -> PixelPositions:
    if source.positions is None:
        raise ParameterError(
            f"the positions of the pixels of {source.name!r} are not known; an "
            "azimuthal average needs the detector's geometry"
        )
    return source.positions


def _blocks(
    positions: PixelPositions, beam: BeamGeometry
) -> Iterator[tuple[int, slice, Floats]]:
    """Yield panel, part of the flat frame, and where its pixels are in the laboratory.

    The last is (3, pixels), from the sample [um].
    """
    x, y, z = (axis.reshape(-1) for axis in on_plane(positions))
    shape = positions.x.shape
    panel_size = x.size // (shape[0] if len(shape) > 2 else 1)
    for first in range(0, x.size, panel_size):
        for begin in range(first, first + panel_size, _BLOCK):
            part = slice(begin, min(begin + _BLOCK, first + panel_size))
            rays = beam.laboratory(x[part], y[part], z[part])
            yield first // panel_size, part, np.stack(rays)


def _angles(positions: PixelPositions, beam: BeamGeometry) -> PixelAngles:
    sine = np.empty(positions.x.size)
    phi = np.empty(positions.x.size, np.float32)
    for _, part, (across, up, along) in _blocks(positions, beam):
        beside = across**2 + up**2
        distance = np.sqrt(beside + along**2)
        # sin²(2θ/2) = (1 - Z/r) / 2, without the loss of digits at small angles.
        with np.errstate(divide="ignore", invalid="ignore"):
            sine[part] = np.sqrt(beside / (2 * distance * (distance + along)))
        phi[part] = np.rad2deg(np.arctan2(-up, -across)) % 360
    return PixelAngles(sine, phi)


def _response(
    positions: PixelPositions,
    normals: Array | None,
    beam: BeamGeometry,
    corrections: Corrections,
) -> npt.NDArray[np.float32]:
    response = np.empty(positions.x.size, np.float32)
    tilted = None if normals is None else _directions(normals, beam)
    upright = abs(float(beam.direction[2]))
    at_beam = 1e3 * beam.distance / upright
    for panel, part, place in _blocks(positions, beam):
        distance = np.sqrt((place**2).sum(axis=0))
        factor = np.ones_like(distance)
        if tilted is not None and corrections.need_normals:
            incidence = np.abs(tilted[panel] @ place) / distance
            if corrections.solid_angle:
                factor *= incidence / upright * (at_beam / distance) ** 2
            if corrections.sensor is not None:
                stopped = _stopped(corrections.sensor, incidence)
                factor *= stopped / _stopped(corrections.sensor, upright)
        if corrections.polarization is not None:
            horizontal = corrections.polarization
            across, up = place[0] / distance, place[1] / distance
            factor *= 1 - horizontal * across**2 - (1 - horizontal) * up**2
        response[part] = factor
    return response


def _stopped(thickness: float, incidence: Any) -> Any:
    """Return the part of photons that a sensor stops, by the cosine of incidence."""
    with np.errstate(divide="ignore"):
        return -np.expm1(-thickness / incidence)


def _directions(vectors: Array, beam: BeamGeometry) -> Floats:
    """Return unit vectors of the psana frame in the laboratory, both (n, 3)."""
    x, y, z = _FAR * vectors.T
    zero = np.zeros(1)
    turned = np.subtract(beam.laboratory(x, y, z), beam.laboratory(zero, zero, zero))
    return turned.T / _FAR
