"""Whether the rings of a picture are about a centre that was found without it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from smalldata_ana.beam_center.preparation import as_picture, cleaned
from smalldata_ana.beam_center.results import Center, CenterFit
from smalldata_ana.beam_center.searching import contrasts, flattened, is_near

_CLEAR = 12.0
"""By how many deviations a picture with rings is sharper about their centre than
elsewhere; about points of two rings that were taken for one it is not."""
_LEAST = 2000
"""Fewer good pixels tell nothing."""
_UNSUPPORTED = (
    "the picture is not sharp about this centre: are the points of one ring? compare "
    "FitCircleAuto"
)


class Support:
    """What a picture says of centres; the work is done once, for many of them.

    Parameters
    ----------
    image : assembled, (rows, columns); what is not finite does not count
    good : bool, same shape; True = use

    Raises
    ------
    ParameterError
        if the image is not of two dimensions, or `good` of another shape
    """

    def __init__(self, image: npt.ArrayLike, good: npt.ArrayLike | None) -> None:
        picture, use = as_picture(image, good)
        self._shape = picture.shape
        enough = np.count_nonzero(use) >= _LEAST
        self._flat = flattened(cleaned(picture, use)) if enough else []

    def checked(self, fit: CenterFit) -> CenterFit:
        """Return a fit, with a note if the picture has no rings about its centre."""
        if self._is_told(fit.center_px) and self._contrast(fit.center_px) < _CLEAR:
            return dataclasses.replace(fit, notes=(*fit.notes, _UNSUPPORTED))
        return fit

    def _is_told(self, center: Center) -> bool:
        return bool(self._flat) and is_near(center, self._shape)

    def _contrast(self, center: Center) -> float:
        places = np.array([center])
        found = (contrasts(flat.pixels, places, self._shape) for flat in self._flat)
        return max(float(contrast[0]) for contrast in found)
