"""Strong rings of a picture that are not those of a calibrant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.geometry_refinement.calibrants import ring_angles
from smalldata_ana.geometry_refinement.points import Pixels, angles

Floats = npt.NDArray[np.float64]

_FEWEST_PIXELS = 30
"""In a bin of radius."""
_SIGNIFICANCE = 10.0
"""Height of a strong ring, in standard errors of the profile."""
_CONTRAST = 0.3
"""The same, by the mean of the profile nearby."""
_NEARBY, _WIDEST = 61, 40.0
"""Over how many pixels that mean is taken, and how wide a ring may be [px]."""
_BESIDE = 3.0
"""How far a ring may be from where it is explained, beside its half width [px]."""


def unexplained(pixels: Pixels, beam: BeamGeometry, spacings: Floats) -> Floats:
    """Return the radii of the strong rings that lattice planes do not explain [px].

    Parameters
    ----------
    pixels : of the picture
    beam : the geometry
    spacings : of the planes [Angstrom]
    """
    unit = pixels.size / (1e3 * beam.distance)
    angle, _ = angles(beam, pixels.x, pixels.y, pixels.z)
    radii, widths = _strong_rings(np.tan(angle) / unit, pixels.values)
    of_planes = ring_angles(spacings, beam.energy or 0.0)
    known = np.tan(of_planes[of_planes < np.pi / 2]) / unit
    distances = np.abs(radii[:, None] - known)
    nearest = distances.min(axis=1, initial=np.inf)
    left: Floats = radii[nearest > _BESIDE + widths / 2]
    return left


def _strong_rings(radius: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return radii and widths of what stands out in the mean by radius [px]."""
    from scipy import ndimage, signal

    bins = np.maximum(radius, 0).astype(np.intp)
    counts = np.bincount(bins)
    used = np.flatnonzero(counts >= _FEWEST_PIXELS)
    if len(used) < _NEARBY:
        return np.empty(0), np.empty(0)
    count = counts[used]
    mean = np.bincount(bins, values)[used] / count
    squares = np.bincount(bins, values**2)[used] / count
    error = np.sqrt(np.maximum(squares - mean**2, 0) / count)
    smooth = ndimage.gaussian_filter1d(mean, 1.0)
    level = np.abs(ndimage.uniform_filter1d(mean, _NEARBY))
    tops, found = signal.find_peaks(smooth, prominence=0, width=(1.0, _WIDEST))
    limit = np.maximum(_SIGNIFICANCE * error, _CONTRAST * level)[tops]
    strong = found["prominences"] > limit
    return used[tops[strong]] + 0.5, found["widths"][strong]
