"""Masks that are drawn on the assembled image, brought to raw coordinates and back.

A mask is ``good``: bool, True = use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import ParameterError

Mask = npt.NDArray[np.bool_]
MaskLike = npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]


def checked_mask(mask: MaskLike) -> Mask:
    """Return a mask of a frame or an image as bool, if it is one.

    Parameters
    ----------
    mask : bool, True = good; or whole numbers, 1 = good and 0 = bad, as users have
        them

    Raises
    ------
    ParameterError
        if it is of another type, has other values, or not 2 or 3 dimensions
    """
    if mask.dtype.kind not in "bui" or mask.ndim not in {2, 3}:
        raise ParameterError(
            "a mask is bool, True = good, or 0 and 1, of 2 or 3 dimensions; this one "
            f"is {mask.dtype} of {mask.shape}"
        )
    good: Mask = mask == 1
    others = mask[~good & (mask != 0)]
    if others.size:
        raise ParameterError(
            f"a mask is bool, True = good, or 0 and 1; this one has the value "
            f"{others[0]}"
        )
    return good


def raw_from_image(good: MaskLike, geometry: ImageGeometry) -> Mask:
    """Bring a mask that was drawn on the assembled image to raw coordinates.

    Parameters
    ----------
    good : bool, or 0 and 1, shape of the image
    geometry : how the image is assembled

    Returns
    -------
    bool, shape of a frame: each pixel is as good as the one of the image that it falls
    into.

    Raises
    ------
    ParameterError
        if the mask is not for this image
    """
    return _mask_of(good, geometry.shape, "image")[geometry.ix, geometry.iy]


def image_from_raw(
    good: MaskLike, geometry: ImageGeometry, *, gaps: bool = False
) -> Mask:
    """Bring a mask in raw coordinates to the assembled image.

    The way back gives the same mask, except where several pixels of a frame fall into
    one of the image (`ImageGeometry.shared`): they are all masked if one of them is.

    Parameters
    ----------
    good : bool, or 0 and 1, shape of a frame
    geometry : how the image is assembled
    gaps : what pixels of the image that show none of the detector are

    Returns
    -------
    bool, shape of the image.

    Raises
    ------
    ParameterError
        if the mask is not for frames of this geometry
    """
    bad = ~_mask_of(good, geometry.ix.shape, "frames")
    image = np.where(geometry.covered, True, gaps)
    image[geometry.ix[bad], geometry.iy[bad]] = False
    return image


def _mask_of(mask: MaskLike, shape: tuple[int, ...], what: str) -> Mask:
    if mask.shape != shape:
        raise ParameterError(f"a mask of {mask.shape} is not one of {what} of {shape}")
    return checked_mask(mask)
