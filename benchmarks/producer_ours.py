"""The job of the producer done by this package, as a whole and part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.fresh_process import status
from benchmarks.producer_job import EPIX, EVENTS, JUNGFRAU, Job
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Array
from smalldata_ana.detector.shots import Shot
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.planning import Plan, plan
from smalldata_ana.producing.production import Production
from smalldata_ana.sources.base import Run

PRELOADED = 8
"""Events whose images are in memory, to time the functions on."""


@dataclass(frozen=True)
class Spent:
    """What a job took.

    Attributes
    ----------
    loop : from the begin of the first event to the end of the last [s]
    merge : to make one file of the parts [s]
    """

    loop: float
    merge: float


@dataclass(frozen=True)
class Pool:
    """What some workers took.

    Attributes
    ----------
    number : of workers
    setup : until each has done its first batch [s]
    jobs : one after the other
    memory : the highest of a worker [bytes]
    """

    number: int
    setup: float
    jobs: Sequence[Spent]
    memory: int


def run_ours(job: Job, output: Path, events: int = EVENTS) -> Spent:
    """Do the job in this process.

    Parameters
    ----------
    job : the job
    output : the file to make
    events : how many
    """
    with _planned(job, output) as made, closing(Workers(1)) as workers:
        return _done(made, output, workers, events)


def run_pools(job: Job, output: Path, size: int, rounds: int) -> list[Pool]:
    """Do the job in turn with one worker, which is this process, and with two.

    Parameters
    ----------
    job : the job
    output : the file to make
    size : of a batch
    rounds : how often
    """
    pools = Workers(1), Workers(2)
    with _planned(job, output, size) as made, closing(pools[0]), closing(pools[1]):
        setup = [_set_up(made, output, pool) for pool in pools]
        jobs = [[_done(made, output, pool) for pool in pools] for _ in range(rounds)]
        return [
            Pool(pool.number, seconds, own_jobs, _memory(pool))
            for pool, seconds, own_jobs in zip(
                pools, setup, zip(*jobs, strict=True), strict=True
            )
        ]


@contextmanager
def _planned(job: Job, output: Path, size: int | None = None) -> Iterator[Plan]:
    parts = output.with_suffix(".parts")
    with closing(job.opened()) as run:
        yield plan(run, job.resolved(), parts, size=size)


def _set_up(made: Plan, output: Path, workers: Workers) -> float:
    """Have each worker do a batch; return how long that takes [s]."""
    spent = _done(made, output, workers, workers.number * made.size)
    return spent.loop


def _done(made: Plan, output: Path, workers: Workers, events: int = EVENTS) -> Spent:
    begin = time.perf_counter()
    production = Production(made, output, limit=events, resume=False)
    loop = production.run(workers).seconds
    return Spent(loop, time.perf_counter() - begin - loop)


def _memory(pool: Workers) -> int:
    """Return the highest memory of a worker [bytes]."""
    asked = [pool.executor.submit(status, "VmHWM") for _ in range(pool.number)]
    return max(answer.result() for answer in asked)


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
