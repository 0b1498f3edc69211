"""Frames of known photons whose charge is shared by the pixels that they touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smalldata_ana.simulation.physics import share_charge

ONE = 160.0
"""What one photon deposits [ADU]."""

NOISE = 2.5
"""Of each pixel [ADU]."""

CLOUD = 0.15
"""Standard deviation of the charge of one photon [pixel]."""


@dataclass(frozen=True)
class Frame:
    """A frame, and where its photons are.

    Attributes
    ----------
    image : float32 (panels, rows, columns) [ADU]
    panel, row, column : of each photon; an integer is the centre of a pixel
    """

    image: np.ndarray
    panel: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @property
    def by_pixel(self) -> np.ndarray:
        """Number of photons in each pixel."""
        counts = np.zeros(self.image.shape, int)
        nearest = (np.floor(axis + 0.5).astype(int) for axis in (self.row, self.column))
        np.add.at(counts, (self.panel, *nearest), 1)
        return counts


def photon_frame(rng, shape, occupancy, noise=NOISE, margin=1.0) -> Frame:
    """Return a frame with a Poisson number of photons per pixel.

    Parameters
    ----------
    margin : so far from the edges of the panels are all photons [pixel]
    """
    count = rng.poisson(occupancy * np.prod(shape))
    panel = rng.integers(0, shape[0], count)
    row, column = (
        rng.uniform(margin - 0.5, n - margin - 0.5, count) for n in shape[1:]
    )
    image = rng.normal(0, noise, shape) if noise else np.zeros(shape)
    add_photons(image, panel, row, column)
    return Frame(image.astype(np.float32), panel, row, column)


def add_photons(image, panel, row, column) -> None:
    """Add the charge of photons to an image; what falls outside of it is lost."""
    for p in range(image.shape[0]):
        where = np.stack([row, column], axis=1)[panel == p]
        image[p] += ONE * share_charge(where, image.shape[1:], CLOUD)
