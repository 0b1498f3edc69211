"""The producer follows a run that is being taken."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from simulated import make

from smalldata_ana.commands import beginning
from smalldata_ana.commands.producer import main
from smalldata_ana.opening import open_run
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing import view
from smalldata_ana.producing.batches import Batch, cut
from smalldata_ana.producing.planning import plan
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.smalldata.layout import CONFIGURATION
from smalldata_ana.sources import first_events

EVENTS = 40
PARAMETERS = """\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[[detector.cspad140k.common_mode]]
runs = "1-"
common_mode = -1
[[detector.cspad140k.roi]]
runs = "1-"
ROI = [[0, 1], [20, 40], [50, 90]]
[[detector.cspad140k.sums]]
runs = "1-"
sums = ["calib"]
"""


def command(folder: Path, output: Path, *options: str) -> list[str]:
    parameters = folder / "p.toml"
    parameters.write_text(PARAMETERS)
    return [
        *("-e", "xppsim01", "-r", "1", "--xtc-dir", str(folder / "xtc")),
        *("--params", str(parameters), "-d", str(output), "--nproc", "1"),
        *("--gather_interval", "8", *options),
    ]


def seen(path: Path, shown: list[int], stop: threading.Event) -> None:
    """Look again and again how many events the file shows while it is a view."""
    while not stop.is_set():
        if path.exists():
            with h5py.File(path) as file:
                times = file["timestamp"][()]
                if "unfinished" in file.attrs:
                    assert "ROI_0__ROI_0_bound" in file["UserDataCfg/cspad140k"]
                    assert (np.diff(times) > 0).all()
                    assert len(file["cspad140k/ROI_0_sum"]) == len(times)
                    shown.append(len(times))
        time.sleep(0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the work begin after a few events, and be told at each look."""
    monkeypatch.setattr(first_events, "MOST", 8)
    monkeypatch.setattr(beginning, "POLL", 0.1)
    monkeypatch.setattr(beginning, "_LINE", 0.0)
    monkeypatch.setattr(view, "INTERVAL", 0.0)


def test_live(
    tmp_path: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(first_events, "MOST", 1000)
    monkeypatch.setattr(first_events, "SECONDS", 1)
    output = tmp_path / "live"
    file = output / "xppsim01_Run0001.h5"
    writing = {"rate": 10.0, "events": EVENTS, "steps": 2}
    writer = threading.Thread(target=make, args=(tmp_path,), kwargs=writing)
    writer.start()
    stop, shown = threading.Event(), []
    watcher = threading.Thread(target=seen, args=(file, shown, stop))
    watcher.start()
    try:
        options = command(tmp_path, output, "--live", "--wait", "20")
        assert main(options) == 0
    finally:
        writer.join()
        stop.set()
        watcher.join()
    assert re.search(
        r"xppsim01 run 1: \d+ of 1000 events, or [01] of 1 s, that must be seen",
        capsys.readouterr().err,
    )
    assert shown
    assert 0 < shown[0] < EVENTS
    assert shown == sorted(shown)
    assert_as_later(tmp_path, file)


def assert_as_later(folder: Path, file: Path) -> None:
    """Check that a job after the end of the run makes the same file."""
    later = folder / "later"
    assert main(command(folder, later)) == 0
    with h5py.File(file) as live, h5py.File(later / file.name) as whole:
        assert "unfinished" not in live.attrs
        times = ours_timestamps(folder)
        np.testing.assert_array_equal(live["timestamp"], times)
        for path in ("cspad140k/ROI_0_sum", "Sums/cspad140k_calib", "damage/cspad140k"):
            np.testing.assert_array_equal(live[path], whole[path])
            assert not live[path].is_virtual


def ours_timestamps(folder: Path) -> np.ndarray:
    run = open_run("xppsim01", 1, xtc_dir=folder / "xtc")
    times = run.timestamps.astype(np.int64)
    run.close()
    return times


class Daq(threading.Thread):
    """Takes a run whose second stream, of the detector, appears after the first.

    Parameters
    ----------
    folder : of the files
    second : how long after the first [s], empty for a moment, or None for never
    """

    def __init__(self, folder: Path, second: float | None) -> None:
        super().__init__()
        self._hidden, self._shown = folder / "hidden", folder
        self._second = second

    def run(self) -> None:
        """Write the run, and let its files be seen bit by bit."""
        writing = {"rate": 15.0, "events": EVENTS, "steps": 2}
        writer = threading.Thread(target=make, args=(self._hidden,), kwargs=writing)
        writer.start()
        begun = threading.Event()
        while not self._files("*-s001-*"):
            begun.wait(0.05)
        begun.wait(0.5)
        self._show("*-s000-*")
        if self._second is not None:
            begun.wait(self._second)
            empty = self._shown / "xtc/xppsim01-r0001-s001-c000.xtc2.inprogress"
            empty.touch()
            begun.wait(0.2)
            empty.unlink()
            self._show("*-s001-*")
        writer.join()
        for path in (self._shown / "xtc").rglob("*.inprogress"):
            path.rename(path.with_suffix(""))

    def _files(self, pattern: str) -> list[Path]:
        return sorted((self._hidden / "xtc").rglob(pattern))

    def _show(self, pattern: str) -> None:
        for path in self._files(pattern):
            shown = self._shown / path.relative_to(self._hidden)
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.hardlink_to(path)


def follow(folder: Path, second: float | None, *options: str) -> int:
    """Run the producer on a run that is being taken; see `Daq`."""
    daq = Daq(folder, second)
    daq.start()
    try:
        live = command(folder, folder / "live", "--live", "--wait", "20")
        return main([*live, *options])
    finally:
        daq.join()


def test_stream_that_appears_while_the_begin_is_waited_for(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(tmp_path, 1.5) == 0
    told = capsys.readouterr().err
    assert "xppsim01 run 1: no data of cspad140k yet, for 60 s" in told
    assert_as_later(tmp_path, tmp_path / "live/xppsim01_Run0001.h5")


def test_stream_that_appears_later_is_told(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(tmp_path, 1.5, "--default") == 3
    assert (
        "incomplete: xppsim01-r0001-s001-c000.xtc2 appeared later, and nothing of this "
        "stream is in the file; run the producer again, without --live"
    ) in capsys.readouterr().out
    with h5py.File(tmp_path / "live/xppsim01_Run0001.h5") as file:
        assert len(file["timestamp"]) == EVENTS
        assert "damage/cspad140k" not in file


def test_detector_that_never_appears(
    tmp_path: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(beginning, "PATIENCE", 0.3)
    assert follow(tmp_path, None) == 2
    told = capsys.readouterr().err
    assert (
        "error: no area detector 'cspad140k' in xppsim01 run 1; there are none" in told
    )
    assert "run the producer when the run has ended" in told
    assert not (tmp_path / "live/xppsim01_Run0001.h5").exists()


def test_view_is_made_anew_when_there_is_more_and_not_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    monkeypatch.setattr(view.part_file, "tables_of", lambda job: {})
    job = SimpleNamespace(
        part_path=lambda batch: tmp_path / str(batch.number), parts=tmp_path
    )
    target = tmp_path / "view.h5"
    made = view.View(job, target, lambda file: file.create_group(CONFIGURATION))
    batches = cut(30, 10)

    def shown(several: list[Batch]) -> str:
        made.publish(several)
        with h5py.File(target) as file:
            return file.attrs["unfinished"]

    made.publish([])
    assert not target.exists()
    assert shown(batches[:1]) == "1 finished batches"
    assert shown(batches[:2]) == "1 finished batches"
    now += view.INTERVAL
    assert shown(batches[:2]) == "2 finished batches"
    before = target.stat().st_ino
    now += view.INTERVAL
    assert shown(batches[:2]) == "2 finished batches"
    assert target.stat().st_ino == before
    assert shown(batches) == "3 finished batches"


def test_parts_of_fewer_panels_are_not_taken_over(tmp_path: Path) -> None:
    made = make(tmp_path, detectors=(DetectorSpec("jungfrau1M", streams=2),), events=3)
    path = tmp_path / "p.toml"
    path.write_text(PARAMETERS.replace("cspad140k", "jungfrau1M"))
    resolved = ParameterFile.load(path, "xppsim01").resolve(1)
    jobs = [
        plan(
            open_run(files=files, calib_dir=tmp_path), resolved, tmp_path / "parts"
        ).job
        for files in (made.files[:2], made.files)
    ]
    assert jobs[0].fields == jobs[1].fields
    assert jobs[0].digest != jobs[1].digest
