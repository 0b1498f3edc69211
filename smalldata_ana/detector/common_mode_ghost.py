"""What a frame leaves behind in the next one of a detector: ``p0 + p1 * frame``.

``p0`` [unit of the images] and ``p1`` are fitted for each pixel to frames without light
and the frames before them.  They are read from an ``.npz`` file with the arrays ``p0``
and ``p1``, or from an HDF5 file with datasets of these names, or with those that
smalldata_tools' ``GhostFitFit.py`` writes: ``<detector>_OLS_p0`` and ``_p1``.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.common_mode import subtract_ghost
from smalldata_ana.errors import FileError, ParameterError, listing
from smalldata_ana.sources.base import DetectorInfo, Run

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_ESTIMATOR = "_OLS_"
"""Which of the fits of ``GhostFitFit.py``, as in smalldata_tools."""


@dataclass(frozen=True, eq=False)
class Ghost:
    """What a frame leaves behind.

    Attributes
    ----------
    p0, p1 : float32, shape of a frame
    origin : where they are from, for people
    """

    p0: Image
    p1: Image
    origin: str

    @property
    def known(self) -> Mask:
        """Pixels for which there are numbers."""
        return np.isfinite(self.p0) & np.isfinite(self.p1)

    def of(self, pixels: Mask) -> Ghost:
        """Return the ghost of some pixels, as far as it is known; others have none."""
        there = pixels & self.known
        p0, p1 = (np.where(there, p, np.float32(0)) for p in (self.p0, self.p1))
        return replace(self, p0=p0, p1=p1)

    def subtract(self, image: Image, before: Image) -> None:
        """Subtract from an image, in place, what the image before left."""
        subtract_ghost(image, before, p0=self.p0, p1=self.p1, out=image)


def ghost_of(value: Any, info: DetectorInfo) -> Ghost:
    """Return the ghost for a detector.

    Parameters
    ----------
    value : a file, or the pair of arrays ``(p0, p1)``
    info : the detector; there may be p0 and p1 of more panels than its data hold

    Raises
    ------
    FileError
        if the file cannot be read, or has no p0 and p1
    ParameterError
        if they do not fit the detector
    """
    if isinstance(value, str | os.PathLike):
        origin = os.fspath(value)
        p0, p1 = _read(Path(value).expanduser())
    else:
        try:
            p0, p1 = value
        except (TypeError, ValueError):
            raise ParameterError(
                f"ghost = {reprlib.repr(value)} is not a file, nor the two arrays "
                "(p0, p1)"
            ) from None
        origin = "given as arrays"
    return Ghost(_fitting("p0", p0, info), _fitting("p1", p1, info), origin)


def _fitting(name: str, value: npt.ArrayLike, info: DetectorInfo) -> Image:
    array = np.asarray(value)
    more = array.ndim == len(info.shape) == 3 and len(array) > max(info.panels)
    if array.shape != info.shape and more:
        array = array[list(info.panels)]
    if array.shape != info.shape or array.dtype.kind not in "fiu":
        raise ParameterError(
            f"{name} of the ghosts of {info.name!r} must be numbers in the shape "
            f"{info.shape}, not {np.asarray(value).dtype} {np.shape(value)}"
        )
    return array.astype(np.float32)


def _read(path: Path) -> tuple[Array, Array]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return _pair(path, list(arrays), arrays)
        with h5py.File(path, "r") as file:
            return _pair(path, list(file), file)
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}") from error


def _pair(
    path: Path, names: list[str], values: Mapping[str, Any]
) -> tuple[Array, Array]:
    def one(parameter: str) -> Array:
        fitting = [
            n for n in names if n == parameter or n.endswith(_ESTIMATOR + parameter)
        ]
        if len(fitting) != 1:
            raise FileError(
                f"{path} must have one {parameter!r} or '<detector>{_ESTIMATOR}"
                f"{parameter}', and has {listing(names)}"
            )
        return np.asarray(values[fitting[0]])

    return one("p0"), one("p1")


class FramesBefore:
    """Finds for each event the frame that the detector read before.

    It is read by its number, so that the result does not depend on which events were
    worked on before, nor in which order or process.

    Parameters
    ----------
    run, detector : what to read
    wanted : False for a common mode that does not look back; there is no frame then
    """

    def __init__(self, run: Run, detector: str, wanted: bool) -> None:
        self._run = run
        self._detector = detector
        self._wanted = wanted
        self._contributed: Mask = np.zeros(0, np.bool_)
        self._seen = (-1, -1)

    def __call__(self, event: int) -> Array | None:
        """Return the raw frame before that of an event.

        It is of the last event to which the detector contributed.  None for the first
        one, and where its data are not complete.
        """
        if not self._wanted:
            return None
        events = self._run.begin, len(self._run)
        if events != self._seen:
            self._contributed = self._run.contributed(self._detector)
            self._seen = events
        earlier = self._contributed[:event][::-1]
        if not earlier.any():
            return None
        return self._run.read(self._detector, event - 1 - int(earlier.argmax()))
