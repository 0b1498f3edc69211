"""From raw frames to calibrated images.

A calibration is made once for a run, and then turns one raw frame after the other
into a float32 image: ``(data - pedestal - offset) / gain``, with the constants of the
gain stage in which each pixel was read, and 0 where the status constants say that the
pixel is bad.  That is what psana's ``det.raw.calib`` gives without a common mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode_inputs import Inputs, inputs_of, split
from smalldata_ana.detector.common_mode_panels import find_zero_peak
from smalldata_ana.detector.common_mode_steps import (
    corrector,
    numbers_converter,
    words_converter,
)
from smalldata_ana.detector.detector_constants import DetectorConstants, area_detector
from smalldata_ana.detector.kind_model import (
    Algorithm,
    CommonModeChoice,
    CommonModeNumber,
)
from smalldata_ana.detector.kinds import ADU, CommonMode, Correction, Kind, kind_of
from smalldata_ana.detector.output import check_output
from smalldata_ana.detector.planes import Noise, Planes, SetUp
from smalldata_ana.detector.scratch import scratch
from smalldata_ana.errors import (
    ConstantsError,
    ParameterError,
)
from smalldata_ana.sources.base import DetectorInfo, Run
from smalldata_ana.sources.constants import Constants

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Convert = Callable[[Array, Image], None]
"""Fills an image from a raw frame, both of the detector's shape."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the raw frames of one detector become images; make it with `for_run`.

    It can be called from several threads.

    Attributes
    ----------
    detector : its name
    kind : its row of the table of kinds
    common_mode : number, or psana's parameters, of the correction that is done; -1
        where another was asked for but there are no pedestals that fit
    label : what the correction is called in the names of images, e.g. ``pedSub_``
    unit : of the images, ``keV`` or ``ADU``
    shape, dtype : of a raw frame
    good : pixels to use, shape of a frame: no status bit in any gain stage, not
        masked by the constants, and with usable pedestal and gain
    noise : finds `rms`
    constants : the constants of the run, with their origin
    notes : remarks for people, e.g. that there are no pedestals
    common_mode_pars : the parameters of the common mode that is done, as psana takes
        them where it has the algorithm; empty where there is none
    inputs : what else it takes: a region, a fit of ghosts
    convert : does the work
    """

    detector: str
    kind: Kind
    common_mode: CommonModeNumber
    label: str
    unit: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    good: Mask
    noise: Noise
    constants: Constants
    notes: tuple[str, ...]
    common_mode_pars: tuple[float, ...]
    inputs: Inputs
    convert: Convert

    @classmethod
    def for_run(
        cls,
        run: Run,
        detector: str,
        common_mode: CommonModeChoice | None = None,
        *,
        constants: Constants | None = None,
        lenient: bool = False,
    ) -> Self:
        """Make the calibration of a detector from the constants of a run.

        Parameters
        ----------
        run : the run
        detector : name of an area detector
        common_mode : number of the correction, or psana's parameters as a tuple, or
            None for the kind's default
        constants : to use instead of those of the run
        lenient : leave out constants that do not fit, and where some are missing for
            the kind's default, do what can be done, down to raw data; `notes` says so

        Raises
        ------
        DetectorNotFound
            if the run has no such area detector
        ParameterError
            if the kind does not have this common mode, or the frames are not of the
            type that it needs
        ConstantsError
            if constants are missing or not of this detector's shape, the gain
            configuration does not fit it, or the constants leave no pixel.  A camera
            without pedestals has raw data by default, and -1, when asked for, gives raw
            data whatever the constants are
        """
        info = area_detector(run, detector)
        kind = kind_of(info.dettype, info.shape)
        number, given = split(common_mode)
        wanted = kind.common_mode(number)
        inputs = inputs_of(wanted, given, info)
        if constants is None:
            constants = run.constants(detector)
        fitted = DetectorConstants(info, kind, constants)
        asked = common_mode is not None
        strict = not lenient and not (asked and wanted.is_raw)
        if strict:
            fitted.check()
        configured = kind.configured_stages is not None
        setup = SetUp(fitted, run.gain_configuration(detector) if configured else None)
        mode = setup.possible(wanted, asked=asked, strict=strict)
        if common_mode is None and mode.algorithm is Algorithm.ZERO_PEAK:
            mode = _where_peaks_are(run, info, setup, mode)
        _check_type(kind, info, mode)
        planes = None if mode.is_raw else setup.planes(mode)
        good = setup.good(planes)
        if inputs.ghost is not None and planes is not None:
            good &= inputs.ghost.known
            inputs = replace(inputs, ghost=inputs.ghost.of(planes.factor[0] != 0))
        if planes is not None:
            _check_left(setup, planes, good, strict)
        convert = _converter(mode, setup, planes, inputs.region)
        return cls(
            detector=detector,
            kind=kind,
            common_mode=mode.number,
            label=mode.label,
            unit=ADU if planes is not None and not planes.in_gain else mode.unit,
            shape=info.shape,
            dtype=info.dtype,
            good=good,
            noise=setup.noise(planes),
            constants=fitted.constants,
            notes=tuple(fitted.notes),
            common_mode_pars=() if mode.is_raw else mode.pars,
            inputs=inputs,
            convert=convert,
        )

    @cached_property
    def rms(self) -> Image | None:
        """Noise of each pixel in `unit`, or None where it is not known.

        It is that of the gain stage which the pixel has before it switches.
        """
        return self.noise()

    @property
    def looks_back(self) -> bool:
        """True if the frame before is needed; see `FramesBefore`."""
        return self.inputs.ghost is not None

    def __call__(
        self, raw: Array, out: Image | None = None, *, before: Array | None = None
    ) -> Image:
        """Calibrate one raw frame.

        Parameters
        ----------
        raw : a frame as `Run.read` gives it; it is not changed
        out : contiguous float32 array of the same shape to fill, else a new one is
            made
        before : the raw frame before, for a common mode that looks back; None where
            there is none, and no ghost is subtracted

        Returns
        -------
        The image, float32, in `unit`.

        Raises
        ------
        ParameterError
            if `raw`, `before` or `out` is not of the detector's shape and type
        """
        self._check(raw)
        if out is None:
            out = np.empty(self.shape, np.float32)
        check_output(out, self.shape)
        self.convert(raw, out)
        if self.inputs.ghost is not None and before is not None:
            self._check(before)
            image = scratch("before", out.size, np.float32).reshape(out.shape)
            self.convert(before, image)
            self.inputs.ghost.subtract(out, image)
        return out

    def _check(self, raw: Array) -> None:
        wrong_type = self.kind.data_mask is not None and raw.dtype != self.dtype
        if raw.shape != self.shape or wrong_type:
            raise ParameterError(
                f"a frame of {raw.shape} {raw.dtype} is not one of "
                f"{self.detector!r}, which are {self.shape} {self.dtype}"
            )


def _where_peaks_are(
    run: Run, info: DetectorInfo, setup: SetUp, mode: CommonMode
) -> CommonMode:
    """Return the common mode if all panels of the first frame show its peak, else 0."""
    there = np.flatnonzero(run.contributed(info.name))
    frames = (run.read(info.name, int(event)) for event in there)
    frame = next((frame for frame in frames if frame is not None), None)
    if frame is None:
        setup.fitted.notes.append(
            "no data to look for zero-photon peaks: pedestal only"
        )
        return setup.fitted.kind.common_mode(0)
    planes = setup.planes(setup.fitted.kind.common_mode(0))
    panels = (-1, *info.shape[-2:])
    adu = (frame - planes.pedestal[0]).reshape(panels)
    good = (planes.factor[0] != 0).reshape(panels)
    least = int(mode.pars[3])
    peaks = [
        find_zero_peak(a, use, least=least) for a, use in zip(adu, good, strict=True)
    ]
    without = sum(peak is None for peak in peaks)
    if not without:
        return mode
    setup.fitted.notes.append(
        f"{without} of {len(peaks)} panels show no zero-photon peak: pedestal only"
    )
    return setup.fitted.kind.common_mode(0)


_TAKEN: Mapping[str, str] = {
    "pedestals": "are not numbers",
    "pixel_offset": "are not numbers",
    "pixel_gain": "are 0 or not numbers",
    "pixel_status": "have bits",
    "pixel_mask": "are 0",
}
"""What makes a constant take a pixel away."""


def _check_left(setup: SetUp, planes: Planes, good: Mask, strict: bool) -> None:
    """Name the constants that leave no pixel: those that do alone, else all."""
    if planes.usable.any() and (good.any() or not strict):
        return
    left = setup.left_by(planes.correction)
    alone = [name for name, mask in left.items() if not mask.any()]
    culprits = alone or [name for name, mask in left.items() if not mask.all()]
    items = setup.fitted.constants.items
    told = [
        f"{name} {_TAKEN[name]} in {np.count_nonzero(~left[name])} of "
        f"{good.size} pixels ({items[name].origin})"
        for name in culprits
    ]
    raise ConstantsError(
        f"the constants of {setup.fitted.info.name!r} leave no pixel: "
        f"{'; '.join(told) or 'the ghosts are not known in any'}; common_mode=-1 gives "
        "raw data"
    )


def _check_type(kind: Kind, info: DetectorInfo, mode: CommonMode) -> None:
    needs_words = kind.data_mask is not None and mode.correction != Correction.WORD
    if needs_words and info.dtype != np.uint16:
        raise ParameterError(
            f"raw frames of {kind.dettype!r} are uint16 words, but those of "
            f"{info.name!r} are {info.dtype}; give them another dettype"
        )


def _converter(
    mode: CommonMode, setup: SetUp, planes: Planes | None, region: Mask | None
) -> Convert:
    kind = setup.fitted.kind
    if planes is not None:
        return _planes_converter(mode, setup, planes, region)
    if mode.correction is Correction.DATA and kind.data_mask is not None:
        return _data_converter(kind.data_mask)
    return _copy


def _copy(raw: Array, out: Image) -> None:
    np.copyto(out, raw, casting="unsafe")


def _data_converter(data_mask: int) -> Convert:
    from smalldata_ana.detector.calibration_kernels import data_bits

    def convert(raw: Array, out: Image) -> None:
        data_bits(raw.reshape(-1), data_mask, out.reshape(-1))

    return convert


def _planes_converter(
    mode: CommonMode, setup: SetUp, planes: Planes, region: Mask | None
) -> Convert:
    kind, shape = setup.fitted.kind, setup.fitted.info.shape
    correct = corrector(mode, kind, shape, setup.noise_in_adu, region)
    if kind.data_mask is None:
        if correct is not None:
            return numbers_converter(planes, setup.part(planes, mode), correct)
        return _number_converter(planes.pedestal[0], planes.factor[0])
    several = len(planes.pedestal) > 1
    gain_bits = kind.gain_bits if several else 0
    table = kind.plane_of_bits if several else (0, 0, 0, 0)
    if correct is not None:
        return words_converter(
            kind.data_mask, gain_bits, table, planes, setup.part(planes, mode), correct
        )
    return _word_converter(kind.data_mask, gain_bits, table, planes)


def _number_converter(pedestal: Image, factor: Image) -> Convert:
    def convert(raw: Array, out: Image) -> None:
        np.subtract(raw, pedestal, out=out, casting="same_kind")
        np.multiply(out, factor, out=out)

    return convert


def _word_converter(
    data_mask: int, gain_bits: int, plane_of_bits: tuple[int, ...], planes: Planes
) -> Convert:
    from smalldata_ana.detector.calibration_kernels import calibrate

    table = np.array(plane_of_bits, np.int8)
    pedestal = np.ascontiguousarray(planes.pedestal).reshape(len(planes.pedestal), -1)
    factor = planes.factor.reshape(len(planes.factor), -1)

    def convert(raw: Array, out: Image) -> None:
        calibrate(
            raw.reshape(-1),
            data_mask,
            gain_bits,
            table,
            pedestal,
            factor,
            out.reshape(-1),
        )

    return convert
