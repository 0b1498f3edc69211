"""Read and write arrays in psana's text format.

The format is psana's (`psana.pscalib.calib.NDArrIO`), for LCLS-I and LCLS-II alike: a
head of lines that begin with ``#``, of which ``# SHAPE (3,8,512,1024)``, or in older
files ``# DIM:1 3`` and so on, give the shape; then the numbers, blank separated, the
last axis along the line.  Without a shape the array is as the lines are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ConstantsError
from smalldata_ana.safe_files import replacing

_SHAPE = re.compile(r"#\s*SHAPE\s+\(([\d\s,]*)\)")
_SIZE = re.compile(r"#\s*DIM:\d+\s+(\d+)")


def read_text_array(path: Path) -> npt.NDArray[np.float64]:
    """Read an array from a text file.

    Returns
    -------
    The numbers, float64, in the shape that the file states; without one, 2-D as the
    lines are, or 1-D for a single line.

    Raises
    ------
    ConstantsError
        if the file cannot be read, has no numbers, or not as many as its shape says
    """
    try:
        with path.open(encoding="utf-8") as file:
            shape, has_numbers = _read_head(file)
        if not has_numbers:
            raise ConstantsError(f"{path} has no numbers")
        numbers = np.loadtxt(path, comments="#", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConstantsError(f"{path} is not an array as text: {error}") from error
    if shape is None:
        return numbers
    if numbers.size != np.prod(shape):
        raise ConstantsError(
            f"{path} is damaged: it has {numbers.size} numbers, and its head says "
            f"that the shape is {shape}"
        )
    return numbers.reshape(shape)


def text_array_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape that the head of a text file states, or None without one.

    Raises
    ------
    OSError, UnicodeDecodeError
        if the file cannot be read, or is not text
    """
    with path.open(encoding="utf-8") as file:
        return _read_head(file)[0]


def write_text_array(path: Path, array: npt.NDArray[Any], *comments: str) -> None:
    """Write an array to a text file; a file that is there is replaced.

    Parameters
    ----------
    path : the file
    array : numbers; others than whole ones with three digits after the point
    comments : lines for its head

    Raises
    ------
    FileError
        if it cannot be written
    """
    head = [
        *comments,
        f"SHAPE       {str(array.shape).replace(' ', '')}",
        f"DATATYPE    {array.dtype}",
        f"DTYPE       {array.dtype}",
        f"NDIM        {array.ndim}",
        *(f"DIM:{axis}       {size}" for axis, size in enumerate(array.shape)),
    ]
    lines = array.reshape(-1, array.shape[-1])
    digits = "%d" if array.dtype.kind in "iub" else "%.3f"
    with replacing(path) as aside:
        np.savetxt(aside, lines, fmt=digits, header="\n".join(head), encoding="utf-8")


def _read_head(file: TextIO) -> tuple[tuple[int, ...] | None, bool]:
    """Return the shape that the head states, and whether numbers follow."""
    stated: tuple[int, ...] | None = None
    sizes: list[int] = []
    for line in file:
        if not line.startswith("#"):
            if line.isspace():
                continue
            return stated or tuple(sizes) or None, True
        if match := _SHAPE.match(line):
            stated = tuple(int(n) for n in match[1].replace(",", " ").split())
        elif match := _SIZE.match(line):
            sizes.append(int(match[1]))
    return stated or tuple(sizes) or None, False
