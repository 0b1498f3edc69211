"""What a detector knows of each of its pixels, under the names that users know."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.detector_constants import DetectorConstants
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.kind_model import CommonModeNumber
from smalldata_ana.detector.masks import REASONS, MaskParts, as_users, pixel_areas
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.detector.panel_grid import panel_normals
from smalldata_ana.detector.protocol import Array, Kept
from smalldata_ana.errors import GeometryError, ParameterError, SmallDataError, unknown
from smalldata_ana.sources.base import PixelPositions, Run

MaskArray = npt.NDArray[np.uint8]

N_COMMON_MODE_PARS = 16
"""Length of `PixelArrays.common_mode_pars`, as small-data files have it."""

NAMES = (
    "ped",
    "rms",
    "gain",
    "offset",
    "pixel_status",
    "local_gain",
    "statusMask",
    "mask",
    "cmask",
    "x",
    "y",
    "z",
    "ix",
    "iy",
    "imgShape",
    "pixelsize",
    "isGainswitching",
    "common_mode",
    "common_mode_pars",
    "cm_region",
    "ghost_p0",
    "ghost_p1",
    "ghost_origin",
)
"""The attributes of `PixelArrays` that are recorded with the results."""


class PixelArrays:
    """Constants, masks and positions of the pixels; each is read at its first use.

    Masks are uint8 in the shape of a frame, 1 = good.

    Parameters
    ----------
    run, detname : the detector
    calibration : how its raw frames become images
    maskCentral : mask the wide pixels where two chips meet

    Raises
    ------
    GeometryError
        if the detector has a geometry among its constants that does not fit it
    """

    def __init__(
        self, run: Run, detname: str, calibration: Calibration, maskCentral: bool
    ) -> None:
        self.run = run
        self.detname = detname
        self.calibration = calibration
        self.maskCentral = maskCentral
        self.local_gain: npt.NDArray[np.float32] | None = None
        self.shared = Kept()
        if "geometry" in calibration.constants.items:
            # one of another detector is an error now, not at some event
            self.positions = self._found_positions()

    def arrays_as_dict(self) -> dict[str, Any]:
        """Return the attributes of `NAMES`, but for those that there are not."""
        values = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in values.items() if value is not None}

    # -- constants ---------------------------------------------------------------------

    @property
    def _constants(self) -> DetectorConstants:
        info = self.run.detectors[self.detname]
        calibration = self.calibration
        return DetectorConstants(info, calibration.kind, calibration.constants)

    def _by_stage(self, value: Array | None) -> Array | None:
        """Drop the axis of the gain stages of a detector that has but one."""
        return value[0] if value is not None and not self.isGainswitching else value

    @cached_property
    def ped(self) -> Array | None:
        """Pedestals [ADU], float32, shape of a frame.

        With gain stages, also of `rms`, `gain`, `offset` and `pixel_status`, it is
        ``(stages, *frame)``.  None where there are none.
        """
        return self._by_stage(self._constants.by_stage("pedestals"))

    @cached_property
    def rms(self) -> Array | None:
        """Noise [ADU], float32, as `ped`."""
        return self._by_stage(self._constants.by_stage("pixel_rms"))

    @cached_property
    def gain(self) -> Array | None:
        """Gain [ADU/keV], float32, as `ped`."""
        return self._by_stage(self._constants.by_stage("pixel_gain"))

    @cached_property
    def offset(self) -> Array | None:
        """What is subtracted beside the pedestals [ADU], float32, as `ped`."""
        return self._by_stage(self._constants.by_stage("pixel_offset"))

    @cached_property
    def pixel_status(self) -> Array | None:
        """Bits that say why a pixel is bad, whole numbers, as `ped`; 0 = good."""
        return self._by_stage(self._constants.status())

    @property
    def noise(self) -> npt.NDArray[np.float32] | None:
        """Noise of the images, float32, shape of a frame, in their unit, if known.

        It is that of the gain stage which a pixel has before it switches.
        """
        noise = self.calibration.rms
        if noise is None or self.local_gain is None:
            return noise
        return noise * np.abs(self.local_gain)

    @property
    def isGainswitching(self) -> bool:
        """True if a pixel has several gain stages."""
        return len(self.calibration.kind.gain_stages) > 1

    @property
    def common_mode(self) -> CommonModeNumber:
        """Number, or psana's parameters, of the common mode that is done."""
        return self.calibration.common_mode

    @property
    def common_mode_pars(self) -> npt.NDArray[np.float64]:
        """Parameters of the common mode, (16,), 0 behind the last of them."""
        given = self.calibration.common_mode_pars
        pars = np.zeros(N_COMMON_MODE_PARS)
        pars[: len(given)] = given
        return pars

    @property
    def cm_region(self) -> MaskArray | None:
        """Pixels whose median is the common mode, or None where it takes no region."""
        region = self.calibration.inputs.region
        return None if region is None else as_users(region)

    @property
    def ghost_p0(self) -> npt.NDArray[np.float32] | None:
        """What the frame before always leaves, float32 [`unit`], or None."""
        ghost = self.calibration.inputs.ghost
        return None if ghost is None else ghost.p0

    @property
    def ghost_p1(self) -> npt.NDArray[np.float32] | None:
        """Share of the frame before that is left in the next one, float32, or None."""
        ghost = self.calibration.inputs.ghost
        return None if ghost is None else ghost.p1

    @property
    def ghost_origin(self) -> str | None:
        """Where `ghost_p0` and `ghost_p1` are from, or None."""
        ghost = self.calibration.inputs.ghost
        return None if ghost is None else ghost.origin

    # -- replaced ----------------------------------------------------------------------

    def setGain(self, local_gain: npt.ArrayLike) -> None:
        """Multiply the calibrated images with a factor of each pixel from now on.

        Pixels whose factor is 0 or not a number are not `good`, and give 0.

        Raises
        ------
        ParameterError
            if the factors do not have the shape of a frame, or leave no good pixel;
            nothing has changed then
        """
        given = self._fitting("local_gain", local_gain, self.calibration.shape)
        factor = given.astype(np.float32)
        factor[~np.isfinite(factor)] = 0
        self._replace("local_gain", local_gain=factor)

    def setMask(self, mask: npt.ArrayLike) -> None:
        """Use another `mask` from now on: 1 = good, shape of a frame.

        `cmask` keeps those of its pixels that are in the mask; what it loses does not
        come back with a later mask, but with `setcMask`.  The functions that are
        attached are prepared again with the new `good`.

        Raises
        ------
        ParameterError
            if it has another shape, or leaves no good pixel; nothing has changed then
        """
        given = as_users(self._fitting("mask", mask, self.calibration.shape) != 0)
        self._replace("mask", mask=given, cmask=self.cmask & given)

    def setcMask(self, mask: npt.ArrayLike) -> None:
        """Use the pixels of `mask` that this mask keeps as `cmask` from now on.

        The functions that are attached are prepared again with the new `good`.

        Raises
        ------
        ParameterError
            if it does not have the shape of a frame, or leaves no good pixel; nothing
            has changed then
        """
        given = as_users(self._fitting("cmask", mask, self.calibration.shape) != 0)
        self._replace("cmask", cmask=self.mask & given)

    def addMask(self, mask: npt.ArrayLike) -> None:
        """Leave out of `cmask`, from now on, what this mask leaves out: 1 = good.

        The functions that are attached are prepared again with the new `good`.

        Raises
        ------
        ParameterError
            if it does not have the shape of a frame, or leaves no good pixel; nothing
            has changed then
        """
        given = as_users(self._fitting("mask", mask, self.calibration.shape) != 0)
        self._replace("cmask", cmask=self.cmask & given)

    def _replace(self, what: str, **new: Any) -> None:
        """Give attributes other values, or, after an error, all those of before.

        Parameters
        ----------
        what : name of what a user has replaced
        new : the values, by attribute; None: to be made anew
        """
        before = vars(self).copy()
        vars(self).update(new)
        for name in ("good", *(name for name, value in new.items() if value is None)):
            vars(self).pop(name, None)
        try:
            if not self.good.any():
                raise ParameterError(
                    f"the new {what} of {self.detname!r} leaves no good pixel; the "
                    "former one stays"
                )
            self._prepare()
        except SmallDataError:
            vars(self).clear()
            vars(self).update(before)
            self._prepare()
            raise

    def _prepare(self) -> None:
        """Prepare what was made with values that are other ones now."""
        self.shared.clear()

    def _fitting(
        self, what: str, value: npt.ArrayLike, shape: tuple[int, ...]
    ) -> Array:
        """Return a value as array; another shape is an error."""
        array = np.asarray(value)
        if array.shape != shape:
            raise ParameterError(
                f"{what} of {self.detname!r} must have the shape {shape}, not "
                f"{array.shape}"
            )
        return array

    # -- masks -------------------------------------------------------------------------

    @cached_property
    def _masks(self) -> MaskParts:
        return MaskParts(self._constants)

    @cached_property
    def statusMask(self) -> MaskArray:
        """Pixels without a status bit."""
        return as_users(self._masks.status_mask())

    @cached_property
    def mask(self) -> MaskArray:
        """Those that are neither unbonded, nor next to it, nor at an edge, nor wide."""
        return as_users(self._masks.mask(self.maskCentral))

    @cached_property
    def cmask(self) -> MaskArray:
        """Pixels of `mask` that the deployed mask keeps."""
        return as_users(self._masks.cmask(self.maskCentral))

    def psana_mask(self, **reasons: bool) -> MaskArray:
        """Return a mask for some reasons only, e.g. ``status=True, edges=True``.

        Parameters
        ----------
        reasons : ``calib``, ``status``, ``edges``, ``central``, ``unbond``,
            ``unbondnbrs``, ``unbondnbrs8``; see `smalldata_ana.detector.masks`

        Raises
        ------
        ParameterError
            if there is no such reason
        """
        for name in reasons:
            if name not in REASONS:
                raise ParameterError(unknown("reason to mask", name, REASONS))
        return as_users(self._masks.good(**reasons))

    @cached_property
    def good(self) -> npt.NDArray[np.bool_]:
        """Pixels to use, bool: those of `cmask` with usable constants."""
        good: npt.NDArray[np.bool_] = self.calibration.good & (self.cmask != 0)
        return good if self.local_gain is None else good & (self.local_gain != 0)

    # -- positions ---------------------------------------------------------------------

    @cached_property
    def positions(self) -> PixelPositions | None:
        """Where the pixels are, or None where there is no geometry."""
        return self._found_positions()

    def _found_positions(self) -> PixelPositions | None:
        try:
            return positions_of(self.run, self.detname)
        except GeometryError as error:
            raise GeometryError(
                f"{error}. Put the right one with `smalldata-ana calib put "
                f"{self.detname} geometry FILE --begin RUN`"
            ) from error

    @cached_property
    def normals(self) -> npt.NDArray[np.float64] | None:
        """Unit vector against the beam of each panel, (panels, 3), psana frame."""
        return None if self.positions is None else panel_normals(self.positions)

    @property
    def first(self) -> tuple[int, int, int]:
        """Panel, row and column of the first pixel: a detector has all of them."""
        return (0, 0, 0)

    @cached_property
    def geometry(self) -> ImageGeometry:
        """Which pixel of the assembled image each pixel of a frame is."""
        return ImageGeometry.from_positions(self.positions, self.calibration.shape)

    @cached_property
    def areas(self) -> npt.NDArray[np.float32]:
        """Area of each pixel relative to a normal one, float32, shape of a frame.

        Raises
        ------
        ParameterError
            if the frames do not hold whole panels, of a kind with wide pixels
        """
        return pixel_areas(self.calibration.kind, self.calibration.shape)

    @property
    def x(self) -> Array | None:
        """Position along the rows of the image [um], float64, shape of a frame.

        The frame is psana's: x down, y right, z against the beam.  None where there is
        no geometry, also for `y` and `z`.
        """
        return None if self.positions is None else self.positions.x

    @property
    def y(self) -> Array | None:
        """Position along the columns of the image [um], float64, as `x`."""
        return None if self.positions is None else self.positions.y

    @property
    def z(self) -> Array | None:
        """Position against the beam [um], float64, as `x`."""
        return None if self.positions is None else self.positions.z

    @property
    def ix(self) -> npt.NDArray[np.int32]:
        """Row in the assembled image, int32, shape of a frame."""
        return self.geometry.ix

    @property
    def iy(self) -> npt.NDArray[np.int32]:
        """Column in the assembled image, int32, shape of a frame."""
        return self.geometry.iy

    @property
    def imgShape(self) -> tuple[int, int]:
        """Shape of the assembled image."""
        return self.geometry.shape

    @property
    def pixelsize(self) -> float | None:
        """Edge of a normal pixel [um], or None where it is not known."""
        if self.positions is not None:
            return self.positions.pixel_size
        return self.calibration.kind.pixel_size_in(self.calibration.shape)
