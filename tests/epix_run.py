"""A small run of a sensor with known constants, and numpy's calibration of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smalldata_ana.detector.kinds import Kind, kind_of, register_kind
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

DET = "epix"
BARE = "bare"
"""The same frames, without any constants."""

EVENTS = 12
SHAPE = (2, 30, 40)
MISSING = 3
"""The event in which `DET` has no data."""

RUN = 7
GAIN = 2.0

PLAIN = Kind(
    "plain",
    "sensor without common mode",
    pixel_size=50.0,
    common_modes=kind_of("epix100").common_modes,
)
register_kind(PLAIN)

_random = np.random.default_rng(7)
PEDESTALS = _random.uniform(90, 110, (1, *SHAPE)).astype(np.float32)
NOISE = _random.uniform(2, 4, (1, *SHAPE)).astype(np.float32)
RAW = (PEDESTALS + _random.normal(5.5, 3, (EVENTS, *SHAPE))).astype(np.uint16)
STATUS = np.zeros((1, *SHAPE), np.uint64)
STATUS[0, 1, 4:6, 7] = 1
GOOD = STATUS[0] == 0
WITH_DATA = np.arange(EVENTS) != MISSING
IMAGES = ((RAW.astype(float) - PEDESTALS) / GAIN * GOOD)[WITH_DATA]
"""The calibrated images of the events with data."""

ALL = np.arange(EVENTS)


def open_run(folder: Path) -> Hdf5Run:
    """Write the run into a folder, and open it."""
    path = write_run(
        folder / "run.h5",
        experiment="xppsim01",
        run=RUN,
        images={DET: RAW, BARE: RAW},
        dettypes={DET: PLAIN.dettype, BARE: PLAIN.dettype},
        missing={DET: ~WITH_DATA},
        constants={
            DET: {
                "pedestals": PEDESTALS,
                "pixel_gain": np.full_like(PEDESTALS, GAIN),
                "pixel_rms": NOISE,
                "pixel_status": STATUS,
            }
        },
    )
    return Hdf5Run(path)
