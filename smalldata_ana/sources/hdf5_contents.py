"""Opening a run's HDF5 file: what is in it, and whether its parts fit each other.

The file holds one row per event.

====================================  ==============================================
attributes of the file                ``experiment`` (text), ``run`` (number)
``/images/<detector>``                frames, (events, rows, columns) or
                                      (events, panels, rows, columns), any number
                                      type; attributes ``dettype`` (see
                                      `smalldata_ana.detector.kinds`; without it the
                                      frames are taken as they are), ``panels``
                                      (their numbers) and ``serial``
``/scalars/<name>``                   (events, ...), numbers or text; the name may
                                      have slashes; attribute ``units`` (UDUNITS)
``/timestamps``                       (events,) uint64, growing: seconds since 1990
                                      in the high half, nanoseconds in the low half;
                                      without it event i is at i + 1 s
``/steps``                            (events,) number of the scan step; without it
                                      all events are in step 0
``/event_codes``                      (events, codes) int8: 1 present, 0 not, -1 no
                                      timing data; without it there are none
``/missing/<detector>``               (events,) True where it has no data
``/geometry/<detector>/{x,y,z}``      pixel positions [um], shape of a frame;
                                      attributes ``pixel_size`` [um], ``origin``,
                                      ``note`` and, where there are panels that the
                                      frames do not have, of all of them [um]
                                      ``extent_x``, ``extent_y`` (smallest and
                                      largest) and ``mean_z``
``/constants/<detector>/<constant>``  array, or text, in psana's names
``/gain_configuration/<detector>``    uint8, control bits of the pixels
====================================  ==============================================

Only the two attributes and one image or scalar are required.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import FileError, RunNotFound
from smalldata_ana.sources.base import DetectorInfo, ScalarInfo
from smalldata_ana.sources.hdf5_geometry import AXES, EXTENT
from smalldata_ana.sources.hdf5_parts import Hdf5Part

_T = TypeVar("_T", bound=np.generic)

_FRAME_NDIM = (2, 3)
_SCALAR_TYPES: Mapping[str, type] = {
    "f": np.float64,
    "i": np.int64,
    "u": np.int64,
    "b": np.int64,
    "text": object,
}


@dataclass(frozen=True)
class Contents:
    """An open file, and what is read of it at once.

    Attributes
    ----------
    file : the open file
    experiment, number, detectors, scalars : as in `smalldata_ana.sources.base.Run`
    events : all events, or those that were given
    """

    file: h5py.File
    experiment: str
    number: int
    events: Hdf5Part
    detectors: Mapping[str, DetectorInfo]
    scalars: Mapping[str, ScalarInfo]


def open_contents(
    path: Path, shown_as: Path | None = None, events: Hdf5Part | None = None
) -> Contents:
    """Open a file and check it.

    Parameters
    ----------
    path : the file
    shown_as : its name in messages, where that is another one
    events : those of its events that are asked for; default: all

    Raises
    ------
    RunNotFound
        if there is no such file, or it is not HDF5
    FileError
        if the file lacks a required part, or its parts do not fit each other
    """
    if not path.is_file():
        raise RunNotFound(f"there is no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise RunNotFound(f"{path} cannot be read as HDF5: {error}") from error
    try:
        return _read_contents(file, shown_as or path, events)
    except BaseException:
        file.close()
        raise


def is_text(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset holds text."""
    return h5py.check_string_dtype(dataset.dtype) is not None


def _read_contents(file: h5py.File, path: Path, events: Hdf5Part | None) -> Contents:
    lacking = [name for name in ("experiment", "run") if name not in file.attrs]
    if lacking:
        raise FileError(
            f"{path} has no attribute {' and no attribute '.join(lacking)}; "
            "they say which experiment and run the file is of"
        )
    images = dict(_datasets(file.get("images", {}), path))
    scalars = dict(_datasets(file.get("scalars", {}), path))
    length = _common_length(file, path, [*images.values(), *scalars.values()])
    detectors = {name: _detector_info(name, images[name], path) for name in images}
    codes = file.get("event_codes")
    if codes is not None and codes.ndim != 2:
        raise FileError(
            f"{path}: {codes.name} has shape {codes.shape}; it is (events, codes)"
        )
    for info in detectors.values():
        _check_geometry(file, path, info)
    return Contents(
        file=file,
        experiment=str(file.attrs["experiment"]),
        number=int(file.attrs["run"]),
        events=(
            _all_events(file, path, length, detectors) if events is None else events
        ),
        detectors=detectors,
        scalars={n: _scalar_info(n, scalars[n], path) for n in scalars},
    )


def _datasets(
    group: Mapping[str, h5py.Group | h5py.Dataset], path: Path, prefix: str = ""
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the datasets at any depth below a group, also those linked from there."""
    for name in group:
        item = group.get(name)
        if item is None:
            raise FileError(f"{path}: the link {prefix}{name} leads nowhere")
        if isinstance(item, h5py.Dataset):
            yield prefix + name, item
        else:
            yield from _datasets(item, path, f"{prefix}{name}/")


def _common_length(file: h5py.File, path: Path, main: list[h5py.Dataset]) -> int:
    """Return the number of events, on which all datasets have to agree."""
    if not main:
        raise FileError(
            f"{path} has no data: neither /images/<detector> nor /scalars/<name>"
        )
    names = ("timestamps", "steps", "event_codes")
    beside = [file[name] for name in names if name in file]
    beside += [dataset for _, dataset in _datasets(file.get("missing", {}), path)]
    first = main[0]
    for dataset in main + beside:
        if not dataset.shape:
            raise FileError(
                f"{path}: {dataset.name} is a single value; it needs one per event"
            )
        if dataset.shape[0] != first.shape[0]:
            raise FileError(
                f"{path}: {dataset.name} has {dataset.shape[0]} rows, {first.name} "
                f"has {first.shape[0]}; each needs one row per event"
            )
    return int(first.shape[0])


def _check_geometry(file: h5py.File, path: Path, info: DetectorInfo) -> None:
    group = file.get(f"geometry/{info.name}")
    if group is None:
        return
    if "pixel_size" not in group.attrs or any(axis not in group for axis in AXES):
        raise FileError(
            f"{path}: {group.name} needs x, y, z and the attribute pixel_size"
        )
    shapes = {n: np.shape(group.attrs[n]) for n in EXTENT if n in group.attrs}
    if shapes and shapes != EXTENT:
        raise FileError(
            f"{path}: {group.name} has {', '.join(shapes)}; how far a detector reaches "
            "is extent_x and extent_y, two numbers each, and mean_z, a number"
        )
    for dataset in (group[axis] for axis in AXES):
        if dataset.shape != info.shape:
            raise FileError(
                f"{path}: {dataset.name} has shape {dataset.shape}, a frame of "
                f"{info.name!r} has {info.shape}"
            )


def _all_events(
    file: h5py.File, path: Path, length: int, detectors: Iterable[str]
) -> Hdf5Part:
    return Hdf5Part(
        experiment=str(file.attrs["experiment"]),
        number=int(file.attrs["run"]),
        begin=0,
        rows=np.arange(length),
        timestamps=_timestamps(file, path, length),
        steps=_column(file, "steps", np.zeros(length, np.int64)),
        missing={
            name: _column(file, f"missing/{name}", np.zeros(length, bool))
            for name in detectors
        },
    )


def _timestamps(file: h5py.File, path: Path, length: int) -> npt.NDArray[np.uint64]:
    default = np.arange(1, length + 1, dtype=np.uint64) << np.uint64(32)
    timestamps = _column(file, "timestamps", default)
    late = np.flatnonzero(timestamps[1:] <= timestamps[:-1])
    if late.size:
        raise FileError(
            f"{path}: /timestamps must grow; event {late[0] + 1} is not later than "
            "the one before"
        )
    return timestamps


def _column(file: h5py.File, name: str, default: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Read one value per event as an array that nobody can change."""
    values = file[name][()].astype(default.dtype) if name in file else default
    values.flags.writeable = False
    return values


def _detector_info(name: str, dataset: h5py.Dataset, path: Path) -> DetectorInfo:
    shape = tuple(int(n) for n in dataset.shape[1:])
    if len(shape) not in _FRAME_NDIM or dataset.dtype.kind not in "iuf":
        raise FileError(
            f"{path}: {dataset.name} has shape {dataset.shape} and type "
            f"{dataset.dtype}; images are numbers, (events, rows, columns) or "
            "(events, panels, rows, columns), other values belong into /scalars"
        )
    attributes = dataset.attrs
    panels: Iterable[int] = range(shape[0] if len(shape) == max(_FRAME_NDIM) else 1)
    return DetectorInfo(
        name=name,
        dettype=str(attributes.get("dettype", "")),
        shape=shape,
        dtype=dataset.dtype,
        panels=tuple(int(p) for p in attributes.get("panels", panels)),
        serial=str(attributes.get("serial", "")),
        generic="dettype" not in attributes,
    )


def _scalar_info(name: str, dataset: h5py.Dataset, path: Path) -> ScalarInfo:
    kind = "text" if is_text(dataset) else dataset.dtype.kind
    if kind not in _SCALAR_TYPES:
        raise FileError(
            f"{path}: {dataset.name} has type {dataset.dtype}; scalars are numbers "
            "or text"
        )
    return ScalarInfo(
        name,
        tuple(int(n) for n in dataset.shape[1:]),
        np.dtype(_SCALAR_TYPES[kind]),
        str(dataset.attrs.get("units", "")),
    )
