"""Read one calibration constant from a file, and hold it to what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ConstantsError, unknown
from smalldata_ana.sources.constants import NAMES
from smalldata_ana.sources.text_array import read_text_array, text_array_shape

TEXT = ("geometry",)
"""The constants that are text; all others are arrays."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "pixel_status": np.dtype(np.uint64),
    "pixel_mask": np.dtype(np.uint8),
    "common_mode": np.dtype(np.float64),
}
"""The dtypes of psana, where they are not float32."""

_NUMBERS = "buif"
"""Kinds of dtypes that are real numbers."""


def read_constant(name: str, path: Path) -> npt.NDArray[Any] | str:
    """Read a constant from a file: ``.npy``, or else text.

    Returns
    -------
    An array of the constant's dtype, or text.

    Raises
    ------
    ConstantsError
        if the file cannot be read, or does not hold what the constant is
    """
    if name in TEXT:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConstantsError(f"{path} cannot be read: {error}") from error
    array = _load(path) if path.suffix == ".npy" else read_text_array(path)
    return _as_array(name, array, str(path))


def as_constant(
    name: str, value: npt.NDArray[Any] | str, what: str
) -> npt.NDArray[Any] | str:
    """Return a value as the constant has to be: text, or an array of its dtype.

    Parameters
    ----------
    name : one of `smalldata_ana.sources.constants.NAMES`
    value : the value
    what : how to call it in an error, e.g. the file that it comes from

    Raises
    ------
    ConstantsError
        if the name is unknown, or the value does not fit it
    """
    if name not in NAMES:
        raise ConstantsError(unknown("constant", name, NAMES))
    if isinstance(value, str) != (name in TEXT):
        expected = "text" if name in TEXT else "an array"
        raise ConstantsError(f"{what}: {name} must be {expected}, not {type(value)}")
    return value if isinstance(value, str) else _as_array(name, np.array(value), what)


def check_numbers(path: Path) -> None:
    """Look whether an ``.npy`` file holds numbers, without reading them.

    Raises
    ------
    ConstantsError
        if it does not, or cannot be read
    """
    _need_numbers(_load(path, memory_mapped=True), str(path))


def stored_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of the array in a file without reading the array.

    Returns
    -------
    The shape, or None for a text file without one in its head.

    Raises
    ------
    ConstantsError
        if the file cannot be read
    """
    if path.suffix == ".npy":
        return _load(path, memory_mapped=True).shape
    try:
        return text_array_shape(path)
    except (OSError, ValueError) as error:
        raise ConstantsError(f"{path} cannot be read: {error}") from error


def _load(path: Path, memory_mapped: bool = False) -> npt.NDArray[Any]:
    mode: Literal["r"] | None = "r" if memory_mapped else None
    try:
        loaded = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConstantsError(f"{path} is not an array: {error}") from error
    if not isinstance(loaded, np.ndarray):
        raise ConstantsError(f"{path} holds several arrays; a constant is one")
    return loaded


def _as_array(name: str, array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Return an array in a constant's dtype; the same one, if it has it already."""
    _need_numbers(array, what)
    return _cast(array, _DTYPES.get(name, np.dtype(np.float32)), what)


def _need_numbers(array: npt.NDArray[Any], what: str) -> None:
    if array.dtype.kind not in _NUMBERS or array.size == 0:
        raise ConstantsError(
            f"{what} has no numbers: dtype {array.dtype}, shape {array.shape}"
        )


def _cast(array: npt.NDArray[Any], dtype: np.dtype[Any], what: str) -> npt.NDArray[Any]:
    if dtype.kind == "f" or array.dtype == dtype:
        return array.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):
        whole = array.astype(dtype)
    if not np.array_equal(whole, array):
        raise ConstantsError(
            f"{what} has values that are not whole numbers of {dtype}: between "
            f"{array.min()} and {array.max()}"
        )
    return whole
