"""The job of the producer done by this package, as a whole and part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from benchmarks.producer_job import EPIX, EVENTS, JUNGFRAU, Job
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array
from smalldata_ana.detector.shots import Shot
from smalldata_ana.pipeline import build_detectors, process_events
from smalldata_ana.smalldata.layout import layout_of
from smalldata_ana.smalldata.writer import SmallDataWriter
from smalldata_ana.sources.base import Run

PRELOADED = 8
"""Events whose images are in memory, to time the functions on."""


def run_ours(job: Job, output: Path, events: int = EVENTS, workers: int = 1) -> float:
    """Do the job; return the time from the end of the first event to the last [s]."""
    if workers != 1:
        raise NotImplementedError("the events are processed in one process")
    resolved = job.resolved()
    ends = []
    with closing(job.opened()) as run:
        detectors = build_detectors(run, resolved)
        with SmallDataWriter(output, layout_of(detectors)) as writer:
            for row in process_events(run, detectors, range(events)):
                for detector in detectors:
                    detector.processSums()
                writer.write(row)
                ends.append(time.perf_counter())
            writer.write_configuration(resolved, detectors)
    with h5py.File(output, "a") as file:
        for detector in detectors:
            for key, total in detector.sums.items():
                file[f"Sums/{detector.name}_{key}"] = total
    return ends[-1] - ends[0]


class Parts:
    """What the job is made of, each part by itself on what is in memory already.

    Parameters
    ----------
    job : the job

    Attributes
    ----------
    kernels : what lets one function work on `PRELOADED` events, by its name
    """

    def __init__(self, job: Job) -> None:
        self._run = job.opened()
        made = build_detectors(self._run, job.resolved())
        detectors = {detector.name: detector for detector in made}
        self._raw = {d.name: _frames(self._run, d) for d in made}
        images = {
            d.name: [d.calibration(raw) for raw in self._raw[d.name]] for d in made
        }
        jungfrau = detectors[JUNGFRAU]
        azav, *regions = jungfrau.funcs.values()
        (droplets,) = detectors[EPIX].funcs.values()
        shot = Shot(0)
        self.kernels: dict[str, Callable[[], object]] = {
            f"calibration, {JUNGFRAU}": partial(
                _calibrate, jungfrau, self._raw[JUNGFRAU]
            ),
            "azimuthal average": partial(_each, azav.process, images[JUNGFRAU]),
            "regions": partial(
                _each,
                lambda image: [region.process(image) for region in regions],
                images[JUNGFRAU],
            ),
            "sum": partial(
                _each, lambda image: jungfrau.sums.add(image, shot), images[JUNGFRAU]
            ),
            f"calibration, {EPIX}": partial(
                _calibrate, detectors[EPIX], self._raw[EPIX]
            ),
            "droplets and photons": partial(_each, droplets.process, images[EPIX]),
        }

    def close(self) -> None:
        """Close the run."""
        self._run.close()

    def read(self) -> None:
        """Read all events, both detectors, into the same memory."""
        room = {name: np.empty_like(raw[0]) for name, raw in self._raw.items()}
        for event in range(EVENTS):
            for name, frame in room.items():
                self._run.read(name, event, out=frame)


def _frames(run: Run, detector: DetObject) -> list[Array]:
    """Return the first raw frames of a detector, of which each event has one."""
    frames = (run.read(detector.detname, event) for event in range(PRELOADED))
    return [frame for frame in frames if frame is not None]


def _calibrate(detector: DetObject, frames: Sequence[Array]) -> None:
    image = np.empty(detector.shape, np.float32)
    for frame in frames:
        detector.calibration(frame, out=image)


def _each(work: Callable[[Array], object], images: Sequence[Array]) -> None:
    for image in images:
        work(image)
