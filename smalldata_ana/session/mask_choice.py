"""Which pixels of an image a command of the session is to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import AverageImage
from smalldata_ana.errors import ParameterError
from smalldata_ana.session.known_entries import written_entries

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskChoice:
    """The masks that a command was asked to regard.

    Attributes
    ----------
    use_mask : leave out the pixels of the image that are not good
    use_mask_local : leave out those of the masks that users made
    single_tile : number of the only panel to be used; -1: all
    """

    use_mask: bool = True
    use_mask_local: bool = False
    single_tile: int = -1

    def good(self, session: Any, average: AverageImage) -> Mask:
        """Return the pixels to use, bool, shape of the image's data.

        Raises
        ------
        ParameterError
            if there is no such panel, or a mask is of another shape
        """
        good = np.array(np.isfinite(average.data))
        if self.use_mask:
            good &= average.good
        if self.use_mask_local:
            good &= local_mask(session, average.detector, average.shape)
        if self.single_tile >= 0:
            good &= _panel(self.single_tile, average)
        return good

    def options(self) -> dict[str, Any]:
        """Return what is not as usual, by the names of the commands' arguments."""
        usual, names = MaskChoice(), {"single_tile": "singleTile"}
        return {
            names.get(key, key): value
            for key, value in vars(self).items()
            if value != getattr(usual, key)
        }


def local_mask(session: Any, detector: str, shape: tuple[int, ...]) -> Mask:
    """Return the pixels that are good in all masks that users made, bool.

    Parameters
    ----------
    session : the session; its pending masks count, and those of the parameter file
        that apply to its run, unless a pending one replaces them
    detector : its name
    shape : of its frames

    Raises
    ------
    ParameterError
        if a mask is of another shape
    """
    masks = _exported(session, detector)
    masks |= {
        entry.name: np.asarray(entry.array, bool)
        for entry in session.pending
        if (entry.detector, entry.kind) == (detector, "mask")
        and entry.array is not None
    }
    good = np.ones(shape, bool)
    for name, mask in masks.items():
        if mask.shape != shape:
            raise ParameterError(
                f"the mask {name!r} of {detector!r} has the shape {mask.shape}, and "
                f"the image {shape}"
            )
        good &= mask
    return good


def _exported(session: Any, detector: str) -> dict[str, Mask]:
    """Return the masks of the parameter file for this run, by name."""
    from smalldata_ana.detector.mask_entries import MaskParameters

    folder = session.places.params.parent
    return {
        entry.name: cast(MaskParameters, entry.make()).read(folder)
        for entry in written_entries(session)
        if (entry.detector, entry.kind) == (detector, "mask")
    }


def _panel(number: int, average: AverageImage) -> Mask:
    panels = average.shape[0] if len(average.shape) > 2 else 1
    if number >= panels:
        raise ParameterError(
            f"singleTile = {number}, but {average.detector!r} has {panels} panels, "
            "counted from 0"
        )
    good = np.zeros((panels, *average.shape[-2:]), bool)
    good[number] = True
    return good.reshape(average.shape)
