"""The average of 100 events of a jungfrau4M: time against reading, and memory."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import stock_psana
from benchmarks.fresh_process import in_fresh_process, status
from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio
from smalldata_ana.averaging import average
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run

DETECTOR = "jungfrau4M"
EVENTS = 100
ROUNDS = 5
IMAGE = 8 * 512 * 1024 * 4
"""Size of a calibrated image [bytes]."""

_PRELOADED = 8
_MIB = 2**20

_HOW = f"""\
A simulated {DETECTOR} (8 panels of 512 x 1024), {EVENTS} events in the page cache,
{ROUNDS} rounds. *Read*: the raw frames only, one thread. *Kernels*: calibration and
accumulation of frames that are in memory, one thread. *AvImage*: what the session
calls, with the making of the calibration. *Loop*: `det.raw.calib(evt)` of psana,
copies stacked, then `numpy.mean`. *Memory*: highest resident memory of a fresh process
during AvImage above that of the opened run (detectors listed, one frame read, kernels
loaded), constants and mapped files included, in images of {IMAGE / _MIB:g} MiB."""


def run() -> Topic:
    """Measure, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        spec = RunSpec(detectors=(DetectorSpec(DETECTOR),), events=EVENTS)
        made = make_run(Path(folder), spec)
        return Topic("Average image", _HOW, [*_times(made), *_memory(made)])


def opened(made: SimulatedRun) -> Run:
    """Open a simulated run as the session does."""
    return open_run(
        made.spec.experiment,
        made.spec.run,
        xtc_dir=made.xtc_dir,
        calib_dir=made.calib_dir,
    )


def _times(made: SimulatedRun) -> list[Row]:
    run = opened(made)
    events = np.arange(EVENTS)
    calibration = Calibration.for_run(run, DETECTOR)
    frames = [run.read(DETECTOR, event) for event in range(_PRELOADED)]
    mean = partial(average, run, DETECTOR, events=events)
    mean()
    times = in_turn(
        {
            "read": lambda: _read(run, calibration),
            "kernels": lambda: _kernels(calibration, frames, std=False),
            "kernels_std": lambda: _kernels(calibration, frames, std=True),
            "mean": mean,
            "more_threads": partial(mean, threads=2),
            "std": partial(mean, std=True),
            "loop": lambda: _usual_loop(made),
        },
        ROUNDS,
    )
    run.close()
    pure, pure_std = (
        [a + b for a, b in zip(times["read"], times[name], strict=True)]
        for name in ("kernels", "kernels_std")
    )
    return [
        _per_event("read", times["read"]),
        _per_event("kernels, mean", times["kernels"]),
        _per_event("AvImage, mean", times["mean"]),
        _per_event("AvImage, mean, `threads=2`", times["more_threads"]),
        _per_event("AvImage, mean and deviation", times["std"]),
        _per_event("loop with psana", times["loop"]),
        at_most("AvImage / (read + kernels), mean", ratio(times["mean"], pure), 1.5),
        Row(
            "the same, `threads=2`",
            f"{ratio(times['more_threads'], pure):.2f}",
        ),
        Row(
            "the same, mean and deviation",
            f"{ratio(times['std'], pure_std):.2f}",
        ),
        at_least("loop / AvImage, mean", ratio(times["loop"], times["mean"]), 4),
    ]


def _per_event(what: str, times: list[float]) -> Row:
    return Row(what, f"{1e3 * statistics.median(times) / EVENTS:.2f} ms per event")


def _read(run: Run, calibration: Calibration) -> None:
    buffer = np.empty(calibration.shape, calibration.dtype)
    for event in range(EVENTS):
        run.read(DETECTOR, event, out=buffer)


def _kernels(calibration: Calibration, frames: Sequence[Any], *, std: bool) -> None:
    from smalldata_ana.statistics import RunningStatistics

    sums = RunningStatistics(calibration.shape, std=std)
    image = np.empty(calibration.shape, np.float32)
    for event in range(EVENTS):
        calibration(frames[event % len(frames)], out=image)
        sums.add(image)


def _usual_loop(made: SimulatedRun) -> npt.NDArray[np.float32]:
    run = stock_psana.opened(
        made.spec.experiment, made.spec.run, made.xtc_dir, made.constants
    )
    detector = run.Detector(DETECTOR)
    images = [detector.raw.calib(event).copy() for event in run.events()]
    mean: npt.NDArray[np.float32] = np.array(images).mean(axis=0)
    return mean


# -- memory ----------------------------------------------------------------------------


def _memory(made: SimulatedRun) -> list[Row]:
    mean = in_fresh_process(partial(_peak, made.spec, made.xtc_dir, made.calib_dir))
    deviation = in_fresh_process(
        partial(_peak, made.spec, made.xtc_dir, made.calib_dir, std=True)
    )
    return [
        at_most("memory of AvImage, mean", mean / IMAGE, 12, " images"),
        Row(
            "memory of AvImage, mean and deviation",
            f"{deviation / IMAGE:.2f} images",
        ),
    ]


def _peak(spec: RunSpec, xtc_dir: Path, calib_dir: Path, *, std: bool = False) -> int:
    """Return the highest memory of an average above the opened run [bytes]."""
    from smalldata_ana.kernels import compile_all

    compile_all()
    run = open_run(spec.experiment, spec.run, xtc_dir=xtc_dir, calib_dir=calib_dir)
    run.read(next(iter(run.detectors)), 0)
    Path("/proc/self/clear_refs").write_text("5")  # the highest is the present, again
    before = status("VmRSS")
    image = average(run, DETECTOR, events=np.arange(EVENTS), std=std)
    after = status("VmHWM")
    assert image.n_used == EVENTS
    return after - before
