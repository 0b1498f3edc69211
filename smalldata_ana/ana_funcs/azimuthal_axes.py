"""The axis along which an azimuthal average is made: momentum transfer, or radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Axis(Protocol):
    """A quantity that grows with the scattering angle.

    Attributes
    ----------
    name, unit : of the quantity
    widest : sine of half the angle up to which it is defined
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    widest: ClassVar[float]

    def of(self, sine: npt.ArrayLike) -> Floats:
        """Return the quantity by the sine of half the scattering angle."""

    def sine(self, values: npt.ArrayLike) -> Floats:
        """Return the sine of half the scattering angle by the quantity."""


@dataclass(frozen=True)
class MomentumTransfer:
    """q = 4π/λ sin(2θ/2).

    Attributes
    ----------
    wavelength : λ [angstrom]
    """

    wavelength: float

    name: ClassVar[str] = "q"
    unit: ClassVar[str] = "1/angstrom"
    widest: ClassVar[float] = 1.0

    def of(self, sine: npt.ArrayLike) -> Floats:
        """Return q [1/angstrom]; see `Axis`."""
        return 4 * np.pi / self.wavelength * np.asarray(sine, np.float64)

    def sine(self, values: npt.ArrayLike) -> Floats:
        """Return the sine; see `Axis`."""
        return self.wavelength / (4 * np.pi) * np.asarray(values, np.float64)


@dataclass(frozen=True)
class Radius:
    """r = L tan(2θ), in the plane across the beam at the distance L.

    Attributes
    ----------
    distance : L, from the sample along the beam [um]
    """

    distance: float

    name: ClassVar[str] = "r"
    unit: ClassVar[str] = "um"
    widest: ClassVar[float] = float(np.sqrt(0.5))

    def of(self, sine: npt.ArrayLike) -> Floats:
        """Return r [um]; see `Axis`."""
        radius: Floats = self.distance * np.tan(2 * np.arcsin(sine))
        return radius

    def sine(self, values: npt.ArrayLike) -> Floats:
        """Return the sine; see `Axis`."""
        angle = np.arctan(np.asarray(values, np.float64) / self.distance)
        sine: Floats = np.sin(angle / 2)
        return sine
