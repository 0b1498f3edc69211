"""The specification's example as a script of its own, and how such scripts end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana import psana1
from smalldata_ana.errors import FileError, ParameterError, RunNotFound, UsageError
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run

EXP, RUN = "xpptut15", 650
EVENTS, PROCESSED, MISSING = 8, 5, 3
SOURCE = Path(__file__).parent.parent

# The specification's text, but for its imports.
EXAMPLE = """
from smalldata_ana import psana1 as psana
from smalldata_ana import DetObject, DetObjectFunc
from smalldata_ana import getUserData
from smalldata_ana import ROIFunc

# get psana data source
exp = 'xpptut15'
run = 650
dsname = f'exp={exp}:run={run}'
ds = psana.MPIDataSource(dsname)

# instantiate Jungfrau detector object
det = DetObject('jungfrau1M', ds.env(), int(run))

# prepare the ROI function
func_kwargs = {}
func_kwargs['ROI'] = [ [[0,1],[100,120],[50,60]] ] # a random ROI
func_kwargs['thresADU'] = None
func_kwargs['writeArea'] = False
func = ROIFunc(**func_kwargs)

# Attach function to the detector
det.addFunc(func)

# Process a couple events
userDict = {} # dictionary to store detector data
small_data = ds.small_data('./test.h5', gather_interval=5) # file to save data to
ds.break_after(5) # stop event loop after 5 events
for nevt,evt in enumerate(ds.events()): # usual psana event loop
    det.getData(evt) # get the detector data
    det.processFuncs() # process the attached functions
    userDict[det._name]=getUserData(det) # get the function results
    small_data.event(userDict) # write data to h5
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def made(base: Path) -> SimulatedRun:
    """Write a run where an experiment has its files."""
    spec = RunSpec(
        EXP, RUN, (DetectorSpec("jungfrau1M", missing=(MISSING,)),), events=EVENTS
    )
    return make_run(base / EXP[:3] / EXP, spec)


def run_script(
    text: str, made: SimulatedRun, folder: Path
) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(text)
    places = {
        "SIT_PSDM_DATA": str(made.xtc_dir.parents[2]),
        "SMALLDATA_ANA_CALIB": str(made.calib_dir),
        "PYTHONPATH": str(SOURCE),
    }
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, **places},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def found(
    made: SimulatedRun, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what the example writes, by dataset."""
    folder = tmp_path_factory.mktemp("example")
    done = run_script(EXAMPLE, made, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(p.name for p in folder.iterdir()) == ["script.py", "test.h5"]
    values: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values[name] = item[()]

    with h5py.File(folder / "test.h5") as file:
        file.visititems(collect)
    return values


def test_the_example_writes_a_row_for_each_event(
    found: dict[str, Any], made: SimulatedRun
) -> None:
    assert set(found) == {
        "timestamp",
        *(f"jungfrau1M/ROI_{key}" for key in ("sum", "mean", "max", "com")),
    }
    assert {len(value) for value in found.values()} == {PROCESSED}
    np.testing.assert_array_equal(
        found["timestamp"], made.truth["timestamp"][:PROCESSED]
    )


def test_the_numbers_of_the_example(found: dict[str, Any], made: SimulatedRun) -> None:
    constants = made.constants["jungfrau1M"]
    # No pixel of the region leaves the first gain stage, or its frame.
    box = np.s_[0, 100:120, 50:60]
    pedestal, gain = (constants[name][0][box] for name in ("pedestals", "pixel_gain"))
    good = (constants["pixel_status"][:, *box] == 0).all(axis=0)
    rows, cols = (each[good] for each in np.mgrid[100:120, 50:60])
    run = open_run(EXP, RUN, xtc_dir=made.xtc_dir)
    for n in range(PROCESSED):
        results = {key: found[f"jungfrau1M/ROI_{key}"][n] for key in ("sum", "com")}
        frame = run.read("jungfrau1M", n)
        if n == MISSING:
            assert frame is None
            assert all(np.isnan(value).all() for value in results.values())
            continue
        raw = frame[box]
        assert not (raw >> 14).any()
        pixels = ((raw - pedestal.astype(float)) / gain)[good]
        np.testing.assert_allclose(results["sum"], pixels.sum(), rtol=1e-4)
        com = [(pixels * each).sum() / pixels.sum() for each in (rows, cols)]
        np.testing.assert_allclose(results["com"], com, rtol=1e-3)
    run.close()


START = """
import numpy as np
from smalldata_ana import psana1 as psana
ds = psana.MPIDataSource('exp=xpptut15:run=650:smd')
small_data = ds.small_data('test.h5', gather_interval=2)
"""


def stored(file: Path, name: str) -> np.ndarray:
    with h5py.File(file) as opened:
        return opened[name][()]


def test_after_an_error_there_is_no_file_of_that_name(
    made: SimulatedRun, tmp_path: Path
) -> None:
    text = START + "for n, evt in enumerate(ds.events()):\n"
    text += "    small_data.event(n=n)\n    1 / (3 - n)\n"
    (tmp_path / "test.h5").write_text("of an earlier script")
    done = run_script(text, made, tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "in an error; what it stored is in" in done.stderr
    assert (tmp_path / "test.h5").read_text() == "of an earlier script"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "script.py", "test.h5", "test.incomplete.h5"
    ]  # fmt: skip
    np.testing.assert_array_equal(
        stored(tmp_path / "test.incomplete.h5", "n"), range(4)
    )


def test_a_loop_can_end_early_and_the_file_is_complete(
    made: SimulatedRun, tmp_path: Path
) -> None:
    text = START + "for n, evt in enumerate(ds.events()):\n"
    text += "    small_data.event({'a': {'b': {'n': n}}}, x=float(n))\n"
    text += "    if n == 2: break\nraise SystemExit\n"
    done = run_script(text, made, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(stored(tmp_path / "test.h5", "a/b/n"), range(3))


def test_a_missing_detector_is_reported_once_in_a_script(
    made: SimulatedRun, tmp_path: Path
) -> None:
    text = START + "from smalldata_ana import checkDet\n"
    text += "env = ds.env()\nfor name in ('jungfrau', 'jungfrau', 'jungfrau1M'):\n"
    text += "    print(checkDet(ds.env(), name))\n"
    done = run_script(text, made, tmp_path)
    assert done.stdout.split() == ["False", "False", "True"]
    assert done.stderr.splitlines() == [
        "no area detector 'jungfrau' in xpptut15 run 650; there is 'jungfrau1M'. "
        "Did you mean 'jungfrau1M'?"
    ]


@pytest.fixture
def source(made: SimulatedRun) -> psana1.MPIDataSource:
    return psana1.MPIDataSource(f"exp={EXP}:run={RUN}:dir={made.xtc_dir}")


class TestSmallData:
    def test_what_an_event_lacks_is_a_fill_value(
        self, source: psana1.MPIDataSource, tmp_path: Path
    ) -> None:
        small_data = source.small_data(tmp_path / "x.h5", gather_interval=3)
        for n, _ in enumerate(source.events()):
            if n == 0:
                continue
            small_data.event(n=n)
            if n > 4:
                small_data.event({"late": {"x": n / 2, "image": np.ones((2, 2), "f4")}})
            if n == 6:
                small_data.event(once=True)
        small_data.close()
        file = tmp_path / "x.h5"
        np.testing.assert_array_equal(stored(file, "n"), range(1, 8))
        np.testing.assert_array_equal(
            stored(file, "late/x"), [np.nan] * 4 + [2.5, 3, 3.5]
        )
        np.testing.assert_array_equal(
            stored(file, "once"), [-99999] * 5 + [1] + [-99999]
        )
        assert stored(file, "late/image").dtype == np.float32
        assert np.isnan(stored(file, "late/image")[:4]).all()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"a": 1.5}, "'a' was int64 of shape .* is float64 .* same type and shape"),
            ({"a": [1, 2]}, r"'a' was int64 of shape \(\) .* of shape \(2,\) now"),
            ({"b": "text"}, "'b' is <U4 of shape .* numbers, and arrays of them"),
            ({"b": []}, r"'b' is float64 of shape \(0,\); .* that are not empty"),
            ({"a/b": 1}, "'a/b' cannot be stored: it is a group"),
        ],
    )
    def test_values_that_do_not_fit(
        self,
        source: psana1.MPIDataSource,
        tmp_path: Path,
        values: dict[str, Any],
        message: str,
    ) -> None:
        small_data = source.small_data(tmp_path / "x.h5", gather_interval=2)
        events = source.events()
        next(events)
        small_data.event(a=1)
        next(events)
        with pytest.raises(ParameterError, match=message):
            small_data.event(values)
        small_data.event(a=2)
        small_data.close()
        np.testing.assert_array_equal(stored(tmp_path / "x.h5", "a"), [1, 2])

    def test_an_array_can_be_filled_anew(
        self, source: psana1.MPIDataSource, tmp_path: Path
    ) -> None:
        small_data = source.small_data(tmp_path / "x.h5")
        mine = np.zeros(3)
        for _ in source.events():
            mine += 1
            small_data.event(mine=mine)
        small_data.close()
        rows = np.arange(1, EVENTS + 1)
        np.testing.assert_array_equal(
            stored(tmp_path / "x.h5", "mine"), np.stack([rows] * 3, axis=1)
        )

    def test_a_value_belongs_to_an_event(
        self, source: psana1.MPIDataSource, tmp_path: Path
    ) -> None:
        small_data = source.small_data(tmp_path / "x.h5")
        with pytest.raises(ParameterError, match="belongs into the loop"):
            small_data.event(a=1)
        small_data.close()

    def test_a_file_that_cannot_be_written(
        self, source: psana1.MPIDataSource, tmp_path: Path
    ) -> None:
        (tmp_path / "x.h5").mkdir()
        with pytest.raises(FileError, match="it is a folder"):
            source.small_data(tmp_path / "x.h5")
        with pytest.raises(ParameterError, match="gather_interval = 0"):
            source.small_data(tmp_path / "y.h5", gather_interval=0)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("xpptut15", UsageError, "'xpptut15' is no data source; write 'exp=xpptut15"),
        ("exp=xpptut15:run=1-3", UsageError, "no data source"),
        ("exp=xpptut15:run=1:live=1", UsageError, "no data source"),
        ("exp=xpptut15:run=1:dir=/nowhere", RunNotFound, "xpptut15"),
    ],
)
def test_wrong_names(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        psana1.MPIDataSource(name)


def test_a_loop_has_at_least_one_event(source: psana1.MPIDataSource) -> None:
    with pytest.raises(ParameterError, match=r"break_after\(0\)"):
        source.break_after(0)
