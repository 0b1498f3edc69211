"""A run in an HDF5 file."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_ana.errors import (
    DetectorNotFound,
    FileError,
    NameNotFound,
    ParameterError,
    SmallDataError,
)
from smalldata_ana.sources.base import Extent, PixelPositions, Run
from smalldata_ana.sources.hdf5_run import CODES, Hdf5Run, write_run

EVENTS = 6
RNG = np.random.default_rng(1)
TILES = RNG.integers(0, 2**14, (EVENTS, 2, 4, 5), dtype=np.uint16)
CAMERA = RNG.normal(size=(EVENTS, 3, 7)).astype(np.float32)
MISSING = np.array([False, True, False, False, False, True])
EXTENT = Extent((0.0, 9.0), (-1.0, 20.0), 0.5)
SQUARE = PixelPositions(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), 75.0)
STAMPS = (np.arange(EVENTS, dtype=np.uint64) + 5) << np.uint64(32)


def parts(**changed: Any) -> dict[str, Any]:
    return {
        "experiment": "abcx10",
        "run": 7,
        "images": {"tiles": TILES, "camera": CAMERA},
        **changed,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


@pytest.fixture
def full(path: Path) -> Hdf5Run:
    """Return a run with everything that there can be."""
    x, y = np.meshgrid(np.arange(3.0), np.arange(7.0), indexing="ij")
    write_run(
        path,
        **parts(
            timestamps=STAMPS,
            scalars={
                "ipm/sum": np.array([1, 2, np.nan, 4, 5, 6], np.float32),
                "ipm/channels": np.arange(12, dtype=np.uint32).reshape(6, 2),
                "scan/name": np.array(["a", "b", "", "µ", "e", "f"]),
                "shutter": np.array([True, False] * 3),
            },
            units={"ipm/sum": "mJ"},
            steps=np.array([-1, 0, 0, 1, 1, 2]),
            event_codes=np.eye(EVENTS, 200, dtype=np.int8),
            dettypes={"tiles": "jungfrau"},
            missing={"camera": MISSING},
            positions={
                "camera": PixelPositions(
                    x, y, x * 0, 75.0, "drawing 12", EXTENT, "as drawn"
                )
            },
            constants={
                "tiles": {"pedestals": np.ones((3, 2, 4, 5)), "geometry": "# text"}
            },
            gain_configuration={"tiles": np.full((2, 4, 5), 12, np.uint8)},
        ),
    )
    return Hdf5Run(path)


def test_is_a_run(full: Hdf5Run) -> None:
    assert isinstance(full, Run)
    assert (full.experiment, full.number, len(full)) == ("abcx10", 7, EVENTS)
    assert full.origin.endswith("run.h5")
    assert full.problems == ()
    assert repr(full).startswith("<Hdf5Run abcx10 run 7: ")
    np.testing.assert_array_equal(full.timestamps, STAMPS)
    assert full.timestamps.dtype == np.uint64
    assert full.steps.tolist() == [-1, 0, 0, 1, 1, 2]


def test_detectors(full: Hdf5Run) -> None:
    assert set(full.detectors) == {"tiles", "camera"}
    tiles, camera = full.detectors["tiles"], full.detectors["camera"]
    assert (tiles.dettype, tiles.shape) == ("jungfrau", (2, 4, 5))
    assert tiles.dtype == np.uint16
    assert (tiles.panels, tiles.generic) == ((0, 1), False)
    assert (camera.shape, camera.panels, camera.generic) == ((3, 7), (0,), True)


def test_attributes_of_a_detector(path: Path) -> None:
    write_run(path, **parts())
    with h5py.File(path, "a") as file:
        file["images/tiles"].attrs.update(panels=[3, 5], serial="A12")
    info = Hdf5Run(path).detectors["tiles"]
    assert (info.panels, info.serial) == ((3, 5), "A12")


def test_frames(full: Hdf5Run) -> None:
    for event in range(EVENTS):
        np.testing.assert_array_equal(full.read("tiles", event), TILES[event])
    out = np.empty((2, 4, 5), np.uint16)
    assert full.read("tiles", 4, out) is out
    np.testing.assert_array_equal(out, TILES[4])
    first, again = full.read("tiles", 0), full.read("tiles", 0)
    assert first is not None
    assert again is not None
    assert not np.shares_memory(first, again)


def test_missing_frames(full: Hdf5Run) -> None:
    np.testing.assert_array_equal(full.contributed("camera"), ~MISSING)
    assert full.contributed("tiles").all()
    assert full.read("camera", 1) is None
    np.testing.assert_array_equal(full.read("camera", 2), CAMERA[2])


def test_recorded_is_what_has_values(full: Hdf5Run) -> None:
    some = np.array([5, 2, 0])
    assert full.recorded("camera", some).tolist() == [False, True, True]
    assert full.recorded("ipm", np.arange(EVENTS)).all()  # channels has no gap
    assert full.recorded("shutter", some).all()
    named = np.flatnonzero(full.recorded("scan", np.arange(EVENTS)))
    assert named.tolist() == [0, 1, 3, 4, 5]


def test_scalars(full: Hdf5Run) -> None:
    info = full.scalars["ipm/sum"]
    assert (info.unit, info.shape) == ("mJ", ())
    assert info.dtype == np.float64
    assert full.scalars["ipm/channels"].shape == (2,)
    np.testing.assert_array_equal(full.scalar("ipm/sum"), [1, 2, np.nan, 4, 5, 6])
    assert full.scalar("ipm/channels", np.array([2, 0])).tolist() == [[4, 5], [0, 1]]
    assert full.scalar("scan/name", np.array([3])).tolist() == ["µ"]
    assert full.scalar("shutter").tolist() == [1, 0] * 3
    for name, info in full.scalars.items():
        assert full.scalar(name).dtype == info.dtype


def test_event_codes(full: Hdf5Run) -> None:
    table = full.event_codes()
    np.testing.assert_array_equal(table, np.eye(EVENTS, 200))
    assert table.dtype == np.int8
    assert full.event_codes(np.array([3]))[0].nonzero()[0].tolist() == [3]


def test_constants_and_geometry(full: Hdf5Run) -> None:
    constants = full.constants("tiles")
    pedestals = constants.items["pedestals"]
    assert pedestals.validity == "7-7"
    assert pedestals.origin == f"{full.origin}:/constants/tiles"
    np.testing.assert_array_equal(constants.array("pedestals"), np.ones((3, 2, 4, 5)))
    assert constants.text("geometry") == "# text"
    assert full.constants("camera").items == {}
    positions = full.pixel_positions("camera")
    assert positions is not None
    assert (positions.pixel_size, positions.origin) == (75.0, "drawing 12")
    assert (positions.extent, positions.note) == (EXTENT, "as drawn")
    np.testing.assert_array_equal(positions.x[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(positions.y[0], np.arange(7))
    assert full.pixel_positions("tiles") is None
    gain = full.gain_configuration("tiles")
    assert gain is not None
    assert (gain == 12).all()
    assert full.gain_configuration("camera") is None


def test_small_file_made_elsewhere(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["experiment"] = "abcx10"
        file.attrs["run"] = 7
        file["scalars/diode"] = [3, 4]
    run = Hdf5Run(path)
    assert run.timestamps.tolist() == [1 << 32, 2 << 32]
    assert run.steps.tolist() == [0, 0]
    assert run.scalar("diode").tolist() == [3, 4]
    assert dict(run.detectors) == {}
    codes = run.event_codes()
    assert codes.shape == (2, CODES)
    assert (codes == -1).all()


def test_frames_behind_a_link(path: Path) -> None:
    write_run(path, **parts())
    outer = path.with_name("outer.h5")
    with h5py.File(outer, "w") as file:
        file.attrs.update(experiment="abcx10", run=8)
        file["images/linked"] = h5py.ExternalLink("run.h5", "/images/tiles")
    np.testing.assert_array_equal(Hdf5Run(outer).read("linked", 5), TILES[5])
    path.unlink()
    with pytest.raises(FileError, match="the link linked leads nowhere"):
        Hdf5Run(outer)


def test_reading_in_threads(full: Hdf5Run) -> None:
    order = [event % EVENTS for event in range(300)]
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda event: full.read("tiles", event), order))
    for event, frame in zip(order, frames, strict=True):
        np.testing.assert_array_equal(frame, TILES[event])


def test_growing_run(path: Path) -> None:
    write_run(path, **parts(images={"camera": CAMERA[:2]}))
    run = Hdf5Run(path)
    assert run.refresh() == 0
    write_run(path, **parts(images={"camera": CAMERA}))
    assert len(run) == 2
    assert run.refresh() == 4
    assert len(run) == EVENTS
    np.testing.assert_array_equal(run.read("camera", 5), CAMERA[5])


GROW = """
import h5py, sys
with h5py.File(sys.argv[1], "a", locking=False) as file:
    file["scalars/diode"].resize((3,))
    file["scalars/diode"][2] = 9.0
"""


def test_run_that_grows_in_place(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update(experiment="abcx10", run=7)
        file.create_dataset("scalars/diode", data=[1.0, 2.0], maxshape=(None,))
    run = Hdf5Run(path)
    assert len(run) == 2
    subprocess.run([sys.executable, "-c", GROW, path], check=True)
    assert run.refresh() == 1
    assert run.scalar("diode").tolist() == [1.0, 2.0, 9.0]


def test_run_that_became_shorter(path: Path) -> None:
    write_run(path, **parts(images={"camera": CAMERA}))
    run = Hdf5Run(path)
    write_run(path, **parts(images={"camera": CAMERA[:2]}))
    with pytest.raises(FileError, match="has become shorter: 2 events, 6 before"):
        run.refresh()


def test_closed_run(full: Hdf5Run) -> None:
    full.close()
    full.close()
    with pytest.raises(FileError, match=r"run\.h5 was closed; open the run again"):
        full.read("tiles", 0)


def test_run_without_events(path: Path) -> None:
    write_run(path, **parts(images={"camera": CAMERA[:0]}))
    run = Hdf5Run(path)
    assert len(run) == 0
    assert run.event_codes().shape == (0, CODES)
    assert run.detectors["camera"].shape == (3, 7)


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (
            lambda run: run.read("tile", 0),
            DetectorNotFound,
            r"no area detector 'tile' in abcx10 run 7; .* Did you mean 'tiles'\?",
        ),
        (lambda run: run.contributed("x"), DetectorNotFound, "area detector 'x'"),
        (lambda run: run.recorded("x", [0]), DetectorNotFound, "detector 'x'"),
        (lambda run: run.constants("x"), DetectorNotFound, "area detector 'x'"),
        (lambda run: run.pixel_positions("x"), DetectorNotFound, "detector 'x'"),
        (lambda run: run.gain_configuration("x"), DetectorNotFound, "detector 'x'"),
        (
            lambda run: run.scalar("ipm/Sum"),
            NameNotFound,
            r"no scalar 'ipm/Sum' in abcx10 run 7; .* Did you mean 'ipm/sum'\?",
        ),
        (
            lambda run: run.read("tiles", EVENTS),
            ParameterError,
            "no event 6 in abcx10 run 7; it has 6 events, counted from 0",
        ),
        (lambda run: run.read("tiles", -1), ParameterError, "no event -1 in"),
        (
            lambda run: run.scalar("ipm/sum", np.array([0, 6])),
            ParameterError,
            "no event 6 in",
        ),
        (
            lambda run: run.event_codes(np.array([-1])),
            ParameterError,
            "no event -1 in",
        ),
        (
            lambda run: run.read("tiles", 0, np.empty((4, 5), np.uint16)),
            ParameterError,
            r"out has shape \(4, 5\) and type uint16; .* \(2, 4, 5\) and uint16",
        ),
        (
            lambda run: run.read("tiles", 0, np.empty((2, 4, 5), np.float32)),
            ParameterError,
            "type float32; .* uint16",
        ),
        (
            lambda run: run.read("tiles", 0, np.empty((5, 4, 2), np.uint16).T),
            ParameterError,
            "C-contiguous",
        ),
    ],
)
def test_wrong_questions(
    full: Hdf5Run,
    ask: Callable[[Hdf5Run], object],
    error: type[SmallDataError],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        ask(full)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (
            {"dettypes": {"tile": "jungfrau"}},
            ParameterError,
            r"no area detector 'tile'; .* Did you mean 'tiles'\?",
        ),
        ({"units": {"x": "mJ"}}, ParameterError, "no scalar 'x'; there are none"),
        (
            {"constants": {"tiles": {"pedestal": np.ones(1)}}},
            ParameterError,
            "no constant 'pedestal'; .* Did you mean 'pedestals'",
        ),
        (
            {"scalars": {"x": np.zeros(2)}},
            FileError,
            "/scalars/x has 2 rows, /images/camera has 6",
        ),
        (
            {"positions": {"camera": SQUARE}},
            FileError,
            r"/geometry/camera/x has shape \(2, 2\), a frame of 'camera' has \(3, 7\)",
        ),
        (
            {"scalars": {"x": np.array([object()] * EVENTS)}},
            FileError,
            r"cannot write .*run\.h5: Object dtype",
        ),
    ],
)
def test_write_run_refuses(
    path: Path, wrong: dict[str, Any], error: type[SmallDataError], says: str
) -> None:
    with pytest.raises(error, match=says):
        write_run(path, **parts(**wrong))
    assert list(path.parent.iterdir()) == []


def test_write_where_no_folder_is(path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot write .*none/run\.h5"):
        write_run(path.with_name("none") / "run.h5", **parts())


def test_written_file_is_for_the_group(path: Path) -> None:
    write_run(path, **parts())
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    path.chmod(0o640)
    write_run(path, **parts())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
