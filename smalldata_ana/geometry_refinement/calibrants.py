"""The rings of calibrants: which there are, and at which angles."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.pyfai_geometry import quiet_pyfai
from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.units import wavelength

Floats = npt.NDArray[np.float64]


@functools.cache
@quiet_pyfai()
def calibrants() -> tuple[str, ...]:
    """Return the names of the calibrants that pyFAI knows, sorted."""
    from pyFAI.calibrant import ALL_CALIBRANTS

    return tuple(sorted(ALL_CALIBRANTS.keys(), key=str.lower))


def calibrant_name(name: str) -> str:
    """Return the name of a calibrant as pyFAI writes it.

    Parameters
    ----------
    name : in capital or small letters

    Raises
    ------
    ParameterError
        if there is no such calibrant

    Examples
    --------
    >>> calibrant_name("AgBH")
    'AgBh'
    """
    by_lower = {known.lower(): known for known in calibrants()}
    if name.lower() not in by_lower:
        raise ParameterError(unknown("calibrant", name, calibrants(), "pyFAI"))
    return by_lower[name.lower()]


@functools.cache
@quiet_pyfai()
def _spacings(name: str) -> tuple[float, ...]:
    from pyFAI.calibrant import get_calibrant

    return tuple(sorted(map(float, get_calibrant(name).dspacing), reverse=True))


def ring_spacings(calibrant: str) -> Floats:
    """Return the lattice spacings of a calibrant's rings [Angstrom], largest first.

    Parameters
    ----------
    calibrant : one of `calibrants`, in capital or small letters

    Raises
    ------
    ParameterError
        if there is no such calibrant
    """
    return np.array(_spacings(calibrant_name(calibrant)))


def ring_angles(spacings: Floats, energy: float) -> Floats:
    """Return the scattering angles 2 theta of rings [rad], by Bragg's law.

    Parameters
    ----------
    spacings : of the lattice planes [Angstrom]
    energy : of the photons [keV]

    Returns
    -------
    float64, shape of `spacings`; NaN for a ring that does not exist at this energy.
    """
    sine = wavelength(energy) / (2 * spacings)
    return 2 * np.arcsin(np.where(sine <= 1, sine, np.nan))
