"""Masks from and to files of other programs, whichever array they hold.

The formats are those of `smalldata_ana.detector.mask_files`; a file holds the mask of
a frame or of the assembled image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.image_masks import (
    MaskLike,
    checked_mask,
    image_from_raw,
    raw_from_image,
)
from smalldata_ana.detector.kind_model import Kind
from smalldata_ana.detector.mask_files import (
    FilePath,
    Mask,
    Shape,
    read_edf,
    read_nexus,
    read_npy,
    read_text,
    write_edf,
    write_nexus,
    write_npy,
    write_text,
)
from smalldata_ana.errors import FileError, ParameterError, did_you_mean, unknown

Polarity = Literal[0, 1]
Drawing = Literal["frame", "image"]

FORMATS = {
    ".data": "text",
    ".txt": "text",
    ".npy": "npy",
    ".h5": "nexus",
    ".hdf5": "nexus",
    ".nxs": "nexus",
    ".edf": "edf",
}
"""The formats by the suffixes of files."""


def frame_mask(
    mask: MaskLike, geometry: ImageGeometry, of: Drawing | None = None
) -> Mask:
    """Return a mask of a frame or of the assembled image as that of a frame.

    Parameters
    ----------
    mask : bool, True = good; or 0 and 1, 1 = good
    geometry : how the image is assembled
    of : what it is a mask of; by default as its shape says

    Raises
    ------
    ParameterError
        if it is no mask, of neither, or its shape does not tell of which
    """
    good = checked_mask(mask)
    frame, image = geometry.ix.shape, geometry.shape
    if of is not None:
        _check_drawing(of)
    elif good.shape == frame and good.shape == image and not _is_plain(geometry):
        raise ParameterError(
            f"a mask of {good.shape} can be one of frames or of the image, which is "
            "turned; say which: of='frame' or of='image'"
        )
    elif good.shape not in (frame, image):
        raise ParameterError(
            f"a mask of {good.shape} is neither one of frames of {frame} nor of the "
            f"image of {image}"
        )
    if of == "image" or (of is None and good.shape != frame):
        return raw_from_image(good, geometry)
    if good.shape != frame:
        raise ParameterError(f"a mask of {good.shape} is not one of frames of {frame}")
    return good


def load_mask(
    path: FilePath,
    geometry: ImageGeometry,
    kind: Kind,
    *,
    good: Polarity | None = None,
    of: Drawing | None = None,
    name: str | None = None,
) -> Mask:
    """Read a mask from a file, in the format that its suffix says.

    Parameters
    ----------
    path : the file
    geometry : how the image is assembled
    kind : the kind of the detector, on which the layout of text depends
    good : what a good pixel is in an ``.npy`` file that was not written here; the
        others say it
    of : what it is a mask of; by default as the shape of its array says
    name : of the data set in a NeXus file with several

    Returns
    -------
    bool, shape of a frame, True = good.

    Raises
    ------
    ParameterError
        if the format is unknown, or it is not known what the numbers mean
    FileError
        if the file cannot be read, or holds no mask of this detector
    """
    if of is not None:
        _check_drawing(of)
    read = _reader(Path(path), kind, good, name)
    frame, image = geometry.ix.shape, geometry.shape
    shapes = {"frame": [frame], "image": [image], None: [frame, image]}
    problems = []
    for shape in dict.fromkeys(shapes[of]):
        try:
            found = read(shape)
        except FileError as error:
            problems.append(str(error))
        else:
            return frame_mask(found, geometry, of)
    raise FileError("; ".join(dict.fromkeys(problems)))


def save_mask(
    path: FilePath,
    mask: MaskLike,
    geometry: ImageGeometry,
    kind: Kind,
    detector: str,
    *,
    good: Polarity = 1,
    of: Drawing = "frame",
) -> None:
    """Write a mask into a file, in the format that its suffix says.

    Parameters
    ----------
    path : the file; one that is there is replaced
    mask : bool, True = good; or 0 and 1, 1 = good; shape of a frame
    geometry : how the image is assembled
    kind : the kind of the detector, on which the layout of text depends
    detector : its name
    good : what a good pixel is in an ``.npy`` file; the other formats say it
    of : write the mask of a frame, or of the assembled image (an ``.edf`` file always
        holds that, with the gaps masked)

    Raises
    ------
    ParameterError
        if the format is unknown, or it is no mask
    FileError
        if the file cannot be written
    """
    _check_drawing(of)
    form = _format_of(Path(path))
    if form == "edf" or of == "image":
        mask = image_from_raw(mask, geometry)
    match form:
        case "text":
            write_text(path, mask, kind)
        case "npy":
            write_npy(path, mask, good=good)
        case "nexus":
            write_nexus(path, mask, detector)
        case "edf":
            write_edf(path, mask)


def _reader(
    path: Path, kind: Kind, good: Polarity | None, name: str | None
) -> Callable[[Shape], Mask]:
    form = _format_of(path)
    if not path.is_file():
        there = [f.name for f in path.parent.glob(f"*{path.suffix}")]
        raise FileError(f"there is no file {path}.{did_you_mean(path.name, there)}")
    readers: dict[str, Callable[[Shape], Mask]] = {
        "text": lambda shape: read_text(path, shape, kind),
        "npy": lambda shape: read_npy(path, shape, good=good),
        "nexus": lambda shape: read_nexus(path, shape, name),
        "edf": functools.partial(read_edf, path),
    }
    return readers[form]


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise ParameterError(
            unknown("format of masks", path.suffix or str(path), FORMATS)
        )
    return FORMATS[path.suffix.lower()]


def _check_drawing(of: str) -> None:
    if of not in get_args(Drawing):
        raise ParameterError(f"of = {of!r} is not 'frame' or 'image'")


def _is_plain(geometry: ImageGeometry) -> bool:
    """Tell whether the image is the frame as it is."""
    number = np.arange(geometry.ix.size).reshape(geometry.ix.shape)
    flat = geometry.ix * geometry.shape[1] + geometry.iy
    return bool(np.array_equal(number, flat))
