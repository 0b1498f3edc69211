"""A small run without psana, for tests of what works on any run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 7
MISSING = 3
"""The event in which the jungfrau has no data."""

EPIX = (1, 20, 30)
JUNGFRAU = (2, 24, 16)


def frames() -> dict[str, np.ndarray]:
    """Return the raw frames of the run, by detector."""
    rng = np.random.default_rng(5)
    shapes = {"jungfrau1M": JUNGFRAU, "opal": EPIX[1:]}
    return {
        name: rng.integers(0, 3000, (EVENTS, *shape)).astype(np.uint16)
        for name, shape in shapes.items()
    }


def small_run(folder: Path, number: int = 12) -> Hdf5Run:
    """Write the run and open it; frames are raw, as there are no constants."""
    missing = np.zeros(EVENTS, bool)
    missing[MISSING] = True
    path = write_run(
        folder / f"run{number}.h5",
        experiment="xpptut15",
        run=number,
        images=frames(),
        missing={"jungfrau1M": missing},
    )
    return Hdf5Run(path)
