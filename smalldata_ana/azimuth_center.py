"""The centre of rings, refined with azimuthal averages of raw frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.beam_center import center_from_azimuth
from smalldata_ana.detector.panel_grid import panel_normals
from smalldata_ana.detector.protocol import Array, ImageSource, Kept
from smalldata_ana.errors import BeamCenterError, GeometryError
from smalldata_ana.sources.base import PixelPositions

Pair = tuple[float, float]

PHI_BINS = 36
"""Enough to tell cos φ from cos 2φ where parts of the rings are not seen."""

_ROUNDS = 8
_ENOUGH = 1.0
"""Change, in standard errors, with which it ends."""
_SMOOTHING = 2.0
"""Of the profile, to see where it rises [bins]."""
_FAR = 1e3
"""Where the detector is taken to be if that is not known [mm]."""


@dataclass(frozen=True, eq=False)
class PictureSource:
    """What analysis functions ask of a detector, for one picture of it.

    Attributes
    ----------
    name : of the detector
    good : pixels to use, bool, shape of the picture
    unit : of the picture
    positions : where the pixels are, or None
    """

    name: str
    good: npt.NDArray[np.bool_]
    unit: str
    positions: PixelPositions | None
    noise: None = None
    first: tuple[int, int, int] = (0, 0, 0)
    shared: Kept = field(default_factory=Kept)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the picture."""
        return self.good.shape

    @property
    def normals(self) -> Array | None:
        """Unit vector against the beam of each panel; see `ImageSource`."""
        return None if self.positions is None else panel_normals(self.positions)


@dataclass(frozen=True, eq=False)
class RefinedCenter:
    """A centre that was refined.

    Attributes
    ----------
    center : x and y in the psana frame [um]
    covariance : of both, (2, 2) float64 [um^2]
    moved : by how much it was off [um]
    """

    center: Pair
    covariance: npt.NDArray[np.float64]
    moved: Pair


def refined_center(
    source: ImageSource,
    image: Array,
    center: Pair,
    *,
    distance: float | None = None,
    tilt: Pair = (0.0, 0.0),
    phi_bins: int = PHI_BINS,
) -> RefinedCenter:
    """Refine a centre with what `center_from_azimuth` finds, until nothing changes.

    The true places of the pixels are used, not those in the assembled image.

    Parameters
    ----------
    source : the detector
    image : for instance an average, shape of the detector; what is not finite does not
        count
    center : to begin with, x and y in the psana frame [um]; near enough that the
        rings are seen as such
    distance : of the sample to the detector [mm]; without tilts and on a flat detector
        the centre does not depend on it
    tilt : tx, ty [deg]
    phi_bins : number of azimuths

    Raises
    ------
    BeamCenterError
        if there are no rings to tell, or it comes to no end
    GeometryError
        if the places of the pixels are not known
    ParameterError
        if a number makes no sense
    """
    if source.positions is None:
        raise GeometryError(
            f"the places of the pixels of {source.name!r} are not known, so that there "
            "is no azimuth; deploy a geometry, or use FitCircleAuto"
        )
    here = center
    for _ in range(_ROUNDS):
        func = azimuthalBinning(
            center=list(here),
            dis_to_sam=_FAR if distance is None else distance,
            tx=tilt[0],
            ty=tilt[1],
            rbin=source.positions.pixel_size,
            phiBins=phi_bins,
            polCorr=False,
        )
        func.attach(source)
        axes = func.params_as_dict()
        cake = func.process(image)["azav"]
        outside = slice(_glow_end(cake), None)
        shift = center_from_azimuth(cake[:, outside], axes["phi"], axes["r"][outside])
        here = here[0] + shift.x, here[1] + shift.y
        if math.hypot(shift.x / shift.x_err, shift.y / shift.y_err) < _ENOUGH:
            moved = here[0] - center[0], here[1] - center[1]
            return RefinedCenter(here, shift.covariance, moved)
    raise BeamCenterError(
        f"the centre from x = {center[0]:.0f}, y = {center[1]:.0f} um came to no end; "
        "begin with a better one, for instance of FitCircleAuto"
    )


def _glow_end(cake: Array) -> int:
    """Return the first bin outside of the glow around the beam, or 0.

    The glow is so bright that it would decide alone, and where a beam stop cuts it off,
    its edge says where the stop is.  It ends where the profile first rises again.

    Parameters
    ----------
    cake : (azimuths, radii), NaN where there are no pixels
    """
    from scipy import ndimage

    rows = [row for row in cake if np.isfinite(row).any()]
    edges = [edge for edge in map(_inner_edge, rows) if edge is not None]
    if 2 * len(edges) <= len(rows):
        return 0
    seen = np.isfinite(cake)
    profile = np.where(seen, cake, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    rising = np.diff(ndimage.gaussian_filter1d(profile, _SMOOTHING)) > 0
    begin = max(edges) + math.ceil(2 * _SMOOTHING)
    after = np.flatnonzero(rising[begin:])
    return begin + int(after[0]) if after.size else 0


def _inner_edge(row: Array) -> int | None:
    """Return the bin where the glow begins in one azimuth, or None.

    Unlike a ring, it rises within one bin to near its maximum and does not fall again
    so soon, or it begins where the data do.
    """
    half = np.nanmax(row) / 2
    high = row > half
    first = int(np.flatnonzero(np.isfinite(row))[0])
    if high[first]:
        return first
    rises = (np.diff(row)[:-2] > half) & high[2:-1] & high[3:]
    edges = np.flatnonzero(rises)
    return int(edges[0]) + 1 if edges.size else None
