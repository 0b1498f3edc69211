"""What is wrong in psana as it comes, and is right in runs opened with `open_run`.

Each test shows the trap on stock psana first, then our way.  Traps are numbered as in
the project's notes on psana (section 11).

========================================================  ============================
trap                                                      test
========================================================  ============================
1 the logbook is asked over the network                   test_no_network_is_needed
2 a second run empties the first one's detectors          test_two_runs_open_at_once
3 jungfrau images share one buffer                        test_images_are_separate
7 slow values of a later time, out of order               test_slow_values_of_any_event
8 random access over chunks ends the process              test_chunks_in_random_access
11 truncated data end the loop quietly                    test_truncated_data
11 a missing data file ends everything                    test_missing_data_file
11 a wrong run is an AssertionError                       test_wrong_run
12 each run that is opened leaks descriptors              test_descriptors
12 Open MPI leaves a shared-memory segment                test_import
- importing needs Kerberos                                test_import
- an unknown detector type is a KeyError                  test_unknown_type
- several files are read as runs one after the other      test_streams_as_files
========================================================  ============================

Not applicable, as we do not use the part: 4, 5, 6, 14 and 16 (psana's calibration,
masks and images: ours are in ``detector``), 9 and 10 (its small-data writer and MPI),
13 (its live mode), 15 and 17 (its tools).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import opened, psana

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.errors import RunNotFound
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run
from smalldata_ana.sources.base import Run

EVENTS = 8

STOCK = """
import sys, types, warnings
warnings.simplefilter("ignore")
module = types.ModuleType("krtc")
module.KerberosTicket = object
sys.modules["krtc"] = module
from psana import DataSource
from psana.psexp.ds_base import DataSourceBase
DataSourceBase._get_file_info_from_db = lambda self, run: {}
def source(folder, run=1):
    return DataSource(exp="xppsim01", run=run, dir=folder, skip_calib_load="all",
                      log_level="ERROR")
"""

NO_KERBEROS = """
import importlib.util, os, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "krtc" else found(name, *a)
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "krtc":
            raise ModuleNotFoundError("No module named 'krtc'", name=name)
sys.meta_path.insert(0, Finder)
"""

STATE = """
maps = open("/proc/self/maps").read()
print("shared memory:", "sm_segment" in maps)
print("environment:", sorted(n for n in os.environ if n.startswith("OMPI_MCA")))
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, outside of any MPI."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMPI_")}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make(folder: Path, **changes: Any) -> SimulatedRun:
    options = {"detectors": (DetectorSpec("cspad140k"),), "events": EVENTS}
    return make_run(folder, RunSpec(**{**options, "with_constants": False, **changes}))


def ours(made: SimulatedRun) -> Run:
    return open_run(
        "xppsim01",
        made.spec.run,
        xtc_dir=made.xtc_dir,
        calib_dir=made.calib_dir if made.spec.with_constants else None,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    return make_run(
        tmp_path_factory.mktemp("first"),
        RunSpec(
            detectors=(DetectorSpec("jungfrau05M"), DetectorSpec("rayonix")),
            events=EVENTS,
            steps=4,
        ),
    )


def test_no_network_is_needed(
    made: SimulatedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    def offline(*args: object, **kwargs: object) -> None:
        raise requests.ConnectionError("there is no network")

    monkeypatch.setattr(requests, "get", offline)
    with pytest.raises(requests.ConnectionError):
        psana.DataSource(exp="xppsim01", run=1, dir=str(made.xtc_dir))
    monkeypatch.setattr("socket.socket.connect", offline)
    run = ours(made)
    assert run.read("jungfrau05M", 0) is not None
    run.close()


def test_two_runs_open_at_once(made: SimulatedRun, tmp_path: Path) -> None:
    second = make_run(
        tmp_path,
        RunSpec(
            # a panel was added since
            detectors=(DetectorSpec("jungfrau05M", kind="jungfrau1M"),),
            events=2,
            run=2,
        ),
    )
    code = STOCK + (
        "a = next(source(sys.argv[1]).runs())\n"
        "raw, event = a.Detector('jungfrau05M').raw, next(a.events())\n"
        "assert raw.raw(event) is not None\n"
        "b = next(source(sys.argv[2], 2).runs())\n"
        "assert b.Detector('jungfrau05M').raw is raw\n"
        "print('first run:', raw.raw(event))\n"
    )
    stock = python(code, made.xtc_dir, second.xtc_dir)
    assert stock.stdout.strip() == "first run: None", stock.stderr
    first = ours(made)
    before = first.read("jungfrau05M", 0)
    other = ours(second)
    assert other.read("jungfrau05M", 0) is not None
    assert before is not None
    np.testing.assert_array_equal(first.read("jungfrau05M", 0), before)
    first.close()
    other.close()


def test_images_are_separate(made: SimulatedRun) -> None:
    stock = opened(made)
    raw, events = stock.Detector("jungfrau05M").raw, stock.events()
    assert np.shares_memory(raw.calib(next(events)), raw.calib(next(events)))
    run = ours(made)
    calibration = Calibration.for_run(run, "jungfrau05M")
    frames = [run.read("jungfrau05M", event) for event in (0, 1)]
    images = [calibration(frame) for frame in frames if frame is not None]
    assert not np.shares_memory(*images)
    assert not np.array_equal(*images)
    run.close()


def test_slow_values_of_any_event(made: SimulatedRun) -> None:
    true = made.truth["lxt"]
    stock = opened(made)
    detector, events = stock.Detector("lxt"), list(stock.events())
    assert not np.array_equal([detector(event) for event in events], true)
    run = ours(made)
    order = np.random.default_rng(1).permutation(EVENTS)
    np.testing.assert_array_equal(run.scalar("scan/lxt", order), true[order])
    run.close()


def test_chunks_in_random_access(tmp_path: Path) -> None:
    made = make(tmp_path, chunk_after=3)
    code = STOCK + (
        "run = next(source(sys.argv[1]).runs())\n"
        "with run.build_table() as found: assert found\n"
        "for time in map(int, sys.argv[2:]): run.event(time)\n"
    )
    stock = python(code, made.xtc_dir, *made.truth["timestamp"])
    assert stock.returncode == -signal.SIGABRT, stock.stderr
    run = ours(made)
    assert all(run.read("cspad140k", k) is not None for k in reversed(range(EVENTS)))
    run.close()


def test_truncated_data(tmp_path: Path) -> None:
    made = make(tmp_path, truncate_at=5)
    assert len(list(opened(made).events())) < EVENTS
    run = ours(made)
    assert len(run) == EVENTS
    assert run.contributed("cspad140k").sum() == 5
    (problem,) = run.problems
    assert "3 of 8 events of stream 1 are lost" in problem


def test_missing_data_file(tmp_path: Path) -> None:
    made = make(tmp_path, chunk_after=5)
    (lost,) = made.xtc_dir.glob("*-s001-c001.xtc2")
    lost.unlink()
    with pytest.raises((SystemExit, OSError)):
        list(opened(made).events())
    run = ours(made)
    assert len(run) == EVENTS
    assert run.contributed("cspad140k").sum() == 5
    assert lost.name in run.problems[0]


def test_wrong_run(made: SimulatedRun) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "psana.psexp.ds_base.DataSourceBase._get_file_info_from_db",
            lambda self, run: {},
        )
        with pytest.raises(AssertionError):
            psana.DataSource(exp="xppsim01", run=7, dir=str(made.xtc_dir))
    with pytest.raises(RunNotFound, match="there is run 1"):
        open_run("xppsim01", 7, xtc_dir=made.xtc_dir)


def test_descriptors(made: SimulatedRun) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    kept = [opened(made) for _ in range(3)]
    for stock in kept:
        list(stock.events())
    del kept
    assert count() > before
    before = count()
    for _ in range(3):
        run = ours(made)
        run.read("jungfrau05M", 0)
        run.close()
    assert count() == before


def test_import() -> None:
    stock = python(NO_KERBEROS + "import psana")
    assert "No module named 'krtc'" in stock.stderr
    stock = python("import os, mpi4py.MPI" + STATE)
    assert "shared memory: True" in stock.stdout
    mended = python(
        NO_KERBEROS
        + "from smalldata_ana.sources.psana2.mended import psana\npsana()"
        + STATE
    )
    assert mended.stdout == "shared memory: False\nenvironment: []\n", mended.stderr


def test_unknown_type(made: SimulatedRun) -> None:
    with pytest.raises(KeyError):
        opened(made).Detector("rayonix")
    run = ours(made)
    assert run.detectors["rayonix"].generic
    assert run.read("rayonix", 0) is not None
    run.close()


def test_streams_as_files(made: SimulatedRun) -> None:
    source = psana.DataSource(
        files=[str(path) for path in made.files],
        skip_calib_load="all",
        log_level="ERROR",
    )
    assert len([run.runnum for run in source.runs()]) == len(made.files)
    run = open_run(files=made.files)
    assert len(run) == EVENTS
    assert set(run.detectors) == {"jungfrau05M", "rayonix"}
    run.close()
