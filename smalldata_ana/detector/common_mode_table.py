"""Which number means which common mode, by kind of detector and data acquisition.

The numbers are those of smalldata_tools; those of LCLS-I that are above 100 are the
numbers without the hundred, but without the gain.  One number is not one algorithm: 84
of an epix10ka has a limit of 10 ADU in LCLS-I, and of 100 in LCLS-II.  Where psana has
the algorithm, the parameters are psana's tuple, which can also be given as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

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
_GHOST = "it needs fitted p0 and p1 of each pixel, and the event before; take 80"
_EPIX10KA_1 = by_number(
    [
        *_EPIX10KA_BASE,
        CommonMode(
            81,
            _ADU,
            "nominal gains",
            source=_TOOLS_1,
            missing="its nominal gains 1, 3 and 100 are documented, their use is not; "
            "take 80",
        ),
        CommonMode(
            82,
            _ADU,
            "pedestal and calibration rows",
            source=_TOOLS_1,
            missing="how the calibration rows enter is not documented; take 80",
        ),
        _medians(84, (7, 2, 10, 10), _TOOLS_1),
        _medians(85, (7, 3, 10, 10), _TOOLS_1),
        *(
            CommonMode(
                number,
                _GAIN,
                "ghost correction",
                Algorithm.GHOST,
                source=_TOOLS_1,
                missing=_GHOST,
                lookback=1,
            )
            for number in (180, 181)
        ),
    ]
)
_EPIX10KA_2 = by_number(
    [
        *_EPIX10KA_BASE,
        *(_EPIX10KA_1[number] for number in (81, 82, 180, 181)),
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
    correction = _GAIN if gain else _ADU
    pars = (6, level, 10, 30, 0.25)
    return CommonMode(number, correction, _LEVELS[level], _NEIGHBOURS, pars, source)


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

_NO_REGION = (
    "it takes the median of a region without light, which only its user knows; use "
    "99, or `region_median`"
)
_ICARUS = by_number(
    [
        RAW_WORDS,
        PEDESTAL,
        CommonMode(
            80,
            _ADU,
            "median of a region",
            Algorithm.REGION,
            source=_TOOLS_1,
            missing=_NO_REGION,
        ),
        CommonMode(
            81,
            _ADU,
            "median of a region, then of half rows",
            Algorithm.REGION_AND_HALF_ROWS,
            (81, 30, 0, 30, 0.05),
            _TOOLS_1,
            missing=_NO_REGION,
        ),
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
"""The common modes by number, of each kind in each data acquisition: those that can
be done, and those that are known and refused, as something is missing."""


def common_modes_of(
    kind: str, generation: Generation = Generation.LCLS2
) -> dict[int, CommonMode]:
    """Return the common modes of a kind that can be done.

    A kind that is in one data acquisition only has those, whichever is asked for.

    Raises
    ------
    ParameterError
        if there is no such kind
    """
    modes = _rows(kind, generation)
    return {number: mode for number, mode in modes.items() if not mode.missing}


def refused_modes_of(
    kind: str, generation: Generation = Generation.LCLS2
) -> dict[int, CommonMode]:
    """Return the common modes of a kind that are known, but cannot be done.

    Raises
    ------
    ParameterError
        if there is no such kind
    """
    modes = _rows(kind, generation)
    return {number: mode for number, mode in modes.items() if mode.missing}


def _rows(kind: str, generation: Generation) -> Mapping[int, CommonMode]:
    for key in ((kind, generation), (kind, _LCLS1), (kind, _LCLS2)):
        if key in COMMON_MODES:
            return COMMON_MODES[key]
    kinds = ", ".join(sorted({kind for kind, _ in COMMON_MODES}))
    raise ParameterError(f"no common modes of {kind!r}; there are those of {kinds}")


# -- psana's parameters as they are ----------------------------------------------------

_FORMS = {
    0: "(0, bits, limit, least)",
    1: "(1, limit, width, least, unbonded)",
    4: "(4, bits, reach, limit)",
    5: "(5, limit)",
    7: "(7, bits, limit, least)",
}
_LENGTHS = {0: (2, 4), 1: (4, 5), 4: (4, 4), 5: (2, 2), 7: (3, 4)}
_BITS_BELOW = 8


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
    forms = " or ".join(_FORMS[number] for number in algorithms)
    wrong = ParameterError(f"common mode {pars!r} is not of the form {forms}")
    if not pars or not all(isinstance(par, int | float) for par in pars):
        raise wrong
    number = pars[0]
    if number not in algorithms or not all(0 <= par < float("inf") for par in pars):
        raise wrong
    shortest, longest = _LENGTHS[int(number)]
    if not shortest <= len(pars) <= longest:
        raise wrong
    if number in {1, 5}:
        return _cspad(pars, pars, _PSANA_1)
    if pars[1] not in range(_BITS_BELOW) or (
        number == 0 and len(pars) == 2 and pars[1]
    ):
        raise wrong
    if number == 4:
        return _epix100_medians(pars, pars)
    return _medians(pars, pars, _PSANA_2)


JUNGFRAU_PARAMETERS = partial(with_parameters, (0, 7))
EPIX10KA_PARAMETERS = partial(with_parameters, (7,))
EPIX100_PARAMETERS = partial(with_parameters, (0, 4, 7))
CSPAD_PARAMETERS = partial(with_parameters, (1, 5))
"""What each kind takes; psana's algorithm 0 is 7 for all that it has in LCLS-II."""
