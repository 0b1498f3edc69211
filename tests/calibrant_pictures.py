"""Pictures of calibrants with a known geometry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.sources.base import PixelPositions

HC = 12.398419843320026
LAB6 = 4.156826 / np.sqrt([1, 2, 3, 4, 5, 6, 8, 9])
AGBH = 58.38 / np.arange(1, 20)


def angles(positions: PixelPositions, beam: BeamGeometry) -> npt.NDArray[np.float64]:
    """Return 2 theta of each pixel [rad], from vectors alone."""
    tx, ty = np.deg2rad(beam.tilt)
    along = -np.array([np.sin(ty) * np.cos(tx), np.sin(tx), np.cos(ty) * np.cos(tx)])
    path = -1e3 * beam.distance / along[2]
    sample = np.array([*beam.center, positions.whole.mean_z]) - path * along
    rays = np.stack([positions.x, positions.y, positions.z], axis=-1) - sample
    return np.arccos(rays @ along / np.linalg.norm(rays, axis=-1))


def picture(
    positions: PixelPositions,
    beam: BeamGeometry,
    spacings: npt.NDArray[np.float64],
    *,
    seed: int = 0,
    photons: float = 20.0,
    width: float = 1.5,
) -> npt.NDArray[np.float32]:
    """Draw rings of some width (sigma) [px] with Poisson noise."""
    two_theta = angles(positions, beam)
    pixel = positions.pixel_size / (1e3 * beam.distance)
    mean = 0.1 * photons * np.exp(-two_theta / 0.3)
    for number, spacing in enumerate(spacings):
        sine = HC / beam.energy / (2 * spacing)
        if sine < 1:
            ring = 2 * np.arcsin(sine)
            across = (two_theta - ring) / (pixel * np.cos(ring) ** 2)
            height = photons / (1 + 0.3 * number)
            mean = mean + height * np.exp(-0.5 * (across / width) ** 2)
    return np.random.default_rng(seed).poisson(mean).astype(np.float32)
