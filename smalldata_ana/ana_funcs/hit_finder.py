"""Hits in waveforms: pulses above a threshold, and when they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Int, TraitError, Unicode, validate

from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.smoothing import moving_average
from smalldata_ana.ana_funcs.waveforms import (
    INTEGER,
    NUMBER,
    WaveformFunc,
    Waveforms,
    samples_of,
)
from smalldata_ana.detector.protocol import Array, Field, ImageSource, Length
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

Indices = npt.NDArray[np.int64]
Line = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pulses:
    """Where waveforms are not below a level, in order of channel and time.

    Attributes
    ----------
    channel : of each pulse
    begin, end : half-open range of its samples
    """

    channel: Indices
    begin: Indices
    end: Indices

    @classmethod
    def above(cls, found: Waveforms, level: Line) -> Pulses:
        """Return the pulses that reach a level.

        Parameters
        ----------
        found : the waveforms
        level : (channels,)
        """
        channels, samples = found.values.shape
        padded = np.zeros((channels, samples + 2), np.bool_)
        padded[:, 1:-1] = (found.values >= level[:, None]) & found.use
        edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
        channel, position = np.divmod(edges, samples + 1)
        return cls(channel[::2], position[::2], position[1::2])

    def __getitem__(self, which: npt.NDArray[np.bool_]) -> Pulses:
        return Pulses(self.channel[which], self.begin[which], self.end[which])

    def amplitudes(self, values: Array) -> Line:
        """Return the largest sample of each pulse.

        Parameters
        ----------
        values : (channels, samples)
        """
        samples = values.shape[1]
        ranges = np.stack([self.begin, self.end], axis=1)
        ranges += samples * self.channel[:, None]
        flat = np.append(values, 0.0)
        if not len(ranges):
            return np.empty(0)
        return np.asarray(np.maximum.reduceat(flat, ranges.ravel())[::2], np.float64)

    def per_channel(self, channels: int) -> Indices:
        """Return the number of pulses of each channel."""
        return np.bincount(self.channel, minlength=channels)


def _crossings(
    found: Waveforms, channel: Indices, inside: Indices, step: int, level: Line
) -> Line:
    """Return where waveforms cross a level, linear between samples.

    Parameters
    ----------
    found : the waveforms
    channel, inside : the samples at the ends of pulses
    step : -1 for the crossing before this sample, 1 for the one after it
    level : of each of them

    Returns
    -------
    The position [samples]: that of the sample itself, where the one beside it is not
    there or not used.
    """
    samples = found.values.shape[1]
    beside = np.clip(inside + step, 0, samples - 1)
    height = found.values[channel, inside]
    drop = height - found.values[channel, beside]
    seen = found.use[channel, beside] & (drop > 0)
    part = np.divide(height - level, drop, out=np.zeros(len(drop)), where=seen)
    return np.asarray(inside + step * part, np.float64)


class _HitFinder(WaveformFunc):
    """What the functions that find hits have in common."""

    def _hit_fields(self, amplitude: str) -> dict[str, Field]:
        """Return the results that each hit has, and their number."""
        each, unit = Length.VARIABLE, self.source.unit
        return {
            "nHits": Field(INTEGER, self.channels, "", "number of hits"),
            "channel": Field(INTEGER, (), "", "channel of the hit", each),
            "time": Field(NUMBER, (), self.time_unit, "time of the hit", each),
            "amplitude": Field(NUMBER, (), unit, amplitude, each),
        }


@register("hitfinder")
class SimpleHitFinder(_HitFinder):
    """Pulses above a threshold, and when they cross it.

    A hit is a row of samples that are not below `threshold`, above the median of
    `bkg_roi` if that is given.  With `use_rms` the threshold is in standard deviations
    of the samples in `bkg_roi` above their mean; where that is 0 there is no hit.  A
    pulse that goes above `threshold_max`, in the same unit, is no hit.

    ``hits``: 1 for each sample in a hit, else 0.  ``nHits``: the number of hits.  Of
    each hit, in order of channel and time: ``channel``; ``time``, when the leading
    edge crosses the threshold, linear between the two samples beside it; ``width``, the
    time over the threshold [both in samples, or ns with `sampling`; the first sample
    is 0]; ``amplitude``, the largest sample above the baseline [unit of the waveform].
    A sample that is masked or not finite ends a hit.
    """

    name = Unicode("hitfinder", help="what the results are called: <name>_<key>")
    threshold = Number(
        default_value=1.0,
        allow_none=False,
        help="least height of a hit [unit of the waveform, or rms in bkg_roi]",
    )
    threshold_max = Number(
        default_value=1e6,
        allow_none=False,
        help="largest height of a hit [as threshold]",
    )
    use_rms = Bool(False, help="thresholds are in standard deviations in bkg_roi")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not self.threshold < self.threshold_max:
            raise ParameterError(
                f"threshold = {self.threshold:g} must be below threshold_max = "
                f"{self.threshold_max:g}"
            )
        if self.use_rms and self.bkg_roi is None:
            raise ParameterError(
                "use_rms takes the standard deviation of samples without a pulse; give "
                "them as bkg_roi = [begin, end]"
            )

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        hits = Field(np.dtype(np.int32), self.source.shape, "", "1 in a hit, else 0")
        width = Field(
            NUMBER, (), self.time_unit, "time over the threshold", Length.VARIABLE
        )
        fields = self._hit_fields("largest sample above the baseline")
        return {"hits": hits} | fields | {"width": width}

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        found = self.waveforms(data)
        low, high = self._levels(found)
        pulses = Pulses.above(found, low)
        amplitude = pulses.amplitudes(found.values)
        fits = amplitude <= high[pulses.channel]
        pulses, amplitude = pulses[fits], amplitude[fits]
        level = low[pulses.channel]
        rise = _crossings(found, pulses.channel, pulses.begin, -1, level)
        fall = _crossings(found, pulses.channel, pulses.end - 1, 1, level)
        return {
            "hits": _inside(pulses, found.values.shape).reshape(self.source.shape),
            "nHits": self.per_channel(pulses.per_channel(len(found.values))),
            "channel": pulses.channel,
            "time": rise * self.period,
            "amplitude": amplitude,
            "width": (fall - rise) * self.period,
        }

    def _levels(self, found: Waveforms) -> tuple[Line, Line]:
        """Return the least and the largest height of each channel."""
        zero, scale = np.zeros(len(found.values)), np.ones(len(found.values))
        if self.use_rms:
            use = found.use[:, self._background]
            quiet = found.values[:, self._background]
            n = np.maximum(np.count_nonzero(use, axis=1), 1)
            zero = quiet.sum(axis=1) / n
            scale = np.sqrt(((quiet - zero[:, None]) ** 2 * use).sum(axis=1) / n)
            scale[scale == 0] = np.nan
        return zero + self.threshold * scale, zero + self.threshold_max * scale


def _inside(pulses: Pulses, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Return 1 for the samples in a pulse and 0 for the others."""
    channels, samples = shape
    steps = np.zeros((channels, samples + 1), np.int32)
    steps[pulses.channel, pulses.begin] = 1
    steps[pulses.channel, pulses.end] = -1
    return np.cumsum(steps[:, :-1], axis=1, dtype=np.int32)


@register("hitfinder_cfd")
class hitFinderCFDFunc(_HitFinder):
    """Pulses and their times by a constant fraction, which do not depend on height.

    The waveform w above its baseline is smoothed by a moving average to s.  A hit is a
    row of samples with s >= `threshold`; its time is the first upward crossing of 0 by
    c(t) = s(t - `CFDOffset`) + `inverseMultiplier`·s(t) after it began, linear between
    samples: where the delayed pulse reaches the given fraction of the pulse (Nucl.
    Instrum. Methods 55 (1967) 377).  It is later than the pulse by a time that depends
    on the shape of the pulse, not on its height; for a Gaussian exp(-t²/2a²), offset d
    and fraction f it is at d/2 + a² ln(f)/d.

    ``nHits``: the number of hits.  Of the first `nmax` hits of each channel, in order
    of channel and time: ``channel``; ``time`` [samples, or ns with `sampling`; the
    first sample is 0], NaN if there is no crossing within `CFDOffset` after the hit;
    ``amplitude``, the maximum of s [unit of the waveform].  Pulses between which s does
    not fall below the threshold are one hit.  Samples that are masked or not finite are
    left out of the average.
    """

    name = Unicode("hitFinderCFD", help="what the results are called: <name>_<key>")
    convFilterLength = Int(35, min=1, help="length of the moving average, odd [sample]")
    CFDOffset = Int(25, min=1, help="delay of the delayed pulse [sample]")
    inverseMultiplier = Number(
        default_value=-0.75,
        allow_none=False,
        within=(-1.0, -0.01),
        help="minus the fraction, -1 to -0.01",
    )
    threshold = Number(
        default_value=4.0,
        allow_none=False,
        above=0,
        help="least height of a hit [unit of the waveform]",
    )
    nmax = Int(100, min=1, help="at most so many hits of a channel are stored")

    @validate("convFilterLength")
    def _odd(self, proposal: Mapping[str, Any]) -> Any:
        length = proposal["value"]
        if length % 2 == 0:
            raise TraitError(
                f"convFilterLength = {length} must be odd, so that the average does "
                "not shift the waveform"
            )
        return length

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        for key in ("convFilterLength", "CFDOffset"):
            samples_of(key, [0, getattr(self, key)], det)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        return self._hit_fields("maximum of the smoothed waveform")

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        found = self.waveforms(data)
        smooth = moving_average(found.values, found.use, self.convFilterLength)
        use = np.isfinite(smooth)
        found = Waveforms(np.where(use, smooth, 0.0), use, found.baseline)
        channels = len(found.values)
        pulses = Pulses.above(found, np.full(channels, self.threshold))
        n_hits = pulses.per_channel(channels)
        first = np.cumsum(n_hits) - n_hits
        rank = np.arange(len(pulses.channel)) - first[pulses.channel]
        pulses = pulses[rank < self.nmax]
        return {
            "nHits": self.per_channel(n_hits),
            "channel": pulses.channel,
            "time": self._times(found.values, pulses) * self.period,
            "amplitude": pulses.amplitudes(found.values),
        }

    def _times(self, smooth: Array, pulses: Pulses) -> Line:
        """Return when the delayed pulses reach the fraction [samples]."""
        samples = smooth.shape[1]
        delayed = np.zeros_like(smooth)
        delayed[:, self.CFDOffset :] = smooth[:, : -self.CFDOffset]
        difference = (delayed + self.inverseMultiplier * smooth).ravel()
        after = 1 + np.flatnonzero((difference[:-1] < 0) & (difference[1:] >= 0))
        if not after.size:
            return np.full(len(pulses.channel), np.nan)
        begin = pulses.channel * samples + pulses.begin
        last = np.minimum(pulses.end + self.CFDOffset, samples)
        index = np.searchsorted(after, begin, side="right")
        sample = after[np.minimum(index, after.size - 1)]
        seen = (sample > begin) & (sample < pulses.channel * samples + last)
        before = difference[sample - 1]
        part = before / (before - difference[sample])
        return np.where(seen, sample - 1 + part - pulses.channel * samples, np.nan)
