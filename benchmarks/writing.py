"""Writing small data: parts and their merge, against psana's ``smalldata`` writer."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.detector.protocol import Field
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.layout import TIMESTAMP
from smalldata_ana.smalldata.parts import write_part
from smalldata_ana.sources.psana2.mended import psana

SCALARS = 60
ARRAYS = {"det/azav": (11, 270), "det/area": (50, 50)}
EVENTS = 2000
BATCHES = (100, 1000)
ROUNDS = 5

_HOW = f"""\
{EVENTS} events of {SCALARS} numbers and float32 arrays of
{" and ".join(map(str, ARRAYS.values()))} pixels, in memory before, one thread, {ROUNDS}
rounds. *psana* is `ds.smalldata(filename=…, batch_size=…)` with its `event` for each
event and `done`, as one process has it. *ours* collects the rows of a batch, writes
them as the file of one part, and appends all parts to the file. Both files hold the
same, and neither replaces another."""

Event = Mapping[str, Any]

FIELDS = {
    TIMESTAMP: Field(np.dtype(np.int64)),
    **{f"det/x{n}": Field(np.dtype(np.float64)) for n in range(SCALARS)},
    **{path: Field(np.dtype(np.float32), shape) for path, shape in ARRAYS.items()},
}


def run() -> Topic:
    """Measure, with random numbers, in a temporary folder."""
    psana()
    events = _events()
    rows: list[Row] = []
    for batch in BATCHES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            things = {
                "psana": partial(_with_psana, folder, events, batch),
                "ours": partial(_with_parts, folder, events, batch),
            }
            _check_equal(*(thing() for thing in things.values()))
            times = in_turn(things, ROUNDS)
            rows += [_per_event(f"{w}, batches of {batch}", times[w]) for w in things]
            factor = ratio(times["psana"], times["ours"])
            rows.append(at_least(f"psana / ours, batches of {batch}", factor, 2))
    return Topic("Writing small data", _HOW, rows)


def _per_event(what: str, times: Sequence[float]) -> Row:
    return Row(what, f"{1e6 * statistics.median(times) / EVENTS:.0f} µs per event")


def _events() -> list[Event]:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(EVENTS, SCALARS))
    images = {
        path: rng.normal(size=(200, *shape)).astype(np.float32)
        for path, shape in ARRAYS.items()
    }
    return [
        {TIMESTAMP: np.int64(n + 1)}
        | {f"det/x{k}": numbers[n, k] for k in range(SCALARS)}
        | {path: image[n % len(image)] for path, image in images.items()}
        for n in range(EVENTS)
    ]


def _with_psana(folder: Path, events: Sequence[Event], batch: int) -> Path:
    from psana.smalldata import SmallData

    path = _new(folder)
    writer = SmallData()
    writer.setup_parms(filename=str(path), batch_size=batch)
    for event in events:
        values = {key: value for key, value in event.items() if key != TIMESTAMP}
        writer.event(int(event[TIMESTAMP]), values)
    writer.done()
    return path


def _with_parts(folder: Path, events: Sequence[Event], batch: int) -> Path:
    whole = _new(folder)
    paths = []
    for number, begin in enumerate(range(0, len(events), batch)):
        paths.append(whole.with_name(f"part_{number:06d}.h5"))
        with h5py.File(paths[-1], "w") as file:
            write_part(file, FIELDS, events[begin : begin + batch])
    with h5py.File(whole, "w") as file:
        columns = Columns(file, expected=len(events))
        for path, field in FIELDS.items():
            columns.add(path, field)
        for part in paths:
            with h5py.File(part) as opened:
                columns.append_file(opened)
    for path in paths:
        path.unlink()
    return whole


def _new(folder: Path) -> Path:
    """Return the path of a file that is not there: to replace one takes long."""
    return Path(tempfile.mkdtemp(dir=folder)) / "small.h5"


def _check_equal(one: Path, other: Path) -> None:
    with h5py.File(one) as theirs, h5py.File(other) as ours:
        for path in FIELDS:
            np.testing.assert_array_equal(theirs[path][()], ours[path][()])
