"""Photon energy and wavelength, and the units that files and axes name.

Units are stored as UDUNITS text (``units`` attributes of datasets); `label` gives
what stands on an axis.
"""

from __future__ import annotations

from smalldata_ana.errors import ParameterError

HC = 12.398419843320026
"""h·c/e [keV Å], exact since 2019: 6.62607015e-34 · 299792458 / 1.602176634e-19 J m."""

HIGHEST_PHOTON_ENERGY = 100.0
"""[keV]; a number from here on is taken to be in other units."""

LABELS = {
    "1": "",
    "um": "µm",
    "angstrom": "Å",
    "1/angstrom": "1/Å",
    "degree": "°",
    "count": "counts",
}
"""Labels of the units whose label is not their UDUNITS text."""


def wavelength(photon_energy: float) -> float:
    """Return the wavelength [Å] of a photon energy [keV].

    Raises
    ------
    ParameterError
        if the energy is not above 0, or as high as no X-ray laser makes it, which
        means other units than keV
    """
    return HC / _checked_energy(photon_energy)


def photon_energy(wavelength: float) -> float:
    """Return the photon energy [keV] of a wavelength [Å].

    Raises
    ------
    ParameterError
        if the wavelength is not above 0, or so short that it is not in Å
    """
    if not wavelength > 0:
        raise ParameterError(f"a wavelength must be above 0 Å, not {wavelength:g}")
    energy = HC / wavelength
    if energy >= HIGHEST_PHOTON_ENERGY:
        raise ParameterError(
            f"a wavelength of {wavelength:g} Å is a photon energy of {energy:g} keV; "
            f"below {HIGHEST_PHOTON_ENERGY:g} keV is possible. Is it in nm?"
        )
    return energy


def label(unit: str) -> str:
    """Return what stands on an axis for a unit in UDUNITS text.

    Examples
    --------
    >>> label("1/angstrom"), label("keV")
    ('1/Å', 'keV')
    """
    return LABELS.get(unit, unit)


def _checked_energy(energy: float) -> float:
    if not energy > 0:
        raise ParameterError(f"a photon energy must be above 0 keV, not {energy:g}")
    if energy >= HIGHEST_PHOTON_ENERGY:
        raise ParameterError(
            f"a photon energy of {energy:g} keV is not possible here; if it is in eV, "
            f"give {energy / 1000:g} keV"
        )
    return energy
