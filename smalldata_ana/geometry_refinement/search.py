"""Which distance, or energy, makes the rings of a calibrant meet those of a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.geometry_refinement.calibrants import ring_angles
from smalldata_ana.geometry_refinement.points import Pixels, angles

Floats = npt.NDArray[np.float64]
Scaled = Literal["distance", "energy"]

_SMOOTH = 41
"""Over how many pixels the background of the profile is taken."""
_FEWEST_PIXELS = 8
_STEPS = 2001


def with_length(beam: BeamGeometry, what: Scaled, value: float) -> BeamGeometry:
    """Return a geometry with another distance [mm] or energy [keV]."""
    if what == "distance":
        return replace(beam, distance=value)
    return replace(beam, energy=value)


def scaled(beam: BeamGeometry, what: Scaled, factor: float) -> BeamGeometry:
    """Return a geometry with the distance or the energy multiplied."""
    return with_length(beam, what, factor * (getattr(beam, what) or 0.0))


def best_scale(
    pixels: Pixels, beam: BeamGeometry, spacings: Floats, what: Scaled, within: float
) -> float:
    """Return the factor with which the rings are brightest.

    Parameters
    ----------
    pixels : of the picture
    beam : the geometry to begin with
    spacings : of the calibrant [Angstrom]
    what : that is multiplied
    within : largest relative change to look for
    """
    unit = pixels.size / (1e3 * beam.distance)
    angle, _ = angles(beam, pixels.x, pixels.y, pixels.z)
    profile = _flat_profile(np.tan(angle) / unit, pixels.values)
    last = len(profile) - 1
    steps = int(np.clip(4 * within * last, 1, _STEPS)) | 1
    factors = np.linspace(1 - within, 1 + within, steps)
    scores = [
        _brightness(profile, _radii(scaled(beam, what, f), spacings, pixels.size))
        for f in factors
    ]
    return float(factors[int(np.argmax(scores))])


def _radii(beam: BeamGeometry, spacings: Floats, size: float) -> Floats:
    """Return the radii of rings without tilt [px], in the profile's scale."""
    rings = ring_angles(spacings, beam.energy or 0.0)
    rings = rings[rings < np.pi / 2 - 0.05]
    return np.tan(rings) * 1e3 * beam.distance / size


def _flat_profile(radius: Floats, values: Floats) -> Floats:
    """Return the mean by radius [px] without what varies slowly, variance 1."""
    from scipy import ndimage

    bins = np.maximum(radius, 0).astype(np.intp)
    counts = np.bincount(bins)
    there = counts >= _FEWEST_PIXELS
    mean = np.bincount(bins, values) / np.maximum(counts, 1)
    weight = ndimage.uniform_filter1d(there.astype(float), _SMOOTH)
    slow = ndimage.uniform_filter1d(np.where(there, mean, 0), _SMOOTH)
    rest = np.where(there, mean - slow / np.maximum(weight, 1e-9), 0)
    spread = ndimage.uniform_filter1d(rest**2, _SMOOTH) / np.maximum(weight, 1e-9)
    flat = rest / np.sqrt(np.maximum(spread, 1e-9 * spread.max() + 1e-300))
    smooth: Floats = ndimage.gaussian_filter1d(np.clip(flat, -4, 4), 1.0)
    return smooth


def _brightness(profile: Floats, radii: Floats) -> float:
    """Return the mean of a profile at radii; those outside do not count."""
    inside = radii[radii < len(profile) - 1]
    if not inside.size:
        return -np.inf
    at = np.arange(len(profile)) + 0.5
    return float(np.interp(inside, at, profile).mean())
