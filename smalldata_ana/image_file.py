"""Average images in files: self-describing HDF5 (NeXus), that loads as it was saved.

==============================================  ====================================
attributes of the file                          ``schema``; ``default`` leads to the
                                                picture
``/entry/image`` (NXdata)                       the assembled image, NaN in the gaps
``/entry/std`` … (NXdata)                       the other statistics, assembled
``/entry/instrument/<detector>`` (NXdetector)   ``data``, ``std`` … in raw shape;
                                                ``pixel_mask``, 0 = good;
                                                ``row`` and ``column`` of each pixel
                                                in the assembled image
``/entry/average`` (NXprocess)                  ``events``, ``timestamps``, and how
                                                it was made, as JSON, in ``making``
==============================================  ====================================

silx view, NeXpy and others that know NeXus show the picture at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import DERIVED, AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.mask_files import DEAD_PIXEL, PIXEL_MASK
from smalldata_ana.errors import FileError
from smalldata_ana.safe_files import make_folder, replacing

Array = npt.NDArray[Any]

SCHEMA = "smalldata-ana-image/1"

_RAW_SHAPE = (*DERIVED, "median_error")
_DETECTOR = "/entry/instrument/{}"
_AVERAGE = "/entry/average"


def save_image(average: AverageImage, path: str | os.PathLike[str]) -> Path:
    """Save an average image to a file.

    Parameters
    ----------
    average : the image
    path : the file; one that is there is replaced when the new one is complete

    Returns
    -------
    The file.

    Raises
    ------
    FileError
        if it cannot be written
    """
    path = Path(path).expanduser().absolute()
    make_folder(path.parent)
    with replacing(path) as aside, h5py.File(aside, "w") as file:
        file.attrs.update(NX_class="NXroot", default="entry", schema=SCHEMA)
        entry = _group(file, "/entry", "NXentry", default="image")
        entry["title"] = average.name
        for statistic in average.statistics():
            _write_picture(file, average.of(statistic), average.statistic)
        _write_detector(file, average)
        _write_making(file, average)
    return path


def _group(file: h5py.File, name: str, nx_class: str, **attributes: str) -> h5py.Group:
    group = file.require_group(name)
    group.attrs.update(NX_class=nx_class, **attributes)
    return group


def _write_picture(file: h5py.File, shown: AverageImage, main: str) -> None:
    """Write an assembled image as NXdata; the one of the main statistic is `image`."""
    name = "image" if shown.statistic == main else shown.statistic
    group = _group(file, f"/entry/{name}", "NXdata", signal="image")
    group["title"] = shown.name
    _write_image(group, "image", shown.image, shown.unit)
    group["image"].attrs.update(long_name=shown.quantity, interpretation="image")


def _write_image(group: h5py.Group, name: str, values: Array, unit: str) -> None:
    group.create_dataset(
        name,
        data=values,
        chunks=True,
        shuffle=True,
        compression="gzip",
        compression_opts=1,
    )
    group[name].attrs["units"] = unit or "1"


def _write_detector(file: h5py.File, average: AverageImage) -> None:
    _group(file, "/entry/instrument", "NXinstrument")
    group = _group(file, _DETECTOR.format(average.detector), "NXdetector")
    group["description"] = average.detector
    _write_image(group, "data", average.data, average.unit)
    for name in _RAW_SHAPE:
        values = getattr(average, name)
        if values is not None:
            _write_image(group, name, values, "" if name == "hits" else average.unit)
    mask = np.where(average.good, 0, DEAD_PIXEL).astype(np.uint32)
    _write_image(group, PIXEL_MASK, mask, "")
    _write_geometry(group, average.geometry)


def _write_geometry(group: h5py.Group, geometry: ImageGeometry) -> None:
    _write_image(group, "row", geometry.ix, "")
    _write_image(group, "column", geometry.iy, "")
    attributes = group["row"].attrs
    attributes["origin"], attributes["note"] = geometry.origin, geometry.note
    if geometry.corner is not None and geometry.pixel_size is not None:
        attributes["corner_um"] = geometry.corner
        attributes["pixel_size_um"] = geometry.pixel_size


def _write_making(file: h5py.File, average: AverageImage) -> None:
    group = _group(file, _AVERAGE, "NXprocess")
    program, _, version = str(average.made.get("tool", "")).partition(" ")
    group["program"] = program
    group["version"] = version
    group["date"] = str(average.made.get("at", ""))
    group["events"] = average.events
    group["timestamps"] = average.timestamps
    note = _group(file, f"{_AVERAGE}/making", "NXnote")
    note["type"] = "application/json"
    note["data"] = json.dumps(
        {
            "name": average.name,
            "detector": average.detector,
            "unit": average.unit,
            "statistic": average.statistic,
            "made": dict(average.made),
        }
    )


def load_image(path: str | os.PathLike[str]) -> AverageImage:
    """Load an average image that `save_image` wrote.

    Parameters
    ----------
    path : the file

    Raises
    ------
    FileError
        if there is no such file, or it holds no average image
    """
    path = Path(path).expanduser().absolute()
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            schema = file.attrs.get("schema", "none")
            if schema != SCHEMA:
                raise FileError(
                    f"{path} is not an average image: its schema is {schema!r}, not "
                    f"{SCHEMA!r}"
                )
            return _read(file)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileError(
            f"{path} cannot be read as an average image: {error}"
        ) from error


def _read(file: h5py.File) -> AverageImage:
    making: Mapping[str, Any] = json.loads(file[f"{_AVERAGE}/making/data"].asstr()[()])
    group = file[_DETECTOR.format(making["detector"])]
    geometry = _read_geometry(group, file["/entry/image/image"].shape)
    more: dict[str, Any] = {n: _locked(group[n]) for n in _RAW_SHAPE if n in group}
    return AverageImage(
        **making,
        data=_locked(group["data"]),
        good=group[PIXEL_MASK][()] == 0,
        events=file[f"{_AVERAGE}/events"][()],
        timestamps=file[f"{_AVERAGE}/timestamps"][()],
        find_geometry=lambda: geometry,
        **more,
    )


def _read_geometry(group: h5py.Group, shape: tuple[int, int]) -> ImageGeometry:
    attributes = group["row"].attrs
    x, y = attributes.get("corner_um", (None, None))
    return ImageGeometry(
        shape,
        group["row"][()],
        group["column"][()],
        origin=str(attributes["origin"]),
        note=str(attributes["note"]),
        corner=None if x is None else (float(x), float(y)),
        pixel_size=None if x is None else float(attributes["pixel_size_um"]),
    )


def _locked(dataset: h5py.Dataset) -> Array:
    values: Array = dataset[()]
    values.setflags(write=False)
    return values
