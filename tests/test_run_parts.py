"""Runs in parts: a process that has a head and parts reads what the whole run has."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import make, ours

from smalldata_ana.errors import FileError, NameNotFound, ParameterError
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.base import Run, RunHead, RunPart
from smalldata_ana.sources.datagrams import whole_datagrams
from smalldata_ana.sources.events import Event
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"
REAL_RUNS = ("mixed_rate", "fakesteps", "chunking", "intg_det")
SIMULATED = {
    "scan": RunSpec(
        events=12,
        steps=3,
        chunk_after=5,
        detectors=(
            DetectorSpec("jungfrau1M", streams=2, missing=(2, 9)),
            DetectorSpec("epix100", missing=(0, 1, 4)),
            DetectorSpec("epixquad", streams=2),
            DetectorSpec("rayonix"),
        ),
    ),
    "dark": RunSpec(
        events=10, steps=5, dark=True, detectors=(DetectorSpec("epixquad"),)
    ),
}
ENERGY = "gmd/millijoulesperpulse"


def hdf5_run(folder: Path) -> Run:
    """Return a run without psana, with a bit of everything."""
    rng = np.random.default_rng(8)
    frames = rng.integers(0, 3000, (9, 2, 4, 5)).astype(np.uint16)
    path = write_run(
        folder / "run.h5",
        experiment="xpptut15",
        run=3,
        images={"jungfrau1M": frames, "opal": frames[:, 0]},
        missing={"jungfrau1M": np.arange(9) % 4 == 0},
        scalars={
            "gas/energy": rng.random(9),
            "gas/trace": rng.random((9, 7)),
            "epics/note": np.array([f"at {k}" for k in range(9)]),
        },
        steps=np.arange(9) // 4,
        event_codes=rng.integers(0, 2, (9, 20)).astype(np.int8),
        constants={"opal": {"pedestals": np.ones((4, 5))}},
        gain_configuration={"jungfrau1M": np.ones((2, 4, 5), np.uint8)},
    )
    return Hdf5Run(path)


@pytest.fixture(scope="module", params=[*SIMULATED, *REAL_RUNS, "hdf5"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """Yield runs of all sources."""
    name = request.param
    if name == "hdf5":
        run = hdf5_run(tmp_path_factory.mktemp(name))
    elif name in SIMULATED:
        run = ours(make_run(tmp_path_factory.mktemp(name), SIMULATED[name]))
    elif (REAL / name).is_dir():
        run = open_run("xpptut15", 14, xtc_dir=REAL / name)
    else:
        pytest.skip(f"there is no {REAL / name}")
    yield run
    run.close()


def sent(thing: Any) -> Any:
    """Return what another process gets."""
    return pickle.loads(pickle.dumps(thing))


def ranges(run: Run) -> list[tuple[int, int]]:
    third = len(run) // 3
    return [
        (0, len(run)),
        (0, 1),
        (third, 2 * third + 1),
        (2 * third, len(run)),
        (third, third),
    ]


def assert_same(found: Run, whole: Run, numbers: np.ndarray) -> None:
    """Compare all that a run tells of its events with the whole run."""
    np.testing.assert_array_equal(found.timestamps, whole.timestamps[numbers])
    np.testing.assert_array_equal(found.steps, whole.steps[numbers])
    np.testing.assert_array_equal(found.event_codes(), whole.event_codes(numbers))
    assert len(found) == len(numbers)
    for name in whole.scalars:
        mine, theirs = found.scalar(name), whole.scalar(name, numbers)
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
        assert mine.dtype == theirs.dtype
    for name in whole.detectors:
        there = whole.contributed(name)[numbers]
        np.testing.assert_array_equal(found.contributed(name), there)
        for k, number in enumerate(numbers):
            np.testing.assert_array_equal(
                found.read(name, k), whole.read(name, int(number))
            )
            np.testing.assert_array_equal(
                found.gain_configuration(name, k),
                whole.gain_configuration(name, int(number)),
            )


def assert_same_detectors(found: Run, whole: Run) -> None:
    assert found.detectors == whole.detectors
    assert list(found.detectors) == list(whole.detectors)
    assert found.scalars == whole.scalars
    assert list(found.scalars) == list(whole.scalars)
    assert found.aliases == whole.aliases
    assert (found.experiment, found.number) == (whole.experiment, whole.number)
    assert found.origin == whole.origin
    for name in whole.detectors:
        mine, theirs = found.constants(name), whole.constants(name)
        assert (mine.notes, mine.places) == (theirs.notes, theirs.places)
        assert list(mine.items) == list(theirs.items)
        for constant in mine.items:
            np.testing.assert_array_equal(mine.array(constant), theirs.array(constant))
        at, expected = found.pixel_positions(name), whole.pixel_positions(name)
        assert (at is None) == (expected is None)
        if at is not None and expected is not None:
            np.testing.assert_array_equal(at.x, expected.x)


class TestAnyRun:
    def test_parts_have_the_values_of_the_whole(self, whole: Run) -> None:
        found = sent(whole.head()).open()
        for begin, end in ranges(whole):
            found.turn_to(sent(whole.part(begin, end)))
            assert found.begin == begin
            assert_same(found, whole, np.arange(begin, end))
        found.close()

    def test_checksums(self, whole: Run) -> None:
        parts = [whole.part(0, 2), whole.part(1, 3), whole.part(1, 2)]
        found = [part.checksum() for part in parts]
        assert len(set(found)) == len(parts)
        assert [sent(part).checksum() for part in parts] == found
        assert whole.part_at(np.array([1])).checksum() == found[-1]

    def test_the_same_detectors_before_and_after(self, whole: Run) -> None:
        before, after = (sent(whole.head()).open() for _ in range(2))
        assert_same_detectors(before, whole)
        after.turn_to(whole.part(len(whole) // 2, len(whole)))
        assert_same_detectors(after, whole)
        assert isinstance(before, Run)
        assert not before.growing
        assert before.refresh() == 0
        assert not after.problems
        before.close()
        after.close()

    def test_a_head_has_the_first_event_and_the_first_frames(self, whole: Run) -> None:
        found = sent(whole.head()).open()
        numbers = np.searchsorted(whole.timestamps, found.timestamps)
        assert numbers[0] == 0
        assert_same(found, whole, numbers)
        for name in whole.detectors:
            first = np.flatnonzero(whole.contributed(name))[0]
            assert first in numbers
        assert_same_detectors(sent(found.head()).open(), whole)
        found.close()

    def test_a_part_of_a_part(self, whole: Run) -> None:
        found = sent(whole.head()).open()
        found.turn_to(whole.part(1, len(whole)))
        again = sent(found.head()).open()
        again.turn_to(found.part(1, len(found)))
        assert again.begin == 2
        assert Event(again, 0).number_in_run == 2
        assert Event(whole, 2).number_in_run == 2
        assert Event(again, 0).timestamp == Event(whole, 2).timestamp
        assert_same(again, whole, np.arange(2, len(whole)))
        found.close()
        again.close()

    def test_columns_together(self, whole: Run) -> None:
        names = [*whole.scalars][::-1]
        events = np.arange(len(whole))[::-2]
        for chosen in (None, events):
            columns = whole.scalar_columns(names, chosen)
            assert list(columns) == names
            for name in names:
                expected = whole.scalar(name, chosen)
                np.testing.assert_array_equal(columns[name], expected)
                assert columns[name].dtype == expected.dtype
        with pytest.raises(NameNotFound, match="no scalar 'nosuch'"):
            whole.scalar_columns([*names, "nosuch"])

    @pytest.mark.parametrize(("begin", "end"), [(-1, 2), (3, 2), (0, 10**6)])
    def test_no_such_part(self, whole: Run, begin: int, end: int) -> None:
        with pytest.raises(ParameterError, match=rf"no part \[{begin}, {end}\)"):
            whole.part(begin, end)


def look(head: RunHead, part: RunPart) -> list[bytes]:
    """Read a part in another process."""
    run = head.open()
    run.turn_to(part)
    frames = [run.read("cspad140k", k) for k in range(len(run))]
    return [frame.tobytes() for frame in frames if frame is not None]


class TestSimulatedRun:
    def test_another_process(self, tmp_path: Path) -> None:
        run = ours(make(tmp_path))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            parts = [run.part(k, k + 4) for k in (0, 4)]
            read = [*pool.map(look, [run.head()] * 2, parts)]
        frames = [run.read("cspad140k", k) for k in range(8)]
        assert read[0] + read[1] == [f.tobytes() for f in frames if f is not None]

    def test_parts_of_another_run(self, tmp_path: Path) -> None:
        run = ours(make(tmp_path))
        other = hdf5_run(tmp_path)
        with pytest.raises(ParameterError, match="xpptut15 run 3 is not a part of"):
            run.turn_to(other.part(0, 1))
        with pytest.raises(ParameterError, match="whose parts are Hdf5Part"):
            other.turn_to(run.part(0, 1))

    def test_constants_of_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = make(tmp_path, with_constants=True)
        monkeypatch.setenv("SMALLDATA_ANA_CALIB", str(made.calib_dir))
        run = open_run(files=made.files)
        head = pickle.dumps(run.head())
        # a process that was started before has another environment, and another folder
        monkeypatch.delenv("SMALLDATA_ANA_CALIB")
        monkeypatch.chdir(tmp_path)
        found = pickle.loads(head).open()
        assert_same_detectors(found, run)
        assert found.constants("cspad140k").items

    def test_reads_each_stream_of_an_event_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = ours(make_run(tmp_path, SIMULATED["scan"]))
        run.scalars, run.detectors  # noqa: B018
        calls = counted(monkeypatch)
        names = [name for name in run.scalars if not name.startswith(("epics", "scan"))]
        assert len(names) > 10
        columns = run.scalar_columns(names)
        assert len(calls) <= len(run)
        calls.clear()
        for k in range(len(run)):
            event = np.array([k])
            for name in names:
                np.testing.assert_array_equal(
                    run.scalar(name, event)[0], columns[name][k]
                )
            run.event_codes(event)
        assert len(calls) <= len(run)
        calls.clear()
        run.read("epixquad", 3)
        first = len(calls)
        run.read("epixquad", 3)
        run.turn_to(run.part(3, 5))
        run.read("epixquad", 0)
        assert len(calls) == first == 2
        run.read("epixquad", 1)
        assert len(calls) == 4

    def test_frames_stay_as_they_are(self, tmp_path: Path) -> None:
        run = ours(make(tmp_path))
        first = run.read("cspad140k", 0)
        assert first is not None
        kept = first.copy()
        first[...] = 0
        np.testing.assert_array_equal(run.read("cspad140k", 0), kept)

    def test_files_are_opened_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = ours(make(tmp_path))
        found = run.head().open()
        found.detectors  # noqa: B018
        monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened again"))
        for begin in range(0, 8, 2):
            found.turn_to(run.part(begin, begin + 2))
            assert found.read("cspad140k", 1) is not None

    def test_problems_are_those_of_the_part(self, tmp_path: Path) -> None:
        made = make(tmp_path)
        with open(made.files[1], "r+b") as file:
            events = [d for d in whole_datagrams(file) if d.service.is_event]
            for event in (2, 3, 6):
                file.seek(events[event].offset)
                file.write(bytes(24))
        run = ours(made)
        found = run.head().open()
        told = []
        for begin in (0, 4, 0):
            found.turn_to(run.part(begin, begin + 4))
            for _ in range(2):
                frames = [found.read("cspad140k", k) for k in range(4)]
            told.append([*found.problems])
            assert sum(frame is None for frame in frames) == len(told) % 2 + 1
        text = "stream 1 has {}, taken as missing, the first at timestamp {}"
        assert told[0] == [text.format("2 damaged events", run.timestamps[2])]
        assert told[1] == [text.format("1 damaged event", run.timestamps[6])]
        assert told[2] == told[0]

    def test_truncated_file(self, tmp_path: Path) -> None:
        run = ours(make(tmp_path, truncate_at=5))
        assert len(run.problems) == 1
        found = run.head().open()
        found.turn_to(run.part(3, 8))
        read = [found.read("cspad140k", k) is not None for k in range(5)]
        assert read == [True, True, False, False, False]
        assert not found.problems

    def test_a_file_that_went_away(self, tmp_path: Path) -> None:
        made = make(tmp_path)
        run = ours(made)
        head, part = run.head(), run.part(0, 8)
        made.files[1].unlink()
        found = head.open()
        found.turn_to(part)
        with pytest.raises(FileError, match=f"cannot read .*{made.files[1].name}"):
            found.read("cspad140k", 3)

    def test_files_that_came_after_the_head(self, tmp_path: Path) -> None:
        made = make(tmp_path, chunk_after=3)
        offsets = {
            path: path.read_bytes() for path in made.xtc_dir.glob("smalldata/*.xtc2")
        }
        for path in offsets:
            with open(path, "r+b") as file:
                events = [d for d in whole_datagrams(file) if d.service.is_event]
                file.truncate(events[2].offset)
        head = ours(made).head()
        for path, content in offsets.items():
            path.write_bytes(content)
        run = ours(made)
        found = head.open()
        found.turn_to(run.part(1, 8))
        assert_same(found, run, np.arange(1, 8))

    def test_growing_run(self, tmp_path: Path) -> None:
        run = ours(make(tmp_path), live=True)
        run.turn_to(run.part(1, 3))
        assert len(run) == 2
        assert run.refresh() == 0
        assert len(run) == 8
        found = run.head().open()
        assert not found.growing


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets longer with each datagram that is read."""
    calls: list[int] = []
    read: Callable[..., int] = os.preadv

    def preadv(descriptor: int, buffers: Any, offset: int) -> int:
        calls.append(offset)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    return calls
