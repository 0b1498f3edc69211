"""The photons of droplets: how many, where, and how they are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Float, Instance, List, TraitError, Unicode, validate

from smalldata_ana.ana_funcs.base import Passed
from smalldata_ana.ana_funcs.droplets import (
    Droplets,
    Positions,
    check_one_photon,
    good_with,
    panels_of,
)
from smalldata_ana.ana_funcs.photon_source import PhotonSource
from smalldata_ana.ana_funcs.regions import RegionTrait, boxes_within
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

_COUNT = np.dtype(np.int64)
_SHARE = np.dtype(np.float64)

MOST = 10
"""P(k) is given for 0 up to so many photons in a pixel."""


_LIMIT = 20_000_000
"""So many photons in one event are a mistake; their positions would fill the memory."""


@register("photons")
class droplet2Photons(PhotonSource):
    """The photons of droplets; chain it to `dropletFunc`.

    The number of photons of a droplet follows from its sum: at least n from
    ``n * aduspphot - offset`` on, or from ``photpts[n]``.  One photon is at the centre
    of mass of its droplet.  Several are placed by the greedy guess of smalldata_tools,
    with the pixels in units of `aduspphot`: first the whole photons of each pixel,
    at its centre.  Then, as long as photons are left, one at the pixel with the
    largest rest v: the 1 - v that it lacks is taken from the neighbour (up, down, left,
    right) with the largest rest, and the photon is moved towards it by 1 - v pixels;
    or by what the neighbour had to give, if that is less and it held no whole photon.

    Results: ``nPhotons``, and ``prob``: the fraction of the good pixels with
    k = 0 ... 10 photons, then the mean number of photons in a good pixel.  With
    `perPanel` also ``prob_panel`` (panels, 12), with `ROIs` ``prob_ROI`` (ROIs, 12);
    they are NaN for a panel without a good pixel.  A photon is counted in the pixel
    that it is nearest to.  Where charge spreads over more than about 0.15 pixel
    (standard deviation), two photons in one pixel are taken for neighbours more often
    than the other way round: P(2) is too small, by 10 % at 0.2 pixel.

    The positions are passed on, as raw indices of the detector, in pixels and their
    fractions; chain `sparsifyFunc` to store them.
    """

    takes = (Passed.DROPLETS,)
    photon_parameter = "aduspphot"
    passes = Passed.POSITIONS

    name = Unicode("droplet2phot", help="what the results are called: <name>_<key>")
    aduspphot = Float(
        None, allow_none=True, help="what one photon deposits [unit of the image]"
    )
    offset = Float(
        None,
        allow_none=True,
        help="n photons from n * aduspphot - offset on [unit of the image]; default: "
        "aduspphot / 2",
    )
    photpts = List(
        Float(),
        default_value=None,
        allow_none=True,
        minlen=2,
        help="smallest sum of a droplet of 0, 1, 2, ... photons, instead of offset; "
        "above the last, one photon more for each aduspphot [unit of the image]",
    )
    eBeam = Float(
        None,
        allow_none=True,
        help="photon energy, to check aduspphot if the images are in keV [keV]",
    )
    perPanel = Bool(False, help="P(k) of each panel as well")
    ROIs = List(
        RegionTrait(),
        default_value=None,
        allow_none=True,
        minlen=1,
        help="regions to give P(k) of as well, each as the ROI of a ROIFunc",
    )
    mask = Instance(
        np.ndarray,
        allow_none=True,
        help="1 = use, shape of the detector; photons elsewhere are left out",
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        one: float | None = self.aduspphot
        if one is None or not 0 < one < np.inf:
            raise ParameterError(
                f"aduspphot = {one} of {self.name!r}: it is needed, and above 0"
            )
        offset: float | None = self.offset
        points: list[float] | None = self.photpts
        if offset is not None and points is not None:
            raise ParameterError(f"{self.name!r} has offset and photpts; give one")
        if offset is not None and not 0 <= offset < one:
            raise ParameterError(
                f"offset = {offset:g} of {self.name!r} must be from 0 to below "
                f"aduspphot = {one:g}"
            )
        self._one = float(one)
        self._offset = self._one / 2 if offset is None else offset

    @validate("photpts")
    def _growing(self, proposal: Mapping[str, Any]) -> Any:
        value = proposal["value"]
        if value is not None and not (np.diff(value) > 0).all():
            raise TraitError(f"photpts = {value} must grow from one to the next")
        return value

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for droplets; as `DetObjectFunc.setFromDet`."""
        from smalldata_ana.ana_funcs.droplet_kernels import new_map

        super().setFromDet(det)
        check_one_photon(self, self.eBeam)
        self._panels, self._rows, self._columns = panels_of(det.shape, self.name)
        self._good = good_with(self.mask, det, self.name)
        self._map = new_map(self._panels, self._rows, self._columns)
        by_panel = self._good.reshape(self._panels, -1)
        self._panel_sizes = np.count_nonzero(by_panel, axis=1)
        self._regions = [self._region(det, region) for region in self.ROIs or ()]

    def _region(self, det: ImageSource, region: Any) -> npt.NDArray[np.bool_]:
        """Return the good pixels of a region, flat."""
        inside = np.zeros(det.shape, bool)
        for box in boxes_within(region, det.shape, det.name):
            inside[tuple(slice(begin, end) for begin, end in box)] = True
        inside &= self._good
        if not inside.any():
            raise ParameterError(
                f"no pixel of {region} in ROIs of {self.name!r} is good; all are masked"
            )
        return inside.reshape(-1)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        name = f"fraction of pixels with 0 to {MOST} photons, mean photons per pixel"
        fields = {
            "nPhotons": Field(_COUNT, long_name="number of photons"),
            "prob": Field(_SHARE, (MOST + 2,), long_name=name),
        }
        if self.perPanel:
            fields["prob_panel"] = Field(
                _SHARE, (self._panels, MOST + 2), long_name=f"by panel: {name}"
            )
        if self._regions:
            fields["prob_ROI"] = Field(
                _SHARE, (len(self._regions), MOST + 2), long_name=f"by ROI: {name}"
            )
        return fields | self.describe_chained()

    def process(self, data: Droplets) -> dict[str, Any]:
        """Find the photons of the droplets of one image.

        Raises
        ------
        ParameterError
            if there are more than 20 million
        """
        from smalldata_ana.ana_funcs.droplet_photon_kernels import count_by_pixel

        photons = self._place(data)
        pixel, count = count_by_pixel(photons.pixel, self._map[0])
        results = {"nPhotons": photons.pixel.size} | self._distributions(pixel, count)
        return results | self.pass_on(photons)

    def _number(self, adu: Array) -> npt.NDArray[np.int64]:
        """Return the number of photons of droplets with these sums."""
        points: list[float] | None = self.photpts
        if points is None:
            number = (adu + self._offset) // self._one
        else:
            above = np.maximum(adu - points[-1], 0) // self._one
            number = np.searchsorted(points, adu, side="right") - 1 + above
        number = np.maximum(number, 0)
        if (total := number.sum()) > _LIMIT:
            raise ParameterError(
                f"{self.name!r} found {total:.3g} photons of aduspphot = {self._one:g} "
                f"in an event, more than {_LIMIT:g}; leave out bad pixels with a mask "
                "or with pixmax of the droplets, or give aduspphot in the image's unit"
            )
        return number.astype(np.int64)

    def _place(self, droplets: Droplets) -> Positions:
        from smalldata_ana.ana_funcs.droplet_photon_kernels import place_photons

        panel, row, column = self.first
        rows, columns, pixel = place_photons(
            self._number(droplets.adu),
            droplets.begin,
            droplets.pixel,
            droplets.value,
            droplets.row - row,
            droplets.column - column,
            self._one,
            self._map,
            (self._rows, self._columns),
        )
        if self.mask is not None:
            use = self._good.reshape(-1)[pixel]
            rows, columns, pixel = rows[use], columns[use], pixel[use]
        on = pixel // np.int32(self._rows * self._columns)
        return Positions(
            data=np.ones(pixel.size, np.float32),
            row=rows + row,
            column=columns + column,
            panel=on + np.int32(panel),
            pixel=pixel,
        )

    def _distributions(self, pixel: Array, count: Array) -> dict[str, Array]:
        """Return P(k) of all pixels, and of what else was asked for.

        Parameters
        ----------
        pixel, count : the pixels that hold photons, and how many each holds
        """
        good = self._good.reshape(-1)[pixel]
        pixel, count = pixel[good], count[good]
        panel = pixel // np.int32(self._rows * self._columns)
        by_panel, photons = _histograms(panel, count, self._panels)
        sizes = self._panel_sizes
        total = _distribution(by_panel.sum(axis=0), photons.sum(), sizes.sum())
        found = {"prob": total}
        if self.perPanel:
            found["prob_panel"] = _distribution(by_panel, photons, sizes)
        if self._regions:
            inside = [count[region[pixel]] for region in self._regions]
            found["prob_ROI"] = np.stack(
                [
                    _distribution(
                        np.bincount(np.minimum(k, MOST + 1), minlength=MOST + 2),
                        k.sum(),
                        np.count_nonzero(region),
                    )
                    for k, region in zip(inside, self._regions, strict=True)
                ]
            )
        return found


def _histograms(panel: Array, count: Array, panels: int) -> tuple[Array, Array]:
    """Return how many pixels of each panel hold k photons, and the photons of each."""
    bins = MOST + 2
    cell = panel * bins + np.minimum(count, bins - 1)
    histograms = np.bincount(cell, minlength=panels * bins).reshape(panels, bins)
    return histograms, np.bincount(panel, count, minlength=panels)


def _distribution(
    histogram: Array, photons: npt.ArrayLike, pixels: npt.ArrayLike
) -> Array:
    """Return P(0) to P(10), and the mean number of photons in a pixel.

    Parameters
    ----------
    histogram : number of pixels with k = 1 ... 10 photons, or more (..., 12)
    photons : number of photons (...)
    pixels : number of all pixels (...)
    """
    counts = histogram.astype(np.float64)
    counts[..., 0] = pixels - counts[..., 1:].sum(axis=-1)
    counts[..., -1] = photons
    with np.errstate(invalid="ignore"):
        share: Array = counts / np.expand_dims(pixels, -1)
    return share
