"""Averages of the simulated experiment's large detector, without a run's files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.simulation import geometry, physics
from smalldata_ana.simulation.beamline import Shot, Step
from smalldata_ana.simulation.detectors import kind
from smalldata_ana.simulation.experiment import calibrant
from smalldata_ana.simulation.frames import Sample, Scattering
from smalldata_ana.simulation.physics import Setup
from smalldata_ana.sources.base import PixelPositions

DETECTOR = "jungfrau1M"
NOISE = 0.15
"""Of a pixel in one shot [keV]."""
BAD = 0.002
"""Share of the pixels that are masked, beside the gaps."""
LAB6_TILT = (0.8, -0.5)
"""Of run 3 of the simulated experiment [deg]."""


@dataclass(frozen=True)
class Powder:
    """An average, and what is known of it.

    Attributes
    ----------
    data : [keV], and `good`, bool, in the shape of a frame
    positions : of its pixels
    center : x and y where the beam meets the detector [um]
    """

    data: npt.NDArray[np.float32]
    good: npt.NDArray[np.bool_]
    positions: PixelPositions
    center: tuple[float, float]

    @property
    def geometry(self) -> ImageGeometry:
        """Of the assembled image."""
        return ImageGeometry.from_positions(self.positions, self.data.shape)

    @property
    def assembled(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """The assembled image, and its good pixels."""
        layout = self.geometry
        good = layout.assemble(self.good.astype(np.float32), fill=0) == 1
        return layout.assemble(self.data), good

    @property
    def center_px(self) -> tuple[float, float]:
        """Row and column where the beam meets the detector [px]."""
        row, column = self.geometry.image_from_um(*self.center)
        return float(row), float(column)


def powder(
    seed: int,
    *,
    lab6: bool = True,
    tilt: tuple[float, float] = LAB6_TILT,
    events: int = 10,
) -> Powder:
    """Draw an average: of LaB6 (run 3), or of the sample of run 1."""
    rng = np.random.default_rng(seed)
    signal = _signal(lab6, tilt)
    shot = Shot(0, 0, Step(0, 0.0, {}), float(events), True, True, False, 0.0)
    data, _ = signal(shot, rng)
    data = data + NOISE * np.sqrt(events) * rng.normal(size=data.shape)
    good = rng.random(data.shape) > BAD
    x, y, z = (np.asarray(a, float) for a in geometry.positions(kind(DETECTOR)))
    positions = PixelPositions(x, y, z, kind(DETECTOR).pixel)
    center = signal.truth["center"]
    return Powder(
        (data / events).astype(np.float32),
        good,
        positions,
        (float(center[0]), float(center[1])),
    )


@cache
def _signal(lab6: bool, tilt: tuple[float, float]) -> Scattering:
    sample = calibrant() if lab6 else Sample(excited=None)
    return Scattering(kind(DETECTOR), Setup(tilt=tilt), sample)


BEAM_STOP_PX = physics.BEAM_STOP / kind(DETECTOR).pixel
"""Radius of the beam stop [px]."""
