"""The event index, on datagrams made by hand; psana has no part in it."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_ana.errors import FileError, RunNotFound, UsageError
from smalldata_ana.sources import datagrams, stream_index
from smalldata_ana.sources.datagrams import (
    HEADER,
    Service,
    service_and_size,
    timestamp,
    unfinished,
)
from smalldata_ana.sources.event_index import EventIndex
from smalldata_ana.sources.event_table import (
    EventTable,
    StreamEvents,
    among,
    together,
)
from smalldata_ana.sources.stream_index import StreamIndex
from smalldata_ana.sources.xtc_files import streams_of_files, streams_of_run

BEGUN = timestamp(10**18)


def datagram(service: Service, time: int, content: bytes = b"") -> bytes:
    low, high = time & 0xFFFFFFFF, time >> 32
    return HEADER.pack(low, high, service << 24, 0, 0, 12 + len(content)) + content


def decode(data: bytes) -> Any:
    """Read what `Written` puts into a datagram, as psana's parser would."""
    service, _ = service_and_size(data)
    if service is Service.ENABLE:
        number, name = data[HEADER.size :].split(b" ")
        info = SimpleNamespace(chunkid=int(number), filename=name.decode())
        return SimpleNamespace(chunkinfo={0: SimpleNamespace(chunkinfo=info)})
    offset, size = struct.unpack_from("<QQ", data, len(data) - 16)
    place = SimpleNamespace(intOffset=offset, intDgramSize=size)
    return SimpleNamespace(smdinfo={0: SimpleNamespace(offsetAlg=place)})


@dataclass
class Written:
    """A stream that is written by hand: its data, chunk by chunk, and its offsets."""

    folder: Path
    number: int = 0
    with_offsets: bool = True
    chunks: list[bytes] = field(default_factory=lambda: [b""])
    offsets: bytes = b""
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def event(self, time: int, content: bytes, padding: int = 0) -> None:
        data = datagram(Service.EVENT, time, content)
        place = len(self.chunks) - 1, len(self.chunks[-1]), len(data)
        self.places[time] = place
        self.chunks[-1] += data
        told = bytes(padding) + struct.pack("<QQ", *place[1:])
        self.offsets += datagram(Service.EVENT, time, told)

    def transition(self, service: Service, time: int, content: bytes = b"") -> None:
        self.chunks[-1] += datagram(service, time, content)
        self.offsets += datagram(service, time, content)

    def next_chunk(self, time: int) -> None:
        number = len(self.chunks)
        content = f"{number} {self.name(number)}".encode()
        self.transition(Service.ENABLE, time, content)
        self.chunks.append(b"")

    def name(self, chunk: int) -> str:
        return f"xpptut15-r0001-s{self.number:03d}-c{chunk:03d}.xtc2"

    def path(self, chunk: int = 0) -> Path:
        return self.folder / self.name(chunk)

    @property
    def offset_file(self) -> Path:
        name = self.name(0).replace(".xtc2", ".smd.xtc2")
        return self.folder / "smalldata" / name

    def save(self) -> None:
        for number, content in enumerate(self.chunks):
            self.path(number).write_bytes(content)
        if self.with_offsets:
            self.offset_file.parent.mkdir(exist_ok=True)
            self.offset_file.write_bytes(self.offsets)

    def index(self) -> StreamIndex:
        offsets = self.offset_file if self.with_offsets else None
        return StreamIndex(self.number, self.path(), offsets, decode)


def begun(folder: Path, *, with_offsets: bool = True, number: int = 0) -> Written:
    stream = Written(folder, number, with_offsets)
    for service in (Service.CONFIGURE, Service.BEGIN_RUN):
        stream.transition(service, BEGUN)
    return stream


def plain(
    folder: Path, events: int = 5, *, with_offsets: bool = True, number: int = 0
) -> Written:
    """Return a finished stream with events of 100 bytes."""
    stream = begun(folder, with_offsets=with_offsets, number=number)
    for k in range(1, events + 1):
        stream.event(BEGUN + 10 * k, bytes(100))
    stream.transition(Service.END_RUN, BEGUN + 10 * (events + 1))
    stream.save()
    return stream


def contents(stream: StreamIndex) -> dict[int, tuple[int, int, int]]:
    return {int(t): stream.events.place(int(t)) for t in stream.events.timestamps}  # type: ignore[misc]


def assert_part(part: EventTable, whole: EventTable, numbers: np.ndarray) -> None:
    """Compare a part of a table with the table, and see that it holds no more."""
    times = whole.timestamps[numbers]
    assert part.timestamps.tolist() == times.tolist()
    assert part.steps.tolist() == whole.steps[numbers].tolist()
    for number, (mine, all_of_it) in enumerate(
        zip(part.streams, whole.streams, strict=True)
    ):
        assert [mine.place(t) for t in times] == [all_of_it.place(t) for t in times]
        assert np.isin(mine.timestamps, times).all()
        assert mine.files == all_of_it.files
        expected = whole.contributed([number])[numbers]
        assert part.contributed([number]).tolist() == expected.tolist()


SERVICES = [Service.BEGIN_STEP, Service.END_STEP, Service.SLOW_UPDATE, Service.DISABLE]
THING = st.one_of(
    st.tuples(
        st.just("event"),
        st.integers(0, 200),
        st.integers(0, 3),
        st.lists(st.booleans(), min_size=3, max_size=3),
    ),
    st.tuples(st.sampled_from(SERVICES), st.integers(0, 60)),
    st.just(("chunk",)),
)


def write(folder: Path, things: list[Any], *, with_offsets: bool) -> list[Written]:
    streams = [
        begun(folder, with_offsets=with_offsets, number=number) for number in range(3)
    ]
    time = BEGUN
    for thing in things:
        time += 7
        for number, stream in enumerate(streams):
            if thing[0] == "event":
                if thing[3][number]:
                    stream.event(time, b"\x5a" * thing[1], thing[2])
            elif thing[0] == "chunk":
                stream.next_chunk(time)
            else:
                stream.transition(thing[0], time, b"t" * thing[1])
    for stream in streams:
        stream.transition(Service.END_RUN, time + 7)
        stream.save()
    return streams


class TestAnyRun:
    @settings(deadline=None, max_examples=60)
    @given(
        things=st.lists(THING, max_size=60),
        block=st.integers(40, 3000),
        with_offsets=st.booleans(),
    )
    def test_is_found_again(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        things: list[Any],
        block: int,
        with_offsets: bool,
    ) -> None:
        folder = tmp_path_factory.mktemp("run")
        written = write(folder, things, with_offsets=with_offsets)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream_index, "_BLOCK", block)
            index = EventIndex([stream.index() for stream in written])
        events = sorted({time for stream in written for time in stream.places})
        assert index.events.timestamps.tolist() == events
        assert not index.problems()
        for number, stream in enumerate(written):
            assert contents(index.streams[number]) == stream.places
            assert index.events.contributed([number]).tolist() == [
                time in stream.places for time in events
            ]
            assert [f.name for f in index.streams[number].files] == [
                stream.name(chunk) for chunk in range(len(stream.chunks))
            ]
        steps = [7 * k + BEGUN + 7 for k, t in enumerate(things) if t[0] == SERVICES[0]]
        expected = [sum(begin <= time for begin in steps) - 1 for time in events]
        assert index.events.steps.tolist() == expected
        assert len(list(index.transitions(Service.BEGIN_STEP))) == 3 * len(steps)
        for begin in range(0, len(events), 7):
            part = index.events.between(begin, min(begin + 10, len(events)))
            assert_part(part, index.events, np.arange(begin, begin + len(part)))
            assert part.begin == begin
        chosen = np.arange(0, len(events), 3)
        assert_part(index.events.at(chosen), index.events, chosen)

    @settings(deadline=None, max_examples=40)
    @given(
        things=st.lists(THING, max_size=25),
        cuts=st.lists(st.tuples(*[st.floats(0, 1)] * 6), max_size=4),
        with_offsets=st.booleans(),
    )
    def test_numbers_and_parts_stay_while_it_grows(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        things: list[Any],
        cuts: list[tuple[float, ...]],
        with_offsets: bool,
    ) -> None:
        """Data and offsets reach the disk in any portions, and in any order."""
        things = [thing for thing in things if thing[0] != "chunk"]
        folder = tmp_path_factory.mktemp("run")
        written = write(folder, things, with_offsets=with_offsets)
        portions = np.sort(np.array([*cuts, (1.0,) * 6]), axis=0)
        known: list[tuple[int, list[bool]]] = []
        index = None
        for portion in portions:
            for stream, data, offsets in zip(
                written, portion[:3], portion[3:], strict=True
            ):
                content = stream.chunks[0]
                path = unfinished(stream.path())
                path.write_bytes(content[: int(data * len(content))])
                stream.path().unlink(missing_ok=True)
                stream.offset_file.parent.mkdir(exist_ok=True)
                told = stream.offsets[: int(offsets * len(stream.offsets))]
                if with_offsets:
                    stream.offset_file.write_bytes(told)
            if index is None:
                index = EventIndex([s.index() for s in written], growing=True)
            else:
                index.refresh()
            parts = np.array(
                [index.events.contributed([k]) for k in range(3)]
            ).T.tolist()
            now = list(zip(index.events.timestamps.tolist(), parts, strict=True))
            assert now[: len(known)] == known
            known = now
        assert index is not None
        assert not index.unfinished
        assert dict(known) == {
            time: [time in stream.places for stream in written]
            for time in {time for stream in written for time in stream.places}
        }


class TestOffsetAndSize:
    def test_are_found_where_both_are_equal(self, tmp_path: Path) -> None:
        stream = Written(tmp_path)
        stream.transition(Service.CONFIGURE, BEGUN, bytes(100))
        size = len(stream.chunks[0])
        for k in range(1, 4):
            stream.event(BEGUN + k, bytes(size - HEADER.size), padding=16)
        stream.save()
        index = stream.index()
        index.scan()
        assert contents(index) == stream.places
        assert stream.places[BEGUN + 1] == (0, size, size)

    def test_that_are_not_in_the_record_are_an_error(self, tmp_path: Path) -> None:
        stream = plain(tmp_path)
        place = SimpleNamespace(intOffset=12345, intDgramSize=1)
        told = SimpleNamespace(smdinfo={0: SimpleNamespace(offsetAlg=place)})
        index = StreamIndex(0, stream.path(), stream.offset_file, lambda _: told)
        with pytest.raises(FileError, match="remove the file"):
            index.scan()

    def test_beyond_four_gigabytes(self, tmp_path: Path) -> None:
        stream = begun(tmp_path)
        told = struct.pack("<QQ", 5 << 32, 24)
        stream.offsets += datagram(Service.EVENT, BEGUN + 1, told)
        stream.save()
        with stream.path().open("r+b") as file:
            file.truncate((5 << 32) + 24)
        index = stream.index()
        index.scan()
        assert index.events.place(BEGUN + 1) == (0, 5 << 32, 24)


@pytest.mark.parametrize("with_offsets", [True, False])
class TestCutData:
    def test_events_still_count_and_lack_the_part(
        self, tmp_path: Path, with_offsets: bool
    ) -> None:
        cut = plain(tmp_path, 5, with_offsets=with_offsets)
        other = plain(tmp_path, 5, number=1)
        _, offset, size = cut.places[BEGUN + 40]
        cut.path().write_bytes(cut.chunks[0][: offset + size // 2])
        index = EventIndex([cut.index(), other.index()])
        assert len(index.events.timestamps) == 5
        assert index.events.contributed([0]).tolist() == [True] * 3 + [False] * 2
        assert index.events.contributed([1]).all()
        assert index.streams[0].events.place(BEGUN + 40) is None
        (problem,) = index.problems()
        if with_offsets:
            assert "2 of 5 events of stream 0 are lost" in problem
        else:
            assert "is truncated: the end of stream 0 is lost" in problem
        assert cut.path().name in problem

    def test_the_cut_event_counts_where_no_other_stream_has_it(
        self, tmp_path: Path, with_offsets: bool
    ) -> None:
        cut = plain(tmp_path, 3, with_offsets=with_offsets)
        _, offset, _ = cut.places[BEGUN + 30]
        cut.path().write_bytes(cut.chunks[0][: offset + 30])
        index = EventIndex([cut.index()])
        assert index.events.timestamps.tolist() == [BEGUN + 10, BEGUN + 20, BEGUN + 30]
        assert index.events.contributed([0]).tolist() == [True, True, False]

    def test_of_a_growing_run_they_wait(
        self, tmp_path: Path, with_offsets: bool
    ) -> None:
        late = plain(tmp_path, 5, with_offsets=with_offsets)
        other = plain(tmp_path, 5, number=1)
        _, offset, size = late.places[BEGUN + 40]
        late.path().unlink()
        growing = unfinished(late.path())
        growing.write_bytes(late.chunks[0][: offset + size // 2])
        index = EventIndex([late.index(), other.index()], growing=True)
        assert len(index.events.timestamps) == 3
        assert index.unfinished
        assert not index.problems()
        growing.write_bytes(late.chunks[0])
        assert index.refresh() == 2
        assert index.events.contributed([0]).all()
        assert contents(index.streams[0]) == late.places
        growing.rename(late.path())
        assert index.refresh() == 0
        assert not index.unfinished

    def test_damaged_bytes_end_the_stream(
        self, tmp_path: Path, with_offsets: bool
    ) -> None:
        stream = plain(tmp_path, 5, with_offsets=with_offsets)
        path = stream.offset_file if with_offsets else stream.path()
        content = path.read_bytes()
        size = service_and_size(content[48:])[1]
        path.write_bytes(content[: 48 + 2 * size] + bytes(500))
        index = EventIndex([stream.index(), plain(tmp_path, 5, number=1).index()])
        assert index.events.contributed([0]).sum() == 2
        assert any(
            f"{path.name} is damaged at byte {48 + 2 * size}" in problem
            for problem in index.problems()
        )

    def test_missing_file(self, tmp_path: Path, with_offsets: bool) -> None:
        stream = begun(tmp_path, with_offsets=with_offsets)
        stream.event(BEGUN + 1, bytes(30))
        stream.next_chunk(BEGUN + 2)
        for k in (3, 4):
            stream.event(BEGUN + k, bytes(30))
        stream.transition(Service.END_RUN, BEGUN + 5)
        stream.save()
        stream.path(1).unlink()
        index = EventIndex([stream.index()])
        events = 3 if with_offsets else 1
        assert index.events.contributed([0]).tolist() == [True, False, False][:events]
        (problem,) = index.problems()
        lost = "2 of 3 events of" if with_offsets else "a part of"
        assert problem == f"{stream.name(1)} is missing, and with it {lost} stream 0"


def test_cut_offset_file_is_a_problem(tmp_path: Path) -> None:
    stream = plain(tmp_path)
    stream.offset_file.write_bytes(stream.offsets[:-30])
    (problem,) = EventIndex([stream.index()]).problems()
    assert problem.startswith(f"{stream.offset_file.name} is truncated")


def test_stream_that_ends_before_the_others_is_a_problem(tmp_path: Path) -> None:
    short = plain(tmp_path, with_offsets=False)
    short.path().write_bytes(short.chunks[0][:-24])
    index = EventIndex([short.index(), plain(tmp_path, number=1).index()])
    assert index.problems() == [
        f"{short.name(0)} ends before the run does: the end of stream 0 is lost"
    ]


def test_chunk_that_is_being_written(tmp_path: Path) -> None:
    stream = begun(tmp_path, with_offsets=False)
    stream.event(BEGUN + 1, bytes(30))
    stream.next_chunk(BEGUN + 2)
    stream.event(BEGUN + 3, bytes(30))
    stream.save()
    for chunk in (0, 1):
        stream.path(chunk).rename(unfinished(stream.path(chunk)))
    index = EventIndex([stream.index()], growing=True)
    assert len(index.events.timestamps) == 2
    stream.transition(Service.END_RUN, BEGUN + 4)
    stream.save()
    for chunk in (0, 1):
        unfinished(stream.path(chunk)).unlink()
    assert index.refresh() == 0
    assert contents(index.streams[0]) == stream.places


class TestWhichFiles:
    def test_of_a_run(self, tmp_path: Path) -> None:
        plain(tmp_path)
        plain(tmp_path, number=2, with_offsets=False)
        found = streams_of_run([tmp_path / "none", tmp_path], "xpptut15", 1)
        assert [stream.data.name[-13:-10] for stream in found] == ["000", "002"]
        assert [stream.offsets is None for stream in found] == [False, True]
        assert not any(stream.growing for stream in found)

    def test_of_a_run_that_grows_have_their_final_names(self, tmp_path: Path) -> None:
        stream = plain(tmp_path)
        for path in (stream.path(), stream.offset_file):
            path.rename(unfinished(path))
        (found,) = streams_of_run([tmp_path], "xpptut15", 1)
        assert found.growing
        assert (found.data, found.offsets) == (stream.path(), stream.offset_file)
        assert streams_of_files([unfinished(stream.path())]) == [found]

    def test_no_such_run(self, tmp_path: Path) -> None:
        plain(tmp_path)
        with pytest.raises(RunNotFound, match=r"run 7 in .*; there is run 1"):
            streams_of_run([tmp_path], "xpptut15", 7)
        with pytest.raises(RunNotFound, match="there are none of any run"):
            streams_of_run([tmp_path], "xppother", 7)
        with pytest.raises(RunNotFound, match=r"there is no folder .*--xtc-dir"):
            streams_of_run([tmp_path / "no"], "xpptut15", 7)

    def test_many_runs_are_not_all_listed(self, tmp_path: Path) -> None:
        for run in range(1, 13):
            (tmp_path / f"xpptut15-r{run:04d}-s000-c000.xtc2").touch()
        with pytest.raises(RunNotFound, match=r"5, 6, 7, 8 \.\.\. 12$"):
            streams_of_run([tmp_path], "xpptut15", 99)

    def test_named_one_by_one(self, tmp_path: Path) -> None:
        stream = plain(tmp_path)
        chunk = stream.path(1)
        chunk.touch()
        (found,) = streams_of_files([stream.path(), chunk])
        assert (found.data, found.offsets) == (stream.path(), stream.offset_file)
        with pytest.raises(UsageError, match="continues another file"):
            streams_of_files([chunk])
        with pytest.raises(UsageError, match="no file was given"):
            streams_of_files([])
        with pytest.raises(RunNotFound, match="there is no file"):
            streams_of_files([tmp_path])

    def test_of_several_runs(self, tmp_path: Path) -> None:
        files = [tmp_path / f"xpptut15-r000{k}-s000-c000.xtc2" for k in (1, 2)]
        for path in files:
            path.touch()
        with pytest.raises(UsageError, match=r"several runs .there are runs 1, 2"):
            streams_of_files(files)


def test_a_part_is_small_however_long_the_run() -> None:
    events, streams = 100_000, 20
    times = BEGUN + np.arange(events, dtype=np.uint64)

    def stream(number: int) -> StreamEvents:
        return StreamEvents(
            files=tuple(Path(f"/data/xpp/xpptut15-s{number}-c{c}") for c in range(5)),
            timestamps=times,
            whole=np.ones(events, bool),
            chunks=np.zeros(events, np.int16),
            offsets=np.arange(events) << 20,
            sizes=np.full(events, 1 << 20, np.uint32),
        )

    steps = np.zeros(events, np.int64)
    whole = EventTable(0, times, steps, tuple(stream(k) for k in range(streams)))
    part = whole.between(50_000, 51_000)
    assert len(pickle.dumps(part)) < 700_000
    assert np.shares_memory(part.streams[3].offsets, whole.streams[3].offsets)
    copy = pickle.loads(pickle.dumps(part))
    assert copy.begin == 50_000
    assert copy.streams[3].place(BEGUN + 50_999) == (0, 50_999 << 20, 1 << 20)
    assert copy.streams[3].place(BEGUN + 51_000) is None


# ---- times of several streams --------------------------------------------------------

TIMES = st.lists(st.integers(0, 40), max_size=30).map(
    lambda times: np.array(sorted(times), np.uint64)
)


@given(st.lists(TIMES, max_size=4))
def test_times_of_all_streams_stand_once_and_in_order(parts):
    expected = sorted({int(time) for part in parts for time in part})
    assert together(parts).tolist() == expected
    assert together(parts).dtype == np.uint64


@given(TIMES, TIMES)
def test_times_among_others(some, times):
    np.testing.assert_array_equal(among(some, times), np.isin(some, times))


@pytest.mark.parametrize("with_offsets", [True, False])
def test_file_that_is_renamed_while_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_offsets: bool
) -> None:
    stream = plain(tmp_path, with_offsets=with_offsets)
    monkeypatch.setattr(datagrams, "on_disk", unfinished)
    index = EventIndex([stream.index()])
    assert contents(index.streams[0]) == stream.places
    assert index.events.contributed([0]).all()
    assert not index.problems()


def test_that_is_followed_no_longer(tmp_path: Path) -> None:
    first, second = plain(tmp_path, 5), plain(tmp_path, 5, number=1)
    _, offset, size = second.places[BEGUN + 40]
    second.path().rename(unfinished(second.path()))
    unfinished(second.path()).write_bytes(second.chunks[0][: offset + size // 2])
    index = EventIndex([first.index(), second.index()], growing=True)
    assert not index.problems()
    before = index.size
    index.stop()
    assert index.broken_off
    assert not index.unfinished
    assert len(index.events) == 3
    assert index.problems() == [
        "the run was not finished when it had 3 events: its last files are "
        f"'{first.name(0)}', '{second.name(0)}.inprogress'; left out, as not whole: "
        "2 events"
    ]
    unfinished(second.path()).write_bytes(second.chunks[0])
    assert index.size == before + len(second.chunks[0]) - offset - size // 2
    done = EventIndex([first.index(), second.index()], growing=True)
    done.stop()
    assert not done.broken_off
    assert len(done.events) == 5
