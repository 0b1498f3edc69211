"""Arrays of numbers that a parameter gives: as they are, or the file they are in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from traitlets import TraitError, TraitType

from smalldata_ana.ana_funcs.array_parameter import load_array
from smalldata_ana.errors import FileError

Numbers = npt.NDArray[np.float64]

_NUMPY = ".npy"


class LineTrait(TraitType[Any, Any]):
    """A parameter that is a line of finite numbers, or None; arrays are allowed."""

    info_text = "a line of finite numbers"
    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the numbers as a list."""
        try:
            numbers = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            self.error(obj, value)
        if numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise TraitError(
                f"{self.name} is not {LineTrait.info_text}: {value!r:.100}"
            )
        return [float(number) for number in numbers]


class LineOrFile(LineTrait):
    """A parameter that is such a line, the file that has it, or None."""

    info_text = "a line of finite numbers, or the file that they are in"

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the numbers as a list, or the path as a text."""
        if isinstance(value, str | os.PathLike):
            return os.fspath(value)
        return super().validate(obj, value)


def read_array(what: str, path: str, datasets: Sequence[str]) -> Numbers:
    """Return an array from a file.

    Parameters
    ----------
    what : name of the parameter, for messages
    path : a ``.npy`` file, or an HDF5 file
    datasets : where it may be in an HDF5 file; the first that is there counts

    Raises
    ------
    FileError
        if there is no such file, it is no HDF5 file, or has none of the datasets
    ParameterError
        if it holds no array of numbers
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileError(f"{what}: there is no file {file}")
    is_numpy = file.suffix == _NUMPY
    array, _ = load_array(what, str(file) if is_numpy else _dataset(file, datasets))
    return np.asarray(array, np.float64)


def _dataset(path: Path, datasets: Sequence[str]) -> npt.NDArray[Any]:
    try:
        with h5py.File(path, "r") as file:
            for name in datasets:
                if isinstance(file.get(name), h5py.Dataset):
                    return np.asarray(file[name][()])
    except OSError as error:
        raise FileError(f"{path} cannot be read as an HDF5 file: {error}") from error
    raise FileError(f"{path} has no dataset {' or '.join(map(repr, datasets))}")
