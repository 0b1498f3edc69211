"""Compare common-mode corrections of a detector on the same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.kind_model import CommonModeChoice, CommonModeNumber
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import ParameterError
from smalldata_ana.event_images import Progress, calibrated_images, no_data
from smalldata_ana.line_noise import LineMedians, LineNoise, sigma
from smalldata_ana.sources.base import Indices, Run
from smalldata_ana.sources.light_status import selections
from smalldata_ana.statistics import RunningStatistics

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]

KEPT = 0.97
"""A correction that keeps less of the signal is not recommended."""

WORTH = 0.02
"""A correction that lowers the noise by less than this is not worth its effort."""

_PIXELS = 50_000
_BRIGHT = 0.01
_SURE = 10.0
"""The brightest pixels have a signal, if it is so many times its error."""


@dataclass(frozen=True, eq=False)
class ModeNoise:
    """What one common-mode correction does.

    Attributes
    ----------
    number, text : of the correction
    unit : of all values
    mean, std : float32, shape of a frame
    good : bool, shape of a frame
    level : median of the mean image's good pixels
    noise : of a good pixel over the events; photons do not count
    row_noise, column_noise : of rows and columns, within the banks of a panel
    signal : share of the signal in the brightest pixels that is left, relative to the
        first correction of this unit; NaN where no pixels are brighter than others
    """

    number: CommonModeNumber
    text: str
    unit: str
    mean: Image
    std: Image
    good: npt.NDArray[np.bool_]
    level: float
    noise: float
    row_noise: LineNoise
    column_noise: LineNoise
    signal: float = np.nan


@dataclass(frozen=True, eq=False)
class Comparison:
    """Corrections side by side.

    Attributes
    ----------
    title : experiment, run and detector
    n_used : number of events with data
    modes : the corrections in the order in which they were asked for
    recommended : number of the one to use
    reason : why
    notes : remarks for people, e.g. that the events are not dark
    """

    title: str
    n_used: int
    modes: tuple[ModeNoise, ...]
    recommended: CommonModeNumber
    reason: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Comparison of {len(self.modes)} common modes, {self.title}, "
            f"{self.n_used} events: recommended {self.recommended}, because "
            f"{self.reason}>"
        )


def compare_common_modes(
    run: Run,
    detector: str,
    numbers: Sequence[CommonModeChoice] = (),
    *,
    events: Indices,
    progress: Progress | None = None,
) -> Comparison:
    """Compare corrections on the same events.

    Parameters
    ----------
    run, detector : what to read
    numbers : of the corrections; default: all of this kind but raw data, and those
        that need more than their number
    events : numbers of the events, at least two; best without X-rays
    progress : called with the number of images done and asked for

    Raises
    ------
    ParameterError
        if the kind has no such correction, or there are less than two events
    NoDataError
        if the detector has data in less than two of the events
    """
    info = run.detectors[detector]
    kind = kind_of(info.dettype, info.shape)
    wanted = _distinct(numbers) or [
        mode.number
        for mode in kind.common_modes.values()
        if not (mode.is_raw or mode.needs)
    ]
    calibrations = [Calibration.for_run(run, detector, number) for number in wanted]
    if len(events) < 2:
        raise ParameterError("a comparison of noise needs at least two events")
    unit = kind.common_mode().unit
    signal = _Signal(unit)
    total, used = len(wanted) * len(events), 0
    modes: list[ModeNoise] = []
    for place, calibration in enumerate(calibrations):
        measure = _Measure(calibration)
        with closing(calibrated_images(run, calibration, events)) as stream:
            for done, (_, image) in enumerate(stream, place * len(events) + 1):
                if image is not None:
                    measure.add(image)
                if progress is not None:
                    progress(done, total)
        used = measure.statistics.count
        if used < 2:
            raise no_data(run, detector, events)
        modes.append(signal.add(measure.result(), measure))
    recommended, reason = recommend(modes, unit, kind.common_mode().number)
    title = f"{run.experiment} run {run.number}, {detector}"
    notes = _notes_on_light(run, detector, events)
    return Comparison(title, used, tuple(modes), recommended, reason, notes)


def _notes_on_light(run: Run, detector: str, events: Indices) -> tuple[str, ...]:
    """Return a remark if there are photons in the noise, and what to do about it."""
    named = selections(run)
    if "xon" not in named:
        return (
            "the run does not tell which events had X-rays; where they had, the noise "
            "contains the fluctuations of the photons",
        )
    lit = int(np.count_nonzero(named["xon"][events]))
    if not lit:
        return ()
    dark = int(np.count_nonzero(named["xoff"] & run.contributed(detector)))
    advice = (
        f"useFilter='xoff' takes the run's {dark} events without them"
        if dark > 1
        else "take a dark run for the noise alone, this one has no such events"
    )
    return (
        f"{lit} of the {len(events)} events had X-rays, so the noise contains the "
        f"fluctuations of the photons; {advice}",
    )


def _distinct(numbers: Sequence[CommonModeChoice]) -> list[CommonModeChoice]:
    """Leave out a number that is there already; tables may differ in what they hold."""
    return [
        number
        for place, number in enumerate(numbers)
        if isinstance(number, Mapping) or number not in numbers[:place]
    ]


class _Measure:
    """Adds up images of one correction."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self.statistics = RunningStatistics(calibration.shape, std=True)
        self.halves = [RunningStatistics(calibration.shape) for _ in range(2)]
        good = np.flatnonzero(calibration.good)
        # An odd step does not stay in one column of the panels.
        self._sample = good[:: (good.size // _PIXELS) | 1]
        self._values: list[Image] = []
        self._lines = [
            LineMedians(axis, calibration.shape, calibration.kind.banks)
            for axis in (-1, -2)
        ]

    def add(self, image: Image) -> None:
        self.halves[self.statistics.count % 2].add(image)
        self.statistics.add(image)
        self._values.append(image.reshape(-1)[self._sample])
        for lines in self._lines:
            lines.add(image)

    def result(self) -> ModeNoise:
        calibration = self._calibration
        mean, std = self.statistics.mean(), self.statistics.std()
        noise = sigma(self._values)
        rows, columns = (lines.noise(noise) for lines in self._lines)
        return ModeNoise(
            number=calibration.common_mode,
            text=calibration.kind.common_mode(calibration.common_mode).text,
            unit=calibration.unit,
            mean=mean,
            std=np.zeros_like(mean) if std is None else std,
            good=calibration.good,
            level=float(np.median(mean[calibration.good])),
            noise=noise,
            row_noise=rows,
            column_noise=columns,
        )


class _Signal:
    """Tells how much of the signal of the first correction of a unit others keep.

    The brightest pixels are those of one half of the events, and their signal is what
    they have more than the other pixels in the other half: pixels that are bright by
    chance do not count.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bright: npt.NDArray[np.bool_] | None = None
        self._signal = np.nan

    def add(self, mode: ModeNoise, measure: _Measure) -> ModeNoise:
        """Return what a correction does, with the share of the signal that it keeps."""
        if mode.unit != self._unit or not np.isfinite(mode.noise):
            return mode
        first, second = (half.mean() for half in measure.halves)
        if self._bright is None:
            limit = np.quantile(first[mode.good], 1 - _BRIGHT)
            self._bright = mode.good & (first >= limit)
            # The fluctuations of photons are in these, but not in the noise.
            stds = mode.std[self._bright].astype(float)
            error = np.sqrt(np.mean(stds**2) / (measure.halves[1].count * stds.size))
            signal = self._of(second, mode.good)
            self._signal = signal if signal > _SURE * error else np.nan
        return replace(mode, signal=self._of(second, mode.good) / self._signal)

    def _of(self, mean: Image, good: npt.NDArray[np.bool_]) -> float:
        others = good & ~np.asarray(self._bright)
        if not others.any():
            return np.nan
        return float(
            mean[self._bright].mean(dtype=float) - mean[others].mean(dtype=float)
        )


def _reference(modes: Sequence[ModeNoise], unit: str) -> ModeNoise:
    """Return the first correction of a unit that gives numbers, or else the first."""
    usable = (m for m in modes if m.unit == unit and np.isfinite(m.noise))
    return next(usable, modes[0])


def recommend(
    modes: Sequence[ModeNoise], unit: str, usual: CommonModeNumber | None = None
) -> tuple[CommonModeNumber, str]:
    """Return the number of the correction to use, and why.

    That is the one with the least noise among those that keep the signal (`KEPT`), if
    it is worth it (`WORTH`) compared with the first one.

    Parameters
    ----------
    modes : what each does
    unit : only corrections of this unit are compared
    usual : the kind's default, which is taken among those that are as good as the best
    """
    reference = _reference(modes, unit)
    rivals = [m for m in modes if m.unit == reference.unit and m.noise >= 0]
    if not rivals:
        return reference.number, "no correction gives numbers for these events"
    harmless = [mode for mode in rivals if not mode.signal < KEPT]
    best = min(harmless, key=lambda mode: mode.noise)
    equals = [m for m in harmless if m.noise <= best.noise * (1 + WORTH / 2)]
    # Of those that are as good as the best, the first is the simplest.
    best = next((m for m in equals if m.number == usual), equals[0])
    greedy = [m for m in rivals if m.signal < KEPT and m.noise < best.noise]
    notes = [
        f"{m.number} has less noise ({m.noise:.3g}), but keeps only {m.signal:.0%} of "
        "the signal"
        for m in greedy
    ]
    if len(rivals) == 1:
        reason = f"it is the only one in {reference.unit}"
    elif best is reference or best.noise > reference.noise * (1 - WORTH):
        best = reference
        reason = f"none of the others lowers its noise of {best.noise:.3g} {best.unit}"
        reason += f" by {WORTH:.0%} or more"
    else:
        kept = (
            "" if np.isnan(best.signal) else f"; keeps {best.signal:.0%} of the signal"
        )
        reason = (
            f"noise {best.noise:.3g} {best.unit} instead of {reference.noise:.3g} with "
            f"{reference.number}; of rows {best.row_noise} instead of "
            f"{reference.row_noise}, of columns {best.column_noise} instead of "
            f"{reference.column_noise}{kept}"
        )
    return best.number, "; ".join([reason, *notes])
