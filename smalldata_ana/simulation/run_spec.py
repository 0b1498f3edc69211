"""What a simulated run is to be, and what happens in it shot by shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError
from smalldata_ana.simulation import detectors
from smalldata_ana.simulation.beamline import Shot, Step
from smalldata_ana.simulation.detectors import Kind
from smalldata_ana.simulation.frames import Sample
from smalldata_ana.simulation.physics import Setup
from smalldata_ana.sources.datagrams import timestamp

Array = npt.NDArray[Any]
Truth = dict[str, Array]

_EPOCH = 1_130_000_000 * 10**9
"""Begin of run 0 [ns since 1990]; runs are an hour apart."""
_HOUR = 3600 * 10**9
_EVENT_NS = 8_333_333
PULSE_ENERGY = 1.5
"""Mean pulse energy [mJ]."""
_JITTER = 0.1


@dataclass(frozen=True)
class DetectorSpec:
    """One detector of a simulated run.

    Attributes
    ----------
    name : in the data acquisition
    kind : which detector it is (`detectors.KINDS`); empty: the one of that name
    streams : number of streams that its panels are dealt over
    missing : events to which (the last stream of) the detector contributes nothing
    """

    name: str
    kind: str = ""
    streams: int = 1
    missing: tuple[int, ...] = ()

    @property
    def what(self) -> Kind:
        """What is known about the kind."""
        return detectors.kind(self.kind or self.name)


@dataclass(frozen=True)
class RunSpec:
    """What run to write.

    Attributes
    ----------
    experiment, run : which run it is
    detectors : its area detectors
    events, steps : how many; the events are dealt evenly over the steps
    delays : laser delay in the first and the last step [s]
    dark : True for a dark run: no light, and the gain stages held in turn, step by step
    laser : False for a run without the laser
    setup, sample : beam and sample; the beam's centre counts from the middle of each
        detector's pixels, which is the origin of most geometries
    seed : of all random numbers
    detector_seed : of the pixels' properties, the same in all runs of an experiment
    chunk_after : a new chunk file begins after so many events; 0: never
    truncate_at : event in the middle of which the file of the first detector's first
        stream ends; None: it is whole
    rate : events per second, at which the files grow too; None: as at the beamline,
        with files that are written as fast as possible
    with_smd : True to write offset files too
    with_constants : True to write the constants into `SimulatedRun.calib_dir`
    """

    experiment: str = "xppsim01"
    run: int = 1
    detectors: tuple[DetectorSpec, ...] = (
        DetectorSpec("jungfrau1M"),
        DetectorSpec("epix100"),
        DetectorSpec("opal"),
    )
    events: int = 10
    steps: int = 1
    delays: tuple[float, float] = (-1e-12, 4e-12)
    dark: bool = False
    laser: bool = True
    setup: Setup = field(default_factory=Setup)
    sample: Sample = field(default_factory=Sample)
    seed: int = 2026
    detector_seed: int = 1
    chunk_after: int = 0
    truncate_at: int | None = None
    rate: float | None = None
    with_smd: bool = True
    with_constants: bool = True

    def random(self, *what: int) -> np.random.Generator:
        """Return random numbers of their own for each thing, e.g. a detector's shot."""
        # the length goes in because trailing zeros make no difference to a seed
        return np.random.default_rng([len(what), self.seed, self.run, *what])

    def __post_init__(self) -> None:
        if self.events < 1 or not 1 <= self.steps <= self.events:
            raise ParameterError(
                f"a run of {self.events} events cannot have {self.steps} steps; it "
                "takes at least one event, and one for each step"
            )
        names = [d.name for d in self.detectors]
        if len(set(names)) < len(names):
            raise ParameterError(f"two detectors have the same name: {names}")
        for item in self.detectors:
            if not 1 <= item.streams <= item.what.frame[0]:
                raise ParameterError(
                    f"{item.name} has {item.what.frame[0]} panels, which cannot be "
                    f"dealt over {item.streams} streams"
                )
        if self.truncate_at is not None and not (
            self.detectors and 0 <= self.truncate_at < self.events
        ):
            raise ParameterError(
                f"cannot cut the run at event {self.truncate_at}: it has "
                f"{len(self.detectors)} detectors and {self.events} events"
            )


def steps_of(spec: RunSpec) -> tuple[Step, ...]:
    """Return the scan steps of a run."""
    if spec.dark:
        return tuple(
            Step(
                number,
                0.0,
                {
                    "detname": "scan",
                    "scantype": "pedestal",
                    "step": number,
                    "gain_mode": f"FixedGain{number % 3}",
                },
                held=number,
            )
            for number in range(spec.steps)
        )
    delays = np.linspace(*spec.delays, spec.steps)
    return tuple(
        Step(
            number,
            float(delay),
            {"detname": "scan", "scantype": "delay", "step": number},
        )
        for number, delay in enumerate(delays)
    )


def shots_of(spec: RunSpec) -> list[Shot]:
    """Return the events of a run, in order.

    Of 20 shots, one or two are dropped, and the laser is off in four.
    """
    rng = spec.random()
    pulses = rng.gamma(12.0, 1 / 12.0, spec.events)
    jitter = rng.normal(0, _JITTER, spec.events)
    steps = steps_of(spec)
    parts = np.array_split(np.arange(spec.events), spec.steps)
    shots = []
    for step, part in zip(steps, parts, strict=True):
        for n in part.tolist():
            dropped = n % 20 in (7, 14)
            xrays = not (spec.dark or dropped)
            shots.append(
                Shot(
                    number=n,
                    timestamp=timestamp(time_of(spec, n)),
                    step=step,
                    pulse=float(pulses[n]) if xrays else 0.0,
                    requested=not spec.dark,
                    xrays=xrays,
                    laser=spec.laser and not spec.dark and n % 5 != 4,
                    jitter=float(jitter[n]),
                )
            )
    return shots


def truth_of_shots(spec: RunSpec, shots: Sequence[Shot]) -> Truth:
    """Return what is true of the events, an array over the events each.

    ``timestamp``, ``step``, ``lxt`` [s], ``delay`` (true) [ps], ``jitter`` [ps],
    ``pulse_energy`` [mJ], ``xrays``, ``laser``, ``requested`` (bool), ``change``
    (relative, of the excited ring); and of the run: ``center`` (from the middle of a
    detector) [um], ``distance`` [mm], ``energy`` [keV], ``tilt`` [deg],
    ``polarization``, ``rings`` (q [1/A], width [1/A], photons).
    """
    setup, sample = spec.setup, spec.sample
    return {
        "timestamp": np.array([s.timestamp for s in shots], np.uint64),
        "step": np.array([s.step.number for s in shots]),
        "lxt": np.array([s.step.lxt for s in shots]),
        "delay": np.array([s.delay for s in shots]),
        "jitter": np.array([s.jitter for s in shots]),
        "pulse_energy": np.array([PULSE_ENERGY * s.pulse for s in shots]),
        "xrays": np.array([s.xrays for s in shots]),
        "laser": np.array([s.laser for s in shots]),
        "requested": np.array([s.requested for s in shots]),
        "change": np.array([sample.change(s) for s in shots]),
        "center": np.array(setup.center),
        "distance": np.array(setup.distance),
        "energy": np.array(setup.energy),
        "tilt": np.array(setup.tilt),
        "polarization": np.array(setup.polarization),
        "rings": np.array([(r.q, r.width, r.photons) for r in sample.rings]),
    }


def time_of(spec: RunSpec, event: int) -> int:
    """Return when an event was [ns since 1990]."""
    interval = _EVENT_NS if spec.rate is None else round(1e9 / spec.rate)
    return _EPOCH + spec.run * _HOUR + (event + 1) * interval
