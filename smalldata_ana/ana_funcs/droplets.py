"""What droplets and photons are to the functions that work on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.detector.protocol import Array, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.units import wavelength

_FAR = 3.0
"""So many times the energy of a photon is no single photon, nor its third harmonic."""

_ENERGY = "eBeam"
"""The parameter with the energy of the photons."""


@dataclass(frozen=True)
class Positions:
    """A list of positions on a detector, each with a value.

    Attributes
    ----------
    data : of each position, e.g. a number of photons (n,)
    row, column : float64, raw indices in the detector; integer = pixel centre (n,)
    panel : int32, in the detector (n,)
    pixel : int32, the pixel that holds the position, as the flat index into an image
        of the function that works on them (n,)
    """

    data: Array
    row: Array
    column: Array
    panel: Array
    pixel: Array

    def columns(self) -> dict[str, Array]:
        """Return what is stored of each position, under the names in the file."""
        return {
            "data": self.data,
            "row": self.row,
            "col": self.column,
            "tile": self.panel,
        }


@dataclass(frozen=True)
class Droplets:
    """Groups of touching pixels with signal, and the pixels of each.

    They are in the order of their first pixels.  The pixels of droplet i are those
    from ``begin[i]`` to ``begin[i + 1]``, in the order of the image.

    Attributes
    ----------
    adu : float64, sum of the pixels, in the image's unit (n,)
    npix : int32, number of pixels (n,)
    row, column : float64, centre of mass: raw indices in the detector (n,)
    panel : int32, in the detector (n,)
    begin : int64, where the pixels of each droplet begin (n + 1,)
    pixel : int32, flat indices into the image (pixels,)
    value : float32, of these pixels (pixels,)
    """

    adu: Array
    npix: Array
    row: Array
    column: Array
    panel: Array
    begin: Array
    pixel: Array
    value: Array

    def __len__(self) -> int:
        return int(self.adu.size)

    def columns(self) -> dict[str, Array]:
        """Return what is stored of each droplet, under the names in the file."""
        return {
            "data": self.adu,
            "row": self.row,
            "col": self.column,
            "tile": self.panel,
            "npix": self.npix,
        }


def panels_of(shape: tuple[int, ...], name: str) -> tuple[int, int, int]:
    """Return the number of panels, and of the rows and columns of each.

    Parameters
    ----------
    shape : of an image
    name : of the function that asks, for the message

    Raises
    ------
    ParameterError
        if the image has no rows and columns
    """
    if len(shape) not in {2, 3}:
        raise ParameterError(
            f"{name!r} needs images with rows and columns, not of shape {shape}"
        )
    panels, rows, columns = (1, *shape)[-3:]
    return panels, rows, columns


def good_with(
    mask: npt.ArrayLike | None, det: ImageSource, name: str
) -> npt.NDArray[np.bool_]:
    """Return the good pixels of a detector that a user's mask leaves.

    Parameters
    ----------
    mask : 1 = use, shape of the detector, or None
    det : the detector
    name : of the function that asks, for messages

    Raises
    ------
    ParameterError
        if the mask has another shape, or no pixel is left
    """
    use = np.ones(det.shape, bool) if mask is None else np.asarray(mask, bool)
    if use.shape != det.shape:
        raise ParameterError(
            f"mask of {name!r} has shape {use.shape}, but {det.name!r} has {det.shape}"
        )
    good: npt.NDArray[np.bool_] = det.good & use
    if not good.any():
        raise ParameterError(
            f"{name!r} has no good pixel of {det.name!r}; all are masked"
        )
    return good


def check_one_photon(
    func: DetObjectFunc, energy: float | None, told_by: str = _ENERGY
) -> None:
    """Raise an error if what is said to be one photon cannot be one.

    Parameters
    ----------
    func : that knows what one photon deposits; it was set up
    energy : of the photons [keV], or None where it is not known
    told_by : what tells the energy, for the message

    Raises
    ------
    ParameterError
        if the images are in keV and one photon is said to be far above the energy
    """
    said = func.one_photon()
    if energy is None or said is None:
        return
    wavelength(energy)
    parameter, value = said
    if func.source.unit == "keV" and value > _FAR * energy:
        otherwise = "" if told_by == _ENERGY else f"; if that is wrong, give {_ENERGY}"
        raise ParameterError(
            f"{parameter} = {value:g} is far above a photon of {told_by} = "
            f"{energy:.4g} keV{otherwise}: the images are in keV, so give it in keV "
            "and not in ADU"
        )


def as_float32(data: Array) -> npt.NDArray[Any]:
    """Return an image as a flat float32 array; the image itself where it is one."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(data, np.float32).reshape(-1)
