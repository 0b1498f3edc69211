"""A tilted detector, its geometry from vectors, and pyFAI with corners made of them."""

from __future__ import annotations

import numpy as np
from rotated_panels import SIZE

HC = 12.398419843320026
SHAPE = (6, 20, 24)
TILTED = {
    "center": [700.0, -450.0],
    "dis_to_sam": 9.0,
    "eBeam": 9.5,
    "tx": 1.5,
    "ty": -2.5,
}


class ByHand:
    """The geometry of a detector from vectors, and pyFAI with corners made of them."""

    def __init__(self, positions, center, dis_to_sam, eBeam, tx=0.0, ty=0.0):
        place = np.stack([positions.x, positions.y, positions.z], axis=-1)
        self.place = place.reshape(-1, *place.shape[-3:])
        self.energy = eBeam
        tx, ty = np.deg2rad([tx, ty])
        self.direction = -np.array(
            [np.sin(ty) * np.cos(tx), np.sin(tx), np.cos(ty) * np.cos(tx)]
        )
        at_beam = np.array([*center, positions.z.mean()])
        path = 1e3 * dis_to_sam / self.direction[2]
        self.sample = at_beam + path * self.direction
        self.rays = self.place - self.sample
        self.far = np.linalg.norm(self.rays, axis=-1)
        self.rotations = {
            "rot1": np.arctan2(np.sin(tx), np.cos(ty) * np.cos(tx)),
            "rot2": -np.arcsin(np.sin(ty) * np.cos(tx)),
        }
        self.path = abs(path)

    @property
    def axes(self):
        """Unit vectors along the rows and columns of each panel."""
        down = self.place[:, 1, 0] - self.place[:, 0, 0]
        right = self.place[:, 0, 1] - self.place[:, 0, 0]
        return [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (down, right)]

    @property
    def q(self):
        """1/Angstrom, the shape of a frame."""
        cosine = self.rays @ self.direction / self.far
        return 4 * np.pi * self.energy / HC * np.sin(np.arccos(cosine) / 2)

    @property
    def solid_angle(self):
        """Relative to a pixel at the beam."""
        normals = np.cross(*self.axes)[:, None, None]
        seen = np.abs((normals * self.rays).sum(axis=-1)) / self.far**3
        return seen / (-self.direction[2] / self.path**2)

    def polarized(self, horizontal):
        """Return the intensity of a point without tilt, (-y, -x) being (X, Y)."""
        x, y = (self.rays[..., axis] / self.far for axis in (1, 0))
        return 1 - horizontal * x**2 - (1 - horizontal) * y**2

    def integrator(self):
        from pyFAI.detectors import Detector
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator

        down, right = (0.5 * SIZE * axis[:, None, None] for axis in self.axes)
        offsets = (-down - right, down - right, down + right, -down + right)
        corners = 1e-6 * np.stack([self.place + o for o in offsets], axis=-2)
        corners[..., 2] -= 1e-6 * self.place[..., 2].mean()
        corners[..., 2] *= -1
        corners = np.roll(corners, 1, axis=-1)
        frame = -1, corners.shape[2], 4, 3
        mine = Detector(1e-6 * SIZE, 1e-6 * SIZE)
        mine.IS_CONTIGUOUS = mine.IS_FLAT = mine.uniform_pixel = False
        corners = corners.reshape(frame).astype(np.float32)
        mine.max_shape = mine.shape = corners.shape[:2]
        mine.set_pixel_corners(corners)
        return AzimuthalIntegrator(
            dist=1e-6 * abs(self.sample[2] - self.place[..., 2].mean()),
            poni1=1e-6 * self.sample[0],
            poni2=1e-6 * self.sample[1],
            **self.rotations,
            detector=mine,
            wavelength=1e-10 * HC / self.energy,
        )
