"""What an azimuthal average has to know of the beam: given, known, or asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_ana.ana_funcs.beam_parameters import BeamParameters, completed
from smalldata_ana.ana_funcs.beam_traits import POLARIZATIONS
from smalldata_ana.ana_funcs.polarization import PolarizationFit, checkPolarization
from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.protocol import ImageSource
from smalldata_ana.errors import NoDataError, ParameterError, UsageError, unknown
from smalldata_ana.session.known_beam import beam_in_numbers
from smalldata_ana.session.known_geometry import known_geometry
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.tools.dialogue import Back, Dialogue, numbers

Look = Callable[[Mapping[str, Any]], PolarizationFit | None]
"""Returns what an image says of the polarization, for values of the beam."""

_POLARIZATION = "polarization"
_NAMES = {_POLARIZATION: (_POLARIZATION, "Pplane")}
"""The parameters that say the same, where there are several."""


@dataclass(frozen=True)
class _Question:
    """A question for one parameter.

    Attributes
    ----------
    text : the question, with the unit
    parse : what an answer means
    help : what ``?`` prints
    """

    text: str
    parse: Callable[[str], Any]
    help: str


def _one_number(answer: str) -> float:
    return numbers(answer, 1)[0]


def _polarization(answer: str) -> str | float:
    if answer in POLARIZATIONS:
        return answer
    try:
        return float(answer)
    except ValueError:
        raise UsageError(unknown("polarization", answer, POLARIZATIONS)) from None


_UNITS = {"center": "um", "dis_to_sam": "mm", "eBeam": "keV"}
_QUESTIONS: Mapping[str, _Question] = {
    "center": _Question(
        "coordinates of the beam center as c1,c2 or [c1,c2] [um]:",
        lambda answer: numbers(answer, 2),
        "x and y where the beam meets the detector, psana frame [um]; FitCircleAuto "
        "finds it, and .accept() makes it known",
    ),
    "dis_to_sam": _Question(
        "please enter the detector distance [mm]:",
        _one_number,
        "of the sample to the mean plane of the detector [mm]",
    ),
    "eBeam": _Question(
        "please enter the photon energy [keV]:", _one_number, "e.g. 9.5 [keV]"
    ),
    _POLARIZATION: _Question(
        "polarization of the beam (horizontal, vertical, or the fraction of "
        "horizontal from 0 to 1):",
        _polarization,
        "in the laboratory; scattering is weak along the polarization, so that a "
        "horizontal one leaves left and right of the picture dark",
    ),
}
"""In the order in which they are asked."""

_BACK_HELP = "; Ctrl-C goes back to the question before, from the first to the prompt"
_KEEP_HELP = """\
  y: take it; something else than the polarization (a shadow, a centre that is off) may
  make the image uneven.  n: answer anew."""


def dialogue_of(session: Any) -> Dialogue | None:
    """Return what asks the user, or None where nobody can be asked."""
    return Dialogue() if session.interactive and somebody_there() else None


def beam_values(
    session: Any,
    detector: str,
    given: Mapping[str, Any],
    *,
    energy: bool = True,
    look: Look | None = None,
    dialogue: Dialogue | None = None,
) -> dict[str, Any]:
    """Return centre, distance, energy and more: given, known, or asked for.

    Parameters
    ----------
    session : the session; it keeps the answers, which are offered the next time
    detector : name of the detector
    given : parameters that were given; None stands for those that were not
    energy : whether the energy is needed
    look : tells what the image says of the polarization, which is never assumed; None
        where the polarization is not needed
    dialogue : asks for what is missing, or None

    Raises
    ------
    UsageError
        naming what is missing, where nobody can be asked or the questions were left
    ParameterError
        if a value makes no sense
    """
    stated = {key: value for key, value in given.items() if value is not None}
    values = completed(stated, beam_in_numbers(session, detector))
    unneeded = {"eBeam": not energy, _POLARIZATION: look is None}
    needed = [key for key in _QUESTIONS if not unneeded.get(key)]
    missing = [key for key in needed if _value(key, values) is None]
    if missing and dialogue is not None:
        talk = _BeamTalk(detector, dialogue, session.beam_answers, values, look)
        values |= talk.hold(missing)
    elif missing:
        raise UsageError(_what_is_missing(detector, missing, values, look))
    if look is not None and _POLARIZATION not in missing:
        _note_contradiction(detector, values, look)
    return values


def _value(key: str, values: Mapping[str, Any]) -> Any:
    names = _NAMES.get(key, (key,))
    return next((values[n] for n in names if values.get(n) is not None), None)


def _what_is_missing(
    detector: str, missing: Sequence[str], values: Mapping[str, Any], look: Look | None
) -> str:
    numbers_missing = [f"{key} [{_UNITS[key]}]" for key in missing if key in _UNITS]
    if numbers_missing:
        return (
            f"azimuthal integration of {detector!r} needs "
            f"{' and '.join(numbers_missing)}: give it, or make it known "
            "(FitCircleAuto().accept() for the centre, or a 'geometry' entry of the "
            "parameter file)"
        )
    fit = None if look is None else look(values)
    seen = "" if fit is None else f"; the average image has a {fit}"
    return (
        f"the polarization of {detector!r} is not known and never assumed: give "
        "polarization='horizontal', 'vertical' or the fraction of horizontal from 0 "
        f"to 1, or polCorr=False{seen}"
    )


class _BeamTalk:
    """The questions for what is missing, each of which leads back to the one before.

    Parameters
    ----------
    detector : its name
    dialogue : asks
    kept : answers by detector, of this talk and those before: they are offered
    values : of the beam, as far as they are known
    look : what the image says of the polarization, or None
    """

    def __init__(
        self,
        detector: str,
        dialogue: Dialogue,
        kept: MutableMapping[str, dict[str, Any]],
        values: Mapping[str, Any],
        look: Look | None,
    ) -> None:
        self._detector = detector
        self._dialogue = dialogue
        self._answers = kept.setdefault(detector, {})
        self._values = values
        self._look = look

    def hold(self, missing: Sequence[str]) -> dict[str, Any]:
        """Ask until all is answered; return the answers by parameter.

        Raises
        ------
        UsageError
            if the first question was left; it names what is still missing
        """
        at = 0
        while at < len(missing):
            key = missing[at]
            ask = self._ask_polarization if key == _POLARIZATION else self._ask
            try:
                self._answers[key] = ask(key)
                at += 1
            except Back:
                if at == 0:
                    raise UsageError(self._left(missing)) from None
                at -= 1
        return {key: self._answers[key] for key in missing}

    def _left(self, missing: Sequence[str]) -> str:
        lacking = [key for key in missing if key not in self._answers]
        if lacking:
            values = self._answers | dict(self._values)
            return _what_is_missing(self._detector, lacking, values, self._look)
        return (
            f"the questions for {self._detector!r} were left; the answers are offered "
            "when they are asked again"
        )

    def _ask(self, key: str) -> Any:
        question, default = _QUESTIONS[key], self._answers.get(key)

        def parse(answer: str) -> Any:
            value = question.parse(answer)
            BeamParameters(**{key: value})
            return value

        return self._dialogue.ask(
            f"{self._detector}: {question.text}",
            parse,
            default,
            help=f"{question.help}{_BACK_HELP}",
            shown=None if default is None else _shown(default),
        )

    def _ask_polarization(self, key: str) -> Any:
        """Ask beside what the image says, which is not contradicted by mistake."""
        fit = self._look and self._look(self._answers | dict(self._values))
        if fit is not None:
            self._dialogue.write(f"  the average image of {self._detector} has a {fit}")
        while True:
            answer = self._ask(key)
            if fit is None or not _disagrees(answer, fit) or self._is_kept(answer, fit):
                return answer

    def _is_kept(self, answer: str | float, fit: PolarizationFit) -> bool:
        question = (
            f"{self._detector}: the image fits {fit.fits} polarization, not "
            f"{_shown(answer)}; keep it?"
        )
        try:
            return self._dialogue.yes(question, False, help=_KEEP_HELP)
        except Back:
            return False


def _shown(answer: Any) -> str:
    """Return an answer as it can be typed."""
    if isinstance(answer, str):
        return answer
    return ", ".join(f"{number:.10g}" for number in np.atleast_1d(answer))


def polarization_of_image(
    source: ImageSource, average: AverageImage | None, values: Mapping[str, Any]
) -> PolarizationFit | None:
    """Return which polarization an image fits, or None where it tells nothing.

    Parameters
    ----------
    source : the detector
    average : the image, or None
    values : of the beam, complete but for energy and polarization
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


def _note_contradiction(detector: str, values: Mapping[str, Any], look: Look) -> None:
    """Print a note if a polarization that was given is not that of the image."""
    given, fit = _value(_POLARIZATION, values), look(values)
    if fit is not None and _disagrees(given, fit):
        print(
            f"note: the polarization of {detector} is given as {given!r}, but its "
            f"average image has a {fit}"
        )


def _disagrees(polarization: str | float, fit: PolarizationFit) -> bool:
    """Tell whether an image says the opposite of a polarization."""
    fraction = float(POLARIZATIONS.get(str(polarization), polarization))
    other = POLARIZATIONS.get(fit.fits, 0.5) - 0.5
    return other * (fraction - 0.5) < 0


def unknown_of_beam(session: Any, detector: str) -> str:
    """Return one line that says what of distance and energy is not known, or nothing.

    Parameters
    ----------
    session : the session; what was accepted in it wins over the parameter file
    detector : its name
    """
    try:
        known = beam_in_numbers(session, detector)
    except ParameterError:
        # A variable that the run lacks is told where its value is needed.
        known = known_geometry(session, detector)
    lacking = [
        f"{key} [{_UNITS[key]}]"
        for key in ("dis_to_sam", "eBeam")
        if known.get(key) is None
    ]
    if not lacking:
        return ""
    return (
        f"{detector}: {' and '.join(lacking)} not known yet; what needs "
        f"{'them asks for them' if len(lacking) > 1 else 'it asks for it'}"
    )
