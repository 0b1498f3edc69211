"""Constants arranged in the planes from which a raw word chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.detector_constants import DetectorConstants
from smalldata_ana.detector.kind_model import RAW, Algorithm, CommonMode, Correction
from smalldata_ana.errors import ConstantsError, counted

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Stages = npt.NDArray[np.int8]

_CONFIGURATION = "gain configuration of the pixels"


@dataclass(frozen=True, eq=False)
class Planes:
    """The constants of a correction.

    Attributes
    ----------
    pedestal : float32 ``(planes, *frame)`` [ADU], with the offset
    factor : float32 ``(planes, *frame)``: 1/gain, or 1 without gains; 0 where a pixel
        is bad or its constants are not usable
    correction : `Correction.GAIN` where the factor holds gains [keV/ADU], `NOMINAL`
        where it holds nominal factors, else `PEDESTAL`
    usable : bool, shape of a frame; pixels with usable constants in the first plane
    """

    pedestal: Image
    factor: Image
    correction: Correction
    usable: Mask

    @property
    def in_gain(self) -> bool:
        """True if the factor holds gains [keV/ADU]."""
        return self.correction is Correction.GAIN


@dataclass(frozen=True, eq=False)
class Noise:
    """Finds the noise of the pixels; it reads the constants, and keeps none.

    Attributes
    ----------
    fitted : the constants
    stages : gain stage of each pixel by plane, or None where the planes are the stages
    known : False if the gain stages of the pixels would be needed, and are not known
    correction : `Correction.GAIN` for noise in keV, `NOMINAL` for ADU times the nominal
        factors, else ADU
    """

    fitted: DetectorConstants
    stages: Stages | None
    known: bool
    correction: Correction

    def __call__(self) -> Image | None:
        """Return the noise in the first plane, shape of a frame, if it is known.

        It is NaN in pixels where it, or the gain, is not usable: not a finite number,
        or a noise that is not above 0.  None where the noise of no pixel is usable.
        """
        rms = self.fitted.by_stage("pixel_rms") if self.known else None
        if rms is None:
            return None
        first: Image = _chosen(rms, self.stages)[0].copy()
        usable = np.isfinite(first) & (first > 0)
        if not usable.any():
            return None
        first[~usable] = np.nan
        gain = _gain(self.fitted, self.correction)
        if gain is None:
            return first
        gain_first = _chosen(gain, self.stages)[0]
        inverse = np.full_like(first, np.nan)
        usable = np.isfinite(gain_first) & (gain_first != 0)
        np.divide(1, gain_first, out=inverse, where=usable)
        return np.multiply(first, np.abs(inverse), out=first)


class SetUp:
    """The steps from constants to planes.

    Parameters
    ----------
    fitted : the constants
    configuration : control bits of the pixels, for kinds that have them, or None

    Raises
    ------
    ConstantsError
        if the configuration or a constant does not fit the detector
    """

    def __init__(
        self, fitted: DetectorConstants, configuration: npt.NDArray[Any] | None
    ) -> None:
        self.fitted = fitted
        self.status = fitted.status_good()
        self.pedestal = fitted.by_stage("pedestals")
        decode = fitted.kind.configured_stages
        self.stages: Stages | None = None
        self.undecided = decode is not None and configuration is None
        if decode is None or configuration is None:
            return
        self.stages = decode(configuration)
        if self.stages.shape[1:] != fitted.info.shape:
            raise ConstantsError(
                f"the gain configuration of {fitted.info.name!r} has the shape "
                f"{self.stages.shape[1:]}, its frames {fitted.info.shape}"
            )

    def possible(self, wanted: CommonMode, *, asked: bool, strict: bool) -> CommonMode:
        """Return a correction, or a lesser one with a note if something is missing.

        What is done without gains, `planes` says.

        Parameters
        ----------
        wanted : the correction
        asked : True if a user has asked for this one
        strict : True if no lesser one will do, asked for or not; but a camera, whose
            default does no more than subtract pedestals, can have raw data instead

        Raises
        ------
        ConstantsError
            if something is missing, and no lesser one will do
        """
        missing = self._missing(wanted)
        if missing is None:
            return wanted
        if strict:
            lesser = not asked and missing == "pedestals" and self._is_camera
        else:
            lesser = not asked or missing == "pixel_gain"
        if not lesser:
            raise ConstantsError(
                f"common mode {wanted.number} of {self.fitted.info.name!r} cannot be "
                f"done: {self._lacks(missing)}; common_mode=-1 gives raw data"
            )
        if missing == "pixel_gain":
            return wanted
        if missing == "pixel_rms":
            lacking = "usable noise" if self._unusable_noise() else "noise"
            self.fitted.notes.append(f"no {lacking} of the pixels: without common mode")
            return self.fitted.kind.common_mode(0)
        self.fitted.notes.append(f"no {missing}: raw data")
        return self.fitted.kind.common_mode(RAW)

    def _lacks(self, missing: str) -> str:
        if missing == _CONFIGURATION:
            return f"there is no {missing} in the data of the run"
        if missing == "pixel_rms" and self._unusable_noise():
            return self.fitted.unusable(missing, "in no pixel a number above 0")
        return self.fitted.lacks(missing)

    def _missing(self, wanted: CommonMode) -> str | None:
        """Return the name of what a correction needs and there is not."""
        if wanted.is_raw:
            return None
        if self.pedestal is None:
            return "pedestals"
        if self.undecided and wanted.correction is not Correction.FIRST_PEDESTAL:
            return _CONFIGURATION
        if wanted.needs_noise and self.noise_in_adu() is None:
            return "pixel_rms"
        # Without gains, the stages of a pixel would be on different scales.
        several = len(self.fitted.kind.gain_stages) > 1
        by_gain = wanted.correction is Correction.GAIN
        without = "pixel_gain" not in self.fitted.constants.items
        return "pixel_gain" if several and by_gain and without else None

    @property
    def _is_camera(self) -> bool:
        default = self.fitted.kind.common_mode()
        plain = default.correction is Correction.PEDESTAL
        no_words = self.fitted.kind.data_mask is None
        return plain and no_words and default.algorithm is Algorithm.NONE

    def planes(self, mode: CommonMode) -> Planes:
        """Return the planes of a correction that is `possible`, but not raw.

        Raises
        ------
        ConstantsError
            if there are no pedestals, or the gains do not fit the detector
        """
        pedestal = self._with_offset()
        if mode.correction is Correction.FIRST_PEDESTAL:
            return self._scaled(pedestal[:1], None, mode.correction)
        gain = _gain(self.fitted, mode.correction)
        if gain is None and mode.correction is Correction.GAIN:
            self.fitted.notes.append("no gain: pedestals subtracted only, in ADU")
        return self._scaled(
            _chosen(pedestal, self.stages),
            None if gain is None else _chosen(gain, self.stages),
            mode.correction,
        )

    def part(self, planes: Planes, mode: CommonMode) -> Mask:
        """Return which pixels take part in a common mode, ``(planes, *frame)``.

        They are good, in a gain stage of high or medium gain, and of a usable noise
        where the common mode needs it; a note says how many are not.
        """
        kind = self.fitted.kind
        part: Mask = planes.factor != 0
        if self.stages is not None:
            part &= np.isin(self.stages, kind.common_mode_stages)
        else:
            for stage in set(range(len(part))) - set(kind.common_mode_stages):
                part[stage] = False
        noise = self.noise_in_adu() if mode.needs_noise else None
        if noise is not None:
            self._leave_out(np.isnan(noise), part)
        return part

    def _leave_out(self, unknown: Mask, part: Mask) -> None:
        """Leave pixels whose noise is not known out of those that take part."""
        count = int(np.count_nonzero(unknown & part.any(axis=0)))
        part &= ~unknown
        if count:
            self.fitted.notes.append(
                f"{counted(count, 'pixel')} with a noise that is not a number above "
                "0; they take no part in the estimate of the common mode"
            )

    def noise_in_adu(self) -> Image | None:
        """Return the noise in the first plane [ADU], if it is known."""
        known = not self.undecided
        return Noise(self.fitted, self.stages, known, Correction.PEDESTAL)()

    def good(self, planes: Planes | None) -> Mask:
        """Return the pixels to use, shape of a frame."""
        good = self.fitted.mask_good()
        good &= self.status
        if planes is not None:
            good &= planes.usable
        return good

    def noise(self, planes: Planes | None) -> Noise:
        """Return what finds the noise in the unit of the images."""
        configured = planes is None or len(planes.pedestal) > 1
        return Noise(
            self.fitted,
            stages=self.stages if configured else None,
            known=not self.undecided,
            correction=Correction.PEDESTAL if planes is None else planes.correction,
        )

    def _unusable_noise(self) -> bool:
        """Tell whether there is a noise of the right shape, but no usable one."""
        return self.fitted.by_stage("pixel_rms") is not None

    def left_by(self, correction: Correction) -> dict[str, Mask]:
        """Return which pixels each constant leaves in the first plane, by its name."""
        left = {"pixel_mask": self.fitted.mask_good(), "pixel_status": self.status}
        values = {"pedestals": self.pedestal, "pixel_offset": None, "pixel_gain": None}
        if self.fitted.kind.adds_offset:
            values["pixel_offset"] = self.fitted.by_stage("pixel_offset")
        if correction is Correction.GAIN:
            values["pixel_gain"] = self.fitted.by_stage("pixel_gain")
        stages = None if correction is Correction.FIRST_PEDESTAL else self.stages
        for name, value in values.items():
            if value is not None:
                first = _chosen(value, stages)[0]
                left[name] = np.isfinite(first)
                if name == "pixel_gain":
                    left[name] &= first != 0
        return left

    def _with_offset(self) -> Image:
        if self.pedestal is None:
            raise ConstantsError(f"no pedestals for {self.fitted.info.name!r}")
        adds = self.fitted.kind.adds_offset
        offset = self.fitted.by_stage("pixel_offset") if adds else None
        return self.pedestal if offset is None else self.pedestal + offset

    def _scaled(
        self, pedestal: Image, gain: Image | None, correction: Correction
    ) -> Planes:
        """Make the planes panel by panel, which keeps the memory small."""
        factor, clean = np.zeros_like(pedestal), pedestal
        first = np.empty(self.fitted.info.shape, np.bool_)
        unusable = 0
        for panel in np.ndindex(pedestal.shape[1:-2]):
            somewhere = np.zeros(pedestal.shape[-2:], np.bool_)
            for plane in range(len(pedestal)):
                at = (plane, *panel)
                usable = np.isfinite(pedestal[at])
                if not usable.all():
                    # the constants themselves are not to be changed
                    clean = pedestal.copy() if clean is pedestal else clean
                    clean[at][~usable] = 0
                if gain is None:
                    np.copyto(factor[at], 1, where=usable)
                else:
                    usable &= np.isfinite(gain[at])
                    usable &= gain[at] != 0
                    np.divide(1, gain[at], out=factor[at], where=usable)
                factor[at] *= self.status[panel]
                somewhere |= ~usable
                if plane == 0:
                    first[panel] = usable
            unusable += int(np.count_nonzero(somewhere))
        self._note_unusable(unusable)
        done = Correction.PEDESTAL if gain is None else correction
        return Planes(clean, factor, done, first)

    def _note_unusable(self, count: int) -> None:
        if count:
            self.fitted.notes.append(
                f"{counted(count, 'pixel')} with, in some gain stage, a pedestal that "
                "is not a number, or a gain that is not a number or 0; there they give "
                "0"
            )


def _gain(fitted: DetectorConstants, correction: Correction) -> Image | None:
    """Return what values are divided by in each gain stage, (stages, *frame)."""
    if correction is Correction.GAIN:
        return fitted.by_stage("pixel_gain")
    if correction is Correction.NOMINAL:
        inverse = 1 / np.array(fitted.kind.nominal_factors, np.float32)
        of_stage = inverse.reshape(-1, *(1,) * len(fitted.info.shape))
        return np.broadcast_to(of_stage, (len(inverse), *fitted.info.shape))
    return None


def _chosen(by_stage: Image, stages: Stages | None) -> Image:
    """Return the planes of the configured stages, NaN where there is none."""
    if stages is None:
        return by_stage
    index = np.maximum(stages, 0).astype(np.intp)
    chosen = np.take_along_axis(by_stage, index, axis=0)
    chosen[stages < 0] = np.nan
    return chosen
