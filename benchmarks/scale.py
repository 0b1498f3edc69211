"""Runs of millions of events: what does not depend on what is in an event."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from benchmarks.event_index import SPARSE, STREAMS, longer, small_run
from benchmarks.fresh_process import in_fresh_process, status
from benchmarks.report import Row, Topic, at_most
from smalldata_ana.detector.protocol import Field
from smalldata_ana.opening import open_run
from smalldata_ana.producing.batches import MOST_EVENTS, cut
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.layout import TIMESTAMP
from smalldata_ana.smalldata.parts import write_part
from smalldata_ana.sources.psana2.mended import psana

MILLION = 1_000_000
EVENTS = (MILLION, 3 * MILLION, 10 * MILLION)
SCALARS = 20
MANY_STREAMS, FULL = 20, 2
LINEAR = 1.3
"""How much more an event may cost in the longest run than in the shortest."""

_HOW = f"""\
Runs of {", ".join(str(n // MILLION) for n in EVENTS)} million events, each measurement
once, in a process of its own, one thread, files in the page cache.  Times are of the
processor, in the program and the system.  *Index*: the
opening of a run of {STREAMS} streams with offset files, whose data files are holes.
*Batching*: the cut into batches of {MOST_EVENTS} events, and of each batch what is sent
to a worker: the places of its events, pickled.  *Parts*: the files of the batches, with
a time stamp and {SCALARS} float64 of each event.  *Merge*: one file of all parts.
*{MANY_STREAMS} streams*: of
which {FULL} have all events, and the others one of {SPARSE}.  *Memory* is the highest
resident memory of the process; of the index, how much more it is for each event
more."""

_FIELDS = {
    TIMESTAMP: Field(np.dtype(np.int64)),
    **{f"det/x{n}": Field(np.dtype(np.float64)) for n in range(SCALARS)},
}


@dataclass(frozen=True)
class _Cost:
    """What a step took.

    Attributes
    ----------
    seconds : of the processor, so that other work on the machine does not count [s]
    size : of what it made [bytes]
    memory : the highest of its process [bytes]
    """

    seconds: float
    size: int
    memory: int


Costs = dict[str, list[_Cost]]
"""By step; one for each number of events."""


def run() -> Topic:
    """Measure, in temporary folders: each takes up to 4 GB."""
    costs: Costs = {}
    for events in EVENTS:
        for work in (_index_and_batches, _parts_and_merge):
            with tempfile.TemporaryDirectory() as name:
                for step, cost in work(Path(name), events).items():
                    costs.setdefault(step, []).append(cost)
    rows = [row for step, found in costs.items() for row in _step_rows(step, found)]
    rows += _memory_rows(costs)
    with tempfile.TemporaryDirectory() as name:
        rows += _many_streams_rows(Path(name))
    return Topic("Runs of millions of events", _HOW, rows)


def _step_rows(step: str, costs: Sequence[_Cost]) -> list[Row]:
    each = [cost.seconds / n for cost, n in zip(costs, EVENTS, strict=True)]
    times = ", ".join(f"{MILLION * seconds:.2f}" for seconds in each)
    most = EVENTS[-1]
    return [
        Row(f"{step}, s per million events", times),
        Row(
            f"{step} of {most // MILLION} million events",
            f"{costs[-1].seconds:.1f} s, {costs[-1].size / most:.0f} bytes per event",
        ),
        at_most(
            f"{step}, an event of the longest / shortest", each[-1] / each[0], LINEAR
        ),
    ]


def _memory_rows(costs: Costs) -> list[Row]:
    index, merge = costs["index"], costs["merge"]
    more = (index[-1].memory - index[0].memory) / (EVENTS[-1] - EVENTS[0])
    return [
        Row("index, memory", f"{more:.0f} bytes per event"),
        *(
            Row(
                f"{step}, memory for {EVENTS[-1] // MILLION} million events",
                f"{costs[step][-1].memory / 2**20:.0f} MiB",
            )
            for step in costs
        ),
        at_most(
            "merge, memory for the longest / shortest",
            merge[-1].memory / merge[0].memory,
            LINEAR,
        ),
    ]


def _many_streams_rows(folder: Path) -> list[Row]:
    small = small_run(
        folder / "small", DetectorSpec("jungfrau16M", streams=MANY_STREAMS - FULL)
    )
    assert len(small.files) == MANY_STREAMS
    many = longer(small, folder / "many", EVENTS[-1], FULL)
    cost = in_fresh_process(partial(_indexed, small.spec, many, EVENTS[-1]))["index"]
    what = f"index of {EVENTS[-1] // MILLION} million events of {MANY_STREAMS} streams"
    return [
        Row(what, f"{cost.seconds:.1f} s"),
        Row(f"{what}, memory", f"{cost.memory / 2**20:.0f} MiB"),
    ]


# -- index and batches -----------------------------------------------------------------


def _index_and_batches(folder: Path, events: int) -> dict[str, _Cost]:
    small = small_run(folder / "small")
    many = longer(small, folder / "many", events)
    return in_fresh_process(partial(_indexed, small.spec, many, events))


def _indexed(spec: RunSpec, xtc_dir: Path, events: int) -> dict[str, _Cost]:
    psana()
    begin = time.process_time()
    run = open_run(spec.experiment, spec.run, xtc_dir=xtc_dir)
    opened = time.process_time()
    assert len(run) == events
    size = sum(path.stat().st_size for path in xtc_dir.rglob("*.smd.xtc2"))
    index = _Cost(opened - begin, size, status("VmHWM"))
    begin = time.process_time()
    sent = sum(
        len(pickle.dumps(run.part(batch.begin, batch.end)))
        for batch in cut(events, MOST_EVENTS)
    )
    end = time.process_time()
    return {"index": index, "batching": _Cost(end - begin, sent, status("VmHWM"))}


# -- parts and merge -------------------------------------------------------------------


def _parts_and_merge(folder: Path, events: int) -> dict[str, _Cost]:
    return {
        "parts": in_fresh_process(partial(_write_parts, folder, events)),
        "merge": in_fresh_process(partial(_merge, folder, events)),
    }


def _write_parts(folder: Path, events: int) -> _Cost:
    rng = np.random.default_rng(1)
    numbers = {path: rng.normal(size=MOST_EVENTS) for path in _FIELDS}
    begin = time.process_time()
    size = 0
    for batch in cut(events, MOST_EVENTS):
        columns = numbers | {TIMESTAMP: np.arange(batch.begin, batch.end)}
        path = _part_path(folder, batch.number)
        with h5py.File(path, "w") as file:
            write_part(file, _FIELDS, [{}] * len(batch), columns)
        size += path.stat().st_size
    return _Cost(time.process_time() - begin, size, status("VmHWM"))


def _merge(folder: Path, events: int) -> _Cost:
    target = folder / "whole.h5"
    begin = time.process_time()
    with h5py.File(target, "w") as file:
        columns = Columns(file, expected=events)
        for path, field in _FIELDS.items():
            columns.add(path, field)
        for batch in cut(events, MOST_EVENTS):
            with h5py.File(_part_path(folder, batch.number)) as part:
                columns.append_file(part)
    cost = _Cost(time.process_time() - begin, target.stat().st_size, status("VmHWM"))
    with h5py.File(target) as file:
        np.testing.assert_array_equal(file[TIMESTAMP], np.arange(events))
    return cost


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"part_{number:06d}.h5"
