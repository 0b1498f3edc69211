"""What an azimuthal average has to know of the beam: given, known, or asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smalldata_ana.ana_funcs.beam_parameters import BeamParameters, completed
from smalldata_ana.ana_funcs.beam_traits import POLARIZATIONS
from smalldata_ana.ana_funcs.polarization import PolarizationFit, checkPolarization
from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.protocol import ImageSource
from smalldata_ana.errors import NoDataError, UsageError, unknown
from smalldata_ana.session.known_beam import beam_in_numbers
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.tools.dialogue import Back, Dialogue, numbers

POLARIZATION = ("polarization", "Pplane")


@dataclass(frozen=True)
class _Question:
    """A question for one parameter.

    Attributes
    ----------
    text : the question
    unit : of the parameter
    parse : what an answer means
    help : what ``?`` prints
    """

    text: str
    unit: str
    parse: Callable[[str], Any]
    help: str


def _one_number(answer: str) -> float:
    return numbers(answer, 1)[0]


_QUESTIONS: Mapping[str, _Question] = {
    "center": _Question(
        "coordinates of the beam center as c1,c2 or [c1,c2]",
        "um",
        lambda answer: numbers(answer, 2),
        "x and y where the beam meets the detector, psana frame [um]; FitCircleAuto "
        "finds it, and .accept() makes it known",
    ),
    "dis_to_sam": _Question(
        "please enter the detector distance",
        "mm",
        _one_number,
        "of the sample to the mean plane of the detector [mm]",
    ),
    "eBeam": _Question(
        "please enter the photon energy", "keV", _one_number, "e.g. 9.5 [keV]"
    ),
}


def dialogue_of(session: Any) -> Dialogue | None:
    """Return what asks the user, or None where nobody can be asked."""
    return Dialogue() if session.interactive and somebody_there() else None


def beam_values(
    session: Any,
    detector: str,
    given: Mapping[str, Any],
    *,
    energy: bool = True,
    dialogue: Dialogue | None = None,
) -> dict[str, Any]:
    """Return centre, distance, energy and more: given, known, or asked for.

    Parameters
    ----------
    session : the session
    detector : name of the detector
    given : parameters that were given; None stands for those that were not
    energy : whether the energy is needed
    dialogue : asks for what is missing, or None

    Raises
    ------
    UsageError
        naming what is missing, where nobody can be asked or gave no answer
    ParameterError
        if a value makes no sense
    """
    stated = {key: value for key, value in given.items() if value is not None}
    known = beam_in_numbers(session, detector)
    values = completed(stated, known)
    needed = [key for key in _QUESTIONS if energy or key != "eBeam"]
    missing = [key for key in needed if values.get(key) is None]
    for key in missing:
        values[key] = _answer(key, detector, missing, dialogue)
    return values


def _answer(
    key: str, detector: str, missing: list[str], dialogue: Dialogue | None
) -> Any:
    question = _QUESTIONS[key]

    def parse(answer: str) -> Any:
        value = question.parse(answer)
        BeamParameters(**{key: value})
        return value

    if dialogue is not None:
        try:
            text = f"{detector}: {question.text} [{question.unit}]:"
            return dialogue.ask(text, parse, help=question.help)
        except Back:
            pass
    lacking = " and ".join(f"{k} [{_QUESTIONS[k].unit}]" for k in missing)
    raise UsageError(
        f"azimuthal integration of {detector!r} needs {lacking}: give it, or make it "
        "known (FitCircleAuto().accept() for the centre, or a 'geometry' entry of the "
        "parameter file)"
    )


def polarization_of_image(
    source: ImageSource, values: Mapping[str, Any], average: AverageImage | None
) -> PolarizationFit | None:
    """Return which polarization an image fits, or None where it tells nothing.

    Parameters
    ----------
    source : the detector
    values : of the beam, complete but for energy and polarization
    average : the image, or None
    """
    if average is None or source.positions is None:
        return None
    known = {k: v for k, v in values.items() if k in BeamParameters.file_keys()}
    beam = BeamParameters(**known).beam(source.name, energy=False)
    use = (source.good & average.good).reshape(-1)
    try:
        return checkPolarization(average.data, source, beam, use)
    except NoDataError:
        return None


def with_polarization(
    values: Mapping[str, Any],
    fit: PolarizationFit | None,
    detector: str,
    dialogue: Dialogue | None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Return values of the beam with the polarization, which is never assumed.

    Parameters
    ----------
    values : of the beam
    fit : what the image says, or None
    detector : its name
    dialogue : asks, or None
    say : tells what the image says where it is asked for, or says something else

    Raises
    ------
    UsageError
        if it was not given and nobody can be asked, or gave no answer
    """
    given = next((values[k] for k in POLARIZATION if values.get(k) is not None), None)
    if given is None:
        answer = _asked_polarization(fit, detector, dialogue)
        return {**values, "polarization": answer}
    if fit is not None and disagrees(float(POLARIZATIONS.get(given, given)), fit):
        say(
            f"note: the polarization of {detector} is given as {given!r}, but its "
            f"average image has a {fit}"
        )
    return dict(values)


def disagrees(fraction: float, fit: PolarizationFit) -> bool:
    """Tell whether an image says the opposite of a fraction of polarization."""
    other = POLARIZATIONS.get(fit.fits, 0.5) - 0.5
    return other * (fraction - 0.5) < 0


def _asked_polarization(
    fit: PolarizationFit | None, detector: str, dialogue: Dialogue | None
) -> str | float:
    seen = "" if fit is None else f"; the average image has a {fit}"
    if dialogue is not None:
        if fit is not None:
            dialogue.write(f"  the average image of {detector} has a {fit}")
        try:
            return dialogue.ask(
                f"{detector}: polarization of the beam (horizontal, vertical, or the "
                "fraction of horizontal from 0 to 1):",
                _polarization,
                help="in the laboratory; scattering is weak along the polarization, "
                "so that a horizontal one leaves left and right of the picture dark",
            )
        except Back:
            pass
    raise UsageError(
        f"the polarization of {detector!r} is not known and never assumed: give "
        "polarization='horizontal', 'vertical' or the fraction of horizontal from 0 "
        f"to 1, or polCorr=False{seen}"
    )


def _polarization(answer: str) -> str | float:
    if answer in POLARIZATIONS:
        return answer
    try:
        fraction = float(answer)
    except ValueError:
        raise UsageError(unknown("polarization", answer, POLARIZATIONS)) from None
    BeamParameters(polarization=fraction)
    return fraction
