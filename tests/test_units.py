"""Photon energy, wavelength and unit names."""

from __future__ import annotations

import pytest
import scipy.constants as physics
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana import units
from smalldata_ana.errors import ParameterError


def test_hc_is_codata() -> None:
    kev_angstrom = physics.h * physics.c / physics.e * 1e10 / 1e3
    assert kev_angstrom == pytest.approx(units.HC, rel=1e-15)


def test_copper_k_alpha_1() -> None:
    """8.0478227 keV, 1.5405929 Å in NIST's table of X-ray transition energies."""
    assert units.wavelength(8.0478227) == pytest.approx(1.5405929, abs=1e-6)
    assert units.photon_energy(1.5405929) == pytest.approx(8.0478227, abs=5e-6)


@given(st.floats(0.1, 99))
def test_there_and_back(energy: float) -> None:
    assert units.photon_energy(units.wavelength(energy)) == pytest.approx(energy)


@pytest.mark.parametrize("energy", [0.0, -9.5, float("nan")])
def test_energy_not_above_zero(energy: float) -> None:
    with pytest.raises(ParameterError, match="above 0 keV"):
        units.wavelength(energy)


@pytest.mark.parametrize("energy", [9500.0, 100.0, float("inf")])
def test_energy_in_electronvolt_is_not_guessed(energy: float) -> None:
    with pytest.raises(ParameterError, match="if it is in eV, give"):
        units.wavelength(energy)


def test_energy_error_names_both_units() -> None:
    with pytest.raises(ParameterError, match=r"9500 keV .* eV, give 9\.5 keV"):
        units.wavelength(9500)


def test_wavelength_in_nanometres_is_not_guessed() -> None:
    with pytest.raises(ParameterError, match=r"0\.1 Å is .* 123\.984 keV; .* nm\?"):
        units.photon_energy(0.1)


def test_wavelength_not_above_zero() -> None:
    with pytest.raises(ParameterError, match="above 0 Å, not -1"):
        units.photon_energy(-1)


@pytest.mark.parametrize(
    ("unit", "shown"), [("keV", "keV"), ("1/angstrom", "1/Å"), ("um", "µm"), ("", "")]
)
def test_label(unit: str, shown: str) -> None:
    assert units.label(unit) == shown
