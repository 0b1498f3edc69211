"""How runs in LCLS-II files are opened: by name, by files, growing; clear errors."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from simulated import make, ours

from smalldata_ana.errors import (
    RunNotFound,
    SmallDataError,
    UsageError,
)
from smalldata_ana.opening import late_streams, open_run
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.simulation.run_writer import SimulatedRun
from smalldata_ana.sources.datagrams import unfinished


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    """Return a run of one small detector."""
    return make(tmp_path_factory.mktemp("bare"), steps=2)


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


def test_streams_that_come_after_the_run_was_opened(
    bare: SimulatedRun, tmp_path: Path
) -> None:
    first, second = (tmp_path / path.name for path in bare.files)
    first.hardlink_to(bare.files[0])
    found = open_run("xppsim01", 1, xtc_dir=tmp_path)
    loose = open_run(files=[first])
    assert late_streams(found) == []
    unfinished(second).hardlink_to(bare.files[1])
    (tmp_path / second.name.replace("-c000", "-c001")).hardlink_to(bare.files[1])
    assert late_streams(found) == [second.name]
    assert late_streams(loose) == []
    assert "cspad140k" not in found.detectors
    again = open_run("xppsim01", 1, xtc_dir=tmp_path)
    assert late_streams(again) == []
    assert "cspad140k" in again.detectors
    unfinished(second).rename(second)
    assert late_streams(again) == []
    for path in tmp_path.iterdir():
        path.unlink()
    assert late_streams(again) == []


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

    def test_an_offset_file_without_a_begin_is_none(
        self, bare: SimulatedRun, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(bare.xtc_dir, tmp_path / "xtc")
        with closing(open_run("xppsim01", 1, xtc_dir=folder)) as run:
            whole = run.timestamps
        for size, path in enumerate(sorted((folder / "smalldata").iterdir())):
            os.truncate(path, 500 * size)
        with closing(open_run("xppsim01", 1, xtc_dir=folder)) as run:
            np.testing.assert_array_equal(run.timestamps, whole)
            assert not run.problems

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


def test_without_recorders(tmp_path: Path) -> None:
    made = make(tmp_path)
    for path in [*made.xtc_dir.rglob("*-s001-*.xtc2")]:
        path.rename(path.with_name(path.name.replace("-s001-", "-s080-")))
    assert "cspad140k" in ours(made).detectors
    without = ours(made, recorders=False)
    assert len(without) == 8
    assert not without.detectors
    files = sorted(made.xtc_dir.glob("*.xtc2"))
    assert not open_run(files=files, recorders=False).detectors
    with pytest.raises(RunNotFound, match="all streams are of recorders"):
        open_run(files=files[1:], recorders=False)
