"""The job of the producer written the usual way: psana, numpy and scipy.

This is what a careful scientist writes for one beam time: what can be computed before
the loop is, and no image is copied without need.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks import stock_psana
from benchmarks.producer_job import (
    EPIX,
    EVENTS,
    EXPERIMENT,
    HIGH,
    JUNGFRAU,
    LOW,
    PHI_BINS,
    Q_BINS,
    ROIS,
    RUN,
    SETUP,
    Job,
)

HC = 12.398419843320026
"""Planck constant times speed of light [keV Angstrom], CODATA 2018."""


def run_usual(job: Job, output: Path, events: int = EVENTS) -> float:
    """Do the job; return the time from the end of the first event to the last [s]."""
    source, run = stock_psana.source_and_run(
        EXPERIMENT, RUN, job.xtc_dir, job.constants(), max_events=events
    )
    jungfrau, epix = run.Detector(JUNGFRAU).raw, run.Detector(EPIX).raw
    good, epix_good = job.mask(JUNGFRAU), job.mask(EPIX)
    index, seen = azimuthal_bins(jungfrau, good)
    boxes = {name: np.s_[tuple(slice(*p) for p in roi)] for name, roi in ROIS.items()}
    noise = np.where(epix_good, epix._rms() * epix._gain_factor(), np.inf)  # noqa: SLF001
    total = np.zeros(good.shape)
    small_data = stock_psana.smalldata(source, output, batch_size=100)
    ends = []
    for event in run.events():
        image = jungfrau.calib(event)
        total += image
        averages = np.bincount(index, image[good], PHI_BINS * Q_BINS) / seen
        count, photons = droplets_and_photons(epix.calib(event)[0], noise[0])
        small_data.event(
            event,
            {
                JUNGFRAU: {
                    "azav_azav": averages.reshape(PHI_BINS, Q_BINS),
                    **{
                        f"{name}_sum": image[box][good[box]].sum(dtype=np.float64)
                        for name, box in boxes.items()
                    },
                },
                EPIX: {"droplet_nDroplets": count, "droplet_nPhotons": photons},
            },
        )
        ends.append(time.perf_counter())
    small_data.save_summary({f"Sums/{JUNGFRAU}_calib": total})
    small_data.done()
    return ends[-1] - ends[0]


def azimuthal_bins(raw: Any, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each good pixel, and what the pixels of each bin see together.

    A bin without a pixel sees NaN.
    Frame and corrections are those of ``docs/conventions.md``.
    """
    x, y, z = (axis[good] for axis in raw._pixel_coords())  # noqa: SLF001
    middle = raw._pixel_coords()[2].mean()  # noqa: SLF001
    along = 1e3 * SETUP.distance - (z - middle)
    path = np.sqrt(x**2 + y**2 + along**2)
    half = np.arctan2(np.hypot(x, y), along) / 2
    q = 4 * np.pi * SETUP.energy / HC * np.sin(half)
    edges = np.linspace(q.min(), q.max() * (1 + 1e-9), Q_BINS + 1)
    radial = np.searchsorted(edges, q, side="right") - 1
    turn = np.rad2deg(np.arctan2(x, y)) * PHI_BINS / 360
    phi = np.floor(turn + 0.5).astype(np.int64) % PHI_BINS
    index = phi * Q_BINS + radial
    solid_angle = (1e3 * SETUP.distance) ** 2 * along / path**3
    response = solid_angle * (1 - (x / path) ** 2)
    seen = np.bincount(index, response, PHI_BINS * Q_BINS)
    return index, np.where(seen > 0, seen, np.nan)


def droplets_and_photons(image: np.ndarray, noise: np.ndarray) -> tuple[int, int]:
    """Return the numbers of droplets and of photons; their centres are found too.

    A droplet is bright pixels that touch, with their neighbours that are lit.
    """
    bright = image >= HIGH * noise
    near = bright.copy()
    near[1:] |= bright[:-1]
    near[:-1] |= bright[1:]
    near[:, 1:] |= bright[:, :-1]
    near[:, :-1] |= bright[:, 1:]
    labels, count = ndimage.label(near & (image >= LOW * noise))
    numbers = np.arange(1, count + 1)
    energy = ndimage.sum_labels(image, labels, numbers)
    ndimage.center_of_mass(image, labels, numbers)
    return count, int(np.rint(energy / SETUP.energy).sum())


if __name__ == "__main__":
    folder, output, events = sys.argv[1:]
    run_usual(Job(Path(folder)), Path(output), int(events))
