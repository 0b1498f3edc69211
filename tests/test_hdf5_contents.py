"""Damaged HDF5 files: what is said of a run that cannot be opened or read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.errors import FileError, RunNotFound
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

CAMERA = np.arange(6 * 3 * 7, dtype=np.float32).reshape(6, 3, 7)
PARTS: dict[str, Any] = {
    "experiment": "abcx10",
    "run": 7,
    "images": {"tiles": np.ones((6, 2, 4, 5), np.uint16), "camera": CAMERA},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def test_no_such_file(path: Path) -> None:
    with pytest.raises(RunNotFound, match=r"there is no file .*run\.h5"):
        Hdf5Run(path)


def test_no_hdf5(path: Path) -> None:
    path.write_text("no HDF5")
    with pytest.raises(RunNotFound, match=r"run\.h5 cannot be read as HDF5"):
        Hdf5Run(path)


def damage(path: Path, change: Callable[[h5py.File], object]) -> None:
    write_run(path, **PARTS)
    with h5py.File(path, "a") as file:
        change(file)


def test_positions_of_plain_files_are_all_there_is(path: Path) -> None:
    write_run(path, **PARTS, positions={"camera": flat_positions((3, 7), 5.0)})
    with h5py.File(path, "a") as file:
        del file["geometry/camera"].attrs["note"]
        del file["geometry/camera"].attrs["origin"]
    run = Hdf5Run(path)
    positions = run.pixel_positions("camera")
    run.close()
    assert positions is not None
    assert (positions.extent, positions.note) == (None, "")
    assert positions.origin == str(path)


@pytest.mark.parametrize(
    ("name", "value"), [("extent_x", (0.0, 1.0)), ("mean_z", (0.0, 1.0))]
)
def test_extent_in_part(path: Path, name: str, value: tuple[float, float]) -> None:
    write_run(path, **PARTS, positions={"camera": flat_positions((3, 7), 5.0)})
    with h5py.File(path, "a") as file:
        file["geometry/camera"].attrs[name] = value
    with pytest.raises(FileError, match=f"/geometry/camera has {name}; how far"):
        Hdf5Run(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.attrs.clear(), "no attribute experiment and no attribute run"),
        (lambda f: f.pop("images"), r"no data: neither /images/<detector> nor"),
        (
            lambda f: f.create_dataset("scalars/x", data=np.zeros(5)),
            "/scalars/x has 5 rows, /images/camera has 6; each needs one row per event",
        ),
        (
            lambda f: f.create_dataset("timestamps", data=np.arange(7)),
            "/timestamps has 7 rows, /images/camera has 6",
        ),
        (
            lambda f: f.create_dataset("missing/tiles", data=np.zeros(1, bool)),
            "/missing/tiles has 1 rows, /images/camera has 6",
        ),
        (
            lambda f: f.create_dataset("scalars/x", data=5),
            "/scalars/x is a single value",
        ),
        (
            lambda f: f.create_dataset("scalars/x", data=np.zeros(6, complex)),
            "/scalars/x has type complex128",
        ),
        (
            lambda f: f.create_dataset("images/x", data=np.zeros((6, 5))),
            r"/images/x has shape \(6, 5\) and type float64; .* belong into /scalars",
        ),
        (
            lambda f: f.create_dataset("timestamps", data=[1, 2, 3, 3, 4, 5]),
            "/timestamps must grow; event 3 is not later",
        ),
        (
            lambda f: f.create_dataset("event_codes", data=np.zeros(6)),
            r"/event_codes has shape \(6,\); it is \(events, codes\)",
        ),
        (
            lambda f: f.create_group("geometry/tiles"),
            "/geometry/tiles needs x, y, z and the attribute pixel_size",
        ),
    ],
)
def test_damaged_file(
    path: Path, change: Callable[[h5py.File], object], says: str
) -> None:
    damage(path, change)
    with pytest.raises(FileError, match=says) as caught:
        Hdf5Run(path)
    assert str(path) in str(caught.value)


def test_truncated_file(path: Path) -> None:
    write_run(path, **PARTS)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(RunNotFound, match="cannot be read as HDF5"):
        Hdf5Run(path)


def test_damaged_frames(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update(experiment="abcx10", run=7)
        frames = file.create_dataset(
            "images/camera", data=CAMERA, chunks=(1, 3, 7), fletcher32=True
        )
        place = frames.id.get_chunk_info(2).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"damage")
    run = Hdf5Run(path)
    np.testing.assert_array_equal(run.read("camera", 1), CAMERA[1])
    with pytest.raises(FileError, match=r"run\.h5 cannot be read: "):
        run.read("camera", 2)
