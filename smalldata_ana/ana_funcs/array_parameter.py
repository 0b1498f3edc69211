"""Parameters that are arrays, or the name of a file that holds one."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from smalldata_ana.detector.protocol import Array
from smalldata_ana.errors import ParameterError

_NUMBERS = "buif"


def load_array(what: str, value: Array | str) -> tuple[Array, str]:
    """Return an array, and the SHA-256 of the file that it comes from.

    Parameters
    ----------
    what : name of the parameter, for messages
    value : an array, or the path of an ``.npy`` file; pickles are never loaded

    Returns
    -------
    The array, and the checksum of the whole file as hexadecimal text, empty without
    a file.

    Raises
    ------
    ParameterError
        if the file cannot be read or is no plain array, or the array has no numbers
    """
    array, checksum = (value, "") if not isinstance(value, str) else _read(what, value)
    if array.dtype.kind not in _NUMBERS or not array.size:
        raise ParameterError(
            f"{what} has no numbers: it is {array.dtype} of shape {array.shape}"
        )
    return array, checksum


def _read(what: str, path: str) -> tuple[Array, str]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ParameterError(f"{what} = {path!r} cannot be read: {reason}") from error
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ParameterError(
            f"{what} = {path!r} is not a plain array: {error}; save it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise ParameterError(
            f"{what} = {path!r} holds several arrays; save one with numpy.save"
        )
    return array, hashlib.sha256(content).hexdigest()


def load_image(
    what: str, value: Array | str, shape: tuple[int, ...], detector: str
) -> tuple[Array, str]:
    """Return an image of a detector, and the SHA-256 of the file that it comes from.

    Parameters
    ----------
    what : name of the parameter, for messages
    value : the image, or the path of an ``.npy`` file; the axis of a single panel may
        be left out
    shape : of the detector
    detector : its name, for messages

    Raises
    ------
    ParameterError
        if it is not of this shape; else as `load_array`
    """
    image, checksum = load_array(what, value)
    if image.shape not in _shapes(shape):
        raise _misfit(what, image, shape, detector)
    return image.reshape(shape), checksum


def load_masks(
    what: str, value: Array | str, shape: tuple[int, ...], detector: str
) -> tuple[Array, str]:
    """Return masks of a detector, and the SHA-256 of the file that they come from.

    Parameters
    ----------
    what : name of the parameter, for messages
    value : a mask of 1 (use) and 0, several of them along the first axis, or the path
        of an ``.npy`` file with either; the axis of a single panel may be left out
    shape : of the detector
    detector : its name, for messages

    Returns
    -------
    bool, (masks, *shape), and the checksum.

    Raises
    ------
    ParameterError
        if they are not of this shape, or not of 0 and 1; else as `load_array`
    """
    masks, checksum = load_array(what, value)
    good = masks == 1
    others = masks[~good & (masks != 0)]
    if others.size:
        raise ParameterError(
            f"{what} is not a mask of 0 and 1: it has the value {others[0]}"
        )
    if not {good.shape, good.shape[1:]} & _shapes(shape):
        raise _misfit(what, good, shape, detector)
    return good.reshape(-1, *shape), checksum


def _shapes(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Return the shapes that an image of a detector may have."""
    return {shape, shape[1:]} if shape[0] == 1 else {shape}


def _misfit(
    what: str, array: Array, shape: tuple[int, ...], detector: str
) -> ParameterError:
    return ParameterError(
        f"{what} has shape {array.shape}, but {detector!r} has {shape}"
    )
