"""Where the beam meets a detector, from how far, and at what angle.

Conventions are in `docs/conventions.md`: the psana frame has x down, y right and z
against the beam; the laboratory is (-y, -x, -z).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import PixelPositions
from smalldata_ana.units import photon_energy, wavelength

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Poni(NamedTuple):
    """The parameters of pyFAI, for a detector that begins at an image's corner.

    pyFAI's first axis is then psana's x, its second psana's y, its third the beam's,
    and its ``chi`` is our azimuth.

    Attributes
    ----------
    dist : perpendicular distance from the sample to the detector [m]
    poni1, poni2 : where that perpendicular meets it, from the corner [m]
    rot1, rot2, rot3 : rotations of the detector [rad]
    wavelength : [m], or None where it is not known
    """

    dist: float
    poni1: float
    poni2: float
    rot1: float = 0.0
    rot2: float = 0.0
    rot3: float = 0.0
    wavelength: float | None = None


@dataclass(frozen=True)
class BeamGeometry:
    """Where the beam meets a detector, from how far, and at what angle.

    Attributes
    ----------
    center : x and y where the beam meets the plane at the mean z of all pixels [um]
    distance : perpendicular distance of the sample to that plane [mm]
    energy : of the photons [keV], or None where it is not known
    tilt : tx, ty [deg]; the beam runs along
        (-sin ty cos tx, -sin tx, -cos ty cos tx) in the psana frame
    rotation : pyFAI's rot3, of the laboratory around the beam [deg]; only the azimuth
        depends on it

    Raises
    ------
    ParameterError
        if a number is not finite, the distance or energy not above 0, or the beam
        does not come from the front
    """

    center: tuple[float, float]
    distance: float
    energy: float | None = None
    tilt: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.center, self.distance, *self.tilt, self.rotation)
        if not all(math.isfinite(number) for number in numbers):
            raise ParameterError(f"a number of {self} is not finite")
        if not self.distance > 0:
            raise ParameterError(f"distance = {self.distance:g} mm is not above 0")
        if not max(map(abs, self.tilt)) < 90:
            raise ParameterError(f"tilts of {self.tilt} degrees are not below 90")
        if self.energy is not None:
            wavelength(self.energy)

    @property
    def direction(self) -> Floats:
        """Unit vector along the beam in the psana frame, (3,)."""
        tx, ty = np.deg2rad(self.tilt)
        return np.array(
            [-np.sin(ty) * np.cos(tx), -np.sin(tx), -np.cos(ty) * np.cos(tx)]
        )

    def laboratory(self, x: Array, y: Array, z: Array) -> tuple[Floats, Floats, Floats]:
        """Return points as the sample sees them, in the frame of the laboratory.

        Parameters
        ----------
        x, y : in the psana frame [um]
        z : above the mean z of all pixels of the detector [um]

        Returns
        -------
        X horizontal, Y up, Z along the beam, from the sample [um].
        """
        foot = self._foot()
        offset = np.stack([x - foot[0], y - foot[1], 1e3 * self.distance - z], axis=-1)
        down, right, along = np.moveaxis(offset @ self._turn().T, -1, 0)
        return -right, -down, along

    def to_poni(self, corner: tuple[float, float]) -> Poni:
        """Return the parameters of pyFAI.

        Parameters
        ----------
        corner : x and y of the outer corner of the image's first pixel [um], as
            `ImageGeometry.corner`
        """
        foot = self._foot()
        angstrom = None if self.energy is None else wavelength(self.energy)
        return Poni(
            1e-3 * self.distance,
            1e-6 * (foot[0] - corner[0]),
            1e-6 * (foot[1] - corner[1]),
            *self._rotations(),
            wavelength=None if angstrom is None else 1e-10 * angstrom,
        )

    @classmethod
    def from_poni(cls, poni: Poni, corner: tuple[float, float]) -> Self:
        """Return what parameters of pyFAI mean.

        Parameters
        ----------
        poni : for a detector that begins at `corner`
        corner : x and y of the outer corner of the image's first pixel [um]

        Raises
        ------
        ParameterError
            if the numbers make no sense, or the beam does not come from the front
        """
        beam = _turn(poni.rot1, poni.rot2, poni.rot3)[2]
        if not beam[2] > 0:
            raise ParameterError(f"the beam of {poni} does not come from the front")
        path = 1e6 * poni.dist / beam[2]
        return cls(
            center=(
                float(corner[0] + 1e6 * poni.poni1 + path * beam[0]),
                float(corner[1] + 1e6 * poni.poni2 + path * beam[1]),
            ),
            distance=1e3 * poni.dist,
            energy=(
                None
                if poni.wavelength is None
                else photon_energy(1e10 * poni.wavelength)
            ),
            tilt=(
                math.degrees(math.asin(-beam[1])),
                math.degrees(math.atan2(-beam[0], beam[2])),
            ),
            rotation=math.degrees(poni.rot3),
        )

    def _foot(self) -> tuple[float, float]:
        """Where the perpendicular from the sample meets the detector [um]."""
        direction = self.direction
        path = 1e3 * self.distance / -direction[2]
        return (
            float(self.center[0] - path * direction[0]),
            float(self.center[1] - path * direction[1]),
        )

    def _rotations(self) -> tuple[float, float, float]:
        """Return pyFAI's rot1, rot2, rot3 [rad]."""
        x, y, z = self.direction
        return math.atan2(-y, -z), math.asin(x), math.radians(self.rotation)

    def _turn(self) -> Floats:
        return _turn(*self._rotations())


def on_plane(positions: PixelPositions) -> tuple[Array, Array, Array]:
    """Return x, y, and z above the mean z of the whole detector [um]."""
    return positions.x, positions.y, positions.z - positions.whole.mean_z


def _turn(rot1: float, rot2: float, rot3: float) -> Floats:
    """Return the matrix of pyFAI's rotations, from detector to laboratory axes.

    Source: pyFAI's documentation, "Geometry: default geometry in pyFAI".
    """
    c, s = np.cos([rot1, rot2, rot3]), np.sin([rot1, rot2, rot3])
    first = np.array([[1, 0, 0], [0, c[0], s[0]], [0, -s[0], c[0]]])
    second = np.array([[c[1], 0, -s[1]], [0, 1, 0], [s[1], 0, c[1]]])
    third = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return np.asarray(third @ second @ first)
