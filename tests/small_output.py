"""A small simulated run, entries of a parameter file for it, and the file it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from produced import produced, results
from simulated import ours

from smalldata_ana import DetObject
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.base import Run

EVENTS = 6
AZAV = """
[[detector.jungfrau1M.geometry]]
runs = "1-"
center = [0.0, 0.0]
dis_to_sam = 80.0
eBeam = 9.5

[[detector.jungfrau1M.azav]]
runs = "1-"
name = "azav"
qbin = 0.02
phiBins = 4
polarization = "horizontal"
"""
DROPLETS = """
[[detector.epix100.droplet]]
runs = "1-"
name = "droplet"
threshold = 6.0
thresholdLow = 3.0

[[detector.epix100.photons]]
runs = "1-"
name = "phot"
of = "droplet"
aduspphot = 9.5

[[detector.epix100.sparsify]]
runs = "1-"
name = "sparse"
of = "phot"

[[detector.epix100.sparsify]]
runs = "1-"
name = "list"
of = "droplet"
nData = 0
"""
OTHERS = """
[[detector.jungfrau1M.azav_pyfai]]
runs = "1-"
name = "pyfai"
npts = 50
polarization = "horizontal"

[[detector.jungfrau1M.roi]]
runs = "1-"
ROI = [[0, 1], [100, 120], [100, 130]]
writeArea = true

[[detector.jungfrau1M.sums]]
runs = "1-"
sums = ["calib"]
"""


@dataclass(frozen=True)
class Output:
    """A file, and what is to be in it.

    Attributes
    ----------
    path : the file
    detectors : those of the parameters, by name
    timestamps : of the events
    rows : what the detectors find in each event
    """

    path: Path
    detectors: dict[str, DetObject]
    timestamps: Any
    rows: Sequence[dict[str, Any]]


def open_small_run(folder: Path) -> Run:
    """Simulate a run and open it."""
    detectors = DetectorSpec("epix100"), DetectorSpec("jungfrau1M")
    made = make_run(folder, RunSpec("xpptut15", 7, detectors, EVENTS))
    return ours(made)


def resolved(folder: Path, entries: str) -> Resolved:
    """Return what a parameter file with some entries says for the run."""
    path = folder / "xpptut15.toml"
    head = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
    path.write_text(head + entries)
    return ParameterFile.load(path, "xpptut15").resolve(7)


def write_output(run: Run, folder: Path) -> Output:
    """Make the file of the run in two batches."""
    parameters = resolved(folder, AZAV + OTHERS + DROPLETS)
    detectors = build_detectors(run, parameters)
    return Output(
        produced(run, parameters, folder, size=4),
        {detector.name: detector for detector in detectors},
        run.timestamps,
        [results(run, detectors, number) for number in range(EVENTS)],
    )
