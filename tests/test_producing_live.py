"""The producer follows a run that is being taken."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from simulated import make

from smalldata_ana.commands.producer import main
from smalldata_ana.producing import planning, view

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
                    assert (np.diff(times) > 0).all()
                    assert len(file["cspad140k/ROI_0_sum"]) == len(times)
                    shown.append(len(times))
        time.sleep(0.05)


def test_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FIRST", 8)
    monkeypatch.setattr(view, "INTERVAL", 0.0)
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
    assert shown
    assert 0 < shown[0] < EVENTS
    assert shown == sorted(shown)
    later = tmp_path / "later"
    assert main(command(tmp_path, later)) == 0
    with h5py.File(file) as live, h5py.File(later / file.name) as whole:
        assert "unfinished" not in live.attrs
        times = ours_timestamps(tmp_path)
        np.testing.assert_array_equal(live["timestamp"], times)
        for path in ("cspad140k/ROI_0_sum", "Sums/cspad140k_calib", "damage/cspad140k"):
            np.testing.assert_array_equal(live[path], whole[path])
            assert not live[path].is_virtual


def ours_timestamps(folder: Path) -> np.ndarray:
    from smalldata_ana import open_run

    run = open_run("xppsim01", 1, xtc_dir=folder / "xtc")
    times = run.timestamps.astype(np.int64)
    run.close()
    return times
