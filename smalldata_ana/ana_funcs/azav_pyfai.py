"""The azimuthal average through pyFAI, with the true corners of the pixels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from traitlets import (
    Bool,
    CUnicode,
    Dict,
    Enum,
    Float,
    Instance,
    Int,
    TraitError,
    Unicode,
    validate,
)

from smalldata_ana.ana_funcs.azimuthal_maps import Corrections, pixel_response
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_parameters import BeamParameters
from smalldata_ana.ana_funcs.beam_traits import Number, Pair
from smalldata_ana.ana_funcs.thresholds import as_floats, limits, within
from smalldata_ana.detector.beam_geometry import BeamGeometry, Poni
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.detector.pyfai_geometry import (
    pyfai_parameters,
    quiet_pyfai,
    read_poni,
)
from smalldata_ana.errors import FileError, GeometryError, ParameterError, unknown
from smalldata_ana.parameters.model import register
from smalldata_ana.sources.base import PixelPositions

_UNITS = {"2th_deg": False, "q_A^-1": True, "q_nm^-1": True, "r_mm": False}
"""pyFAI's names of the radial axes, and whether one needs the energy."""

_AZIMUTHS = (-180.0, 180.0)
"""Range of the azimuth of a 2-D average [deg]."""

_SIZES_DIFFER = 1e-3
"""Relative difference of two pixel sizes that are not the same."""

_FLOAT32 = np.dtype(np.float32)


class _Setup(NamedTuple):
    """What is known before the first event.

    Attributes
    ----------
    beam : where it meets the detector
    shape : of the frames that pyFAI sees, panels one below the other
    integrate : pyFAI's method, with all arguments but the image
    q, az : the axes; `az` is empty for a 1-D average
    """

    beam: BeamGeometry
    shape: tuple[int, int]
    integrate: functools.partial[Any]
    q: Array
    az: Array


@register("azav_pyfai")
class azav_pyfai(DetObjectFunc, BeamParameters):
    """Azimuthal average through pyFAI: slower than `azimuthalBinning`, and exact.

    For each bin Σ wv / Σ wc over its pixels, with their values v, the part w of the
    pixel's area that lies in the bin, and what the pixel sees of scattering that is
    the same in all directions, c: its solid angle by the normal of its own panel
    (`geomCorr`), relative to a pixel at the beam, times the polarization factor
    (`polCorr`).  The corners of each pixel are where its panel is; `method` says how a
    pixel is divided among bins.  Pixels that are masked, or not finite in an event,
    are in neither sum.

    Results: ``azav`` (unit of the image, float32, (npts,) or (npts_az, npts); NaN for
    an empty bin), and with `error_model` ``azav_err``, its standard error √(Σ w²V) /
    Σ wc with the variances V of the pixels.  In `params_as_dict`, ``q`` are the middles
    of the bins in the unit that `int_units` says, whatever it is, and ``az`` those of
    the azimuth, from -180 to 180 [deg], 0 along psana +y and 90 along +x.

    Where the beam is, is said by `center`, `dis_to_sam`, `eBeam`, `tx` and `ty`, or by
    a ``.poni`` file of the assembled image, or by pyFAI's parameters for that image.

    Source: Ashiotis et al., J. Appl. Cryst. 48 (2015) 510, and pyFAI's documentation.

    Raises
    ------
    ParameterError
        if the place of the beam is given twice, or the polarization is
    """

    replaces: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **BeamParameters.replaces,
        "poni_file": ("ai_kwargs", "center", "dis_to_sam", "tx", "ty"),
        "ai_kwargs": ("center", "dis_to_sam", "tx", "ty"),
        "polarization_factor": ("polarization", "Pplane"),
    }

    name = Unicode("pyfai", help="what the results are called: <name>_<key>")
    poni_file = CUnicode(
        None,
        allow_none=True,
        help="a .poni file of the assembled image; eBeam, if given, wins over its "
        "wavelength",
    )
    ai_kwargs = Dict(
        key_trait=Unicode(),
        value_trait=Float(),
        help="pyFAI's dist, poni1, poni2 [m], rot1, rot2, rot3 [rad], wavelength [m] "
        "for the assembled image; pixel1, pixel2 [m] are only checked; eBeam, if "
        "given, wins over wavelength",
    )
    return2d = Bool(False, help="divide into bins of the azimuth too")
    npts = Int(256, min=1, help="number of bins of the radial axis")
    npts_az = Int(360, min=1, help="number of bins of the azimuth, with return2d")
    int_units = Enum(
        list(_UNITS), "2th_deg", help="the radial axis and its unit, as pyFAI's"
    )
    radial_range = Pair(
        help="lowest and highest value of the radial axis, in int_units; default: "
        "from the first to the last good pixel"
    )
    method = Enum(
        ["no", "bbox", "full"],
        "full",
        help="how a pixel is divided among bins: not; by the box around it in radius "
        "and azimuth; by its corners",
    )
    algorithm = Enum(["csr", "csc", "histogram"], "csr", help="pyFAI's algorithm")
    error_model = Enum(
        ["poisson", "azimuthal"],
        None,
        allow_none=True,
        help="store azav_err: 'poisson', the pixels are counts; 'azimuthal', from the "
        "scatter of the pixels of a bin, NaN for a bin of one pixel",
    )
    geomCorr = Bool(True, help="correct for the solid angle of the pixels")
    polCorr = Bool(True, help="correct for the polarization of the beam")
    polarization_factor = Number(
        within=(-1.0, 1.0),
        help="pyFAI's, instead of polarization: 1 horizontal, -1 vertical, 0 none",
    )
    thres = Number(help="pixels below it count as 0 [unit of the image]")
    userMask = Instance(
        np.ndarray, allow_none=True, help="1 = use, shape of the detector"
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if (self.return2d, self.algorithm, self.error_model) == (
            True,
            "histogram",
            "azimuthal",
        ):
            raise ParameterError(
                "error_model = 'azimuthal' with return2d needs algorithm = 'csr' or "
                "'csc'; pyFAI's 'histogram' does not give these errors"
            )

    @validate("ai_kwargs")
    def _complete(self, proposal: Mapping[str, Any]) -> Any:
        values = proposal["value"]
        known = (*Poni._fields, "pixel1", "pixel2")
        for key in values.keys() - set(known):
            raise TraitError(unknown("parameter", key, known, "ai_kwargs"))
        missing = [key for key in ("dist", "poni1", "poni2") if key not in values]
        if values and missing:
            raise TraitError(f"ai_kwargs lacks {' and '.join(missing)} [m]")
        return values

    @validate("radial_range")
    def _ordered(self, proposal: Mapping[str, Any]) -> Any:
        value = proposal["value"]
        if value is not None and not value[0] < value[1]:
            raise TraitError(f"radial_range = {value}: the lower limit comes first")
        return value

    # -- set-up ------------------------------------------------------------------------

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if det.positions is None:
            raise ParameterError(
                f"the positions of the pixels of {det.name!r} are not known; an "
                "azimuthal average needs the detector's geometry"
            )
        mask = ~self._good_of(det)
        with quiet_pyfai():
            try:
                beam = self._beam_on(det, det.positions)
                integrator = _integrator(det, det.positions, beam)
            except (FileError, GeometryError) as error:
                raise ParameterError(f"{self.name!r}: {error}") from error
            shape = integrator.detector.max_shape
            self._setup = self._set_up(
                beam, integrator, mask.reshape(shape), self._response(det, beam)
            )

    def _set_up(
        self,
        beam: BeamGeometry,
        integrator: Any,
        mask: npt.NDArray[np.bool_],
        response: npt.NDArray[np.float32] | None,
    ) -> _Setup:
        """Let pyFAI prepare the bins, and return what stays the same in all events."""
        bins = {"npt": self.npts}
        if self.return2d:
            bins = {"npt_rad": self.npts, "npt_azim": self.npts_az}
        integrate = functools.partial(
            integrator.integrate2d if self.return2d else integrator.integrate1d,
            **bins,
            unit=self.int_units,
            method=(self.method, self.algorithm, "cython"),
            error_model=self.error_model,
            radial_range=self.radial_range and tuple(self.radial_range),
            azimuth_range=_AZIMUTHS if self.return2d else None,
            mask=mask,
            flat=None if response is None else response.reshape(mask.shape),
            correctSolidAngle=False,
        )
        found = integrate(np.zeros(mask.shape, _FLOAT32))
        if not np.any(found.sum_normalization > 0):
            raise ParameterError(
                f"no good pixel of {self.source.name!r} is in radial_range = "
                f"{self.radial_range} {self.int_units}"
            )
        azimuth = np.asarray(found.azimuthal) if self.return2d else np.empty(0)
        return _Setup(beam, mask.shape, integrate, np.asarray(found.radial), azimuth)

    def _beam_on(self, det: ImageSource, positions: PixelPositions) -> BeamGeometry:
        beam = self._beam_of_image(det, positions)
        if beam is None:
            beam = self._beam_of_parameters()
        elif self.eBeam is not None:
            beam = replace(beam, energy=self.eBeam)
        if _UNITS[self.int_units] and beam.energy is None:
            raise ParameterError(
                f"int_units = {self.int_units!r} of {self.name!r} needs the energy: "
                "there is no wavelength with the poni; give eBeam [keV]"
            )
        return beam

    def _beam_of_image(
        self, det: ImageSource, positions: PixelPositions
    ) -> BeamGeometry | None:
        """Return what pyFAI's parameters for the assembled image say, if given."""
        if self.poni_file:
            geometry = det.shared(
                "image geometry",
                lambda: ImageGeometry.from_positions(positions, det.shape),
            )
            return read_poni(self.poni_file, geometry)
        if not self.ai_kwargs:
            return None
        values = dict(self.ai_kwargs)
        for key in ("pixel1", "pixel2"):
            size = 1e6 * values.pop(key, 1e-6 * positions.pixel_size)
            if abs(size / positions.pixel_size - 1) > _SIZES_DIFFER:
                raise ParameterError(
                    f"ai_kwargs has {key} = {size:g} um, but the pixels of "
                    f"{det.name!r} have {positions.pixel_size:g} um"
                )
        extent, half = positions.whole, positions.pixel_size / 2
        corner = extent.x[0] - half, extent.y[0] - half
        return BeamGeometry.from_poni(Poni(**values), corner)

    def needs_of_beam(self) -> tuple[Callable[[], object], ...]:
        """Return what asks for the beam; as `BeamParameters.needs_of_beam`."""
        of_image = self.poni_file or self.ai_kwargs
        beam = () if of_image else (self._beam_of_parameters,)
        return *beam, self._given_polarization

    def _beam_of_parameters(self) -> BeamGeometry:
        try:
            return self.beam(self.name, energy=_UNITS[self.int_units])
        except ParameterError as error:
            raise ParameterError(f"{error}; or give poni_file") from error

    def _response(
        self, det: ImageSource, beam: BeamGeometry
    ) -> npt.NDArray[np.float32] | None:
        """Return what the pixels see of scattering that is the same everywhere."""
        if not (self.geomCorr or self.polCorr):
            return None
        corrections = Corrections(self.geomCorr, self._given_polarization())
        return pixel_response(det, beam, corrections)

    def _given_polarization(self) -> float | None:
        if not self.polCorr:
            return None
        if self.polarization_factor is not None:
            return float(1 + self.polarization_factor) / 2
        return self.fraction(self.name)

    def _good_of(self, det: ImageSource) -> npt.NDArray[np.bool_]:
        good = det.good
        if self.userMask is not None:
            use = np.asarray(self.userMask, bool)
            if use.shape != det.shape:
                raise ParameterError(
                    f"userMask has shape {use.shape}, but {det.name!r} has {det.shape}"
                )
            good = good & use
        if not good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        return good

    # -- events ------------------------------------------------------------------------

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        shape = (self.npts_az, self.npts) if self.return2d else (self.npts,)
        unit = self.unit
        fields = {"azav": Field(_FLOAT32, shape, unit, "azimuthal average")}
        if self.error_model is not None:
            fields["azav_err"] = Field(_FLOAT32, shape, unit, "standard error of azav")
        return fields

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        if data.shape != self.shape:
            raise ParameterError(
                f"{self.name!r} was set up for images of {self.shape}, not {data.shape}"
            )
        found = self._setup.integrate(self._pixels(data))
        filled = found.sum_normalization > 0
        results = {"azav": _where(filled, found.intensity)}
        if self.error_model is not None:
            # One pixel has no scatter, and pyFAI an error of 0.
            several = found.count > 1 if self.error_model == "azimuthal" else filled
            results["azav_err"] = _where(several, found.sem)
        return results

    def _pixels(self, data: Array) -> npt.NDArray[np.float32]:
        """Return a frame of pyFAI of its own, with NaN for all that is not finite.

        Some of pyFAI's algorithms count infinities, and none takes read-only arrays.
        """
        image = as_floats(data)
        if self.thres is not None:
            image = within(image, *limits(self.thres))
        with np.errstate(over="ignore"):
            frame = image.reshape(self._setup.shape).astype(_FLOAT32)
        frame[~np.isfinite(frame)] = math.nan
        return frame

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, where the beam was found to be, and the axes."""
        beam = self._setup.beam
        values = super().params_as_dict() | {
            "center": list(beam.center),
            "dis_to_sam": beam.distance,
            "tx": beam.tilt[0],
            "ty": beam.tilt[1],
            "q": self._setup.q,
        }
        values.pop("ai_kwargs", None)
        if beam.energy is not None:
            values["eBeam"] = beam.energy
        return values | ({"az": self._setup.az} if self.return2d else {})


def _integrator(det: ImageSource, positions: PixelPositions, beam: BeamGeometry) -> Any:
    """Return pyFAI's integrator of a detector, panels one below the other."""
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    # The corners are large; functions of a detector share them.
    parameters = det.shared(
        ("pyfai parameters", beam), lambda: pyfai_parameters(positions, beam)
    )
    return AzimuthalIntegrator(**parameters)


def _where(keep: npt.NDArray[np.bool_], values: Array) -> npt.NDArray[np.float32]:
    """Return values as float32, with NaN for those that are not kept."""
    return np.where(keep, values, np.nan).astype(_FLOAT32, copy=False)
