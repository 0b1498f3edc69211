"""The azimuthal average of scattering, by bins in q and φ."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Instance, Int, Unicode

from smalldata_ana.ana_funcs.array_parameter import load_image
from smalldata_ana.ana_funcs.azimuthal_axes import Axis, MomentumTransfer, Radius
from smalldata_ana.ana_funcs.azimuthal_bins import (
    Bins,
    BinSums,
    Steps,
    Sums,
    azimuth_edges,
    check_number,
    steps_of,
)
from smalldata_ana.ana_funcs.azimuthal_maps import (
    Corrections,
    pixel_angles,
    pixel_response,
)
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_parameters import BeamParameters
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.polarization import PolarizationFit, checkPolarization
from smalldata_ana.ana_funcs.thresholds import as_floats, within
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register
from smalldata_ana.units import wavelength

Floats = npt.NDArray[np.float64]

_NUMBER = np.dtype(np.float64)
_COUNT = np.dtype(np.int64)

_NEXT_TO = 1e-9
"""Relative distance of the outer edges to the pixels that are next to them."""

_OFF = 5.0
"""Factor by which a photon's value is off its energy if it is not meant in keV."""


@register("azav")
class azimuthalBinning(DetObjectFunc, BeamParameters):
    """Mean intensity in bins of q (or radius) and φ.

    The result ``azav``, (bins in φ, bins in q), is Σv / Σc over the pixels of a bin,
    with a pixel's value v and what it sees of scattering that is the same in all
    directions, c = solid angle · polarization · sensor (`azimuthal_maps`), each factor
    1 where it is switched off.  This is the best estimate from counts, and pyFAI's
    without splitting of pixels.  It is in the unit of the image, or in photons if
    `ADU_per_Photon` is given, per pixel at the beam.  Bins without a pixel are NaN.
    Masked pixels, and those that are not finite in an event, are in neither sum.

    q = 4π/λ sin(2θ/2) [1/angstrom]; φ is 0 along psana's +y and 90 degrees along +x;
    signs and tilts are in ``docs/conventions.md``.  Without edges, the bins in q are at
    multiples of `qbin`, and those in φ divide the circle, the first around φ = 0.

    With ``errors=True``, ``azav_err`` is the standard error: √Σn / Σc with the number
    of photons n, if `ADU_per_Photon` is given; else, and for squares, from the scatter
    of the pixels in the bin (`Sums.scatter_error`).  With ``counts=True``, ``count`` is
    the number of pixels of each bin.  The parameters for the record have the middles
    of the bins as ``q`` (or ``r``) [um] and ``phi`` [deg], their edges, and ``norm``,
    Σc without pixels that are not finite: ``azav * norm`` are sums.
    """

    name = Unicode("azav", help="what the results are called: <name>_<key>")
    phiBins = Steps(
        whole=True, default_value=1, help="bins of the circle in φ, or edges [deg]"
    )
    qbin = Steps(default_value=5e-3, help="width of a bin in q, or edges [1/angstrom]")
    nBins = Int(
        None, allow_none=True, min=1, help="number of bins in q, in place of qbin"
    )
    rbin = Steps(
        default_value=None,
        allow_none=True,
        help="width of a bin in the radius, or edges [um]; in place of q",
    )
    userMask = Instance(
        np.ndarray, allow_none=True, help="1 = use, shape of the detector"
    ).tag(file=False)
    darkImg = Instance(
        np.ndarray, allow_none=True, help="subtracted first [unit of the image]"
    ).tag(file=False)
    gainImg = Instance(np.ndarray, allow_none=True, help="divided by after that").tag(
        file=False
    )
    thresADU = Number(help="pixels below it count as 0 [unit of the image]")
    thresADUhigh = Number(help="pixels above it count as 0 [unit of the image]")
    thresRms = Number(help="pixels below so many times their noise count as 0")
    ADU_per_Photon = Number(
        above=0, help="value of a photon [unit of the image]; results are in photons"
    )
    geomCorr = Bool(True, help="correct for the solid angle of the pixels")
    polCorr = Bool(True, help="correct for the polarization, which must be given")
    sensor_thickness = Number(
        above=0, help="correct for the absorption in a sensor of so much [um]"
    )
    attenuation_length = Number(above=0, help="of the sensor at eBeam [um]")
    square = Bool(False, help="average the squares of the pixels")
    errors = Bool(False, help="store standard errors")
    counts = Bool(False, help="store how many pixels are in each bin")

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._sums: BinSums | None = None
        if self.rbin is not None and self.nBins is not None:
            raise ParameterError("nBins is a number of bins in q; give it, or rbin")
        if self.nBins is not None and "qbin" in parameters:
            raise ParameterError("nBins and qbin both say the bins in q; give one")
        if (self.sensor_thickness is None) != (self.attenuation_length is None):
            raise ParameterError(
                "the absorption in the sensor needs both sensor_thickness and "
                "attenuation_length [um]"
            )
        low, high = self.thresADU, self.thresADUhigh
        if low is not None and high is not None and not low < high:
            raise ParameterError(
                f"thresADU = {low:g} is not below thresADUhigh = {high:g}"
            )

    # -- set-up ------------------------------------------------------------------------

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._check_photon(det)
        self._read_images(det)
        self._limits = self._thresholds(det)
        self._beam = self._given_beam()
        angles = pixel_angles(det, self._beam)
        response = pixel_response(det, self._beam, self._corrections())
        self._axis = self._chosen_axis()
        use = self._use & (response > 0) & (angles.sine < self._axis.widest)
        if not use.any():
            raise ParameterError(
                f"no pixel of {det.name!r} is left for {self.name!r}: all are masked"
            )
        self._edges = self._radial_edges(angles.sine, use)
        self._phi_edges = azimuth_edges(self.phiBins)
        bins = Bins.of(angles, use, self._axis.sine(self._edges), self._phi_edges)
        seen = np.square(response) if self.square else response
        self._sums = BinSums(bins, seen, moments=self.errors and not self._counting)
        if not self._sums.number.any():
            raise ParameterError(
                f"no good pixel of {det.name!r} is in a bin of {self.name!r}, whose "
                f"edges are {self._edges[0]:g} to {self._edges[-1]:g} "
                f"{self._axis.unit} and {self._phi_edges[0]:g} to "
                f"{self._phi_edges[-1]:g} degrees"
            )

    def needs_of_beam(self) -> tuple[Callable[[], object], ...]:
        """Return what asks for the beam; as `BeamParameters.needs_of_beam`."""
        return self._given_beam, self._given_polarization

    def _given_beam(self) -> BeamGeometry:
        return self.beam(self.name, energy=self.rbin is None)

    def _given_polarization(self) -> float | None:
        return self.fraction(self.name) if self.polCorr else None

    def _check_photon(self, det: ImageSource) -> None:
        photon, energy = self.ADU_per_Photon, self.eBeam
        if photon is None or energy is None or det.unit != "keV":
            return
        if not energy / _OFF < photon < energy * _OFF:
            raise ParameterError(
                f"ADU_per_Photon = {photon:g}, but images of {det.name!r} are in keV, "
                f"in which a photon is {energy:g}; give that"
            )

    def _read_images(self, det: ImageSource) -> None:
        """Take the images that are parameters, and the pixels that they leave."""
        mask = self._pixels("userMask", det)
        self._dark = self._pixels("darkImg", det)
        self._gain = self._pixels("gainImg", det)
        use = det.good.reshape(-1)
        if mask is not None:
            use = use & mask.astype(bool)
        if self._dark is not None:
            use = use & np.isfinite(self._dark)
        if self._gain is not None:
            use = use & np.isfinite(self._gain) & (self._gain != 0)
        self._use: npt.NDArray[np.bool_] = use

    def _pixels(self, key: str, det: ImageSource) -> Array | None:
        """Return a parameter that is an image, (pixels,)."""
        value = getattr(self, key)
        if value is None:
            return None
        image, _ = load_image(key, value, det.shape, det.name)
        return as_floats(image).reshape(-1)

    def _thresholds(self, det: ImageSource) -> tuple[float | Array, float] | None:
        """Return the lowest and highest value that count; None for no limits."""
        if self.thresADU is self.thresADUhigh is self.thresRms is None:
            return None
        low = -math.inf if self.thresADU is None else self.thresADU
        high = math.inf if self.thresADUhigh is None else self.thresADUhigh
        if self.thresRms is None:
            return low, high
        if det.noise is None:
            raise ParameterError(
                f"thresRms = {self.thresRms:g}, but the noise of {det.name!r} is not "
                "known; deploy pixel_rms, or give thresADU"
            )
        # a pixel of unknown noise is not above any threshold
        least = np.nan_to_num(self.thresRms * det.noise.reshape(-1), nan=np.inf)
        return np.maximum(least, low), high

    def _corrections(self) -> Corrections:
        thickness, length = self.sensor_thickness, self.attenuation_length
        return Corrections(
            solid_angle=self.geomCorr,
            polarization=self._given_polarization(),
            sensor=None if thickness is None else thickness / length,
        )

    def _chosen_axis(self) -> Axis:
        if self.rbin is None:
            return MomentumTransfer(wavelength(self.eBeam))
        along = abs(float(self._beam.direction[2]))
        return Radius(1e3 * self._beam.distance / along)

    def _radial_edges(self, sine: Floats, use: npt.NDArray[np.bool_]) -> Floats:
        steps = self.qbin if self.rbin is None else self.rbin
        if isinstance(steps, list) and self.nBins is None:
            return np.asarray(steps)
        lowest = self._axis.of(np.min(sine, where=use, initial=np.inf))
        highest = self._axis.of(np.max(sine, where=use, initial=0))
        if self.nBins is None:
            return steps_of(steps, float(lowest), float(highest))
        check_number(self.nBins, f"nBins = {self.nBins}")
        # The pixels at the outer edges are within, whatever is rounded.
        outer = lowest * (1 - _NEXT_TO), highest * (1 + _NEXT_TO)
        return np.linspace(*outer, self.nBins + 1)

    @property
    def _ready(self) -> BinSums:
        """The sums over the bins, which are there after set-up."""
        if self._sums is None:
            raise ParameterError(
                f"{self.name!r} belongs to no detector yet; det.addFunc({self.name})"
            )
        return self._sums

    @property
    def _scale(self) -> float:
        """What turns a value that is summed into the unit of the result."""
        photons = 1 / (self.ADU_per_Photon or 1)
        return photons**2 if self.square else photons

    @property
    def _counting(self) -> bool:
        """Whether errors are those of counted photons."""
        return self.ADU_per_Photon is not None and not self.square

    # -- events ------------------------------------------------------------------------

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = self.unit if self.ADU_per_Photon is None else "photon"
        unit += "2" if self.square and unit else ""
        shape = self._ready.bins.shape
        fields = {"azav": Field(_NUMBER, shape, unit, "mean intensity of a pixel")}
        if self.errors:
            fields["azav_err"] = Field(_NUMBER, shape, unit, "standard error of azav")
        if self.counts:
            fields["count"] = Field(_COUNT, shape, "1", "number of pixels in the bin")
        return fields

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        if data.shape != self.shape:
            raise ParameterError(
                f"{self.name!r} was set up for images of {self.shape}, not {data.shape}"
            )
        image = np.ascontiguousarray(as_floats(data)).reshape(-1)
        sums = self._ready.of(self._corrected(image)).scaled(self._scale)
        results = {"azav": sums.ratio()}
        if self.errors:
            results["azav_err"] = self._error(sums)
        if self.counts:
            results["count"] = sums.number.astype(_COUNT)
        shape = self._ready.bins.shape
        return {key: found.reshape(shape) for key, found in results.items()}

    def _corrected(self, image: Array) -> Array:
        """Return the values that are summed; a new array if they are others."""
        if self._dark is not None:
            image = image - self._dark
        if self._gain is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                image = image / self._gain
        if self._limits is not None:
            image = within(image, *self._limits)
        return np.square(image) if self.square else image

    def _error(self, sums: Sums) -> Floats:
        return sums.count_error() if self._counting else sums.scatter_error()

    # -- for people --------------------------------------------------------------------

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters and, after set-up, the axes and the normalization."""
        values = super().params_as_dict()
        if self._sums is None:
            return values
        axis, shape = self._axis.name, self._sums.bins.shape
        # Users know the edges of q under a name of their own.
        known = {"qbins": self._edges} if axis == "q" else {}
        return (
            known
            | values
            | {
                axis: _middles(self._edges),
                f"{axis}_edges": self._edges,
                "phi": _middles(self._phi_edges),
                "phi_edges": self._phi_edges,
                "norm": self._sums.response.reshape(shape),
            }
        )

    def checkPolarization(self, image: Array) -> PolarizationFit:
        """Tell which polarization of the beam an image fits, after set-up.

        Parameters
        ----------
        image : for instance an average, shape of the detector; the polarization that
            was given here does not matter

        Raises
        ------
        NoDataError
            if the image tells nothing of it
        """
        return checkPolarization(image, self.source, self._beam, self._use)


def _middles(edges: Floats) -> Floats:
    middles: Floats = (edges[1:] + edges[:-1]) / 2
    return middles
