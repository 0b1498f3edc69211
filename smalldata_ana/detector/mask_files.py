"""Masks in files.

In the core a mask is ``good``: bool, True = use.  Formats differ in what they say of
a pixel, and in the shape of the array; nothing is guessed:

=========  ===================================  ======================================
format     a good pixel is                      array
=========  ===================================  ======================================
text       1 (psana)                            2-D: panels one below the other; two
                                                columns for a CsPad140k
npy        what the file says that was written  a frame, or an image
           here, else what the caller says
HDF5       0 (NeXus ``pixel_mask``)             a frame, or an image
edf        0 (pyFAI), or as ``masked_value``    an image
           in the header says (silx)
=========  ===================================  ======================================

No file is ever executed: pickled arrays are refused.  A mask of an image is brought to
the shape of a frame by `smalldata_ana.detector.image_masks`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.image_masks import MaskLike, checked_mask
from smalldata_ana.detector.kind_model import Kind
from smalldata_ana.detector.kinds import GENERIC
from smalldata_ana.errors import FileError, ParameterError, listing
from smalldata_ana.safe_files import replacing
from smalldata_ana.sources.text_array import read_text_array

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Shape = tuple[int, ...]
FilePath = str | os.PathLike[str]

PIXEL_MASK = "pixel_mask"
"""Name of a mask in NeXus' ``NXdetector``: uint32, 0 = good, else a bit per reason."""

DEAD_PIXEL = 1 << 1
"""Its bit for a pixel that is not to be used."""

USER_MASK = 1 << 8
"""Its bit for a pixel that a user masked."""


class UnknownConventionError(ParameterError):
    """A file does not say what its numbers mean."""


_MASKED_VALUE = "masked_value"
_NONZERO = "nonzero"


# -- text, as psana has it -------------------------------------------------------------


def read_text(path: FilePath, shape: Shape, kind: Kind = GENERIC) -> Mask:
    """Read a mask from a text file of psana, where 1 = good.

    Parameters
    ----------
    path : the file
    shape : of a frame
    kind : the kind of the detector, on which the layout of the file depends

    Returns
    -------
    bool, `shape`, True = good.

    Raises
    ------
    ConstantsError
        if the file is not an array as text
    FileError
        if it is not for frames of this shape, or has other values than 0 and 1
    """
    # numpy reads a single line as one dimension.
    values = np.atleast_2d(read_text_array(Path(path)))
    if values.shape == shape:
        return _of_digits(path, values, good=1)
    layout = _to_lines(np.empty(shape, np.bool_), kind).shape
    panels_last = kind.panels_last and values.shape == (*shape[1:], shape[0])
    if values.shape != layout and not panels_last:
        raise _misfit(path, values.shape, shape, f", or as text {layout}")
    return _from_lines(_of_digits(path, values, good=1), shape, kind)


def write_text(path: FilePath, good: MaskLike, kind: Kind = GENERIC) -> None:
    """Write a mask as a text file of psana, with 1 = good.

    A calibration directory of LCLS-I has it as
    ``<group>/<source>/pixel_mask/<run>-end.data``.

    Parameters
    ----------
    path : the file; one that is there is replaced
    good : bool, or 0 and 1 with 1 = good, shape of a frame
    kind : the kind of the detector, on which the layout of the file depends

    Raises
    ------
    ParameterError
        if `good` is not a mask
    FileError
        if the file cannot be written
    """
    lines = _to_lines(checked_mask(good), kind).astype(np.uint8)
    with replacing(path) as aside:
        np.savetxt(aside, lines, fmt="%d")


def _to_lines(mask: Mask, kind: Kind) -> Mask:
    """Return a mask as the lines of a text file, 2-D."""
    if mask.ndim == 3 and kind.panels_last:
        return mask.reshape(len(mask), -1).T
    return mask.reshape(-1, mask.shape[-1])


def _from_lines(mask: Mask, shape: Shape, kind: Kind) -> Mask:
    if len(shape) == 3 and kind.panels_last:
        return np.ascontiguousarray(mask.reshape(-1, shape[0]).T).reshape(shape)
    return mask.reshape(shape)


# -- npy -------------------------------------------------------------------------------


def read_npy(
    path: FilePath, shape: Shape, *, good: Literal[0, 1] | None = None
) -> Mask:
    """Read a mask from a ``.npy`` file.

    Parameters
    ----------
    path : the file
    shape : of a frame, or of the image that the mask is drawn on
    good : what a good pixel is in the file: 1 in psana and smalldata_tools, 0 in pyFAI
        and numpy's masked arrays; files of `write_npy` say it

    Returns
    -------
    bool, `shape`, True = good.

    Raises
    ------
    UnknownConventionError
        if neither the file nor `good` says what its numbers mean
    ParameterError
        if `good` is neither 0 nor 1, or the file says the opposite
    FileError
        if the file cannot be read, is a pickle, is not for this shape, or has other
        values than 0 and 1
    """
    if good is not None:
        _check_convention(good)
    values, stated = _read_arrays(path)
    _check_shape(path, values.shape, shape)
    return _of_digits(path, values, _convention(path, good, stated))


def _convention(
    path: FilePath, good: Literal[0, 1] | None, stated: Literal[0, 1] | None
) -> Literal[0, 1]:
    """Return what a good pixel is, as the caller or the file says."""
    if good is not None and stated not in (None, good):
        raise ParameterError(
            f"good = {good!r}, but {path} says that {stated} is good; leave good= out"
        )
    known = stated if good is None else good
    if known is None:
        raise UnknownConventionError(
            f"{path} does not say what its numbers mean; say what a good pixel is: "
            "good=1 (psana, smalldata_tools) or good=0 (pyFAI, silx, numpy.ma)"
        )
    return known


def _read_arrays(path: FilePath) -> tuple[Array, Literal[0, 1] | None]:
    """Return the array of a file, and what a good pixel is, if a second one says it."""
    with _reading(path), open(path, "rb") as file:
        values = _read_array(path, file)
        rest = file.read(1)
        if not rest:
            return values, None
        file.seek(-1, os.SEEK_CUR)
        word = str(_read_array(path, file))
    by_word: dict[str, Literal[0, 1]] = {_says_good(0): 0, _says_good(1): 1}
    return values, by_word.get(word)


def _read_array(path: FilePath, file: BinaryIO) -> Array:
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FileError(
            f"{path} is not a plain array: {error}. Pickles are never loaded; save "
            "the mask as numbers with numpy.save"
        ) from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise FileError(f"{path} holds several arrays; save the mask with numpy.save")
    return values


def write_npy(path: FilePath, mask: MaskLike, *, good: Literal[0, 1] = 1) -> None:
    """Write a mask as a ``.npy`` file of uint8.

    Behind the array stands a second one, a word that says what a good pixel is: who
    reads one array, as ``numpy.load`` does with a path, never sees it.

    Parameters
    ----------
    path : the file; one that is there is replaced
    mask : bool, True = good; or 0 and 1, 1 = good, whatever the file is to have
    good : what a good pixel is in the file

    Raises
    ------
    ParameterError
        if `mask` is not a mask, or `good` is neither 0 nor 1
    FileError
        if the file cannot be written
    """
    _check_convention(good)
    values = (checked_mask(mask) == bool(good)).astype(np.uint8)
    with replacing(path) as aside, aside.open("wb") as file:
        np.save(file, values, allow_pickle=False)
        np.save(file, np.array(_says_good(good)), allow_pickle=False)


def _says_good(good: int) -> str:
    return f"{good} = good"


# -- NeXus -----------------------------------------------------------------------------


def read_nexus(path: FilePath, shape: Shape, name: str | None = None) -> Mask:
    """Read a mask from a NeXus file (HDF5): 0 = good in ``pixel_mask``.

    Parameters
    ----------
    path : the file
    shape : of a frame, or of the image that the mask is drawn on
    name : of the data set; by default the only one that is called ``pixel_mask``

    Returns
    -------
    bool, `shape`, True = good: no bit is set.

    Raises
    ------
    FileError
        if the file cannot be read, has no such mask or several, or it is not for this
        shape, or not of whole numbers
    """
    with _reading(path), h5py.File(path, "r") as file:
        names = _pixel_masks(file)
        if name is None and len(names) > 1:
            raise FileError(f"{path} has several masks: {listing(names)}; choose one")
        wanted = name or next(iter(names), PIXEL_MASK)
        dataset = file.get(wanted)
        if not isinstance(dataset, h5py.Dataset):
            raise FileError(f"{path} has no {wanted!r}; masks in it: {listing(names)}")
        _check_shape(path, dataset.shape, shape)
        if dataset.dtype.kind not in "bui":
            raise FileError(
                f"{wanted!r} in {path} is {dataset.dtype}, not bits: no mask of NeXus"
            )
        good: Mask = dataset[()] == 0
        return good


def write_nexus(path: FilePath, good: MaskLike, detector: str) -> None:
    """Write a mask as a NeXus file (HDF5), with the bit of a user's mask.

    Parameters
    ----------
    path : the file; one that is there is replaced
    good : bool, True = good; or 0 and 1, 1 = good
    detector : its name: the mask is ``/entry/instrument/<detector>/pixel_mask``

    Raises
    ------
    ParameterError
        if `good` is not a mask
    FileError
        if the file cannot be written
    """
    values = np.where(checked_mask(good), 0, USER_MASK).astype(np.uint32)
    with replacing(path) as aside, h5py.File(aside, "w") as file:
        file.attrs["NX_class"] = "NXroot"
        group: h5py.Group = file
        for name, nx_class in (
            ("entry", "NXentry"),
            ("instrument", "NXinstrument"),
            (detector, "NXdetector"),
        ):
            group = group.create_group(name)
            group.attrs["NX_class"] = nx_class
        group.create_dataset(
            PIXEL_MASK, data=values, chunks=True, compression="gzip", shuffle=True
        )


def _pixel_masks(file: h5py.File) -> list[str]:
    names: list[str] = []

    def collect(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and name.rsplit("/", 1)[-1] == PIXEL_MASK:
            names.append(f"/{name}")

    file.visititems(collect)
    return names


# -- edf, of pyFAI and silx ------------------------------------------------------------


def read_edf(path: FilePath, shape: Shape) -> Mask:
    """Read a mask that was drawn with pyFAI or silx from an ``.edf`` file.

    In pyFAI's masks all but 0 is masked; silx says in the header which values are.

    Parameters
    ----------
    path : the file
    shape : of the image that the mask is drawn on

    Returns
    -------
    bool, `shape`, True = good.

    Raises
    ------
    FileError
        if the file cannot be read, is not for this shape, or its ``masked_value`` is
        not known
    """
    import fabio.edfimage

    with _reading(path):
        try:
            image = fabio.edfimage.EdfImage().read(os.fspath(path))
        except (KeyError, ValueError) as error:
            raise FileError(f"{path} is damaged, or no edf file: {error}") from error
    values: Array = image.data
    stated = str(image.header.get(_MASKED_VALUE, _NONZERO)).strip().lower()
    _check_shape(path, values.shape, shape)
    if stated in {_NONZERO, "zero"}:
        good: Mask = (values == 0) if stated == _NONZERO else (values != 0)
        return good
    try:
        good = values != float(stated)
    except ValueError as error:
        raise FileError(
            f"{path} says {_MASKED_VALUE} = {stated!r}; known are {_NONZERO!r}, 'zero' "
            "and numbers"
        ) from error
    return good


def write_edf(path: FilePath, good: MaskLike) -> None:
    """Write a mask on an image as an ``.edf`` file for pyFAI and silx: 1 = masked.

    Parameters
    ----------
    path : the file; one that is there is replaced
    good : bool, shape of the image, True = good; or 0 and 1, 1 = good

    Raises
    ------
    ParameterError
        if `good` is not a mask on an image
    FileError
        if the file cannot be written
    """
    import fabio.edfimage

    mask = checked_mask(good)
    if mask.ndim != 2:
        raise ParameterError(
            f"an edf file holds the mask of an image, and this one is {mask.shape}; "
            "bring it there with image_from_raw"
        )
    masked = (~mask).astype(np.uint8)
    image = fabio.edfimage.EdfImage(data=masked, header={_MASKED_VALUE: _NONZERO})
    with replacing(path) as aside:
        image.write(os.fspath(aside))


# -- checks ----------------------------------------------------------------------------


def _check_convention(good: int) -> None:
    if good not in {0, 1}:
        raise ParameterError(f"good = {good!r} is not 0 or 1")


def _check_shape(path: FilePath, found: Shape, shape: Shape) -> None:
    if found != shape:
        raise _misfit(path, found, shape)


def _misfit(path: FilePath, found: Shape, shape: Shape, also: str = "") -> FileError:
    return FileError(f"{path} holds a mask of {found}, not of {shape}{also}")


def _of_digits(path: FilePath, values: Array, good: int) -> Mask:
    """Return the pixels that have the value of good ones; there are but 0 and 1."""
    if values.dtype.kind not in "buif":
        raise FileError(f"{path} holds {values.dtype}, not a mask of 0 and 1")
    is_good: Mask = values == good
    others = values[~is_good & (values != 1 - good)]
    if others.size:
        raise FileError(
            f"{path} is not a mask of 0 and 1: it has the value {others[0]}"
        )
    return is_good


@contextmanager
def _reading(path: FilePath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"cannot read {path}: {reason}") from error
