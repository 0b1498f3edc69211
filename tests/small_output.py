"""A small-data file of a simulated run, written as the producer does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana import DetObject, open_run
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.pipeline import build_detectors, process_events
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.configuration import write_configuration
from smalldata_ana.smalldata.layout import SUMS, layout_of
from smalldata_ana.smalldata.nexus import mark
from smalldata_ana.smalldata.parts import write_part
from smalldata_ana.sources.base import Run

EVENTS = 6
RECORD = {"command_line": ["smd_producer.py", "-r", "7"], "host": "here", "workers": 2}
PARAMETERS = """
schema = "smalldata-ana-params/1"
experiment = "xpptut15"

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


@dataclass(frozen=True)
class Output:
    """A file, and what it was made of."""

    path: Path
    detectors: dict[str, DetObject]
    rows: Sequence[dict[str, Any]]


def open_small_run(folder: Path) -> Run:
    """Simulate a run and open it."""
    detectors = DetectorSpec("epix100"), DetectorSpec("jungfrau1M")
    made = make_run(folder, RunSpec("xpptut15", 7, detectors, EVENTS))
    return open_run("xpptut15", 7, xtc_dir=made.xtc_dir, calib_dir=made.calib_dir)


def write_output(run: Run, folder: Path) -> Output:
    """Process the run in two parts, and merge them."""
    parameters = folder / "xpptut15.toml"
    parameters.write_text(PARAMETERS)
    resolved = ParameterFile.load(parameters, "xpptut15").resolve(7)
    detectors = build_detectors(run, resolved)
    layout = layout_of(detectors)
    rows = []
    for row in process_events(run, detectors, range(EVENTS)):
        rows.append(row)
        for detector in detectors:
            detector.processSums()
    path = folder / "xpptut15_Run0007.h5"
    with h5py.File(path, "w") as file:
        columns = Columns(file, expected=EVENTS)
        for name, field in layout.items():
            columns.add(name, field)
        for begin in (0, 4):
            part_path = folder / f"part_{begin}.h5"
            with h5py.File(part_path, "w") as part:
                write_part(part, layout, rows[begin : begin + 4])
            with h5py.File(part_path) as part:
                columns.append_file(part)
        for detector in detectors:
            for key, total in detector.storeSum().items():
                file[f"{SUMS}/{detector.name}_{key}"] = total
        write_configuration(file, resolved, detectors, RECORD)
        mark(file)
    return Output(path, {d.name: d for d in detectors}, rows)
