"""The gain stage of an epix10ka pixel, from its control bits and its raw word.

Three control bits are set for each pixel before a run; a fourth bit comes with the
data and tells that a pixel has switched to low gain:

====  ===========================================================================
bit   meaning
====  ===========================================================================
4     ``g``: with ``ga`` set, the gain is fixed to high or medium
8     ``ga``: the gain is fixed; else it switches by itself
16    ``trbit``: high rather than medium
32    bit 14 of the raw word, moved here
====  ===========================================================================

The table is that of psana's ``UtilsEpix10ka.gain_maps_epix10ka_any_alg``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STAGES = ("FH", "FM", "FL", "AHL_H", "AML_M", "AHL_L", "AML_L")
"""Gain stages in the order of the constants: fixed high, medium, low; automatic
high-to-low and medium-to-low, before (``_H``, ``_M``) and after the switch (``_L``)."""

UNSWITCHED = (0, 1, 3, 4)
"""High and medium gain: the stages whose pixels take part in common modes, as in
psana's ``common_mode_epix_multigain_apply``."""

NOMINAL_FACTORS = (1.0, 3.0, 100.0, 1.0, 3.0, 100.0, 100.0)
"""What values of each stage are multiplied with to be like those of high gain, as in
smalldata_tools (``nomGain``)."""

NO_STAGE = -1
"""Where the control bits have no meaning (``g`` without ``ga``)."""

_G, _GA, _TRBIT, _SWITCHED = 4, 8, 16, 32
_CONTROL = _G | _GA | _TRBIT


def _stage(bits: int) -> int:
    if bits & _GA:
        if not bits & _G:
            return STAGES.index("FL")
        return STAGES.index("FH" if bits & _TRBIT else "FM")
    if bits & _G:
        return NO_STAGE
    if bits & _SWITCHED:
        return STAGES.index("AHL_L" if bits & _TRBIT else "AML_L")
    return STAGES.index("AHL_H" if bits & _TRBIT else "AML_M")


_STAGE_OF_BITS = np.array([_stage(bits) for bits in range(64)], np.int8)


def epix10ka_stages(configuration: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return the gain stage of each pixel before and after it has switched.

    Parameters
    ----------
    configuration : control bits of each pixel, uint8, any shape

    Returns
    -------
    Shape ``(2, *configuration.shape)``: the index into `STAGES` for bit 14 of the raw
    word being 0 and 1, or `NO_STAGE`.
    """
    bits = np.asarray(configuration, np.uint8) & _CONTROL
    return np.stack([_STAGE_OF_BITS[bits], _STAGE_OF_BITS[bits | _SWITCHED]])
