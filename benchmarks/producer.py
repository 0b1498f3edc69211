"""A whole job of the producer against the same job written the usual way."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
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
from benchmarks.producer_ours import PRELOADED, Parts, Pool, run_ours, run_pools
from benchmarks.producer_usual import run_usual
from benchmarks.report import Row, Topic, at_least, at_most, in_turn, ratio

ROUNDS, STARTS = 5, 5

EQUAL = 15
"""Events of a batch where one worker and two are compared: two have equal shares."""

Times = dict[str, list[float]]
"""Times per event by what they are of, one for each round [s]."""

_SCRIPT = Path(__file__).parents[1] / "producers" / "smd_producer.py"
_SINGLE = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_OURS, _USUAL = "producer", "usual way"
_POLL = 0.005
"""Between two looks whether a file is there [s]."""

_HOW = f"""\
A simulated run of {EVENTS} events in the page cache, {ROUNDS} rounds, each measurement
in a process of its own, one thread.  Of a {JUNGFRAU} (8 panels of 512 x 1024) the
azimuthal average in {PHI_BINS} x {Q_BINS} bins, two regions and the sum; of an epix100
with {OCCUPANCY:g} photons in a pixel, droplets and their photons.  *Usual way*: psana's
event loop, `det.raw.calib`, boolean masks and `numpy.bincount`, `scipy.ndimage` for
number, sum and centre of the droplets (photons are counted, not placed),
`ds.smalldata`.  *Producer*: the same from a parameter file, and what it stores of each
event beside; the datasets of both agree.  Times are of the event loop, with reading the
events and writing the parts of the file.  *Read*: both detectors' raw frames into the
same memory.  *Kernels*: each function by itself on {PRELOADED} events that are in
memory.  *Workers*: batches of {EQUAL} events, one worker and two in turn, after each
has done a batch; *set-up* is the time until then; of
{ROUNDS} loops the fastest count, as other work on the machine takes a core away.
*Memory*: highest resident memory of a process that does the job, or of a worker of two.
*Start*: of the command line, from the start of its process until the part with the
first event is there, the fastest of {STARTS}, with bytecode and kernels cached."""


def run() -> Topic:
    """Measure, in a temporary folder."""
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, _SINGLE):
        job = Job(Path(name))
        job.make()
        return measured(job)


def measured(job: Job) -> Topic:
    """Measure a job that has been made."""
    ours, usual = outputs(job)
    rounds = [_round(job) for _ in range(ROUNDS)]
    pools = in_fresh_process(partial(run_pools, job, ours, EQUAL, ROUNDS))
    check_same(ours, usual)
    rows = [
        *_loop_rows(rounds),
        *_pool_rows(*pools),
        *_memory(job),
        *_starts(job),
        *_sizes(job),
    ]
    return Topic("A job of the producer", _HOW, rows)


def outputs(job: Job) -> tuple[Path, Path]:
    """Return the output files of the producer and of the usual way."""
    return job.folder / "producer.h5", job.folder / "usual.h5"


# -- the event loop --------------------------------------------------------------------


def _round(job: Job) -> dict[str, float]:
    """Return times per event of both ways and of the producer's parts."""
    ours, usual = outputs(job)
    spent = in_fresh_process(partial(run_ours, job, ours))
    seconds = in_fresh_process(partial(run_usual, job, usual))
    times = {_OURS: spent.loop / EVENTS, _USUAL: seconds / (EVENTS - 1)}
    return times | in_fresh_process(partial(_parts, job))


def _parts(job: Job) -> dict[str, float]:
    """Return the times per event of the producer's parts."""
    with closing(Parts(job)) as parts:
        # What is compiled or cached at the first call is so before.
        in_turn(parts.kernels, 1)
        return _each({"read": parts.read}, EVENTS) | _each(parts.kernels, PRELOADED)


def _each(things: Mapping[str, Callable[[], object]], events: int) -> dict[str, float]:
    return {name: t / events for name, (t,) in in_turn(things, 1).items()}


def _loop_rows(rounds: Sequence[Mapping[str, float]]) -> list[Row]:
    times: Times = {name: [each[name] for each in rounds] for name in rounds[0]}
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


def _pool_rows(one: Pool, two: Pool) -> list[Row]:
    """Compare the fastest loops: other work on the machine takes the second core."""
    fastest = [min(spent.loop for spent in pool.jobs) for pool in (one, two)]
    merge = statistics.median(spent.merge for spent in one.jobs)
    return [
        _per_event("1 worker, fastest", [fastest[0] / EVENTS]),
        _per_event("2 workers, fastest", [fastest[1] / EVENTS]),
        at_least("2 workers / 1 worker, rates", fastest[0] / fastest[1], 1.5),
        Row("set-up of 2 workers and their first batches", f"{two.setup:.2f} s"),
        Row("merge and configuration", f"{merge:.2f} s"),
        at_most("memory, one of 2 workers", two.memory / 2**20, 1500, " MiB"),
    ]


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
    ways: tuple[Callable[[Job, Path], object], ...] = run_ours, run_usual
    ours, usual = (
        in_fresh_process(partial(_peak, way, job, path)) / 2**20
        for way, path in zip(ways, outputs(job), strict=True)
    )
    return [
        at_most(f"memory, {_OURS}", ours, 1500, " MiB"),
        Row(f"memory, {_USUAL}", f"{usual:.0f} MiB"),
    ]


def _peak(way: Callable[[Job, Path], object], job: Job, output: Path) -> int:
    """Return the highest memory of this process after a job [bytes]."""
    way(job, output)
    return status("VmHWM")


def _starts(job: Job) -> list[Row]:
    """Return the times until the first event is done."""
    ways = {f"start, {n} process{'es' * (n > 1)}": n for n in (1, 2)}
    starts = {name: partial(first_event, job, n) for name, n in ways.items()}
    times: Times = {name: [] for name in starts}
    for _ in range(STARTS):
        for name, start in starts.items():
            times[name].append(start())
    return [at_most(name, min(taken), 6, " s") for name, taken in times.items()]


def first_event(job: Job, processes: int) -> float:
    """Return how long the command line takes from its start to the first event [s].

    Parameters
    ----------
    job : the job, of which one event is done
    processes : that work on events
    """
    folder = job.folder / "start"
    shutil.rmtree(folder, ignore_errors=True)
    where = {
        "-d": folder,
        "--params": job.parameters,
        "--xtc-dir": job.xtc_dir,
        "--calib-dir": job.calib_dir,
        "--nproc": processes,
    }
    command = [sys.executable, str(_SCRIPT), "-e", EXPERIMENT, "-r", str(RUN), "-n1"]
    command += [str(x) for pair in where.items() for x in pair]
    begin = time.perf_counter()
    with subprocess.Popen(
        command, env=_cached_bytecode(job), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not any(folder.rglob("part_*.h5")):
            time.sleep(_POLL)
        seconds = time.perf_counter() - begin
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds


def _cached_bytecode(job: Job) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as usually."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(job.folder / "bytecode")}


def _sizes(job: Job) -> list[Row]:
    ours, usual = (path.stat().st_size / 1e6 for path in outputs(job))
    return [
        at_most(f"output, {_OURS}", ours, 100, " MB"),
        Row(f"output, {_USUAL}", f"{usual:.0f} MB"),
    ]
