"""The index of a million events, and psana's ``build_table`` on fewer."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import stock_psana
from benchmarks.report import Row, Topic, at_most, in_turn
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.datagrams import whole_datagrams

MANY = 1_000_000
FEWER = 30_000
STREAMS = 2
SPARSE = 100
"""Of so many events a stream that is not full has one."""
ROUNDS = 3
SECONDS = 5.0

_PER_SECOND = 1000
"""Rate of the events [Hz]."""
_TIME = slice(0, 8)
"""Where the time stamp stands in a datagram, low half first."""
_HOW = f"""\
Runs of {STREAMS} streams with offset files, {ROUNDS} rounds, files in the page cache.
*Index*: the opening of a run with `open_run`, by which every event can be read.
*build_table*: what psana makes for the same purpose, on a run of {FEWER:,} events."""


def run() -> Topic:
    """Measure, in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = small_run(folder / "small")
        many = longer(small, folder / "many", MANY)
        fewer = longer(small, folder / "fewer", FEWER)
        times = in_turn(
            {
                "many": partial(_index, small.spec, many, MANY),
                "fewer": partial(_index, small.spec, fewer, FEWER),
                "psana": partial(_build_table, small.spec, fewer, FEWER),
            },
            ROUNDS,
        )
    seconds = {name: statistics.median(values) for name, values in times.items()}
    faster = (MANY / seconds["many"]) / (FEWER / seconds["psana"])
    return Topic(
        "Event index",
        _HOW,
        [
            at_most(f"index of {MANY:,} events", seconds["many"], SECONDS, " s"),
            Row(f"index of {FEWER:,} events", f"{seconds['fewer']:.3f} s"),
            Row(f"build_table of {FEWER:,} events", f"{seconds['psana']:.3f} s"),
            Row(
                "index / build_table, in events per second "
                f"({MANY:,} and {FEWER:,} events)",
                f"{faster:.0f}",
            ),
            Row(
                f"build_table / index, in time, {FEWER:,} events each",
                f"{seconds['psana'] / seconds['fewer']:.0f}",
            ),
        ],
    )


def _index(spec: RunSpec, xtc_dir: Path, events: int) -> None:
    run = open_run(spec.experiment, spec.run, xtc_dir=xtc_dir)
    assert len(run) == events
    run.close()


def _build_table(spec: RunSpec, xtc_dir: Path, events: int) -> None:
    run = stock_psana.opened(spec.experiment, spec.run, xtc_dir, {})
    with run.build_table():
        assert len(run._ts_table) == events  # noqa: SLF001


# -- long runs -------------------------------------------------------------------------


def small_run(folder: Path, *more: DetectorSpec) -> SimulatedRun:
    """Write a run of two events and two streams, or more, that `longer` makes long."""
    detectors = (DetectorSpec("opal"), *more)
    return make_run(
        folder, RunSpec(detectors=detectors, events=2, with_constants=False)
    )


@dataclass(frozen=True)
class _Parts:
    """A file of datagrams, taken apart.

    Attributes
    ----------
    head : all before the first event
    event : the first event
    tail : the datagrams after the last event
    """

    head: bytes
    event: bytes
    tail: tuple[bytes, ...]

    @classmethod
    def of(cls, path: Path) -> _Parts:
        """Read a file."""
        content = path.read_bytes()
        with path.open("rb") as file:
            items = list(whole_datagrams(file))
        pieces = [content[item.offset : item.offset + item.size] for item in items]
        events = [k for k, item in enumerate(items) if item.service.is_event]
        return cls(
            head=b"".join(pieces[: events[0]]),
            event=pieces[events[0]],
            tail=tuple(pieces[events[-1] + 1 :]),
        )


def longer(
    small: SimulatedRun, folder: Path, events: int, full: int | None = None
) -> Path:
    """Write a run with the first event of a small one so many times.

    Only the offset files have content; the data files are a hole of the right size
    behind their first datagrams.

    Parameters
    ----------
    small : as `small_run` makes it
    folder : to write it to
    events : how many
    full : how many streams have all of them, default all; the others have one of
        `SPARSE`

    Returns
    -------
    Its folder.
    """
    (folder / "smalldata").mkdir(parents=True)
    for number, path in enumerate(small.files):
        each = 1 if full is None or number < full else SPARSE
        count = -(-events // each)
        data = _Parts.of(path)
        name = f"smalldata/{path.stem}.smd.xtc2"
        offsets = _Parts.of(small.xtc_dir / name)
        place = len(data.head), len(data.event)
        _write_offsets(folder / name, offsets, *place, _times(offsets, events, each))
        with (folder / path.name).open("wb") as file:
            file.write(data.head)
            file.truncate(len(data.head) + count * len(data.event))
    return folder


def _write_offsets(
    path: Path, parts: _Parts, begin: int, size: int, times: npt.NDArray[np.uint64]
) -> None:
    """Write the offset file of events of one size that follow each other.

    Parameters
    ----------
    path : where to write it
    parts : of the offset file of the small run
    begin, size : offset of the first event in the data file, and size of each [bytes]
    times : of the events, and of the datagrams behind
    """
    place = parts.event.rfind(begin.to_bytes(8, "little"))
    events = len(times) - len(parts.tail)
    records = np.tile(np.frombuffer(parts.event, np.uint8), (events, 1))
    records[:, _TIME] = _bytes_of(times[:events])
    offsets = begin + size * np.arange(events, dtype=np.uint64)
    records[:, place : place + 8] = _bytes_of(offsets)
    with path.open("wb") as file:
        file.write(parts.head)
        records.tofile(file)
        for time, datagram in zip(_bytes_of(times[events:]), parts.tail, strict=True):
            file.write(time.tobytes() + datagram[_TIME.stop :])


def _times(parts: _Parts, events: int, each: int) -> npt.NDArray[np.uint64]:
    """Return time stamps that begin in the second after that of the first event.

    Parameters
    ----------
    parts : of the offset file of the small run
    events : of the run
    each : the stream has one of so many

    Returns
    -------
    Those of the events, and of the datagrams behind them.
    """
    seconds = int.from_bytes(parts.event[4:8], "little")
    ends = np.arange(events, events + len(parts.tail), dtype=np.uint64)
    seen = np.arange(0, events, each, dtype=np.uint64)
    number = np.concatenate([seen, ends]) + np.uint64(_PER_SECOND)
    high, low = np.divmod(number, np.uint64(_PER_SECOND))
    spacing = np.uint64(10**9 // _PER_SECOND)
    return (high + np.uint64(seconds)) << np.uint64(32) | low * spacing


def _bytes_of(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return the bytes of each number, as a row."""
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, 8)
