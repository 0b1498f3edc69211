"""What the calibration must know of a kind of area detector."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

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


CommonModeNumber = int | tuple[float, ...]
"""How users name a common mode: by its number, or by psana's parameters."""

CommonModeChoice = CommonModeNumber | Mapping[str, Any]
"""The same, or a table that has it as ``number``, with what it needs beside it; see
`smalldata_ana.detector.common_mode_inputs`."""


def label_of(common_mode: CommonModeNumber) -> str:
    """Return what a common mode is called in the names of images.

    The names are those that users know (``AvImg_pedSub_jungfrau1M``); numbers that
    share a name there, or have none, are called ``cm<number>_``, and psana's parameters
    likewise ``cm7_2_100_10_``.
    """
    if isinstance(common_mode, tuple):
        numbers = "_".join(f"{number:g}" for number in common_mode)
        return f"cm{numbers.replace('.', 'p').replace('-', 'm').replace('+', '')}_"
    return _LABELS.get(common_mode, f"cm{common_mode}_")


def plain(choice: Any) -> Any:
    """Return a common mode as Python's int, or tuple of numbers.

    NumPy's numbers and arrays, and whole numbers as floats, are what is read back from
    a file.
    Anything else is returned as it is.
    """
    if isinstance(choice, np.generic | np.ndarray):
        choice = choice.tolist()
    if isinstance(choice, tuple | list):
        return tuple(plain(item) for item in choice)
    whole = isinstance(choice, float) and choice.is_integer()
    return int(choice) if whole else choice


class Correction(enum.Enum):
    """What is done to a raw word before any common mode."""

    WORD = "the word with its gain bits"
    DATA = "its data bits"
    FIRST_PEDESTAL = "less the pedestal of the first gain stage"
    PEDESTAL = "less the pedestal of its gain stage"
    NOMINAL = "less the pedestal of its gain stage, times a nominal factor"
    GAIN = "less the pedestal of its gain stage, divided by the gain"


class Algorithm(enum.Enum):
    """What estimates a common mode, by functions of `detector.common_mode`."""

    NONE = "none"
    MEDIANS = "psana_medians"
    EPIX100_MEDIANS = "epix100_medians"
    NEIGHBOUR_EXCLUSION = "neighbour_exclusion"
    ZERO_PEAK = "zero_peak"
    UNBONDED = "unbonded_mean"
    REGION = "region_median"
    REGION_AND_HALF_ROWS = "region_median, half_row_medians"
    COLUMNS = "region_median of the unbonded columns"
    GHOST = "subtract_ghost"


class Generation(enum.Enum):
    """The data acquisition in which a number has its meaning."""

    LCLS1 = "LCLS-I"
    LCLS2 = "LCLS-II"


@dataclass(frozen=True)
class CommonMode:
    """One of the numbered corrections of a kind.

    Attributes
    ----------
    number : what users type
    correction : of the raw words
    text : what it does, for people
    algorithm : what estimates the common mode, between pedestal and gain
    pars : its parameters; where psana has the algorithm, as psana takes them
    source : where number and parameters are from
    """

    number: CommonModeNumber
    correction: Correction
    text: str
    algorithm: Algorithm = Algorithm.NONE
    pars: tuple[float, ...] = ()
    source: str = ""

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

    @property
    def needs_noise(self) -> bool:
        """True if it takes the noise of the pixels."""
        return self.algorithm is Algorithm.NEIGHBOUR_EXCLUSION

    @property
    def needs(self) -> str:
        """What must be given with its number: ``region``, ``ghost`` or nothing."""
        return _NEEDS.get(self.algorithm, "")


_NEEDS = {
    Algorithm.REGION: "region",
    Algorithm.REGION_AND_HALF_ROWS: "region",
    Algorithm.GHOST: "ghost",
}


def by_number(modes: Iterable[CommonMode]) -> dict[int, CommonMode]:
    """Return common modes that have a number as `Kind` has them."""
    return {mode.number: mode for mode in modes if isinstance(mode.number, int)}


RAW_WORDS = CommonMode(RAW, Correction.WORD, "raw words")
PEDESTAL = CommonMode(0, Correction.PEDESTAL, "pedestal")
STANDARD = CommonMode(30, Correction.GAIN, "the reader's calibration")
CAMERA_MODES = by_number([RAW_WORDS, PEDESTAL, STANDARD])

Stages = Callable[[npt.NDArray[Any]], npt.NDArray[np.int8]]
ParameterModes = Callable[[tuple[float, ...]], CommonMode]
PanelShape = tuple[int | None, int | None]
Index = int | slice


@dataclass(frozen=True)
class Kind:
    """A kind of detector.

    Attributes
    ----------
    dettype : the detector's type in the data acquisition
    title : for people
    pixel_size : edge of a normal pixel [um], or None where it is not known, or
        depends on the readout (`sensor_width`)
    sensor_width : width of the sensor [um], where the readout joins pixels; the pixels
        then share it
    panels : number of panels, for detectors that share a type with others; None: any
    panel_shape : rows and columns of a panel; None where they are not the same for all
    chip_shape : rows and columns of a readout chip, or bank; None where a panel has
        one in this direction
    wide_pixel_size : edge, across the border of two chips, of the pixels there [um];
        None where they are like the others
    edges : how many rows and columns at the rim of a panel are not like the others
    unbonded : indices (rows, columns) into a chip of the pixels that are not connected
        to the sensor
    panels_last : True if LCLS-I arrays have the panels on the last axis
    gain_stages : names of the stages, in the order of the constants
    data_mask : the bits of a raw uint16 word that are data; None: frames are plain
        numbers of any type
    gain_bits : the bits, among the two highest, that tell the gain stage
    plane_of_bits : for each value of the two highest bits after `gain_bits`, which
        plane of constants to use: the gain stage itself, or, with
        `configured_stages`, an index into its result; negative: an invalid word
    configured_stages : returns the gain stages of each pixel from its control bits,
        ``(planes, panels, rows, columns)``; None where the word alone tells
    nominal_factors : for each gain stage, what its values are multiplied with to be
        like those of the first one, for common modes that do not use the gains
    adds_offset : True if ``pixel_offset`` is added to the pedestals, as psana does
    common_modes : the corrections that there are, by number
    default_common_mode : the one for users who ask for none
    suggested_common_mode : one that may serve better, or None
    banks : how many banks with a common mode a panel has, one below the other and side
        by side; None where rows and columns have none
    common_mode_stages : gain stages whose pixels take part in common modes; the others
        are not corrected
    parameter_modes : makes a common mode of psana's parameters; None: there is none
    env_values : what is recorded with each frame in ``<detector>_env``
    """

    dettype: str
    title: str
    pixel_size: float | None = None
    sensor_width: float | None = None
    panels: int | None = None
    panel_shape: PanelShape = (None, None)
    chip_shape: PanelShape = (None, None)
    wide_pixel_size: float | None = None
    edges: tuple[int, int] = (1, 1)
    unbonded: tuple[tuple[Index, Index], ...] = ()
    panels_last: bool = False
    gain_stages: tuple[str, ...] = ("single",)
    data_mask: int | None = None
    gain_bits: int = 0
    plane_of_bits: tuple[int, int, int, int] = (0, 0, 0, 0)
    configured_stages: Stages | None = None
    nominal_factors: tuple[float, ...] = (1.0,)
    adds_offset: bool = False
    common_modes: Mapping[int, CommonMode] = field(default_factory=CAMERA_MODES.copy)
    default_common_mode: int = 0
    suggested_common_mode: int | None = None
    banks: tuple[int, int] | None = None
    common_mode_stages: tuple[int, ...] = (0,)
    parameter_modes: ParameterModes | None = None
    env_values: tuple[str, ...] = ()

    def common_mode(self, number: CommonModeNumber | None = None) -> CommonMode:
        """Return a correction by its number, or the default one for None.

        Parameters
        ----------
        number : or psana's parameters, e.g. ``(7, 2, 100, 10)``; see `plain`

        Raises
        ------
        ParameterError
            if this kind has none of that number
        """
        wanted = self.default_common_mode if number is None else plain(number)
        if isinstance(wanted, tuple) and self.parameter_modes is not None:
            return self.parameter_modes(wanted)
        is_number = isinstance(wanted, int) and not isinstance(wanted, bool)
        if is_number and wanted in self.common_modes:
            return self.common_modes[wanted]
        why = " (a text: write it without quotes)" if isinstance(wanted, str) else ""
        there = ", ".join(
            f"{mode.number} ({mode.text})" for mode in self.common_modes.values()
        )
        raise ParameterError(
            f"no common mode {wanted!r}{why} for {self.dettype!r}; there are {there}"
        )

    def pixel_size_in(self, shape: tuple[int, ...]) -> float | None:
        """Return the edge of a normal pixel in frames of a shape [um], if known."""
        if self.sensor_width is None:
            return self.pixel_size
        return self.sensor_width / shape[-1]

    def has_panels_of(self, shape: tuple[int, ...]) -> bool:
        """Tell whether frames of a shape consist of whole panels of this kind.

        A camera, whose panels have no fixed shape, has frames of any shape.
        """
        return len(shape) in {2, 3} and all(
            nominal in {None, size}
            for nominal, size in zip(self.panel_shape, shape[-2:], strict=True)
        )

    def check(self) -> None:
        """Check that the kind does not contradict itself.

        Raises
        ------
        ParameterError
            if its default common mode, or -1, is not among its common modes, if it has
            gain bits but no data mask, if it names a gain stage that it does not have,
            or lacks nominal factors that a common mode needs, if its chips do not fill
            its panels, or an unbonded pixel is not on a chip
        """
        self.common_mode()
        self.common_mode(RAW)
        if self.gain_bits and self.data_mask is None:
            raise ParameterError(f"{self.dettype!r} has gain_bits, but no data_mask")
        stages = len(self.gain_stages)
        if self.configured_stages is None and max(self.plane_of_bits) >= stages:
            raise ParameterError(
                f"plane_of_bits {self.plane_of_bits} of {self.dettype!r} names more "
                f"gain stages than the {stages} of gain_stages"
            )
        nominal = any(
            mode.correction is Correction.NOMINAL for mode in self.common_modes.values()
        )
        if nominal and len(self.nominal_factors) != stages:
            raise ParameterError(
                f"nominal_factors {self.nominal_factors} of {self.dettype!r} are not "
                f"one for each of its {stages} gain stages"
            )
        for panel, chip in zip(self.panel_shape, self.chip_shape, strict=True):
            if chip is not None and (chip < 1 or (panel is not None and panel % chip)):
                raise ParameterError(
                    f"chip_shape {self.chip_shape} of {self.dettype!r} does not divide "
                    f"panel_shape {self.panel_shape}"
                )
        self._check_unbonded()

    def _check_unbonded(self) -> None:
        sizes = [
            panel if chip is None else chip
            for panel, chip in zip(self.panel_shape, self.chip_shape, strict=True)
        ]
        for index in self.unbonded:
            for i, size in zip(index, sizes, strict=True):
                if isinstance(i, int) and not (size is None or 0 <= i < size):
                    raise ParameterError(
                        f"unbonded pixel {index} of {self.dettype!r} is not on a chip "
                        f"of {tuple(sizes)}"
                    )
