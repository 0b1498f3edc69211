"""Which number means which common mode, by kind of detector and data acquisition.

The numbers are those of smalldata_tools; those of LCLS-I that are above 100 are the
numbers without the hundred, but without the gain.  One number is not one algorithm: 84
of an epix10ka has a limit of 10 ADU in LCLS-I, and of 100 in LCLS-II.  Where psana has
the algorithm, the parameters are psana's tuple.  Parameters can also be given as they
are; what else a number needs, `smalldata_ana.detector.common_mode_inputs` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from smalldata_ana.detector.kind_model import (
    PEDESTAL,
    RAW,
    RAW_WORDS,
    STANDARD,
    Algorithm,
    CommonMode,
    CommonModeNumber,
    Correction,
    Generation,
    by_number,
)
from smalldata_ana.errors import ParameterError

_TOOLS_1 = "smalldata_tools, lcls1/DetObject.py"
_TOOLS_2 = "smalldata_tools, lcls2/DetObject.py"
_TOOLS_OLD = "smalldata_tools, DetObject.py before 2019: number modulo 100, no gain"
_CM_EPIX = "smalldata_tools, utilities.cm_epix; the specification"
_PSANA_2 = "psana.detector.UtilsCommonMode"
_PSANA_1 = "Common mode correction algorithms, PSDM; ImgAlgos/CommonMode.h"

_GAIN, _ADU = Correction.GAIN, Correction.PEDESTAL
_MEDIANS, _NEIGHBOURS = Algorithm.MEDIANS, Algorithm.NEIGHBOUR_EXCLUSION
_PEDESTAL_GAIN = CommonMode(0, _GAIN, "pedestal and gain")
_WORDS_WITH_BITS = CommonMode(-2, Correction.WORD, "raw words with gain bits")
_WORDS_WITHOUT_BITS = CommonMode(RAW, Correction.DATA, "raw words without gain bits")
_MEDIAN_TEXTS = {
    0: "no common mode",
    1: "medians of rows in banks",
    2: "medians of columns in banks",
    3: "medians of rows and columns in banks",
    4: "medians of banks",
    5: "medians of banks, and of rows in them",
    6: "medians of banks, and of columns in them",
    7: "medians of banks, and of rows and columns in them",
}


def _medians(
    number: CommonModeNumber, pars: tuple[float, ...], source: str
) -> CommonMode:
    text = _MEDIAN_TEXTS[int(pars[1])]
    return CommonMode(number, _GAIN, text, _MEDIANS, pars, source)


# -- jungfrau --------------------------------------------------------------------------

_JUNGFRAU = by_number(
    [
        RAW_WORDS,
        _PEDESTAL_GAIN,
        STANDARD,
        _medians(7, (7, 3, 10, 10), _TOOLS_1),
        _medians(71, (7, 1, 10, 10), _TOOLS_1),
        _medians(72, (7, 2, 10, 10), _TOOLS_1),
    ]
)

# -- epix10ka --------------------------------------------------------------------------

_EPIX10KA_BASE = (
    _WORDS_WITH_BITS,
    _WORDS_WITHOUT_BITS,
    CommonMode(0, Correction.FIRST_PEDESTAL, "pedestal of the first gain stage"),
    STANDARD,
    CommonMode(
        80,
        _GAIN,
        "pedestal and gain of the gain stage",
        pars=(7, 0, 100),
        source=_TOOLS_2,
    ),
)
_NOMINAL = "pedestal of the gain stage, nominal factors"
_GHOST = "less what the frame before left behind, p0 + p1 * frame"
# 81 and 82 differ in smalldata_tools by the form of the pedestals that they take: one
# of the user's own, or psana's by gain stage.  The calibration rows, which 82 reads,
# too, are recorded there, and change nothing.
_EPIX10KA_TOOLS = (
    CommonMode(81, Correction.NOMINAL, _NOMINAL, source=_TOOLS_1),
    CommonMode(82, Correction.NOMINAL, _NOMINAL, source=_TOOLS_1),
    CommonMode(
        180,
        _GAIN,
        f"as 80, {_GHOST}",
        Algorithm.GHOST,
        pars=(7, 0, 100),
        source=_TOOLS_1,
    ),
    CommonMode(
        181,
        Correction.NOMINAL,
        f"as 81, {_GHOST}",
        Algorithm.GHOST,
        source=_TOOLS_1,
    ),
)
_EPIX10KA_1 = by_number(
    [
        *_EPIX10KA_BASE,
        *_EPIX10KA_TOOLS,
        _medians(84, (7, 2, 10, 10), _TOOLS_1),
        _medians(85, (7, 3, 10, 10), _TOOLS_1),
    ]
)
_EPIX10KA_2 = by_number(
    [
        *_EPIX10KA_BASE,
        *_EPIX10KA_TOOLS,
        _medians(83, (7, 1, 100, 10), _TOOLS_2),
        _medians(84, (7, 2, 100, 10), _TOOLS_2),
        _medians(85, (7, 3, 100, 10), _TOOLS_2),
    ]
)

# -- epix100 ---------------------------------------------------------------------------

_LEVELS = {
    0: "medians of columns and rows, without signal and its neighbours",
    1: "mean, then medians of columns and rows, without signal and its neighbours",
    2: "medians of banks, columns and rows, without signal and its neighbours",
}


def _neighbours(number: int, level: int, source: str, gain: bool = True) -> CommonMode:
    mode = _neighbours_of((6, level), source)
    return replace(mode, number=number, correction=_GAIN if gain else _ADU)


def _neighbours_of(pars: tuple[float, ...], source: str = _CM_EPIX) -> CommonMode:
    """Return algorithm 6, with the usual parameters for those that are left out."""
    full = (*pars, *(6, 0, 10, 30, 0.25)[len(pars) :])
    return CommonMode(pars, _GAIN, _LEVELS[int(full[1])], _NEIGHBOURS, full, source)


def _epix100_medians(number: CommonModeNumber, pars: tuple[float, ...]) -> CommonMode:
    text = "medians of rows and columns in banks, of the pixels near 0"
    if pars[1] != 6:
        text = "medians in banks, of the pixels near 0"
    return CommonMode(number, _GAIN, text, Algorithm.EPIX100_MEDIANS, pars, _PSANA_1)


_EPIX100 = by_number(
    [
        RAW_WORDS,
        _PEDESTAL_GAIN,
        STANDARD,
        _epix100_medians(4, (4, 6, 30, 10)),
        _epix100_medians(34, (4, 6, 100, 100)),
        _neighbours(6, 1, _TOOLS_1),
        _neighbours(36, 0, _TOOLS_1),
        _neighbours(45, 0, _CM_EPIX),
        _neighbours(46, 1, _CM_EPIX),
        _neighbours(47, 2, _CM_EPIX),
        _neighbours(145, 0, _TOOLS_OLD, gain=False),
        _neighbours(146, 1, _TOOLS_OLD, gain=False),
        _neighbours(147, 2, _TOOLS_OLD, gain=False),
    ]
)

# -- CsPad, whose gains are relative: ADU ----------------------------------------------


def _cspad(
    number: CommonModeNumber, pars: tuple[float, ...], source: str
) -> CommonMode:
    if pars[0] == 5:
        text, algorithm = "mean of the unbonded pixels", Algorithm.UNBONDED
    else:
        text, algorithm = "zero-photon peak of each panel", Algorithm.ZERO_PEAK
        if len(pars) > 4 and pars[4] > 0.1:
            text += ", else the unbonded pixels"
    return CommonMode(number, _ADU, text, algorithm, pars, source)


_CSPAD = by_number(
    [
        RAW_WORDS,
        PEDESTAL,
        _cspad(1, (1, 25, 40, 100, 0), _TOOLS_1),
        _cspad(5, (5, 100), _TOOLS_1),
        _cspad(55, (5, 5000), _TOOLS_1),
        _cspad(10, (1, 25, 40, 100, 1), _TOOLS_1),
        _cspad(105, (5, 100), _TOOLS_OLD),
        _cspad(110, (1, 25, 40, 100, 1), _TOOLS_OLD),
    ]
)

# -- Icarus ----------------------------------------------------------------------------

_REGION_TEXT = "median of a region"


def _half_rows(pars: tuple[float, ...]) -> CommonMode:
    text = f"{_REGION_TEXT}, then of half rows"
    algorithm = Algorithm.REGION_AND_HALF_ROWS
    return CommonMode(pars, _ADU, text, algorithm, pars, _TOOLS_1)


_ICARUS = by_number(
    [
        RAW_WORDS,
        PEDESTAL,
        CommonMode(80, _ADU, _REGION_TEXT, Algorithm.REGION, source=_TOOLS_1),
        replace(_half_rows((81, 30, 0, 30, 0.05)), number=81),
        CommonMode(
            98, _ADU, "pedestal; the columns are only looked at", source=_TOOLS_1
        ),
        CommonMode(
            99,
            _ADU,
            "median of the unbonded columns",
            Algorithm.COLUMNS,
            source=_TOOLS_1,
        ),
    ]
)

_CAMERA = by_number([RAW_WORDS, PEDESTAL, STANDARD])

_LCLS1, _LCLS2 = Generation.LCLS1, Generation.LCLS2
COMMON_MODES: Mapping[tuple[str, Generation], Mapping[int, CommonMode]] = {
    ("jungfrau", _LCLS1): _JUNGFRAU,
    ("jungfrau", _LCLS2): _JUNGFRAU,
    ("epix10ka", _LCLS1): _EPIX10KA_1,
    ("epix10ka", _LCLS2): _EPIX10KA_2,
    ("epix100", _LCLS1): _EPIX100,
    ("epix100", _LCLS2): _EPIX100,
    ("cspad", _LCLS1): _CSPAD,
    ("icarus", _LCLS1): _ICARUS,
    ("camera", _LCLS1): _CAMERA,
    ("camera", _LCLS2): _CAMERA,
    ("epixm320", _LCLS2): by_number([_WORDS_WITH_BITS, _WORDS_WITHOUT_BITS, PEDESTAL]),
    ("archon", _LCLS2): by_number([RAW_WORDS, PEDESTAL]),
}
"""The common modes by number, of each kind in each data acquisition."""


def common_modes_of(
    kind: str, generation: Generation = Generation.LCLS2
) -> Mapping[int, CommonMode]:
    """Return the common modes of a kind.

    A kind that is in one data acquisition only has those, whichever is asked for.

    Raises
    ------
    ParameterError
        if there is no such kind
    """
    for key in ((kind, generation), (kind, _LCLS1), (kind, _LCLS2)):
        if key in COMMON_MODES:
            return COMMON_MODES[key]
    kinds = ", ".join(sorted({kind for kind, _ in COMMON_MODES}))
    raise ParameterError(f"no common modes of {kind!r}; there are those of {kinds}")


# -- psana's parameters as they are ----------------------------------------------------

_BITS = range(8)


class _Form(NamedTuple):
    """What parameters look like.

    Attributes
    ----------
    text : for people; it names all parameters that there can be
    least : so many there are at least
    make : makes the common mode
    second : values that the second one can have, or None for any
    """

    text: str
    least: int
    make: Callable[[tuple[float, ...]], CommonMode]
    second: Container[float] | None = None

    def fits(self, pars: tuple[float, ...]) -> bool:
        """Tell whether parameters are of this form."""
        if not self.least <= len(pars) <= self.text.count(",") + 1:
            return False
        return self.second is None or len(pars) == 1 or pars[1] in self.second


def _psana_medians(pars: tuple[float, ...]) -> CommonMode:
    return _medians(pars, pars, _PSANA_2)


def _panels(pars: tuple[float, ...]) -> CommonMode:
    return _cspad(pars, pars, _PSANA_1)


_FORMS = {
    0: _Form("(0, bits, limit, least)", 3, _psana_medians, _BITS),
    1: _Form("(1, limit, width, least, unbonded)", 4, _panels),
    4: _Form(
        "(4, bits, reach, limit)", 4, lambda pars: _epix100_medians(pars, pars), _BITS
    ),
    5: _Form("(5, limit)", 2, _panels),
    6: _Form("(6, level, sigmas, limit, fraction)", 1, _neighbours_of, range(3)),
    7: _Form("(7, bits, limit, least)", 3, _psana_medians, _BITS),
    81: _Form("(81, threshold, neighbours, limit, fraction)", 5, _half_rows),
}


def with_parameters(algorithms: tuple[int, ...], pars: tuple[float, ...]) -> CommonMode:
    """Return the common mode of psana's parameters.

    Parameters
    ----------
    algorithms : psana's numbers of those that the kind has
    pars : e.g. ``(7, 2, 100, 10)``

    Raises
    ------
    ParameterError
        if they are not those of one of the algorithms
    """
    numbers = all(
        isinstance(par, int | float) and 0 <= par < float("inf") for par in pars
    )
    form = _FORMS[int(pars[0])] if pars and numbers and pars[0] in algorithms else None
    if form is None or not (form.fits(pars) or pars == (0, 0)):
        forms = " or ".join(_FORMS[number].text for number in algorithms)
        raise ParameterError(f"common mode {pars!r} is not of the form {forms}")
    return form.make(pars)


JUNGFRAU_PARAMETERS = partial(with_parameters, (0, 7))
EPIX10KA_PARAMETERS = partial(with_parameters, (7,))
EPIX100_PARAMETERS = partial(with_parameters, (0, 4, 6, 7))
CSPAD_PARAMETERS = partial(with_parameters, (1, 5))
ICARUS_PARAMETERS = partial(with_parameters, (81,))
"""What each kind takes; psana's algorithm 0 is 7 for all that it has in LCLS-II."""


def any_parameters(pars: tuple[float, ...]) -> CommonMode:
    """Return the common mode of psana's parameters, whatever kind has the algorithm.

    Raises
    ------
    ParameterError
        if they are not those of one of the algorithms
    """
    return with_parameters(tuple(_FORMS), pars)
