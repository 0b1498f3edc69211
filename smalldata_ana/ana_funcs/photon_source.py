"""`PhotonSource`: functions that pass photons on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.base import DetObjectFunc


class PhotonSource(DetObjectFunc):
    """A function that makes photons of what deposits charge.

    A subclass sets `_good`, the good pixels, and `_one`, what one photon deposits [unit
    of its source], which is its parameter `photon_parameter`.
    """

    photon_parameter: ClassVar[str]
    _good: npt.NDArray[np.bool_]
    _one: float

    def one_photon(self) -> tuple[str, float]:
        """Return the parameter that says what one photon deposits, and its value."""
        return self.photon_parameter, self._one

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Good pixels, those of the mask only."""
        return self._good

    @property
    def unit(self) -> str:
        """The unit of what is passed on: photons."""
        return "photon"

    @property
    def noise(self) -> None:
        """The noise of what is passed on: not known."""
