"""Masks that are drawn on the assembled image, brought to raw coordinates and back.

A mask is ``good``: bool, True = use.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import ParameterError

Mask = npt.NDArray[np.bool_]


def checked_mask(mask: Mask) -> Mask:
    """Return a mask of a frame or an image, if it is one.

    Raises
    ------
    ParameterError
        if it is not bool, or not of 2 or 3 dimensions
    """
    if mask.dtype != np.bool_ or mask.ndim not in {2, 3}:
        raise ParameterError(
            "a mask is bool, True = good, of 2 or 3 dimensions; this one is "
            f"{mask.dtype} of {mask.shape}"
        )
    return mask


def raw_from_image(good: Mask, geometry: ImageGeometry) -> Mask:
    """Bring a mask that was drawn on the assembled image to raw coordinates.

    Parameters
    ----------
    good : bool, shape of the image
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
    _check_mask(good, geometry.shape, "image")
    return good[geometry.ix, geometry.iy]


def image_from_raw(good: Mask, geometry: ImageGeometry, *, gaps: bool = False) -> Mask:
    """Bring a mask in raw coordinates to the assembled image.

    The way back gives the same mask, except where several pixels of a frame fall into
    one of the image (`ImageGeometry.shared`): they are all masked if one of them is.

    Parameters
    ----------
    good : bool, shape of a frame
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
    _check_mask(good, geometry.ix.shape, "frames")
    image = np.where(geometry.covered, True, gaps)
    image[geometry.ix[~good], geometry.iy[~good]] = False
    return image


def _check_mask(mask: Mask, shape: tuple[int, ...], what: str) -> None:
    if checked_mask(mask).shape != shape:
        raise ParameterError(f"a mask of {mask.shape} is not one of {what} of {shape}")
