"""Make the raw frames of a simulated detector, shot by shot, and its constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector import masks, nominal_geometry
from smalldata_ana.simulation import geometry, physics
from smalldata_ana.simulation.beamline import Shot
from smalldata_ana.simulation.detectors import TOP, Kind
from smalldata_ana.simulation.physics import Defects, Ring, Setup

Array = npt.NDArray[Any]
Frame = npt.NDArray[np.uint16]
Image = npt.NDArray[np.float32]

_RMS_HIGH, _RMS_LOW, _AVERAGE_HIGH = 1, 2, 16
_GAIN_SPREAD = 0.02
_NOISY = 10.0
_PANEL_OFFSET = 6.0
"""Standard deviation over the shots [ADU]."""
_HOT = 60.0
"""What a hot pixel shows too much [keV]."""


@dataclass(frozen=True)
class Sample:
    """What stands in the beam.

    Attributes
    ----------
    rings : powder rings; empty for a dark run
    liquid, halo : photons per pixel of the broad background, and of the glow at the
        beam (see `physics`)
    excited : number of the ring that the laser changes, or None
    amplitude, rise : of that change, relative and [ps], see `physics.delay_response`
    """

    rings: tuple[Ring, ...] = (
        Ring(0.70, 0.012, 3.0),
        Ring(1.15, 0.012, 4.0),
        Ring(1.60, 0.015, 2.0),
        Ring(2.05, 0.015, 1.2),
    )
    liquid: float = 0.6
    halo: float = 3e4
    excited: int | None = 1
    amplitude: float = 0.4
    rise: float = 1.2

    def change(self, shot: Shot) -> float:
        """Return the relative change of the excited ring at a shot."""
        if self.excited is None or not shot.laser:
            return 0.0
        return float(physics.delay_response(shot.delay, self.amplitude, self.rise))


class Signal(Protocol):
    """What a detector sees of a shot, before its electronics.

    Attributes
    ----------
    truth : what is known of all shots
    """

    truth: Mapping[str, Array]

    def __call__(
        self, shot: Shot, rng: np.random.Generator
    ) -> tuple[Image, Mapping[str, Array]]:
        """Return the energy [keV] in each pixel (of a camera: light [ADU]), and truth.

        The image has the shape of a frame.
        """


class Scattering:
    """Rings and background on a detector far from the sample, photon by photon.

    The centre of the setup is taken from the middle of the pixels.
    """

    def __init__(self, kind: Kind, setup: Setup, sample: Sample) -> None:
        x, y, z = geometry.positions(kind)
        center = setup.center[0] + x.mean(), setup.center[1] + y.mean()
        setup = replace(setup, center=center)
        self.truth = {"center": np.array(center)}
        self._still = np.empty(kind.frame)
        self._moving = np.zeros(kind.frame)
        self._sample, self._energy = sample, setup.energy
        rings = list(sample.rings)
        excited = [] if sample.excited is None else [rings[sample.excited]]
        for panel in range(kind.frame[0]):
            one = slice(panel, panel + 1)
            seen = physics.view(x[one], y[one], z[one], setup, float(z.mean()))
            still = physics.ring_pattern(seen.q, rings)
            still += physics.liquid_pattern(seen.q, sample.liquid)
            still += physics.halo_pattern(seen.radius, sample.halo)
            shadow = seen.radius < physics.BEAM_STOP
            still[shadow] = 0.0
            self._still[one] = still * seen.weight
            if excited:
                moving = physics.ring_pattern(seen.q, excited) * seen.weight
                self._moving[one] = np.where(shadow, 0.0, moving)

    def __call__(
        self, shot: Shot, rng: np.random.Generator
    ) -> tuple[Image, Mapping[str, Array]]:
        """Return the frame of a shot, and what is known of it."""
        if not shot.xrays:
            return np.zeros(self._still.shape, np.float32), {}
        change = self._sample.change(shot)
        mean = self._still + change * self._moving if change else self._still
        photons = rng.poisson(shot.pulse * mean)
        return np.multiply(photons, self._energy, dtype=np.float32), {}


class Photons:
    """Single photons with the statistics of speckle, their charge shared by pixels."""

    mean, modes, cloud = 0.02, 4.0, 0.18

    def __init__(self, kind: Kind, setup: Setup, sample: Sample) -> None:
        self._shape, self._energy = kind.shape, setup.energy
        self.truth: Mapping[str, Array] = {}

    def __call__(
        self, shot: Shot, rng: np.random.Generator
    ) -> tuple[Image, Mapping[str, Array]]:
        """Return the frame of a shot, and what is known of it."""
        if not shot.xrays:
            return np.zeros((1, *self._shape), np.float32), {}
        counts = physics.speckle_photons(
            rng, self.mean * shot.pulse, self.modes, self._shape
        )
        photons = physics.place_photons(rng, counts)
        image = physics.share_charge(photons, self._shape, self.cloud)
        image *= np.float32(self._energy)
        return image[np.newaxis], {"photons": photons}


class TimingEdge:
    """A camera of a timing tool: the X-rays cut the laser's light off at an edge."""

    middle, picoseconds_per_pixel = 256.0, 0.002
    light, depth, width = 700.0, 0.35, 6.0

    def __init__(self, kind: Kind, setup: Setup, sample: Sample) -> None:
        rows, columns = (
            (np.arange(n, dtype=np.float32) - n / 2) / (n / 3) for n in kind.shape
        )
        profile = np.exp(-0.5 * (rows[:, None] ** 2 + columns**2))
        self._profile = np.float32(self.light) * profile[np.newaxis]
        self.truth: Mapping[str, Array] = {}

    def __call__(
        self, shot: Shot, rng: np.random.Generator
    ) -> tuple[Image, Mapping[str, Array]]:
        """Return the frame of a shot, and what is known of it."""
        position = self.middle + shot.jitter / self.picoseconds_per_pixel
        seen = shot.laser and shot.xrays
        truth = {"edge": np.array(position if seen else np.nan)}
        if not shot.laser:
            return np.zeros_like(self._profile), truth
        if not shot.xrays:
            return self._profile.copy(), truth
        edge = physics.edge_profile(
            self._profile.shape[-1],
            position,
            self.depth * min(shot.pulse, 1.5),
            self.width,
        )
        return self._profile * edge.astype(np.float32), truth


_SIGNALS: Mapping[str, type] = {
    "scattering": Scattering,
    "photons": Photons,
    "edge": TimingEdge,
}


@dataclass
class Detector:
    """A detector with its own pixels: make frames with `frame`.

    Attributes
    ----------
    kind : what it is
    pedestals, noise, gains : float32, by stage: ``(stages, panels, rows, columns)``
        [ADU], [ADU], [ADU/keV]
    defects : bad pixels
    """

    kind: Kind
    pedestals: Image
    noise: Image
    gains: Image
    defects: Defects
    _signal: Signal
    _dark_offset: Image = field(init=False)

    def __post_init__(self) -> None:
        self._dark_offset = np.where(self.defects.hot, np.float32(_HOT), np.float32(0))
        bonded = masks.unbonded(self.kind.known, self.kind.frame)
        self._lit = bonded & ~self.defects.dead

    @classmethod
    def make(
        cls, kind: Kind, setup: Setup, sample: Sample, seed: Sequence[int]
    ) -> Detector:
        """Make a detector whose pixels depend on the seed only.

        Parameters
        ----------
        kind : what it is
        setup, sample : what it looks at
        seed : of its pixels; the same in all runs of an experiment
        """
        rng = np.random.default_rng(seed)
        defects = physics.draw_defects(rng, kind.frame)
        # hot is the sensor, noise is the readout
        bonded = masks.unbonded(kind.known, kind.frame)
        defects = replace(defects, hot=defects.hot & bonded)
        shape = (len(kind.stages), *kind.frame)
        pedestals, noise, gains = (np.empty(shape, np.float32) for _ in range(3))
        for number, stage in enumerate(kind.stages):
            pedestals[number] = stage.pedestal + stage.spread * _normal(rng, kind.frame)
            noise[number] = stage.noise * (1 + 0.1 * _normal(rng, kind.frame))
            spread = _GAIN_SPREAD if kind.gain_unit else 0.0
            gains[number] = stage.gain * (1 + spread * _normal(rng, kind.frame))
        noise[:, defects.noisy] *= _NOISY
        noise[:, defects.dead] = 0.5
        signal = _SIGNALS[kind.pattern](kind, setup, sample)
        return cls(kind, pedestals, noise, gains, defects, signal)

    def frame(
        self, shot: Shot, rng: np.random.Generator
    ) -> tuple[Frame, Mapping[str, Array]]:
        """Make the raw frame of a shot.

        Returns
        -------
        uint16, ``(panels, rows, columns)``, and what is known about it
        """
        energy, truth = self._signal(shot, rng)
        energy = np.where(self._lit, energy, np.float32(0)) + self._dark_offset
        noise = _normal(rng, self.kind.frame)
        offsets = self._offsets(rng)
        if self.kind.offsets == "panels":
            truth = {**truth, "panel_offsets": offsets[:, 0, 0]}
        return self._digitize(energy, noise, offsets, shot.step.held), truth

    @property
    def truth(self) -> Mapping[str, Array]:
        """What is known of all frames: bad pixels (flat numbers), and of the signal."""
        return {
            "dead": np.flatnonzero(self.defects.dead),
            "hot": np.flatnonzero(self.defects.hot),
            "noisy": np.flatnonzero(self.defects.noisy),
            **self._signal.truth,
        }

    def _digitize(
        self,
        energy: Image,
        noise: Image,
        offsets: Image,
        held: int | None,
    ) -> Frame:
        """Turn energy [keV] and noise [sigma] into raw numbers, stage by stage.

        The offsets [ADU], which several pixels share, are those of the first stage.
        """
        first, *later = self._stages(held)
        adu = self._in_stage(first, energy, noise, slice(None))
        if offsets.size:
            adu += offsets
        raw = _to_raw(adu, self.kind.stages[first].bits)
        reach = self.kind.stages[first].reach
        for stage in later:
            over = np.nonzero(energy > reach)
            adu = self._in_stage(stage, energy[over], noise[over], over)
            raw[over] = _to_raw(adu, self.kind.stages[stage].bits)
            reach = self.kind.stages[stage].reach
        return raw

    def _stages(self, held: int | None) -> tuple[int, ...]:
        return self.kind.auto if held is None else (self.kind.setting(held).stage,)

    def _in_stage(self, stage: int, energy: Image, noise: Image, where: Any) -> Image:
        adu: Image = energy * self.gains[stage][where]
        adu += self.pedestals[stage][where]
        adu += noise * self.noise[stage][where]
        return adu

    def _offsets(self, rng: np.random.Generator) -> Image:
        """Draw the offsets of one shot [ADU]; empty if the kind has none."""
        if self.kind.offsets == "lines":
            return self._line_offsets(rng)
        panels = self.kind.frame[0] if self.kind.offsets == "panels" else 0
        return rng.normal(0, _PANEL_OFFSET, (panels, 1, 1)).astype(np.float32)

    def _line_offsets(self, rng: np.random.Generator) -> Image:
        shape, bank = self.kind.shape, 96
        rows, columns = physics.common_mode(
            rng, shape, bank=bank, row_sigma=4.0, column_sigma=3.0
        )
        halves = np.repeat(columns, shape[0] // 2, axis=0)
        return np.asarray(np.repeat(rows, bank, axis=1) + halves)

    def constants(self) -> dict[str, Array | str]:
        """Return its calibration constants, in psana's names, shapes and dtypes."""
        kind, shape = self.kind, self.kind.constants
        status = np.zeros(kind.frame, np.uint64)
        status[self.defects.noisy] |= np.uint64(_RMS_HIGH)
        status[self.defects.dead] |= np.uint64(_RMS_LOW)
        status[self.defects.hot] |= np.uint64(_AVERAGE_HIGH)
        every = np.broadcast_to(status, self.pedestals.shape)
        found: dict[str, Array | str] = {
            "pedestals": self.pedestals.reshape(shape),
            "pixel_rms": self.noise.reshape(shape),
            "pixel_status": every.reshape(shape),
        }
        if kind.gain_unit:
            one = kind.stages[0].gain if kind.gain_unit == "1" else 1.0
            found["pixel_gain"] = (self.gains / np.float32(one)).reshape(shape)
        if kind.geometry is not None:
            found["geometry"] = nominal_geometry.text(kind.geometry)
        return found


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Image:
    return rng.standard_normal(shape, dtype=np.float32)


def _to_raw(adu: Image, bits: int) -> Frame:
    # rounds, because numbers are not negative after the cut
    number: Frame = np.clip(adu + np.float32(0.5), 0, TOP).astype(np.uint16)
    return np.bitwise_or(number, np.uint16(bits), out=number) if bits else number
