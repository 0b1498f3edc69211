"""Photons counted pixel by pixel, without droplets."""

from __future__ import annotations

from typing import Any

import numpy as np
from traitlets import Float, Instance, Unicode

from smalldata_ana.ana_funcs.base import Passed
from smalldata_ana.ana_funcs.droplets import (
    as_float32,
    check_one_photon,
    good_with,
    panels_of,
)
from smalldata_ana.ana_funcs.photon_source import PhotonSource
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register


@register("photon")
class photonFunc(PhotonSource):
    """The number of photons in each pixel, where a photon lights two at most.

    The image is divided by `ADU_per_photon`.  The whole photons of each pixel count,
    and a rest of at least `thr_fraction`.  Of the smaller rests, one of at least half
    a photon that no neighbour (up, down, left, right, in its panel) surpasses is a
    seed: if it makes `thr_fraction` with its largest neighbour, it gets one more
    photon, and both are used up.  Pixels that are not good, not finite or hold more
    than 2^24 photons count as 0, and are nobody's neighbour.

    Result: ``nPhot``, the number of photons.  The image of photons (float32) is passed
    on, e.g. to a `sparsifyFunc` or a projection.

    The rule is that of ``photons`` in psana's ImgAlgos.PyAlgos, but that two photons
    side by side are two if the noise makes each of them less than a whole one.  Where
    charge spreads over more than two pixels it loses photons, and `dropletFunc` with
    `droplet2Photons` does not.
    """

    photon_parameter = "ADU_per_photon"
    passes = Passed.IMAGE

    name = Unicode("photon", help="what the results are called: <name>_<key>")
    ADU_per_photon = Float(
        None, allow_none=True, help="what one photon deposits [unit of the image]"
    )
    thr_fraction = Float(
        0.9,
        help="so much of a photon must two pixels hold together, above 0.5 [photon]",
    )
    thresADU = Float(
        None, allow_none=True, help="pixels below it count as 0 [unit of the image]"
    )
    eBeam = Float(
        None,
        allow_none=True,
        help="photon energy, to check ADU_per_photon if the images are in keV [keV]",
    )
    mask = Instance(
        np.ndarray,
        allow_none=True,
        help="1 = use, shape of the detector; beside the detector's own",
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        one: float | None = self.ADU_per_photon
        if one is None or not 0 < one < np.inf:
            raise ParameterError(
                f"ADU_per_photon = {one} of {self.name!r}: it is needed, and above 0"
            )
        if not 0.5 <= self.thr_fraction < 2:
            raise ParameterError(
                f"thr_fraction = {self.thr_fraction:g} of {self.name!r} must be from "
                "0.5 to below 2 photons"
            )
        if self.thresADU is not None and np.isnan(self.thresADU):
            raise ParameterError(f"thresADU of {self.name!r} is not a number")
        self._one = float(one)

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        check_one_photon(self, self.eBeam)
        self._panels = panels_of(det.shape, self.name)
        self._good = good_with(self.mask, det, self.name)
        self._least = -np.inf if self.thresADU is None else float(self.thresADU)
        self._rest = np.empty(self._good.size, np.float32)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        count = Field(np.dtype(np.int64), long_name="number of photons")
        return {"nPhot": count} | self.describe_chained()

    def process(self, data: Array) -> dict[str, Any]:
        """Count the photons of one image; as `DetObjectFunc.process`."""
        photons = self._count(as_float32(data)).reshape(self.shape)
        total = int(photons.sum(dtype=np.float64))
        return {"nPhot": total} | self.pass_on(photons)

    def _count(self, image: Array) -> Array:
        from smalldata_ana.ana_funcs.photon_kernels import (
            join_fractions,
            whole_photons,
        )

        photons = np.empty(image.size, np.float32)
        good, enough = self._good.reshape(-1), self.thr_fraction
        whole_photons(image, good, self._one, self._least, enough, photons, self._rest)
        join_fractions(
            photons.reshape(self._panels),
            self._rest.reshape(self._panels),
            enough,
        )
        return photons
