"""Make pedestals, noise and pixel status from dark runs, by gain stage, in one pass.

A frame belongs to the gain stage in which nearly all of its pixels are: the gain bits
tell it (jungfrau: 00, 01, 11), or the control bits of the step's configuration and the
data bit (epix10ka).  So the stages may come as steps of one run, or as several runs.
Lit shots and stray photons are left out (`dark_frames`), and a run that
is not dark is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import (
    DetectorNotFound,
    NoDataError,
    ParameterError,
    unknown,
)
from smalldata_ana.pedestals.arrays import PedestalArrays
from smalldata_ana.pedestals.dark_frames import DarkFrames, DarkStatistics, Image
from smalldata_ana.pedestals.gain_stages import FrameStages
from smalldata_ana.pedestals.status import Limits, Status, pixel_status, remarks
from smalldata_ana.sources.base import DetectorInfo, Indices, Run
from smalldata_ana.sources.light_status import selections

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

FEWEST = 5
"""A gain stage with fewer frames is not made."""

_AHEAD = 2
"""Frames that are read while one is added."""

_LIT_FRAMES = 0.25
_LIT_PIXELS = 2e-3
_LIT_SCATTER = 0.3
_LIT_NOISE = 3.0


@dataclass(frozen=True)
class StageResult:
    """What was found in one gain stage.

    Attributes
    ----------
    number, name : of the stage
    frames : number of frames used
    rejected : number of frames left out as lit shots
    pedestal, noise : means over the pixels with status 0 [ADU]
    bad : number of pixels with any status bit
    reasons : number of pixels with each status bit
    again_good : number of pixels that the constants before had as bad
    """

    number: int
    name: str
    frames: int
    rejected: int
    pedestal: float
    noise: float
    bad: int
    reasons: Mapping[Status, int]
    again_good: int


@dataclass(frozen=True, eq=False)
class Pedestals:
    """Pedestals, noise and status of a detector, in the shape of its constants.

    That is ``(stages, panels, rows, columns)``, or without the first axis for a
    detector with one gain stage.  What no frame was taken of is as it was before; a
    pedestal that has never been measured is NaN.

    Attributes
    ----------
    experiment, runs : where the dark frames are from
    detector, serial : whose they are
    pedestals, rms : float32 [ADU]
    status : uint64, bits of `Status`
    stages : what was found, for each gain stage that was taken
    notes : remarks for people
    """

    experiment: str
    runs: tuple[int, ...]
    detector: str
    serial: str
    pedestals: Image
    rms: Image
    status: npt.NDArray[np.uint64]
    stages: tuple[StageResult, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        frames = ", ".join(f"{s.name} {s.frames} frames" for s in self.stages)
        return (
            f"<Pedestals of {self.detector}, {self.experiment} run "
            f"{', '.join(map(str, self.runs))}: {frames}>"
        )

    def constants(self) -> dict[str, Array]:
        """Return the arrays by psana's names of the constants."""
        return {
            "pedestals": self.pedestals,
            "pixel_rms": self.rms,
            "pixel_status": self.status,
        }


def make_pedestals(
    runs: Run | Sequence[Run],
    detector: str,
    *,
    events: Sequence[Indices] | None = None,
    stages: Sequence[str] | None = None,
    ped_range: Limits | None = None,
    rms_range: Limits | None = None,
    require_dark: bool = True,
    progress: Progress | None = None,
) -> Pedestals:
    """Make pedestals, noise and status from dark runs.

    Parameters
    ----------
    runs : one run, or several, e.g. one for each gain stage
    detector : name of an area detector
    events : numbers of the events to use, for each run; default: all with data
    stages : names of the gain stages to make; default: all that were taken
    ped_range : lowest and highest pedestal of a good pixel [ADU]; default: as usual on
        its panel, see `smalldata_ana.pedestals.status`
    rms_range : lowest and highest noise of a good pixel [ADU]; default: as usual in
        its gain stage
    require_dark : leave out events with X-rays, and refuse a run that is not dark
    progress : called with the number of events done and asked for

    Raises
    ------
    DetectorNotFound
        if a run has no such area detector
    ParameterError
        if there is no such gain stage, a range does not grow, or the detector is not
        the same in all runs
    NoDataError
        if the run is not dark, or has too few frames of a gain stage
    """
    runs = list(runs) if isinstance(runs, Sequence) else [runs]
    info = _same_detector(runs, detector)
    kind = kind_of(info.dettype, info.shape)
    for name in stages or ():
        if name not in kind.gain_stages:
            raise ParameterError(unknown("gain stage", name, kind.gain_stages))
    for name, limits in {"ped_range": ped_range, "rms_range": rms_range}.items():
        _check_limits(name, limits)
    notes: list[str] = []
    chosen = _events_of(runs, detector, events, require_dark, notes)
    frames = _add_all(runs, detector, chosen, notes, progress)
    found = _enough(frames, kind.gain_stages, stages, notes)
    arrays = PedestalArrays(runs[-1].constants(detector), info, kind)
    results: list[StageResult] = []
    told: list[str] = []
    for number, statistics in found.items():
        name = kind.gain_stages[number]
        if require_dark:
            _check_dark(statistics, name, arrays.usual_noise(number), _called(runs))
        status = pixel_status(statistics, ped_range, rms_range)
        again_good = arrays.again_good(number, status)
        told += remarks(name, statistics, again_good, rms_range)
        arrays.fill(number, statistics.mean, statistics.rms, status)
        results.append(_result(number, name, statistics, status, again_good))
    notes += arrays.notes() + told
    return Pedestals(
        experiment=runs[0].experiment,
        runs=tuple(run.number for run in runs),
        detector=detector,
        serial=info.serial,
        pedestals=arrays.finished("pedestals"),
        rms=arrays.finished("pixel_rms"),
        status=arrays.finished("pixel_status"),
        stages=tuple(results),
        notes=tuple(notes),
    )


def _same_detector(runs: Sequence[Run], detector: str) -> DetectorInfo:
    if not runs:
        raise ParameterError("pedestals need at least one run")
    for run in runs:
        if detector not in run.detectors:
            where = f"{run.experiment} run {run.number}"
            raise DetectorNotFound(
                unknown("area detector", detector, run.detectors, where)
            )
    infos = [run.detectors[detector] for run in runs]
    for run, info in zip(runs, infos, strict=True):
        if replace(info, serial=infos[0].serial) != infos[0]:
            raise ParameterError(
                f"{detector!r} is not the same in all runs: {infos[0]} in run "
                f"{runs[0].number}, {info} in run {run.number}"
            )
    return infos[0]


def _check_limits(name: str, limits: Limits | None) -> None:
    if limits is not None and not limits[0] < limits[1]:
        raise ParameterError(f"{name} is two growing numbers, not {limits!r}")


def _called(runs: Sequence[Run]) -> str:
    numbers = ", ".join(str(run.number) for run in runs)
    return f"{runs[0].experiment} run {numbers}"


def _events_of(
    runs: Sequence[Run],
    detector: str,
    events: Sequence[Indices] | None,
    require_dark: bool,
    notes: list[str],
) -> list[Indices]:
    """Return the events to use, without those that had X-rays by their event codes."""
    given = [np.arange(len(run)) for run in runs] if events is None else events
    chosen = []
    for run, numbers in zip(runs, given, strict=True):
        wanted = np.asarray(numbers, np.int64)
        wanted = wanted[run.contributed(detector)[wanted]]
        lit = selections(run).get("xon") if require_dark else None
        if lit is not None and lit[wanted].any():
            count = int(np.count_nonzero(lit[wanted]))
            if 2 * count > wanted.size:
                raise NoDataError(
                    f"{_called([run])} is not dark: {count} of {wanted.size} events "
                    "have X-rays by their event codes; take a dark run, or events "
                    "without X-rays (the selection 'xoff')"
                )
            notes.append(
                f"run {run.number}: {count} events with X-rays by their event codes "
                "are left out"
            )
            wanted = wanted[~lit[wanted]]
        chosen.append(wanted)
    return chosen


def _add_all(
    runs: Sequence[Run],
    detector: str,
    events: Sequence[Indices],
    notes: list[str],
    progress: Progress | None,
) -> dict[int, DarkFrames]:
    """Return the dark frames by gain stage."""
    frames: dict[int, DarkFrames] = {}
    info = runs[0].detectors[detector]
    banks = kind_of(info.dettype, info.shape).banks
    done = mixed = 0
    total = sum(numbers.size for numbers in events)
    for run, numbers in zip(runs, events, strict=True):
        for found in _split_frames(run, detector, numbers):
            done += 1
            if found is not None:
                stage, values = found
                if stage is None:
                    mixed += 1
                else:
                    new = stage not in frames
                    into = DarkFrames(values.shape, banks) if new else frames[stage]
                    frames[stage] = into
                    into.add(values)
            if progress is not None:
                progress(done, total)
    if mixed:
        notes.append(f"{mixed} frames are in no single gain stage, and left out")
    return frames


def _split_frames(
    run: Run, detector: str, events: Indices
) -> Iterator[tuple[int | None, Image] | None]:
    """Give gain stage and values of each event, None where there are no data.

    A thread of its own reads ahead.
    """
    stages = FrameStages(run, detector)

    def load(event: int) -> tuple[int | None, Image] | None:
        raw = run.read(detector, event)
        return None if raw is None else stages.split(raw, event)

    waiting = iter(events.tolist())
    started: deque[Future[tuple[int | None, Image] | None]] = deque()
    pool = ThreadPoolExecutor(1, "dark")
    try:
        for event in waiting:
            started.append(pool.submit(load, event))
            if len(started) > _AHEAD:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _enough(
    frames: Mapping[int, DarkFrames],
    names: Sequence[str],
    wanted: Sequence[str] | None,
    notes: list[str],
) -> dict[int, DarkStatistics]:
    """Return the statistics of the stages that are wanted and have enough frames."""
    found = {}
    counts = {}
    for number, stage in sorted(frames.items()):
        name = names[number]
        if wanted is not None and name not in wanted:
            continue
        counts[name] = stage.count
        if stage.count >= FEWEST:
            found[number] = stage.result()
        else:
            notes.append(f"only {stage.count} frames of {name}; it is not made")
    lacking = [n for n in wanted or () if counts.get(n, 0) < FEWEST]
    if lacking or not found:
        there = ", ".join(f"{n} {count}" for n, count in counts.items()) or "none"
        raise NoDataError(
            f"too few dark frames of the gain stage {', '.join(lacking) or 'wanted'}: "
            f"it takes {FEWEST}, and there are: {there}"
        )
    return found


def _check_dark(
    dark: DarkStatistics, name: str, usual_noise: float | None, called: str
) -> None:
    frames = dark.frames + dark.rejected
    reasons = []
    if dark.rejected > _LIT_FRAMES * frames:
        reasons.append(f"{dark.rejected} of {frames} frames are unlike the others")
    if dark.far > _LIT_PIXELS:
        reasons.append(f"{dark.far:.2%} of the values are far above or below the usual")
    if dark.scatter > _LIT_SCATTER * dark.typical:
        reasons.append(
            f"the mean of a frame varies by {dark.scatter:.3g} ADU, and a pixel has a "
            f"noise of {dark.typical:.3g} ADU"
        )
    if usual_noise is not None and dark.typical > _LIT_NOISE * usual_noise:
        reasons.append(
            f"the noise is {dark.typical:.3g} ADU, and the constants that are valid "
            f"now say {usual_noise:.3g} ADU"
        )
    if reasons:
        raise NoDataError(
            f"{called} is not dark (gain stage {name}): {'; '.join(reasons)}; take a "
            "dark run, or events without X-rays (the selection 'xoff')"
        )


def _result(
    number: int,
    name: str,
    dark: DarkStatistics,
    status: npt.NDArray[np.uint64],
    again_good: int,
) -> StageResult:
    good = status == 0
    return StageResult(
        number=number,
        name=name,
        frames=dark.frames,
        rejected=dark.rejected,
        pedestal=float(dark.mean[good].mean()) if good.any() else np.nan,
        noise=float(dark.rms[good].mean()) if good.any() else np.nan,
        bad=int(np.count_nonzero(~good)),
        reasons={bit: int(np.count_nonzero(status & np.uint64(bit))) for bit in Status},
        again_good=again_good,
    )
