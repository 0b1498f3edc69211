"""The datasets of a file that is to be made, as a table for people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import MISSING_INTEGER, Array, Field, Length

_HEAD = ("dataset", "shape", "type", "unit", "min", "mean", "max", "missing")


@dataclass(frozen=True)
class Dataset:
    """One dataset of a file that is to be made.

    Attributes
    ----------
    path : in the file
    shape : of the whole run's dataset; where an event may have any number of values,
        its first number is reckoned from the events that were looked at
    dtype : of the values
    unit : as UDUNITS text, or empty
    long_name : what it is, or empty
    low, mean, high : of what is there in these events, or NaN if nothing is, or text
    missing : events, of those that were looked at, in which nothing is there; 0 where
        an event may have any number of values
    nbytes : size of the whole run's dataset, about [bytes]
    estimated : True if the first number of the shape is reckoned
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    unit: str
    long_name: str
    low: float
    mean: float
    high: float
    missing: int
    nbytes: int
    estimated: bool = False

    def cells(self) -> tuple[str, ...]:
        """Return it as a line of a table."""
        numbers = (
            "" if np.isnan(value) else f"{value:.5g}"
            for value in (self.low, self.mean, self.high)
        )
        about = "~" if self.estimated else ""
        shape = " x ".join(map(str, self.shape)) or "1"
        missing = str(self.missing or "")
        return self.path, about + shape, str(self.dtype), self.unit, *numbers, missing


def dataset_of(
    path: str,
    field: Field,
    values: Array,
    shape: tuple[int, ...],
    *,
    estimated: bool = False,
) -> Dataset:
    """Return what there is to say of a dataset.

    Parameters
    ----------
    path : in the file
    field : its description
    values : what it holds of some events
    shape : of the whole run's dataset
    estimated : True if its first number is reckoned from the events looked at
    """
    ragged = field.length is Length.RAGGED
    flat = np.concatenate([[], *values]) if ragged else values.ravel()
    known = flat[_known(flat)] if flat.dtype.kind in "biuf" else flat[:0]
    low, mean, high = (
        (float(known.min()), float(known.mean(dtype=float)), float(known.max()))
        if known.size
        else (np.nan,) * 3
    )
    in_event = flat.size / max(1, len(values)) if ragged else 1.0
    return Dataset(
        path=path,
        shape=shape,
        dtype=field.dtype,
        unit=field.unit,
        long_name=field.long_name,
        low=low,
        mean=mean,
        high=high,
        missing=_missing(field, values),
        nbytes=round(math.prod(shape) * in_event) * field.dtype.itemsize,
        estimated=estimated or field.length is Length.VARIABLE,
    )


def _known(values: Array) -> npt.NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.isfinite(values)
    return np.asarray(values != MISSING_INTEGER)


def _missing(field: Field, values: Array) -> int:
    """Return in how many events nothing is there."""
    if field.length is not Length.FIXED or field.dtype.kind not in "biuf":
        return 0
    inner = tuple(range(1, values.ndim))
    return int((~_known(values)).all(axis=inner).sum()) if values.size else 0


def table_text(datasets: Iterable[Dataset]) -> str:
    """Return datasets as text: paths on the left, numbers to the right."""
    lines = [_HEAD, *(dataset.cells() for dataset in datasets)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = (True, False, True, True, False, False, False, False)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    )
