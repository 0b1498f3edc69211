"""Where the beam meets a detector, as parameters that functions and files share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from traitlets import TraitError, validate

from smalldata_ana.ana_funcs.beam_traits import (
    POLARIZATIONS,
    Number,
    NumberOrVariable,
    Pair,
    Polarization,
)
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import Parameters, register
from smalldata_ana.units import wavelength

GEOMETRY = "geometry"
"""The kind of entry that says it for all functions of a detector."""

_SOME_NUMBER = 1.0
"""In the place of one that follows a variable of the run."""


class BeamParameters(Parameters):
    """Centre, distance, energy, tilts and polarization.

    None is required of an entry of a file: what is missing can come from the
    ``geometry`` entry of the detector.  A function asks for what it needs with `beam`
    and `fraction` when it is set up.

    Raises
    ------
    ParameterError
        if a number is not finite or not possible, or the polarization is given twice
    """

    center = Pair(help="x and y where the beam meets the detector, psana frame [um]")
    dis_to_sam = Number(
        above=0, help="distance of the sample to the detector's mean plane [mm]"
    )
    eBeam = Number(help="energy of the photons [keV]")
    tx = Number(
        default_value=0.0,
        allow_none=False,
        within=(-89.0, 89.0),
        help="tilt around x, see docs/conventions.md [deg]",
    )
    ty = Number(
        default_value=0.0,
        allow_none=False,
        within=(-89.0, 89.0),
        help="tilt around y, see docs/conventions.md [deg]",
    )
    polarization = Polarization(
        help="of the beam: 'horizontal', 'vertical', or the fraction of "
        "laboratory-horizontal polarization, 0 to 1"
    )
    Pplane = Number(
        within=(0.0, 1.0), help="another name for the fraction of `polarization`"
    )

    replaces: ClassVar[Mapping[str, tuple[str, ...]]] = {"Pplane": ("polarization",)}
    """Parameters that stand for others, which cannot be given with them."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        for key, others in self.replaces.items():
            twice = [k for k in others if values.get(k) is not None]
            if values.get(key) is not None and twice:
                raise ParameterError(
                    f"{key} says the same as {' and '.join(twice)}; give one of them"
                )

    @validate("eBeam")
    def _in_kev(self, proposal: Mapping[str, Any]) -> Any:
        energy = proposal["value"]
        if isinstance(energy, float):
            try:
                wavelength(energy)
            except ParameterError as error:
                raise TraitError(f"eBeam is in keV: {error}") from error
        return energy

    @classmethod
    def lacking(
        cls, values: Mapping[str, Any], beside: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[str]:
        """Say what is missing of the beam; as `Parameters.lacking`."""
        geometry = {
            key: _SOME_NUMBER if isinstance(value, Mapping) else value
            for key, value in beside.get(GEOMETRY, {}).items()
        }
        try:
            made = cls(**completed(values, geometry, cls))
        except ParameterError:
            return  # what is wrong with single values is told with them
        for need in made.needs_of_beam():
            try:
                need()
            except ParameterError as error:
                yield str(error)

    def needs_of_beam(self) -> tuple[Callable[[], object], ...]:
        """Return what gives the values that are needed, or raises what is missing."""
        return ()

    def beam(self, who: str, *, energy: bool = True) -> BeamGeometry:
        """Return where the beam meets the detector.

        Parameters
        ----------
        who : the function that asks, for the message
        energy : whether the energy is needed too

        Raises
        ------
        ParameterError
            naming what is missing
        """
        needed = {"center": "[um]", "dis_to_sam": "[mm]"}
        needed |= {"eBeam": "[keV]"} if energy else {}
        missing = [
            f"{key} {unit}"
            for key, unit in needed.items()
            if getattr(self, key) is None
        ]
        if missing:
            raise ParameterError(
                f"{who!r} needs {' and '.join(missing)}: give it to the function, or "
                "in the 'geometry' entry of the detector"
            )
        x, y = self.center
        return BeamGeometry((x, y), self.dis_to_sam, self.eBeam, (self.tx, self.ty))

    def fraction(self, who: str) -> float:
        """Return the fraction of laboratory-horizontal polarization.

        Parameters
        ----------
        who : the function that asks, for the message

        Raises
        ------
        ParameterError
            if it was not given; it is never assumed
        """
        given = self.Pplane if self.polarization is None else self.polarization
        if given is None:
            raise ParameterError(
                f"{who!r} corrects for the polarization of the beam, which was not "
                "given: polarization='horizontal', 'vertical' or the fraction of "
                "horizontal polarization from 0 to 1 (checkPolarization tells from an "
                "image which one fits); or polCorr=False"
            )
        return float(POLARIZATIONS.get(given, given))


def completed(
    values: Mapping[str, Any],
    geometry: Mapping[str, Any],
    model: type[Parameters] = BeamParameters,
) -> dict[str, Any]:
    """Return parameters of a function, with what they lack from a geometry.

    Parameters
    ----------
    values : those that are given for the function; they win, also over what they
        stand for
    geometry : those of the ``geometry`` entry; errors and empty ones are left out
    model : the class of the function; of one that is no `BeamParameters`, only the
        energy is the same thing
    """
    known = {"eBeam"} & set(model.file_keys())
    given = set(values)
    if issubclass(model, BeamParameters):
        known = set(BeamParameters.file_keys())
        for key, others in model.replaces.items():
            given |= set(others) if key in values else set()
            given |= {key} if given & set(others) else set()
    lacking = {
        key: value
        for key, value in geometry.items()
        if key in known - given and value is not None
    }
    return lacking | dict(values)


@register(GEOMETRY)
class GeometryParameters(BeamParameters):
    """Where the beam meets a detector, for the functions that do not say it.

    Distance and energy may follow a value of the run.  The errors are one standard
    deviation of what was fitted.
    """

    dis_to_sam = NumberOrVariable(
        above=0,
        help="distance of the sample to the detector's mean plane [mm], or the "
        "variable of the run that it follows",
    )
    eBeam = NumberOrVariable(
        help="energy of the photons [keV], or the variable of the run that it follows"
    )

    center_err = Pair(help="error of center in x and y [um]")
    dis_to_sam_err = Number(within=(0, math.inf), help="error of dis_to_sam [mm]")
    eBeam_err = Number(within=(0, math.inf), help="error of eBeam [keV]")
    tx_err = Number(within=(0, math.inf), help="error of tx [deg]")
    ty_err = Number(within=(0, math.inf), help="error of ty [deg]")
    polarization_err = Number(within=(0, math.inf), help="error of the fraction")
