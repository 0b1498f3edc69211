"""Constants arranged in the planes from which a raw word chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.detector_constants import DetectorConstants
from smalldata_ana.detector.kind_model import RAW, Algorithm, CommonMode, Correction
from smalldata_ana.errors import ConstantsError

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Stages = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Planes:
    """The constants of a correction.

    Attributes
    ----------
    pedestal : float32 ``(planes, *frame)`` [ADU], with the offset
    factor : float32 ``(planes, *frame)``: 1/gain, or 1 without gains; 0 where a pixel
        is bad or its constants are not usable
    in_gain : True if the factor holds gains [keV/ADU]
    usable : bool, shape of a frame; pixels with usable constants in the first plane
    """

    pedestal: Image
    factor: Image
    in_gain: bool
    usable: Mask


@dataclass(frozen=True, eq=False)
class Noise:
    """Finds the noise of the pixels; it reads the constants, and keeps none.

    Attributes
    ----------
    fitted : the constants
    stages : gain stage of each pixel by plane, or None where the planes are the stages
    known : False if the gain stages of the pixels would be needed, and are not known
    in_gain : True for noise in keV, not ADU
    """

    fitted: DetectorConstants
    stages: Stages | None
    known: bool
    in_gain: bool

    def __call__(self) -> Image | None:
        """Return the noise in the first plane, shape of a frame, if it is known."""
        rms = self.fitted.by_stage("pixel_rms") if self.known else None
        if rms is None:
            return None
        first: Image = _chosen(rms, self.stages)[0].copy()
        gain = self.fitted.by_stage("pixel_gain") if self.in_gain else None
        if gain is None:
            return first
        gain_first = _chosen(gain, self.stages)[0]
        inverse = np.zeros_like(first)
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

    def possible(self, wanted: CommonMode) -> CommonMode:
        """Return the correction, or raw with a note where something is missing."""
        if wanted.is_raw:
            return wanted
        if self.pedestal is None:
            missing = "pedestals"
        elif self.undecided and wanted.correction is not Correction.FIRST_PEDESTAL:
            missing = "gain configuration of the pixels"
        elif wanted.algorithm is Algorithm.NEIGHBOUR_EXCLUSION and self._no_noise():
            self.fitted.notes.append("no noise of the pixels: without common mode")
            return self.fitted.kind.common_mode(0)
        else:
            return wanted
        self.fitted.notes.append(f"no {missing}: raw data")
        return self.fitted.kind.common_mode(RAW)

    def planes(self, mode: CommonMode) -> Planes:
        """Return the planes of a correction that is `possible`, but not raw.

        Raises
        ------
        ConstantsError
            if there are no pedestals, or the gains do not fit the detector
        """
        pedestal = self._with_offset()
        if mode.correction is Correction.FIRST_PEDESTAL:
            return self._scaled(pedestal[:1], None)
        gain = self._gain() if mode.correction is Correction.GAIN else None
        return self._scaled(
            _chosen(pedestal, self.stages),
            None if gain is None else _chosen(gain, self.stages),
        )

    def part(self, planes: Planes) -> Mask:
        """Return which pixels take part in a common mode, ``(planes, *frame)``.

        They are good, and in a gain stage of high or medium gain.
        """
        kind = self.fitted.kind
        part: Mask = planes.factor != 0
        if self.stages is not None:
            part &= np.isin(self.stages, kind.common_mode_stages)
            return part
        for stage in set(range(len(part))) - set(kind.common_mode_stages):
            part[stage] = False
        return part

    def noise_in_adu(self) -> Image | None:
        """Return the noise in the first plane [ADU], if it is known."""
        return Noise(self.fitted, self.stages, not self.undecided, in_gain=False)()

    def good(self, planes: Planes | None) -> Mask:
        """Return the pixels to use, shape of a frame."""
        good = self.status & self.fitted.mask_good()
        return good if planes is None else good & planes.usable

    def noise(self, planes: Planes | None) -> Noise:
        """Return what finds the noise in the unit of the images."""
        configured = planes is None or len(planes.pedestal) > 1
        return Noise(
            self.fitted,
            stages=self.stages if configured else None,
            known=not self.undecided,
            in_gain=planes is not None and planes.in_gain,
        )

    def _no_noise(self) -> bool:
        return self.fitted.by_stage("pixel_rms") is None

    def _with_offset(self) -> Image:
        if self.pedestal is None:
            raise ConstantsError(f"no pedestals for {self.fitted.info.name!r}")
        adds = self.fitted.kind.adds_offset
        offset = self.fitted.by_stage("pixel_offset") if adds else None
        return self.pedestal if offset is None else self.pedestal + offset

    def _gain(self) -> Image | None:
        gain = self.fitted.by_stage("pixel_gain")
        if gain is None:
            self.fitted.notes.append("no gain: pedestals subtracted only, in ADU")
        return gain

    def _scaled(self, pedestal: Image, gain: Image | None) -> Planes:
        """Make the planes one after the other, which keeps the memory small."""
        factor, clean = np.zeros_like(pedestal), pedestal
        first = everywhere = np.ones(self.fitted.info.shape, np.bool_)
        for plane in range(len(pedestal)):
            usable = np.isfinite(pedestal[plane])
            if not usable.all():
                # the constants themselves are not to be changed
                clean = pedestal.copy() if clean is pedestal else clean
                clean[plane][~usable] = 0
            if gain is None:
                np.copyto(factor[plane], 1, where=usable)
            else:
                usable &= np.isfinite(gain[plane])
                usable &= gain[plane] != 0
                np.divide(1, gain[plane], out=factor[plane], where=usable)
            factor[plane] *= self.status
            first = usable if plane == 0 else first
            everywhere = everywhere & usable
        self._note_unusable(int(np.count_nonzero(~everywhere)))
        return Planes(clean, factor, gain is not None, first)

    def _note_unusable(self, count: int) -> None:
        if count:
            self.fitted.notes.append(
                f"{count} pixels have, in some gain stage, a pedestal that is not a "
                "number, or a gain that is not a number or 0; there they give 0"
            )


def _chosen(by_stage: Image, stages: Stages | None) -> Image:
    """Return the planes of the configured stages, NaN where there is none."""
    if stages is None:
        return by_stage
    index = np.maximum(stages, 0).astype(np.intp)
    chosen = np.take_along_axis(by_stage, index, axis=0)
    chosen[stages < 0] = np.nan
    return chosen
