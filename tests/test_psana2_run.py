"""Runs in LCLS-II files: the events and values that psana's own loop gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import opened, psana

from smalldata_ana.errors import (
    DetectorNotFound,
    NameNotFound,
    RunNotFound,
    SmallDataError,
    UsageError,
)
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.datagrams import unfinished, whole_datagrams

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"
EPIX = REAL / "test_epix_calib.xtc2"
EVENTS = 12
MISSING = (2, 9)
TRUNCATED_AT = 5


def ours(made: SimulatedRun, **options: Any) -> Run:
    return open_run(
        made.spec.experiment,
        made.spec.run,
        xtc_dir=made.xtc_dir,
        calib_dir=made.calib_dir if made.spec.with_constants else None,
        **options,
    )


def make(folder: Path, **changes: Any) -> SimulatedRun:
    """Write a run of a small detector; ``changes`` are of its specification."""
    options: dict[str, Any] = {
        "detectors": (DetectorSpec("cspad140k"),),
        "events": 8,
        "with_constants": False,
    }
    return make_run(folder, RunSpec(**{**options, **changes}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    """Return a run with panels in several streams, and one that psana cannot read."""
    return make_run(
        tmp_path_factory.mktemp("simulated"),
        RunSpec(
            events=EVENTS,
            steps=3,
            detectors=(
                DetectorSpec("jungfrau1M", streams=2, missing=MISSING),
                DetectorSpec("epix100", missing=(0, 1, 4)),
                DetectorSpec("opal"),
                DetectorSpec("epixquad", streams=2),
                DetectorSpec("rayonix"),
            ),
        ),
    )


@pytest.fixture(scope="module")
def run(made: SimulatedRun) -> Iterator[Run]:
    found = ours(made)
    yield found
    found.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    """Return a run of one small detector."""
    return make(tmp_path_factory.mktemp("bare"), steps=2)


def psana_events(made: SimulatedRun) -> tuple[Any, list[Any]]:
    reference = opened(made)
    return reference, list(reference.events())


class TestSimulatedRun:
    def test_events_and_steps(self, made: SimulatedRun, run: Run) -> None:
        reference = opened(made)
        events = [
            (event.timestamp, number)
            for number, step in enumerate(reference.steps())
            for event in step.events()
        ]
        assert len(run) == EVENTS
        assert list(zip(run.timestamps.tolist(), run.steps, strict=True)) == events
        assert (run.experiment, run.number) == (reference.expt, reference.runnum)
        assert not run.problems
        assert isinstance(run, Run)

    def test_frames(self, made: SimulatedRun, run: Run) -> None:
        reference, events = psana_events(made)
        names = ["jungfrau1M", "epix100", "opal", "epixquad"]
        readers = {name: reference.Detector(name) for name in names}
        for number, event in enumerate(events):
            for name, reader in readers.items():
                expected, frame = reader.raw.raw(event), run.read(name, number)
                assert (expected is None) == (frame is None)
                if frame is not None:
                    np.testing.assert_array_equal(frame, expected)
                    assert frame.dtype == run.detectors[name].dtype
                    assert frame.shape == run.detectors[name].shape

    def test_scalars(self, made: SimulatedRun, run: Run) -> None:
        reference, events = psana_events(made)
        compared = 0
        for name, info in run.scalars.items():
            detector, _, field = name.partition("/")
            if detector in ("epics", "scan"):
                continue
            method = getattr(reference.Detector(detector).raw, field)
            expected = np.array([method(event) for event in events])
            values = run.scalar(name)
            assert values.shape == (EVENTS, *info.shape)
            np.testing.assert_array_equal(values, expected, err_msg=name)
            compared += 1
        assert compared > 10

    def test_event_codes(self, made: SimulatedRun, run: Run) -> None:
        reference, events = psana_events(made)
        timing = reference.Detector("timing")
        expected = [timing.raw.eventcodes(event) for event in events]
        np.testing.assert_array_equal(run.event_codes(), expected)
        chosen = np.array([7, 0])
        np.testing.assert_array_equal(
            run.event_codes(chosen), np.array(expected)[chosen]
        )

    def test_slow_values(self, made: SimulatedRun, run: Run) -> None:
        reference = opened(made)
        names = [n for n in run.scalars if n.startswith(("epics/", "scan/"))]
        readers = {name: reference.Detector(name.split("/")[1]) for name in names}
        expected: dict[str, list[Any]] = {name: [] for name in names}
        for event in reference.events():
            for name, reader in readers.items():
                expected[name].append(reader(event))
        assert {n.split("/")[1] for n in names} >= {
            name for name, _ in (*reference.epicsinfo, *reference.scaninfo)
        } - {""}
        for name, values in expected.items():
            np.testing.assert_array_equal(run.scalar(name), np.array(values), name)
        backwards = np.arange(EVENTS)[::-1]
        np.testing.assert_array_equal(
            run.scalar("scan/lxt", backwards), made.truth["lxt"][::-1]
        )

    def test_aliases(self, run: Any) -> None:
        names = {name.partition("/")[2] for name in run.scalars if "epics/" in name}
        assert names == set(run.aliases)

    def test_missing_contributions(self, run: Run) -> None:
        present = np.ones(EVENTS, bool)
        present[list(MISSING)] = False
        np.testing.assert_array_equal(run.contributed("jungfrau1M"), present)
        mark = np.full(run.detectors["jungfrau1M"].shape, 7, np.uint16)
        assert run.read("jungfrau1M", MISSING[0], out=mark) is None
        assert (mark == 7).all()
        assert run.read("jungfrau1M", 0, out=mark) is mark
        assert not (mark == 7).all()

    def test_type_that_psana_does_not_know_is_generic(
        self, made: SimulatedRun, run: Run
    ) -> None:
        assert [n for n, d in run.detectors.items() if d.generic] == ["rayonix"]
        frames = [run.read("rayonix", event) for event in range(EVENTS)]
        assert all(frame is not None for frame in frames)
        assert len({frame.tobytes() for frame in frames if frame is not None}) == EVENTS
        expected = DetectorSpec("rayonix").what
        assert run.detectors["rayonix"].shape == expected.shape
        # its stream is the last; the frame is the longest thing in its datagram
        with open(made.files[-1], "rb") as file:
            events = [d for d in whole_datagrams(file) if d.service.is_event]
            file.seek(events[3].offset)
            content = file.read(events[3].size)
        assert frames[3] is not None
        assert frames[3].tobytes() in content

    def test_panels(self, run: Run) -> None:
        panels = {name: info.panels for name, info in run.detectors.items()}
        assert panels == {
            "jungfrau1M": (0, 1),
            "epix100": (0,),
            "opal": (0,),
            "epixquad": (0, 1, 2, 3),
            "rayonix": (0,),
        }

    def test_frames_are_the_callers_own(self, run: Run) -> None:
        first = run.read("opal", 0)
        assert first is not None
        kept = first.copy()
        second = run.read("opal", 1)
        assert second is not None
        assert not np.shares_memory(first, second)
        np.testing.assert_array_equal(first, kept)

    def test_values_of_several_events_do_not_share_memory(self, run: Run) -> None:
        for name, info in run.scalars.items():
            if info.shape:
                values = run.scalar(name)
                single = [run.scalar(name, np.array([k]))[0] for k in range(EVENTS)]
                np.testing.assert_array_equal(values, single, err_msg=name)

    def test_several_threads_read_what_one_reads(self, made: SimulatedRun) -> None:
        names = ["jungfrau1M", "epix100", "opal", "epixquad", "rayonix"]
        tasks = [(name, event) for event in range(EVENTS) for name in names] * 2

        def look(found: Run) -> Callable[[tuple[str, int]], int]:
            def read(task: tuple[str, int]) -> int:
                frame = found.read(*task)
                return 0 if frame is None else hash(frame.tobytes())

            return read

        serial, parallel = ours(made), ours(made)
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(look(parallel), tasks))
        assert together == list(map(look(serial), tasks))
        serial.close()
        parallel.close()

    def test_gain_configuration(self, made: SimulatedRun, run: Run) -> None:
        reference, _ = psana_events(made)
        expected = reference.Detector("epixquad").raw._cbits_config_detector()
        np.testing.assert_array_equal(run.gain_configuration("epixquad"), expected)
        assert run.gain_configuration("jungfrau1M") is None

    def test_positions(self, made: SimulatedRun, run: Run) -> None:
        reference = opened(made)
        for name in ("jungfrau1M", "epix100", "epixquad"):
            found = run.pixel_positions(name)
            assert found is not None
            raw = reference.Detector(name).raw
            for mine, theirs in zip(
                (found.x, found.y, found.z), raw._pixel_coords(), strict=True
            ):
                np.testing.assert_allclose(mine, theirs.reshape(mine.shape))

    def test_unknown_names(self, run: Run) -> None:
        with pytest.raises(DetectorNotFound, match="Did you mean 'jungfrau1M'"):
            run.read("jungfrau", 0)
        with pytest.raises(NameNotFound, match="Did you mean 'scan/lxt'"):
            run.scalar("scan/lxtt")

    def test_reads_again_after_it_was_closed(self, made: SimulatedRun) -> None:
        again = ours(made)
        again.close()
        assert again.read("opal", 0) is not None
        again.close()


@pytest.mark.parametrize("name", ["mixed_rate", "fakesteps", "chunking", "intg_det"])
class TestRealRuns:
    @pytest.fixture
    def reference(self, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
        from psana.psexp.ds_base import DataSourceBase

        if not (REAL / name).is_dir():
            pytest.skip(f"there is no {REAL / name}")
        monkeypatch.setattr(
            DataSourceBase, "_get_file_info_from_db", lambda self, run: {}
        )
        source = psana.DataSource(
            exp="xpptut15",
            run=14,
            dir=str(REAL / name),
            skip_calib_load="all",
            log_level="ERROR",
        )
        yield next(source.runs())
        source.dm.close()

    def test_events_and_steps(self, name: str, reference: Any) -> None:
        found = open_run("xpptut15", 14, xtc_dir=REAL / name)
        events = [
            (event.timestamp, number)
            for number, step in enumerate(reference.steps())
            for event in step.events()
        ]
        assert list(zip(found.timestamps.tolist(), found.steps, strict=True)) == events
        assert not found.problems
        found.close()

    def test_frames_and_values(self, name: str, reference: Any) -> None:
        found = open_run("xpptut15", 14, xtc_dir=REAL / name)
        slow = [n for n in found.scalars if n.startswith(("epics/", "scan/"))]
        others = [n for n in found.scalars if n not in slow]
        readers = {
            n: reference.Detector(n.partition("/")[2] if n in slow else n.split("/")[0])
            for n in found.scalars
        }
        values = {n: found.scalar(n) for n in found.scalars}
        area = {n: reference.Detector(n).raw for n in found.detectors}
        contributed = {n: found.contributed(n) for n in found.detectors}
        for number, event in enumerate(reference.events()):
            for n in slow:
                expected = readers[n](event)
                assert values[n][number] == expected or expected is None
            for n in others:
                _, *algorithms, field = n.split("/")
                algorithm = algorithms[0] if algorithms else "raw"
                source = getattr(readers[n], algorithm)
                expected = getattr(source, field)(event)
                # without all segments, a class of psana's gives zeros, not None
                there = source._segments(event) is not None
                if expected is None or not there:
                    assert np.isnan(values[n][number]).all()
                else:
                    np.testing.assert_array_equal(values[n][number], expected)
            for n, raw in area.items():
                frame = found.read(n, number)
                assert (frame is not None) == contributed[n][number]
                if frame is None:
                    # psana's own class stumbles over it
                    with pytest.raises(TypeError):
                        raw.raw(event)
                else:
                    np.testing.assert_array_equal(frame, raw.raw(event))
        found.close()

    def test_without_offset_files(self, name: str, tmp_path: Path) -> None:
        if not (REAL / name).is_dir():
            pytest.skip(f"there is no {REAL / name}")
        with_offsets = open_run("xpptut15", 14, xtc_dir=REAL / name)
        for path in (REAL / name).glob("*.xtc2"):
            (tmp_path / path.name).symlink_to(path)
        files = sorted(tmp_path.glob("*-c000.xtc2"))
        without = open_run(files=files)
        np.testing.assert_array_equal(without.timestamps, with_offsets.timestamps)
        np.testing.assert_array_equal(without.steps, with_offsets.steps)
        assert without.detectors == with_offsets.detectors
        for n in without.detectors:
            for number in range(len(without)):
                np.testing.assert_array_equal(
                    without.read(n, number), with_offsets.read(n, number)
                )
        assert not without.problems
        without.close()
        with_offsets.close()


@pytest.mark.skipif(not EPIX.exists(), reason=f"there is no {EPIX}")
def test_real_epixquad() -> None:
    found = open_run(files=[EPIX])
    source = psana.DataSource(
        files=[str(EPIX)], skip_calib_load="all", log_level="ERROR"
    )
    reference = next(source.runs())
    raw = reference.Detector("epixquad").raw
    events = 0
    for number, event in enumerate(reference.events()):
        assert found.timestamps[number] == event.timestamp
        np.testing.assert_array_equal(found.read("epixquad", number), raw.raw(event))
        events += 1
    assert len(found) == events == 2
    assert (found.experiment, found.number) == ("ueddaq02", 109)
    np.testing.assert_array_equal(
        found.gain_configuration("epixquad"), raw._cbits_config_detector()
    )
    assert not found.problems
    found.close()
    source.dm.close()


@pytest.mark.parametrize("with_smd", [True, False])
class TestFaults:
    def test_chunks(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path / "a", chunk_after=3, with_smd=with_smd)
        plain = ours(make(tmp_path / "b"))
        found = ours(made)
        assert len(list(made.xtc_dir.glob("*-c002.xtc2"))) == 2
        assert len(found) == len(plain) == 8
        for event in range(8):
            np.testing.assert_array_equal(
                found.read("cspad140k", event), plain.read("cspad140k", event)
            )
        for name in ("gmd/millijoulesperpulse", "scan/lxt"):
            np.testing.assert_array_equal(found.scalar(name), plain.scalar(name))
        assert not found.problems

    def test_missing_chunk(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, chunk_after=3, with_smd=with_smd)
        (lost,) = made.xtc_dir.glob("*-s001-c001.xtc2")
        lost.unlink()
        found = ours(made)
        assert len(found) == 8
        there = found.contributed("cspad140k")
        kept = [0, 1, 2, 6, 7] if with_smd else [0, 1, 2]
        assert np.flatnonzero(there).tolist() == kept
        assert found.read("cspad140k", 3) is None
        (problem,) = found.problems
        events = "3 of 8 events of" if with_smd else "a part of"
        assert problem == f"{lost.name} is missing, and with it {events} stream 1"

    def test_missing_chunk_of_the_timing(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, chunk_after=3, with_smd=with_smd)
        (lost,) = made.xtc_dir.glob("*-s000-c001.xtc2")
        lost.unlink()
        found = ours(made)
        codes = found.event_codes()
        gone = (codes == -1).all(axis=1)
        assert np.flatnonzero(gone).tolist() == (
            [3, 4, 5] if with_smd else [3, 4, 5, 6, 7]
        )
        assert np.isnan(found.scalar("gmd/millijoulesperpulse")[gone]).all()
        assert np.isfinite(found.scalar("gmd/millijoulesperpulse")[~gone]).all()

    def test_truncated_data(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, truncate_at=TRUNCATED_AT, with_smd=with_smd)
        found = ours(made)
        assert len(found) == 8
        assert found.contributed("cspad140k").sum() == TRUNCATED_AT
        assert found.read("cspad140k", TRUNCATED_AT - 1) is not None
        assert found.read("cspad140k", TRUNCATED_AT) is None
        (problem,) = found.problems
        assert "s001-c000.xtc2 is truncated" in problem
        assert with_smd == ("3 of 8 events of stream 1 are lost" in problem)

    def test_truncated_single_stream(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, truncate_at=TRUNCATED_AT, with_smd=with_smd)
        found = open_run(files=[made.files[1]])
        assert len(found) == (8 if with_smd else TRUNCATED_AT + 1)
        assert found.contributed("cspad140k").sum() == TRUNCATED_AT
        assert len(found.problems) == 1


def test_missing_data_file_beside_its_offset_file(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.files[1].unlink()
    found = open_run(files=[made.files[0]])
    assert len(found) == 8
    from smalldata_ana.sources.psana2.run import Psana2Run
    from smalldata_ana.sources.xtc_files import streams_of_files

    (first,) = streams_of_files([made.files[0]])
    second = type(first)(
        made.files[1],
        made.xtc_dir / "smalldata" / made.files[1].name.replace("xtc2", "smd.xtc2"),
    )
    both = Psana2Run([first, second], lambda *_: pytest.fail("no constants"))
    assert len(both) == 8
    (problem,) = both.problems
    assert problem == (
        f"{made.files[1].name} is missing, and with it 8 of 8 events of stream 1"
    )
    assert "cspad140k" not in both.detectors


def test_damaged_events_count_as_missing(tmp_path: Path) -> None:
    made = make(tmp_path)
    with open(made.files[1], "r+b") as file:
        events = [d for d in whole_datagrams(file) if d.service.is_event]
        for event, content in ((2, bytes(24)), (4, b"\xff" * 24)):
            file.seek(events[event].offset)
            file.write(content)
    found = ours(made)
    for _ in range(2):
        read = [found.read("cspad140k", k) is not None for k in range(8)]
    assert read == [True, True, False, True, False, True, True, True]
    assert found.problems == [
        "2 events of stream 1 are damaged and count as missing",
    ]


def test_files_equal_the_run(bare: SimulatedRun, tmp_path: Path) -> None:
    for path in bare.files:
        (tmp_path / path.name).symlink_to(path)
    loose = open_run(files=[tmp_path / path.name for path in bare.files])
    whole = ours(bare)
    np.testing.assert_array_equal(loose.timestamps, whole.timestamps)
    np.testing.assert_array_equal(loose.steps, whole.steps)
    assert loose.detectors == whole.detectors
    assert loose.scalars == whole.scalars
    for name in whole.scalars:
        np.testing.assert_array_equal(loose.scalar(name), whole.scalar(name))
    for event in range(len(whole)):
        np.testing.assert_array_equal(
            loose.read("cspad140k", event), whole.read("cspad140k", event)
        )
    assert (loose.experiment, loose.number) == (whole.experiment, whole.number)


def test_some_of_the_panels(tmp_path: Path) -> None:
    made = make(tmp_path, detectors=(DetectorSpec("jungfrau1M", streams=2),), events=3)
    part = open_run(files=[made.files[0], made.files[2]])
    whole = ours(made)
    assert part.detectors["jungfrau1M"].panels == (1,)
    assert part.detectors["jungfrau1M"].shape == (1, 512, 1024)
    frame = whole.read("jungfrau1M", 2)
    assert frame is not None
    np.testing.assert_array_equal(part.read("jungfrau1M", 2), frame[1:])
    positions, all_positions = (r.pixel_positions("jungfrau1M") for r in (part, whole))
    assert positions is not None
    assert all_positions is not None
    np.testing.assert_array_equal(positions.x, all_positions.x[1:])


@pytest.mark.parametrize("with_smd", [True, False])
def test_run_that_grows(tmp_path: Path, with_smd: bool) -> None:
    spec = {"rate": 25.0, "events": 30, "steps": 2, "with_smd": with_smd}
    first = tmp_path / "xtc/xppsim01-r0001-s001-c000.xtc2"
    writer = threading.Thread(target=make, args=(tmp_path,), kwargs=spec)
    writer.start()
    begun = threading.Event()
    while not (unfinished(first).exists() and unfinished(first).stat().st_size > 5e5):
        assert writer.is_alive()
        begun.wait(0.02)
    found = open_run("xppsim01", 1, xtc_dir=tmp_path / "xtc")
    kept: dict[int, bytes] = {}
    looks = set()
    while len(found) < 30:
        frames = {
            int(found.timestamps[k]): found.read("cspad140k", k)
            for k in range(len(kept), len(found))
        }
        kept |= {t: f.tobytes() for t, f in frames.items() if f is not None}
        assert len(kept) == len(found)
        looks.add(len(found))
        begun.wait(0.05)
        alive = writer.is_alive()
        found.refresh()
        assert alive or len(found) == 30
    writer.join()
    assert len(looks) > 2
    found.refresh()
    assert len(found) == 30
    assert not found.problems
    after = open_run("xppsim01", 1, xtc_dir=tmp_path / "xtc")
    np.testing.assert_array_equal(found.timestamps, after.timestamps)
    np.testing.assert_array_equal(found.steps, after.steps)
    np.testing.assert_array_equal(found.scalar("scan/lxt"), after.scalar("scan/lxt"))
    for number, time in enumerate(after.timestamps.tolist()):
        frame = after.read("cspad140k", number)
        assert frame is not None
        assert kept.get(time, frame.tobytes()) == frame.tobytes()
    # the files have other names now, and are found under them
    found.close()
    assert found.read("cspad140k", 0) is not None


def test_no_descriptor_is_leaked(bare: SimulatedRun) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        found = ours(bare)
        found.read("cspad140k", 1)
        found.scalar("scan/lxt")
        found.close()
    assert len(os.listdir("/proc/self/fd")) == before


class TestClearErrors:
    def test_not_an_xtc2_file(self, tmp_path: Path) -> None:
        path = tmp_path / "data.xtc2"
        for content in (b"", b"no", b"nothing of an xtc2 file, but long enough" * 9):
            path.write_bytes(content)
            with pytest.raises(RunNotFound, match="is not an xtc2 file"):
                open_run(files=[path])

    def test_cut_within_its_begin(self, bare: SimulatedRun, tmp_path: Path) -> None:
        path = tmp_path / bare.files[0].name
        path.write_bytes(bare.files[0].read_bytes()[:500])
        with pytest.raises(RunNotFound, match="is cut off within"):
            open_run(files=[path])

    def test_a_continuation(self, tmp_path: Path) -> None:
        made = make(tmp_path, chunk_after=3)
        chunk = next(made.xtc_dir.glob("*-s001-c001.xtc2"))
        with pytest.raises(UsageError, match="continues another file"):
            open_run(files=[chunk])
        renamed = chunk.rename(tmp_path / "some.xtc2")
        with pytest.raises(RunNotFound, match="not the first file of an xtc2 stream"):
            open_run(files=[renamed])

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunNotFound, match="there is no file"):
            open_run(files=[tmp_path])

    def test_file_that_cannot_be_read(self, bare: SimulatedRun, tmp_path: Path) -> None:
        from smalldata_ana.sources.psana2.reading import configuration

        with pytest.raises(RunNotFound, match=r"cannot read .*Is a directory"):
            configuration(tmp_path)

    def test_no_such_experiment(self, tmp_path: Path) -> None:
        with pytest.raises(RunNotFound, match="no data of experiment 'xppnone12'"):
            open_run("xppnone12", 1)
        with pytest.raises(SmallDataError, match="not the name of an experiment"):
            open_run("XPP none", 1)

    def test_no_such_run(self, bare: SimulatedRun) -> None:
        with pytest.raises(RunNotFound, match=r"run 9 in .*; there is run 1"):
            open_run("xppsim01", 9, xtc_dir=bare.xtc_dir)

    def test_nothing_was_said(self) -> None:
        with pytest.raises(UsageError, match="say which run"):
            open_run()
        with pytest.raises(UsageError, match="say which run"):
            open_run("xppsim01")

    def test_files_of_several_runs(self, bare: SimulatedRun, tmp_path: Path) -> None:
        other = make(tmp_path / "other", run=2)
        with pytest.raises(UsageError, match="several runs"):
            open_run(files=[bare.files[0], other.files[1]])
        renamed = tmp_path / "a.xtc2"
        renamed.symlink_to(other.files[1])
        with pytest.raises(RunNotFound, match=r"'xppsim01 run 1', 'xppsim01 run 2'"):
            open_run(files=[bare.files[0], renamed])

    def test_files_of_another_run_than_was_said(self, bare: SimulatedRun) -> None:
        with pytest.raises(RunNotFound, match="experiment 'xppsim01', not 'xppother'"):
            open_run("xppother", 1, files=bare.files)
        with pytest.raises(RunNotFound, match="run 1, not 4"):
            open_run("xppsim01", 4, files=bare.files)


def test_constants_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SmallDataError, match=r"no constants store .*nowhere"):
        open_run("xppsim01", 1, calib_dir=tmp_path / "nowhere")
