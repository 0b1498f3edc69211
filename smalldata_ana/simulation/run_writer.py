"""Write a simulated run: streams, steps and events, with what is true of it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.simulation import detectors
from smalldata_ana.simulation.beamline import Beamline, Shot, Step
from smalldata_ana.simulation.detectors import Declared
from smalldata_ana.simulation.frames import Detector
from smalldata_ana.simulation.run_spec import (
    PULSE_ENERGY,
    DetectorSpec,
    RunSpec,
    Truth,
    shots_of,
    time_of,
    truth_of_shots,
)
from smalldata_ana.simulation.xtc2 import Values, XtcStream
from smalldata_ana.sources.datagrams import Service, timestamp

Array = npt.NDArray[Any]
Constants = Mapping[str, Mapping[str, Array | str]]
Frames = list[tuple[Array, Mapping[str, Array]]]
"""The frames of one shot, one for each detector, with what is known of each."""
Progress = Callable[[int, int], None]
"""Called with the number of events written so far, and of all."""

_TRANSITION_NS = 100_000
_EARLY_NS = 5_000_000
_SLOW_EVERY = 10


@dataclass(frozen=True)
class SimulatedRun:
    """A run that was written.

    Attributes
    ----------
    spec : what was asked for
    xtc_dir : folder of the xtc2 files; offset files are in ``smalldata`` below
    files : the first file of each stream
    calib_dir : constants store, filled unless the specification says not to
    constants : detector -> name -> array, or text of a geometry
    truth : arrays by name, see `truth_of_shots`; and for each detector
        ``<det>/dead``, ``<det>/hot``, ``<det>/noisy`` (flat pixel numbers),
        ``<det>/missing`` (events), ``<det>/center`` (of the beam, psana frame) [um],
        ``<det>/panel_offsets`` (per event and panel) [ADU], ``<det>/photons`` (row and
        column of all photons, also on bad pixels), ``<det>/photon_counts`` (per
        event), ``<det>/edge`` (per event) [pixels]
    """

    spec: RunSpec
    xtc_dir: Path
    files: tuple[Path, ...]
    calib_dir: Path
    constants: Constants
    truth: Truth


def make_run(
    folder: Path, spec: RunSpec, progress: Progress | None = None
) -> SimulatedRun:
    """Write a run as xtc2 files into ``<folder>/xtc``.

    The files depend on the specification only, byte by byte.

    Parameters
    ----------
    folder : where to write; made if it is not there
    spec : what to write
    progress : told after each event

    Raises
    ------
    DetectorNotFound
        if a detector cannot be simulated
    """
    writer = _Writer(folder / "xtc", spec)
    try:
        truth = writer.write(progress)
    finally:
        writer.close()
    if spec.truncate_at is not None:
        writer.truncate(spec.truncate_at)
    constants = {
        item.name: detector.constants()
        for item, detector in zip(spec.detectors, writer.detectors, strict=True)
    }
    calib = folder / "calib"
    if spec.with_constants:
        deploy(constants, calib)
    return SimulatedRun(
        spec, folder / "xtc", writer.first_files, calib, constants, truth
    )


def deploy(constants: Constants, store: Path, begin: int = 0) -> None:
    """Put constants into a store, valid from run `begin` on."""
    for detector, items in constants.items():
        for name, value in items.items():
            folder = store / detector / name
            folder.mkdir(parents=True, exist_ok=True)
            if isinstance(value, str):
                (folder / f"{begin}-end.data").write_text(value)
            else:
                np.save(folder / f"{begin}-end.npy", value)


@dataclass
class _Part:
    """What one stream has of one detector."""

    stream: XtcStream
    declared: Declared
    missing: frozenset[int]


class _Writer:
    """The streams of one run while they are written."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._spec = folder, spec
        self._lit = spec.laser and not spec.dark
        self._streams: list[XtcStream] = []
        self._last = time_of(spec, 0) - _EARLY_NS
        self._beamline = Beamline(
            self._stream(1 << 18),
            spec.setup.energy,
            PULSE_ENERGY,
            {item.name: item.what.known.env_values for item in spec.detectors},
        )
        self.detectors: list[Detector] = []
        self._parts: list[list[_Part]] = []
        for number, item in enumerate(spec.detectors):
            seed = [spec.detector_seed, number]
            self.detectors.append(
                Detector.make(item.what, spec.setup, spec.sample, seed)
            )
            self._parts.append([self._part(item, i) for i in range(item.streams)])

    @property
    def first_files(self) -> tuple[Path, ...]:
        return tuple(stream.files[0] for stream in self._streams)

    def _stream(self, largest: int) -> XtcStream:
        spec = self._spec
        name = f"{spec.experiment}-r{spec.run:04d}-s{len(self._streams):03d}-c000"
        smd = self._folder / "smalldata" / f"{name}.smd.xtc2"
        stream = XtcStream(
            self._folder / f"{name}.xtc2",
            largest,
            offsets=smd if spec.with_smd else None,
            growing=spec.rate is not None,
        )
        self._streams.append(stream)
        return stream

    def _part(self, item: DetectorSpec, number: int) -> _Part:
        what = item.what
        panels = np.array_split(np.arange(what.frame[0]), item.streams)[number]
        size = 2 * what.pixels // what.frame[0] + (1 << 18)
        stream = self._stream(size * len(panels))
        declared = detectors.declare(stream, item.name, what, panels.tolist())
        last = number == item.streams - 1
        return _Part(stream, declared, frozenset(item.missing if last else ()))

    def write(self, progress: Progress | None) -> Truth:
        """Write everything, and return what is true of it."""
        spec, shots = self._spec, shots_of(self._spec)
        self._begin()
        truth = truth_of_shots(spec, shots)
        found: list[list[Mapping[str, Array]]] = [[] for _ in spec.detectors]
        step = None
        begun = time.monotonic()
        for shot, frames in zip(shots, self._frames(shots), strict=True):
            if shot.step is not step:
                self._change_step(step, shot.step)
                step = shot.step
            elif shot.number % _SLOW_EVERY == 0:
                self._slow(step)
            if spec.chunk_after and shot.number and not shot.number % spec.chunk_after:
                self._next_chunks()
            if spec.rate is not None:
                due = begun + (shot.number + 1) / spec.rate
                time.sleep(max(0.0, due - time.monotonic()))
            self._write_shot(shot, [frame for frame, _ in frames])
            for known, (_, new) in zip(found, frames, strict=True):
                known.append(new)
            if progress is not None:
                progress(shot.number + 1, spec.events)
        self._end()
        for item, detector, known in zip(
            spec.detectors, self.detectors, found, strict=True
        ):
            truth |= _truth_of_detector(item, detector, known)
        return truth

    def close(self) -> None:
        for stream in self._streams:
            stream.close()

    def truncate(self, event: int) -> None:
        """Cut the first detector's first stream in the middle of an event."""
        part = self._parts[0][0]
        before = sum(n < event for n in part.missing)
        path, offset, size = part.stream.events[event - before]
        os.truncate(path, offset + size // 2)

    def _frames(self, shots: Sequence[Shot]) -> Iterator[Frames]:
        """Yield the frames of all detectors, shot by shot, made by several threads."""
        spec = self._spec
        workers = min(4, os.cpu_count() or 1)

        def make(shot: Shot) -> Frames:
            return [
                detector.frame(shot, spec.random(number, shot.number))
                for number, detector in enumerate(self.detectors)
            ]

        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[Frames]] = deque()
            for shot in shots:
                waiting.append(pool.submit(make, shot))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _write_shot(self, shot: Shot, frames: Sequence[Array]) -> None:
        self._last = time_of(self._spec, shot.number)
        values = self._beamline.shot(shot, self._spec.random(shot.number))
        self._streams[0].write(Service.EVENT, shot.timestamp, values)
        for parts, frame in zip(self._parts, frames, strict=True):
            for part in parts:
                if shot.number not in part.missing:
                    part.stream.write(
                        Service.EVENT, shot.timestamp, part.declared.values(frame)
                    )

    def _begin(self) -> None:
        now = self._tick()
        self._streams[0].configure(now, self._beamline.configuration())
        for parts in self._parts:
            for part in parts:
                part.stream.configure(now, part.declared.configuration())
        now = self._tick()
        for stream in self._streams:
            stream.begin_run(now, self._spec.experiment, self._spec.run)

    def _change_step(self, old: Step | None, new: Step) -> None:
        if old is not None:
            self._transition(Service.DISABLE)
            self._transition(Service.END_STEP)
        settings = (
            part.declared.step(new.held) for parts in self._parts for part in parts
        )
        self._transition(Service.BEGIN_STEP, self._beamline.step(new), *settings)
        self._transition(Service.ENABLE)
        self._slow(new)

    def _slow(self, step: Step) -> None:
        self._transition(Service.SLOW_UPDATE, self._beamline.slow(step, self._lit))

    def _next_chunks(self) -> None:
        self._transition(Service.DISABLE)
        now = self._tick()
        for stream in self._streams:
            stream.next_chunk(now)

    def _end(self) -> None:
        for service in (Service.DISABLE, Service.END_STEP, Service.END_RUN):
            self._transition(service)

    def _transition(self, service: Service, *values: Values) -> None:
        """Write a transition into all streams, with data into the first of them."""
        now = self._tick()
        for stream, own in zip_longest(self._streams, values):
            stream.write(service, now, own)

    def _tick(self) -> int:
        self._last += _TRANSITION_NS
        return timestamp(self._last)


def _truth_of_detector(
    item: DetectorSpec, detector: Detector, known: Sequence[Mapping[str, Array]]
) -> Truth:
    """Gather what is true of a detector; `known` is what each frame told."""
    missing = np.array(item.missing, np.int64)
    truth: Truth = {**detector.truth, "missing": missing}
    if item.what.offsets == "panels":
        truth["panel_offsets"] = np.array([shot["panel_offsets"] for shot in known])
    if item.what.pattern == "photons":
        none = np.empty((0, 2), np.float32)
        photons = [shot.get("photons", none) for shot in known]
        truth["photons"] = np.concatenate(photons)
        truth["photon_counts"] = np.array([len(p) for p in photons])
    if item.what.pattern == "edge":
        truth["edge"] = np.array([float(shot.get("edge", np.nan)) for shot in known])
    return {f"{item.name}/{name}": value for name, value in truth.items()}
