"""A whole job of the producer against the same job written the usual way."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np

from benchmarks.fresh_process import in_fresh_process, status
from benchmarks.producer_job import (
    EPIX,
    EVENTS,
    EXPERIMENT,
    JUNGFRAU,
    OCCUPANCY,
    PHI_BINS,
    Q_BINS,
    RUN,
    Job,
)
from benchmarks.producer_ours import PRELOADED, Parts, run_ours
from benchmarks.producer_usual import run_usual
from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio

ROUNDS, STARTS = 5, 3

Times = dict[str, list[float]]
"""Times per event by what they are of, one for each round [s]."""

_SCRIPT = Path(__file__).parents[1] / "producers" / "smd_producer.py"
_SINGLE = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_OURS, _USUAL = "producer", "usual way"

_HOW = f"""\
A simulated run of {EVENTS} events in the page cache, {ROUNDS} rounds in one process,
one thread.  Of a {JUNGFRAU} (8 panels of 512 x 1024) the azimuthal average in
{PHI_BINS} x {Q_BINS} bins, two regions and the sum; of an epix100 with {OCCUPANCY:g}
photons in a pixel, droplets and their photons.  *Usual way*: psana's event loop,
`det.raw.calib`, boolean masks and `numpy.bincount`, `scipy.ndimage` for number, sum and
centre of the droplets (photons are counted, not placed), `ds.smalldata`.  *Producer*:
the same from a parameter file; the datasets of both agree.  Times are of the event
loop with reading and writing, without the first event.  *Read*: both detectors' raw
frames into the same memory.  *Kernels*: each function by itself on {PRELOADED} events
that are in memory.  *Memory*: highest resident memory of a process that does the job.
*Start*: from the start of the process to its end, with the first event only."""


def run() -> Topic:
    """Measure, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, _SINGLE):
        job = Job(Path(folder))
        job.make()
        times = in_fresh_process(partial(_times, job))
        check_same(*outputs(job))
        rows = [*_loop_rows(times), *_memory(job), *_starts(job), *_sizes(job)]
        return Topic("A job of the producer", _HOW, rows)


def outputs(job: Job) -> tuple[Path, Path]:
    """Return the output files of the producer and of the usual way."""
    return job.folder / "producer.h5", job.folder / "usual.h5"


# -- the event loop --------------------------------------------------------------------


def _times(job: Job) -> Times:
    """Return the times per event of both ways, and of the producer's parts."""
    ours, usual = outputs(job)
    loops = {
        _OURS: partial(run_ours, job, ours),
        _USUAL: partial(run_usual, job, usual),
    }
    times: Times = {name: [] for name in loops}
    with closing(Parts(job)) as parts:
        # What is compiled or cached at the first call is so before the first round.
        in_turn(parts.kernels, 1)
        for _ in range(ROUNDS):
            for name, loop in loops.items():
                times[name].append(loop() / (EVENTS - 1))
            _append(times, {"read": parts.read}, EVENTS)
            _append(times, parts.kernels, PRELOADED)
    return times


def _append(times: Times, things: dict[str, Callable[[], object]], events: int) -> None:
    for name, (seconds,) in in_turn(things, 1).items():
        times.setdefault(name, []).append(seconds / events)


def _loop_rows(times: Times) -> list[Row]:
    ours, usual = times[_OURS], times[_USUAL]
    parts = [taken for name, taken in times.items() if name not in {_OURS, _USUAL}]
    alone = [sum(taken) for taken in zip(*parts, strict=True)]
    return [
        *(_per_event(name, taken) for name, taken in times.items()),
        _per_event("read and kernels", alone),
        *(
            Row(f"{name}, rate", f"{1 / statistics.median(taken):.0f} events/s/core")
            for name, taken in ((_OURS, ours), (_USUAL, usual))
        ),
        at_least("usual way / producer", ratio(usual, ours), 4),
        at_most("producer / (read + kernels)", ratio(ours, alone), 1.5),
    ]


def _per_event(what: str, times: Sequence[float]) -> Row:
    return Row(what, f"{1e3 * statistics.median(times):.2f} ms per event")


def check_same(ours: Path, usual: Path) -> None:
    """Raise an error if the two ways did not do the same job.

    Parameters
    ----------
    ours, usual : the output files
    """
    exact = {
        "timestamp": "timestamp",
        f"{EPIX}/droplet_nDroplets": f"{EPIX}/droplet_nDroplets",
        f"{EPIX}/droplet_photons_nPhotons": f"{EPIX}/droplet_nPhotons",
    }
    close = [
        f"{JUNGFRAU}/azav_azav",
        f"{JUNGFRAU}/ROI_0_sum",
        f"{JUNGFRAU}/ROI_1_sum",
        f"Sums/{JUNGFRAU}_calib",
    ]
    with h5py.File(ours) as found, h5py.File(usual) as expected:
        for name, other in exact.items():
            np.testing.assert_array_equal(found[name], expected[other], name)
        for name in close:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name
            )


# -- processes -------------------------------------------------------------------------


def _memory(job: Job) -> list[Row]:
    ours, usual = (
        in_fresh_process(partial(_peak, way, job, path)) / 2**20
        for way, path in zip((run_ours, run_usual), outputs(job), strict=True)
    )
    return [
        at_most(f"memory, {_OURS}", ours, 1500, " MiB"),
        Row(f"memory, {_USUAL}", f"{usual:.0f} MiB"),
    ]


def _peak(way: Callable[[Job, Path], float], job: Job, output: Path) -> int:
    """Return the highest memory of this process after a job [bytes]."""
    way(job, output)
    return status("VmHWM")


def _starts(job: Job) -> list[Row]:
    folder = job.folder / "start"
    named = ["-e", EXPERIMENT, "-r", str(RUN), "-n", "1"]
    where = {
        "-d": folder,
        "--params": job.parameters,
        "--xtc-dir": job.xtc_dir,
        "--calib-dir": job.calib_dir,
    }
    ours = [str(_SCRIPT), *named, *(str(x) for pair in where.items() for x in pair)]
    usual = ["-m", "benchmarks.producer_usual", str(job.folder)]
    usual += [str(folder / "usual.h5"), "1"]
    folder.mkdir()
    commands = {_OURS: partial(_call, ours), _USUAL: partial(_call, usual)}
    times = in_turn(commands, STARTS)
    return [
        at_most(f"start, {_OURS}", statistics.median(times[_OURS]), 6, " s"),
        Row(f"start, {_USUAL}", f"{statistics.median(times[_USUAL]):.2f} s"),
    ]


def _call(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def _sizes(job: Job) -> list[Row]:
    ours, usual = (path.stat().st_size / 1e6 for path in outputs(job))
    return [
        at_most(f"output, {_OURS}", ours, 100, " MB"),
        Row(f"output, {_USUAL}", f"{usual:.0f} MB"),
    ]
