"""Calibration of a jungfrau4M and of an epix10ka quad, against psana's ``calib``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stock_psana
from benchmarks.average_image import opened
from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio
from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run

JUNGFRAU, QUAD = "jungfrau4M", "epixquad"
EVENTS = 8
ROUNDS = 21
SWITCHED = 1e-3
"""Share of the pixels that are read in the second gain stage."""

_SECOND_STAGE = 1 << 14
_HOW = f"""\
Frames of simulated runs that are in memory, one thread, {ROUNDS} rounds: calibration
into the same array, against psana's `det.raw.calib(evt)` without a common mode, and
against the copy of a float32 image. In the frame of the {JUNGFRAU}, {SWITCHED:g} of
the pixels are in the second of 3 gain stages."""


def run() -> Topic:
    """Measure, in a temporary folder."""
    rows = [*_rows(JUNGFRAU, SWITCHED, copies=4), *_rows(QUAD, 0.0, copies=None)]
    return Topic("Calibration", _HOW, rows)


def _rows(detector: str, switched: float, copies: float | None) -> list[Row]:
    times = _times(detector, switched)
    rows = [
        Row(f"{detector}, {name}", f"{1e3 * statistics.median(taken):.2f} ms")
        for name, taken in times.items()
    ]
    ours = times["calibration"]
    rows.append(at_least(f"psana / {detector}", ratio(times["psana"], ours), 4))
    if copies is not None:
        copy = ratio(ours, times["copy"])
        rows.append(at_most(f"{detector} / copy of the image", copy, copies))
    return rows


def _times(detector: str, switched: float) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        spec = RunSpec(detectors=(DetectorSpec(detector),), events=EVENTS)
        made = make_run(Path(folder), spec)
        run = opened(made)
        calibration = Calibration.for_run(run, detector, 0)
        frame = _with_switched(run.read(detector, 0), switched)
        image, copy = calibration(frame), np.empty(calibration.shape, np.float32)
        things: dict[str, Callable[[], object]] = {
            "calibration": lambda: calibration(frame, out=image),
            "copy": lambda: np.copyto(copy, image),
            "psana": _psana(made, detector),
        }
        in_turn(things, 2)
        return in_turn(things, ROUNDS)


def _with_switched(frame: Any, share: float) -> Any:
    """Return a copy with some pixels in the second gain stage."""
    switched = np.random.default_rng(3).random(frame.shape) < share
    return np.where(switched, frame | _SECOND_STAGE, frame).astype(frame.dtype)


def _psana(made: Any, detector: str) -> Callable[[], object]:
    run = stock_psana.opened(
        made.spec.experiment, made.spec.run, made.xtc_dir, made.constants
    )
    raw = run.Detector(detector).raw
    event = next(run.events())
    return lambda: raw.calib(event)
