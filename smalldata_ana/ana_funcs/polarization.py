"""Which polarization of the beam an image fits: its cos 2φ.

Scattering of a beam with the horizontal fraction f is proportional to
1 - f X² - (1 - f) Y² = u (1 - p h), with the direction (X, Y, Z) of a pixel,
u = (1 + cos²2θ)/2, p = 2f - 1 and h = (X² - Y²)/(2u).  On a ring of pixels at one
angle, h is cos 2φ times a number, and p is the slope of the intensity with h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.azimuthal_maps import (
    Corrections,
    pixel_angles,
    pixel_response,
)
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.protocol import Array, ImageSource
from smalldata_ana.errors import NoDataError, ParameterError

Floats = npt.NDArray[np.float64]

_RINGS = 200
"""Number of rings that an image is divided into."""

_CERTAIN = 3.0
"""Errors by which the slope must differ from 0."""


@dataclass(frozen=True)
class PolarizationFit:
    """The polarization that fits an image.

    Attributes
    ----------
    cos2phi : amplitude of cos 2φ relative to the mean, over the rings as they weigh in
        the fit: below 0 if the scattering is weak along psana ±y, as that of a
        horizontally polarized beam
    cos2phi_err : its standard error, from the scatter of the rings
    fraction : of laboratory-horizontal polarization, as `azimuthalBinning` takes it;
        outside 0 to 1 if something else has a cos 2φ too (a centre that is off, a
        shadow, an oriented sample), and too near to 0.5 with a background
    fraction_err : its standard error
    """

    cos2phi: float
    cos2phi_err: float
    fraction: float
    fraction_err: float

    @property
    def fits(self) -> str:
        """``horizontal``, ``vertical``, or ``neither`` if the image does not tell."""
        if not abs(self.fraction - 0.5) > _CERTAIN * self.fraction_err:
            return "neither"
        return "horizontal" if self.fraction > 0.5 else "vertical"

    def __str__(self) -> str:
        return (
            f"cos 2φ of {self.cos2phi:.3g} ± {self.cos2phi_err:.1g}: "
            f"horizontal fraction {self.fraction:.2f} ± {self.fraction_err:.2f}, "
            f"fits {self.fits} polarization"
        )


def checkPolarization(
    image: Array,
    source: ImageSource,
    beam: BeamGeometry,
    use: npt.NDArray[np.bool_] | None = None,
) -> PolarizationFit:
    """Tell which polarization of the beam an image fits.

    The slope with h is fitted on every ring by least squares with the variances of
    counts, and averaged over the rings with those weights.

    Parameters
    ----------
    image : for instance an average, shape of the detector
    source : the detector
    beam : where it meets the detector; its energy is not needed
    use : pixels to use, bool, (pixels,); None: those that are good

    Raises
    ------
    ParameterError
        if the image is of another shape, or positions or normals are not known
    NoDataError
        if no ring has pixels with intensity at different φ
    """
    if image.shape != source.shape:
        raise ParameterError(
            f"an image of {source.name!r} has the shape {source.shape}, not "
            f"{image.shape}"
        )
    rings = _rings(image.reshape(-1), source, beam, use)
    slope, slope_err = _ratio(rings.product, rings.spread)
    size, _ = _ratio(rings.spread * rings.half, rings.spread)
    return PolarizationFit(
        cos2phi=-slope * size,
        cos2phi_err=slope_err * size,
        fraction=(1 + slope) / 2,
        fraction_err=slope_err / 2,
    )


class _Rings(NamedTuple):
    """What the fit needs of each ring, (rings,).

    Attributes
    ----------
    product : -Σ v (h - <h>) of values v; expected is the slope times `spread`
    spread : A Σ m (h - <h>)², with what the pixels see, m, and the intensity A
    half : |h| / |cos 2φ|
    """

    product: Floats
    spread: Floats
    half: Floats


def _rings(
    image: Array,
    source: ImageSource,
    beam: BeamGeometry,
    use: npt.NDArray[np.bool_] | None,
) -> _Rings:
    """Return the sums over rings that hold intensity at different φ."""
    angles = pixel_angles(source, beam)
    seen = pixel_response(source, beam, Corrections(True, 0.5))
    use = (source.good.reshape(-1) if use is None else use) & np.isfinite(image)
    use = use & (seen > 0) & np.isfinite(angles.sine)
    if not use.any():
        raise NoDataError(f"the image of {source.name!r} has no good pixel")
    value, weight = image[use].astype(np.float64), seen[use].astype(np.float64)
    sine, phi = angles.sine[use], np.deg2rad(angles.phi[use])
    half = 2 * sine**2 * (1 - sine**2)
    half /= 1 - half
    across = half * np.cos(2 * phi)
    ring = (_RINGS * sine / (sine.max() * (1 + 1e-9))).astype(np.intp)

    def total(of: Floats) -> Floats:
        return np.bincount(ring, of, _RINGS).astype(np.float64, copy=False)

    with np.errstate(divide="ignore", invalid="ignore"):
        offset = across - (total(weight * across) / total(weight))[ring]
        product, spread = -total(value * offset), total(weight * offset**2)
        moment = total(weight * across)
        amplitude = (total(value) + product / spread * moment) / total(weight)
        found = _Rings(
            product, amplitude * spread, total(weight * half) / total(weight)
        )
    tells = (found.spread > 0) & np.isfinite(found.product)
    if np.count_nonzero(tells) < 2:
        raise NoDataError(
            f"the image of {source.name!r} does not tell the polarization: no rings "
            "have intensity at different φ"
        )
    return _Rings(*(values[tells] for values in found))


def _ratio(above: Floats, below: Floats) -> tuple[float, float]:
    """Return Σ above / Σ below and its standard error from the scatter.

    Source: Cochran, *Sampling Techniques*, 3rd ed. (1977), chapter 6.
    """
    ratio, n = above.sum() / below.sum(), above.size
    squares = np.square(above - ratio * below).sum()
    return float(ratio), float(np.sqrt(n / (n - 1) * squares) / below.sum())
