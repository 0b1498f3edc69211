"""Waveforms of digitizers: their baseline, and the integral of a pulse."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, TraitError, TraitType, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

NUMBER = np.dtype(np.float64)
INTEGER = np.dtype(np.int64)


class SamplesTrait(TraitType[Any, Any]):
    """A parameter that is a half-open range of samples, or None."""

    info_text = "[begin, end) in samples"
    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> list[int]:
        """Return the range as a list."""
        try:
            begin, end = (operator.index(sample) for sample in value)
        except (TypeError, ValueError):
            self.error(obj, value)
        if not 0 <= begin < end:
            raise TraitError(
                f"{self.name} = {value}: it is [begin, end) with 0 <= begin < end"
            )
        return [begin, end]


@dataclass(frozen=True)
class Waveforms:
    """The waveforms of an event, with pulses that go up from 0.

    Attributes
    ----------
    values : float64, (channels, samples); 0 where not used
    use : bool, the same shape; False for samples that are masked or not finite, and for
        channels without a baseline
    baseline : float64, (channels,), what was subtracted
    """

    values: npt.NDArray[np.float64]
    use: npt.NDArray[np.bool_]
    baseline: npt.NDArray[np.float64]


class WaveformFunc(DetObjectFunc):
    """A function of waveforms, of shape (samples,) or (channels, samples).

    Results are numbers for a single waveform, else one for each channel.
    """

    bkg_roi = SamplesTrait(
        help="samples [begin, end) without a pulse; their median is subtracted"
    )
    negative_signal = Bool(False, help="pulses go down from the baseline")
    sampling = Number(
        above=0,
        help="time between two samples [ns]; times are then in ns, else in samples",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        check_waveforms(self.name, det)
        self._background = samples_of("bkg_roi", self.bkg_roi, det)

    @property
    def channels(self) -> tuple[int, ...]:
        """Shape of a result with a number for each channel."""
        return self.source.shape[:-1]

    @property
    def period(self) -> float:
        """Time between two samples in `time_unit`."""
        return 1.0 if self.sampling is None else self.sampling

    @property
    def time_unit(self) -> str:
        """Unit of times."""
        return "sample" if self.sampling is None else "ns"

    def waveforms(self, data: Array) -> Waveforms:
        """Return the waveforms of an event above their baseline."""
        values = np.asarray(data, np.float64).reshape(-1, data.shape[-1])
        use = self.source.good.reshape(values.shape) & np.isfinite(values)
        baseline = np.zeros(len(values))
        if self.bkg_roi is not None:
            baseline = medians(values, use, self._background)
            use &= np.isfinite(baseline)[:, None]
        values = values - baseline[:, None]
        if self.negative_signal:
            np.negative(values, out=values)
        values[~use] = 0
        return Waveforms(values, use, baseline)

    def per_channel(self, values: Array) -> Array:
        """Return values (channels, …) as a result: a single waveform has no channel."""
        return values.reshape(self.channels + values.shape[1:])


def check_waveforms(name: str, det: ImageSource) -> None:
    """Check that a source has waveforms.

    Parameters
    ----------
    name : the function that asks, for the message
    det : the source

    Raises
    ------
    ParameterError
        if it has images, or all its samples are masked
    """
    if len(det.shape) not in {1, 2}:
        raise ParameterError(
            f"{name!r} works on waveforms, (samples,) or (channels, samples), and "
            f"{det.name!r} has the shape {det.shape}; chain it to a projection"
        )
    if not det.good.any():
        raise ParameterError(f"no sample of {det.name!r} is good; all are masked")


def samples_of(name: str, samples: list[int] | None, det: ImageSource) -> slice:
    """Return a range of samples, or all if it is None.

    Raises
    ------
    ParameterError
        if it is not inside the waveforms
    """
    n = det.shape[-1]
    begin, end = (0, n) if samples is None else samples
    if end > n:
        raise ParameterError(
            f"{name} = {samples} does not lie in {det.name!r}, which has {n} samples"
        )
    return slice(begin, end)


def medians(
    values: Array, use: npt.NDArray[np.bool_], samples: slice
) -> npt.NDArray[np.float64]:
    """Return the median of each channel in a range, NaN if no sample is used."""
    pairs = zip(values[:, samples], use[:, samples], strict=True)
    return np.array([np.median(v[u]) if u.any() else np.nan for v, u in pairs])


@register("wfintegration")
class WfIntegration(WaveformFunc):
    """The integral of a pulse above the baseline.

    ``integral`` = ±Σ (w - baseline) over `sig_roi`, times the sampling period if it is
    given [unit of the waveform, or that times ns]; + for pulses that go up, - with
    `negative_signal`.  ``baseline`` is the median in `bkg_roi` [unit of the waveform],
    and 0 without.  Samples that are masked or not finite are left out; ``samples`` is
    the number of those that are in the integral, which is NaN if there is none.
    """

    name = Unicode("wfintegrate", help="what the results are called: <name>_<key>")
    sig_roi = SamplesTrait(help="samples [begin, end) of the pulse; none: all")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._signal = samples_of("sig_roi", self.sig_roi, det)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = self.source.unit
        summed = unit if self.sampling is None else f"{unit} {self.time_unit}"
        shape = self.channels
        return {
            "integral": Field(NUMBER, shape, summed, "integral above the baseline"),
            "baseline": Field(NUMBER, shape, unit, "median in bkg_roi"),
            "samples": Field(INTEGER, shape, "", "samples in the integral"),
        }

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        found = self.waveforms(data)
        samples = np.count_nonzero(found.use[:, self._signal], axis=1)
        integral = found.values[:, self._signal].sum(axis=1) * self.period
        results = {
            "integral": np.where(samples, integral, np.nan),
            "baseline": found.baseline,
            "samples": samples,
        }
        return {key: self.per_channel(value) for key, value in results.items()}
