"""Calibrated images of many events: one after the other, stacked, or as a histogram.

Events are read and calibrated by several threads, a few at a time, and come out in the
order in which they were asked for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.common_mode_ghost import FramesBefore
from smalldata_ana.detector.kind_model import CommonModeChoice
from smalldata_ana.errors import NoDataError, ParameterError, counted
from smalldata_ana.sources.base import Indices, Run

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with the number of events done and asked for."""

_THREADS = 1
"""It loads the next image while the caller uses the last one.

With its image, frame and datagram, each further one takes the memory of two images.
"""

_RANGE_EVENTS = 10
_RANGE_VALUES = 100_000


def calibrated_images(
    run: Run,
    calibration: Calibration,
    events: Indices,
    *,
    prepare: Callable[[Image], None] | None = None,
    threads: int | None = None,
) -> Generator[tuple[int, Image | None]]:
    """Give the calibrated images of some events, in the given order.

    Parameters
    ----------
    run : the run
    calibration : of one of its detectors
    events : numbers of the events
    prepare : changes a calibrated image in place; called by several threads
    threads : number of threads that read and calibrate, beside the caller's own;
        default: 1

    Yields
    ------
    event : its number
    image : float32, valid until the next one is taken, or None where the detector
        has no data

    Raises
    ------
    ParameterError
        if `threads` is less than 1
    """
    threads = _THREADS if threads is None else threads
    if threads < 1:
        raise ParameterError(f"threads = {threads!r} is less than 1")

    before = FramesBefore(run, calibration.detector, calibration.looks_back)
    own = threading.local()

    def make_frame() -> None:
        own.raw = np.empty(calibration.shape, calibration.dtype)

    def load(event: int, image: Image) -> Image | None:
        frame = run.read(calibration.detector, event, out=own.raw)
        if frame is None:
            return None
        calibration(frame, out=image, before=before(event))
        if prepare is not None:
            prepare(image)
        return image

    def start(image: Image) -> None:
        event = next(waiting, None)
        if event is not None:
            started.append((event, pool.submit(load, event, image), image))

    waiting = iter(map(int, events))
    started: deque[tuple[int, Future[Image | None], Image]] = deque()
    pool = ThreadPoolExecutor(threads, "calibrate", initializer=make_frame)
    try:
        for _ in range(threads + 1):
            start(np.empty(calibration.shape, np.float32))
        while started:
            event, future, image = started.popleft()
            yield event, future.result()
            start(image)
    finally:
        pool.shutdown(cancel_futures=True)


def no_data(run: Run, detector: str, events: Indices) -> NoDataError:
    """Return the error for events of which none has data of a detector."""
    where = f"{run.experiment} run {run.number}"
    if not len(events):
        return NoDataError(
            f"no event of {where} was asked for; it has {len(run)} events"
        )
    contributed = int(np.count_nonzero(run.contributed(detector)[events]))
    why = (
        f"in {contributed} of them its data are incomplete"
        if contributed
        else "its stream has no part of them"
    )
    return NoDataError(
        f"none of the {len(events)} events asked for in {where} has data of "
        f"{detector!r}: {why}; choose other events"
    )


def get_images(
    run: Run,
    detector: str,
    *,
    events: Indices,
    common_mode: CommonModeChoice | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Image, Indices]:
    """Return the calibrated images of some events.

    Parameters
    ----------
    run, detector : what to read
    events : numbers of the events
    common_mode : number of the correction, or None for the detector's default
    threads : see `calibrated_images`
    progress : called with the number of events done and asked for

    Returns
    -------
    images : float32, (events with data, *shape of the detector)
    events : int64, their numbers

    Raises
    ------
    NoDataError
        if the detector has data in none of the events
    """
    events = np.asarray(events, np.int64)
    calibration = Calibration.for_run(run, detector, common_mode, lenient=True)
    images = np.empty((len(events), *calibration.shape), np.float32)
    used: list[int] = []
    stream = calibrated_images(run, calibration, events, threads=threads)
    with closing(stream):
        for done, (event, image) in enumerate(stream, 1):
            if image is not None:
                images[len(used)] = image
                used.append(event)
            if progress is not None:
                progress(done, len(events))
    if not used:
        raise no_data(run, detector, events)
    return images[: len(used)], np.array(used, np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class PixelHistogram:
    """How often each value occurs, over pixels and events.

    Attributes
    ----------
    counts : int64, (bins,)
    edges : float64, (bins + 1,) [`unit`]
    unit : of the values
    n_used : number of events
    below, above : number of values out of the range
    made : experiment, run, detector, common_mode and the number of events asked for
    """

    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]
    unit: str
    n_used: int
    below: int
    above: int
    made: Mapping[str, Any]

    def __repr__(self) -> str:
        return (
            f"<PixelHistogram {self.made['detector']}: {len(self.counts)} bins from "
            f"{self.edges[0]:.5g} to {self.edges[-1]:.5g} {self.unit}, "
            f"{counted(self.n_used, 'event')}, {counted(self.below, 'value')} below "
            f"and {self.above} above>"
        )


def pixel_histogram(
    run: Run,
    detector: str,
    *,
    events: Indices,
    bins: int = 180,
    range: tuple[float | None, float | None] = (None, None),
    common_mode: CommonModeChoice | None = None,
    useMask: bool = True,  # noqa: N803
    threads: int | None = None,
    progress: Progress | None = None,
) -> PixelHistogram:
    """Count the calibrated values of all pixels in some events.

    Parameters
    ----------
    run, detector : what to read
    events : numbers of the events
    bins : number of bins
    range : begin and end [unit of the calibrated image]; what is None is taken from
        the values of the first events
    common_mode : number of the correction, or None for the detector's default
    useMask : count good pixels only
    threads : see `calibrated_images`
    progress : called with the number of events done and asked for

    Raises
    ------
    NoDataError
        if the detector has data in none of the events
    ParameterError
        if there are no bins, or the range does not grow
    """
    from smalldata_ana.statistics_kernels import count_values

    if bins < 1:
        raise ParameterError(f"bins = {bins!r} is less than 1")
    events = np.asarray(events, np.int64)
    calibration = Calibration.for_run(run, detector, common_mode, lenient=True)
    good = calibration.good if useMask else np.ones(calibration.shape, bool)
    low, high = _value_range(run, calibration, events, good, range)
    totals = np.zeros(bins + 2, np.int64)
    n_used = 0
    stream = calibrated_images(run, calibration, events, threads=threads)
    with closing(stream):
        for done, (_, image) in enumerate(stream, 1):
            if image is not None:
                flat, use = image.reshape(-1), good.reshape(-1)
                count_values(totals, low, (high - low) / bins, flat, use)
                n_used += 1
            if progress is not None:
                progress(done, len(events))
    if not n_used:
        raise no_data(run, detector, events)
    return PixelHistogram(
        counts=totals[1:-1],
        edges=np.linspace(low, high, bins + 1),
        unit=calibration.unit,
        n_used=n_used,
        below=int(totals[0]),
        above=int(totals[-1]),
        made={
            "experiment": run.experiment,
            "run": run.number,
            "detector": detector,
            "common_mode": calibration.common_mode,
            "asked": len(events),
        },
    )


def _value_range(
    run: Run,
    calibration: Calibration,
    events: Indices,
    good: npt.NDArray[np.bool_],
    given: tuple[float | None, float | None],
) -> tuple[float, float]:
    low, high = given
    if low is None or high is None:
        usual = _usual_range(run, calibration, events, good)
        low = usual[0] if low is None else low
        high = usual[1] if high is None else high
    if not -np.inf < low < high < np.inf:
        raise ParameterError(
            f"the range of a histogram is two growing numbers, not {low:g}, {high:g}"
        )
    return float(low), float(high)


def _usual_range(
    run: Run,
    calibration: Calibration,
    events: Indices,
    good: npt.NDArray[np.bool_],
) -> tuple[float, float]:
    """Return a range that holds all but a few values of the first events.

    Its ends are a tenth of the range beyond the percentiles 0.1 and 99.99: one photon
    in 10000 pixels is still inside.
    """
    if not good.any():
        raise NoDataError(
            f"{calibration.detector!r} has no good pixel; use useMask=False"
        )
    step = -(-int(good.sum()) // _RANGE_VALUES)
    first = calibrated_images(run, calibration, events[:_RANGE_EVENTS])
    values = [image[good][::step] for _, image in first if image is not None]
    if not values:
        return 0.0, 1.0
    low, high = np.nanpercentile(np.concatenate(values), [0.1, 99.99])
    margin = (high - low) / 10 or 0.5
    return float(low - margin), float(high + margin)
