"""What a refinement of the geometry found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.errors import counted


@dataclass(frozen=True)
class RefinedRing:
    """A ring of the calibrant that was used.

    Attributes
    ----------
    number : of the ring, the one of the largest spacing being 1
    spacing : of its lattice planes [Angstrom]
    two_theta : its scattering angle [deg]
    points : number of points on it
    residual : their root-mean-square distance from it [px]
    """

    number: int
    spacing: float
    two_theta: float
    points: int
    residual: float


@dataclass(frozen=True)
class RefinedGeometry:
    """Where the beam meets a detector, from the rings of a calibrant.

    Attributes
    ----------
    beam : the geometry; see `BeamGeometry` for its frame
    fitted : names of the fitted numbers: ``distance`` or ``energy``, ``x`` and ``y`` of
        the centre, ``tx`` and ``ty``
    covariance : of these, in mm or keV, um and degrees, float64, (fitted, fitted);
        where the points lie farther from the rings than their errors say, it is larger
        by the ratio of the squares
    calibrant : its name
    rings : those that were used
    expected : number of rings that the detector should see
    residual : root-mean-square distance of the points from their rings [px]
    chi2 : sum of the squared distances in units of the points' errors, by the number
        of points less that of fitted numbers
    notes : what users must know of it
    """

    beam: BeamGeometry
    fitted: tuple[str, ...]
    covariance: npt.NDArray[np.float64] = field(compare=False, repr=False)
    calibrant: str
    rings: tuple[RefinedRing, ...]
    expected: int
    residual: float
    chi2: float
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """Number of points on all rings."""
        return sum(ring.points for ring in self.rings)

    def error(self, name: str) -> float | None:
        """Return the standard error of a number, or None if it was given.

        Parameters
        ----------
        name : ``distance`` [mm], ``energy`` [keV], ``x``, ``y`` [um], ``tx``, ``ty``
            [deg]
        """
        if name not in self.fitted:
            return None
        at = self.fitted.index(name)
        return float(np.sqrt(self.covariance[at, at]))

    @property
    def distance_err(self) -> float | None:
        """Standard error of the distance [mm], or None if it was given."""
        return self.error("distance")

    @property
    def energy_err(self) -> float | None:
        """Standard error of the energy [keV], or None if it was given."""
        return self.error("energy")

    @property
    def center_err(self) -> tuple[float, float] | None:
        """Standard errors of x and y [um], or None if they were given."""
        return self._errors("x", "y")

    @property
    def tilt_err(self) -> tuple[float, float] | None:
        """Standard errors of tx and ty [deg], or None if they were given."""
        return self._errors("tx", "ty")

    def _errors(self, first: str, second: str) -> tuple[float, float] | None:
        one, other = self.error(first), self.error(second)
        return None if one is None or other is None else (one, other)

    def __str__(self) -> str:
        beam = self.beam
        x, y = beam.center
        lines = [
            f"  distance  {_text(beam.distance, self.distance_err, 'mm')}",
            f"  energy    {_text(beam.energy or 0.0, self.energy_err, 'keV')}",
            f"  center x  {_text(x, self.error('x'), 'um')}",
            f"  center y  {_text(y, self.error('y'), 'um')}",
            f"  tx        {_text(beam.tilt[0], self.error('tx'), 'deg')}",
            f"  ty        {_text(beam.tilt[1], self.error('ty'), 'deg')}",
        ]
        seen = ", ".join(str(ring.number) for ring in self.rings)
        head = (
            f"{self.calibrant}: {counted(self.points, 'point')} on "
            f"{len(self.rings)} of {counted(self.expected, 'ring')} ({seen}), "
            f"residual {self.residual:.2f} px, chi2 {self.chi2:.2f}"
        )
        return "\n".join([head, *lines, *(f"  note: {note}" for note in self.notes)])


def _text(value: float, error: float | None, unit: str) -> str:
    if error is None:
        return f"{value:.6g} {unit} (given)"
    digits = max(0, 2 - int(np.ceil(np.log10(max(error, 1e-12)))))
    return f"{value:.{digits}f} +- {error:.{digits}f} {unit}"
