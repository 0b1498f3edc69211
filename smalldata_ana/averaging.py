"""Make an average image of a detector, in one pass over some events."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import AverageImage, image_name
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.common_mode_inputs import recorded
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.kind_model import CommonModeChoice
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.errors import ParameterError
from smalldata_ana.event_images import Progress, calibrated_images, no_data
from smalldata_ana.parameters.provenance import made as made_by
from smalldata_ana.sources.base import Indices, Run
from smalldata_ana.statistics import Median, RunningStatistics

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
T = TypeVar("T")

_TICK = 0.2
"""How often the progress is told while the statistics are finished [s]."""


@dataclass(frozen=True)
class _Threshold:
    """What is done to an image before it is added.

    Attributes
    ----------
    limit : lowest value that stays, a number or float32 in the image's shape
    counts : True if what stays becomes 1
    """

    limit: float | Image
    counts: bool

    def __call__(self, image: Image) -> None:
        if self.counts:
            np.greater_equal(image, self.limit, out=image)
        else:
            np.copyto(image, 0, where=image < self.limit)


def _threshold(calibration: Calibration, adu: float, rms: float) -> _Threshold | None:
    for name, value in {"thresADU": adu, "thresRms": rms}.items():
        if not np.isfinite(value):
            raise ParameterError(f"{name} = {value!r} is not a finite number")
    if not (adu or rms):
        return None
    limit: float | Image = abs(adu)
    if rms:
        if calibration.rms is None:
            raise ParameterError(
                f"thresRms = {rms:g} needs the noise of {calibration.detector!r}, of "
                "which there is no constant pixel_rms that fits; use thresADU"
            )
        # a pixel of unknown noise is not above any threshold
        least = np.nan_to_num(calibration.rms * np.float32(abs(rms)), nan=np.inf)
        limit = np.maximum(np.float32(limit), least)
    return _Threshold(limit, counts=min(adu, rms) < 0)


def average(
    run: Run,
    detector: str,
    *,
    events: Indices,
    common_mode: CommonModeChoice | None = None,
    thresADU: float = 0.0,  # noqa: N803
    thresRms: float = 0.0,  # noqa: N803
    std: bool = False,
    median: bool = False,
    max: bool = False,
    hits: bool = False,
    useMask: bool = True,  # noqa: N803
    selection: str = "",
    more: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
    progress: Progress | None = None,
) -> AverageImage:
    """Average the calibrated images of some events in one pass.

    Ctrl-C ends it early and keeps the events so far; ``made["interrupted"]`` is True
    then.  It is noted, too, while the statistics of these events are finished, which
    only another Ctrl-C gives up.  Events in which the detector has no data do not
    count.

    Parameters
    ----------
    run, detector : what to read
    events : numbers of the events
    common_mode : number of the correction, or None for the detector's default
    thresADU : pixels below it count as 0 [unit of the calibrated image]; if negative,
        pixels at or above its absolute value are counted, and `data` is their number
    thresRms : the same, in units of each pixel's noise; with both, a pixel has to
        reach both
    std : make the standard deviation, too
    median : make the median, too; exact for some hundred events at most, see
        `smalldata_ana.statistics.RunningMedian`
    max : make the largest value, too
    hits : count the events in which a pixel reaches the threshold, too
    useMask : set pixels that are not good to 0, after all
    selection : what the events were selected by, for the name
    more : what else is to be kept in `made`
    threads : see `smalldata_ana.event_images.calibrated_images`
    progress : called with the number of events done and asked for

    Raises
    ------
    NoDataError
        if the detector has data in none of the events
    ParameterError
        if `hits` is asked for without a threshold, a threshold is not finite, or
        there is no noise for `thresRms`
    """
    calibration = Calibration.for_run(run, detector, common_mode, lenient=True)
    threshold = _threshold(calibration, thresADU, thresRms)
    if hits and threshold is None:
        raise ParameterError("hits=True needs a threshold; give thresADU or thresRms")
    statistics = RunningStatistics(
        calibration.shape,
        std=std,
        median=median,
        max=max,
        hits_above=0 if hits else None,
    )
    events = np.asarray(events, np.int64)
    stream = calibrated_images(
        run, calibration, events, prepare=threshold, threads=threads
    )
    used, interrupted = _add_all(statistics, stream, len(events), progress)
    if not used:
        raise no_data(run, detector, events)
    options: dict[str, Any] = {
        "selection": selection,
        "thresADU": thresADU,
        "thresRms": thresRms,
    }
    finish = functools.partial(
        _image,
        statistics,
        calibration,
        run,
        np.array(used, np.int64),
        name=image_name(detector, calibration.label, **options),
        counts=threshold is not None and threshold.counts,
        masked=useMask,
        made={
            "common_mode_asked": recorded(common_mode),
            **options,
            "useMask": useMask,
            "asked": len(events),
            "interrupted": interrupted,
            **more,
        },
    )

    def tick() -> None:
        if progress is not None:
            progress(len(used), len(used))

    image, interrupted = _to_its_end(finish, tick)
    if not interrupted:
        return image
    return dataclasses.replace(image, made={**image.made, "interrupted": True})


def _to_its_end(work: Callable[[], T], tick: Callable[[], None]) -> tuple[T, bool]:
    """Run a function in a thread, to its end although Ctrl-C comes once.

    Parameters
    ----------
    work : the function
    tick : called from time to time meanwhile

    Returns
    -------
    Its result, and whether Ctrl-C came.
    """
    pool = ThreadPoolExecutor(1, "finish")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    try:
        _await(future, tick)
    except KeyboardInterrupt:
        _await(future, tick)
        return future.result(), True
    return future.result(), False


def _await(future: Future[T], tick: Callable[[], None]) -> None:
    while not wait([future], timeout=_TICK).done:
        tick()


def _add_all(
    statistics: RunningStatistics,
    stream: Generator[tuple[int, Image | None]],
    total: int,
    progress: Progress | None,
) -> tuple[list[int], bool]:
    """Add the images of a stream; return the events used, and whether Ctrl-C came."""
    used: list[int] = []

    def add(event: int, image: Image) -> None:
        statistics.add(image)
        used.append(event)

    try:
        # Ctrl-C interrupts the main thread only.  Another one does the adding, so
        # that an image is in the statistics altogether, or not at all.
        with closing(stream), ThreadPoolExecutor(1, "statistics") as adder:
            for done, (event, image) in enumerate(stream, 1):
                if image is not None:
                    adder.submit(add, event, image).result()
                if progress is not None:
                    progress(done, total)
    except KeyboardInterrupt:
        if not used:
            raise
        return used, True
    return used, False


def _image(
    statistics: RunningStatistics,
    calibration: Calibration,
    run: Run,
    used: Indices,
    *,
    name: str,
    counts: bool,
    masked: bool,
    made: Mapping[str, Any],
) -> AverageImage:
    def finished(image: Array | None) -> Any:
        """Blank what is not good, and lock an array that is ours alone."""
        if image is None:
            return None
        if masked:
            image[~calibration.good] = 0
        image.setflags(write=False)
        return image

    detector, timestamps = calibration.detector, run.timestamps[used]
    median = statistics.median()
    return AverageImage(
        name=name,
        detector=detector,
        data=finished(statistics.sum() if counts else statistics.mean()),
        statistic="sum" if counts else "mean",
        unit="" if counts else calibration.unit,
        good=calibration.good,
        events=used,
        timestamps=timestamps,
        find_geometry=_geometry_finder(run, detector, calibration.shape),
        std=finished(statistics.std()),
        median=None if median is None else finished(median.image),
        median_error=None if median is None else median.error,
        max=finished(statistics.max()),
        hits=finished(statistics.hits()),
        made={
            **_provenance(run, calibration, timestamps),
            **made,
            **({} if median is None else _median_provenance(median)),
        },
    )


def _geometry_finder(
    run: Run, detector: str, shape: tuple[int, ...]
) -> Callable[[], ImageGeometry]:
    """Return a function that finds the geometry at its first call.

    Positions take the memory of six images, and nobody needs them while the events
    are averaged.
    """

    @functools.cache
    def find() -> ImageGeometry:
        return ImageGeometry.from_positions(positions_of(run, detector), shape)

    return find


def _provenance(
    run: Run, calibration: Calibration, timestamps: npt.NDArray[np.uint64]
) -> dict[str, Any]:
    known = made_by(
        "AvImage",
        experiment=run.experiment,
        run=run.number,
        detector=calibration.detector,
        common_mode=calibration.common_mode,
        label=calibration.label,
        correction=calibration.kind.common_mode(calibration.common_mode).text,
        used=len(timestamps),
        first_timestamp=int(timestamps[0]),
        last_timestamp=int(timestamps[-1]),
        notes=list(calibration.notes),
        constants={
            name: {"validity": c.validity, "origin": c.origin, "time": c.time}
            for name, c in calibration.constants.items.items()
        },
    )
    return {**known, "at": known["at"].isoformat()}


def _median_provenance(median: Median) -> dict[str, Any]:
    """Return how well the median is known."""
    return {
        "median_exact": not median.error.any(),
        "median_values_out_of_range": median.out_of_range,
    }
