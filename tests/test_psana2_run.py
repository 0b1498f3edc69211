"""Runs in LCLS-II files: the events and values that psana's own loop gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import opened, ours, psana

from smalldata_ana.errors import (
    DetectorNotFound,
    NameNotFound,
)
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.datagrams import whole_datagrams

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"
EPIX = REAL / "test_epix_calib.xtc2"
EVENTS = 12
MISSING = (2, 9)


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
