"""Kinds of area detectors: a table of what the calibration must know of each.

A new kind is a row, not a branch; `register_kind` adds one at run time::

    register_kind(Kind("mycam", "my camera", pixel_size=5.5))
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector import gain_modes
from smalldata_ana.errors import ParameterError

KEV = "keV"
ADU = "ADU"
RAW = -1
"""Number of the common mode that every kind has: raw data."""

_LABELS = {
    RAW: "raw_",
    -2: "rawBits_",
    0: "pedSub_",
    5: "unb_",
    1: "hist_",
    6: "median_",
    30: "calib_",
    34: "histAmiLike_",
    36: "medianNoNorm_",
    45: "median45_",
    46: "medianSN_",
}


def label_of(common_mode: int) -> str:
    """Return what a common mode is called in the names of images.

    The names are those that users know (``AvImg_pedSub_jungfrau1M``); numbers that
    share a name there, or have none, are called ``cm<number>_``.
    """
    return _LABELS.get(common_mode, f"cm{common_mode}_")


class Correction(enum.Enum):
    """What is done to a raw word before any common mode."""

    WORD = "the word with its gain bits"
    DATA = "its data bits"
    FIRST_PEDESTAL = "less the pedestal of the first gain stage"
    PEDESTAL = "less the pedestal of its gain stage"
    GAIN = "less the pedestal of its gain stage, divided by the gain"


@dataclass(frozen=True)
class CommonMode:
    """One of the numbered corrections of a kind.

    Attributes
    ----------
    number : what users type
    correction : of the raw words
    text : what it does, for people
    """

    number: int
    correction: Correction
    text: str

    @property
    def label(self) -> str:
        """What it is called in the names of images; see `label_of`."""
        return label_of(self.number)

    @property
    def unit(self) -> str:
        """The unit of the images: keV where gains, in ADU/keV, are applied."""
        return KEV if self.correction is Correction.GAIN else ADU

    @property
    def is_raw(self) -> bool:
        """True if no constants are used."""
        return self.correction in {Correction.WORD, Correction.DATA}


def _table(modes: Iterable[CommonMode]) -> dict[int, CommonMode]:
    return {mode.number: mode for mode in modes}


_RAW = CommonMode(RAW, Correction.WORD, "raw words")
_PEDESTAL = CommonMode(0, Correction.PEDESTAL, "pedestal")
_PEDESTAL_GAIN = CommonMode(0, Correction.GAIN, "pedestal and gain")
_STANDARD = CommonMode(30, Correction.GAIN, "the reader's calibration")
_CAMERA_MODES = _table([_RAW, _PEDESTAL, _STANDARD])
_SENSOR_MODES = _table([_RAW, _PEDESTAL_GAIN, _STANDARD])
_EPIX10KA_MODES = _table(
    [
        CommonMode(-2, Correction.WORD, "raw words with gain bits"),
        CommonMode(RAW, Correction.DATA, "raw words without gain bits"),
        CommonMode(0, Correction.FIRST_PEDESTAL, "pedestal of the first gain stage"),
        _STANDARD,
        CommonMode(80, Correction.GAIN, "pedestal and gain of the gain stage"),
    ]
)

Stages = Callable[[npt.NDArray[Any]], npt.NDArray[np.int8]]


@dataclass(frozen=True)
class Kind:
    """A kind of detector.

    Attributes
    ----------
    dettype : the detector's type in the data acquisition
    title : for people
    pixel_size : edge of a normal pixel [um], or None where it is not known
    gain_stages : names of the stages, in the order of the constants
    data_mask : the bits of a raw uint16 word that are data; None: frames are plain
        numbers of any type
    gain_bits : the bits, among the two highest, that tell the gain stage
    plane_of_bits : for each value of the two highest bits after `gain_bits`, which
        plane of constants to use: the gain stage itself, or, with
        `configured_stages`, an index into its result; negative: an invalid word
    configured_stages : returns the gain stages of each pixel from its control bits,
        ``(planes, panels, rows, columns)``; None where the word alone tells
    adds_offset : True if ``pixel_offset`` is added to the pedestals, as psana does
    common_modes : the corrections that there are, by number
    default_common_mode : the one for users who ask for none
    """

    dettype: str
    title: str
    pixel_size: float | None = None
    gain_stages: tuple[str, ...] = ("single",)
    data_mask: int | None = None
    gain_bits: int = 0
    plane_of_bits: tuple[int, int, int, int] = (0, 0, 0, 0)
    configured_stages: Stages | None = None
    adds_offset: bool = False
    common_modes: Mapping[int, CommonMode] = field(default_factory=_CAMERA_MODES.copy)
    default_common_mode: int = 0

    def common_mode(self, number: int | None = None) -> CommonMode:
        """Return a correction by its number, or the default one for None.

        Raises
        ------
        ParameterError
            if this kind has none of that number
        """
        wanted = self.default_common_mode if number is None else number
        if wanted not in self.common_modes:
            there = ", ".join(
                f"{mode.number} ({mode.text})" for mode in self.common_modes.values()
            )
            raise ParameterError(
                f"no common mode {wanted!r} for {self.dettype!r}; there are {there}"
            )
        return self.common_modes[wanted]


_JUNGFRAU = Kind(
    "jungfrau",
    "Jungfrau",
    pixel_size=75.0,
    gain_stages=("G0", "G1", "G2"),
    data_mask=0x3FFF,
    gain_bits=0xC000,
    plane_of_bits=(0, 1, -1, 2),
    adds_offset=True,
    common_modes=_SENSOR_MODES,
)
_EPIX10KA = Kind(
    "epix10ka",
    "ePix10ka",
    pixel_size=100.0,
    gain_stages=gain_modes.STAGES,
    data_mask=0x3FFF,
    gain_bits=0x4000,
    plane_of_bits=(0, 1, 0, 1),
    configured_stages=gain_modes.epix10ka_stages,
    common_modes=_EPIX10KA_MODES,
    default_common_mode=80,
)
_EPIX100 = Kind("epix100", "ePix100", pixel_size=50.0, common_modes=_SENSOR_MODES)
_OPAL = Kind("opal", "Opal camera")

GENERIC = Kind("camera", "area camera")
"""The kind of a detector that is not in the table."""

_kinds = {kind.dettype: kind for kind in (_JUNGFRAU, _EPIX10KA, _EPIX100, _OPAL)}


def kind_of(dettype: str) -> Kind:
    """Return the kind of a detector by its type in the data acquisition.

    Parameters
    ----------
    dettype : e.g. ``jungfrau``

    Returns
    -------
    Its row of the table, or `GENERIC` for a type that is not there.
    """
    return _kinds.get(dettype, GENERIC)


def register_kind(kind: Kind) -> None:
    """Add a kind to the table, or replace the one of the same type.

    Raises
    ------
    ParameterError
        if its default common mode, or -1, is not among its common modes, if it has
        gain bits but no data mask, or if it names a gain stage that it does not have
    """
    kind.common_mode()
    kind.common_mode(RAW)
    if kind.gain_bits and kind.data_mask is None:
        raise ParameterError(f"{kind.dettype!r} has gain_bits, but no data_mask")
    stages = len(kind.gain_stages)
    if kind.configured_stages is None and max(kind.plane_of_bits) >= stages:
        raise ParameterError(
            f"plane_of_bits {kind.plane_of_bits} of {kind.dettype!r} names more gain "
            f"stages than the {stages} of gain_stages"
        )
    _kinds[kind.dettype] = kind
