"""A whole job of the producer: a simulated run, and what is to be made of it.

The job is that of `benchmarks.producer`: of a jungfrau4M an azimuthal average, two
regions and the sum over the events, of an epix100 droplets and their photons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from smalldata_ana.opening import open_run
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.simulation import frames
from smalldata_ana.simulation.physics import Setup
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec, shots_of
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.base import Run

EXPERIMENT, RUN, EVENTS = "xpptut15", 1, 120
JUNGFRAU, EPIX = "jungfrau4M", "epix100"

OCCUPANCY = 0.0105
"""Photons in a pixel of the epix100, the mean over all events."""

SETUP = Setup(center=(0.0, 0.0))
"""The beam; the middle of the pixels is the origin of this geometry."""

PHI_BINS, Q_BINS = 11, 394
ROIS = {
    "ROI_0": ((2, 3), (100, 300), (200, 500)),
    "ROI_1": ((5, 6), (50, 450), (300, 800)),
}
"""Panels, rows and columns of the regions, half-open."""

HIGH, LOW = 10.0, 3.0
"""Thresholds of the droplets [noise]."""

_ENTRY = '[[detector.{}.{}]]\nruns = "1-"\n'


@dataclass(frozen=True)
class Job:
    """The folder of a job, with all that it takes.

    Attributes
    ----------
    folder : for the run, its constants, the parameters and the outputs
    """

    folder: Path

    @property
    def xtc_dir(self) -> Path:
        """Where the xtc2 files are."""
        return self.folder / "xtc"

    @property
    def calib_dir(self) -> Path:
        """Where the constants are."""
        return self.folder / "calib"

    @property
    def parameters(self) -> Path:
        """The parameter file."""
        return self.folder / f"{EXPERIMENT}.toml"

    def make(self) -> None:
        """Write the run, the parameters, and the masks that both ways use.

        What is in the folder already stays.
        """
        if self.parameters.exists():
            return
        _write_run(self.folder)
        text = _parameters()
        resolved = ParameterFile.parse(text, self.parameters).resolve(RUN)
        run = self.opened()
        for detector in build_detectors(run, resolved):
            np.save(self._mask_file(detector.name), detector.good)
        run.close()
        self.parameters.write_text(text)

    def opened(self) -> Run:
        """Open the run as the producer does."""
        return open_run(EXPERIMENT, RUN, xtc_dir=self.xtc_dir, calib_dir=self.calib_dir)

    def resolved(self) -> Resolved:
        """Return the parameters as they are for the run."""
        return ParameterFile.load(self.parameters, EXPERIMENT).resolve(RUN)

    def mask(self, detector: str) -> npt.NDArray[np.bool_]:
        """Return which pixels are used."""
        mask: npt.NDArray[np.bool_] = np.load(self._mask_file(detector))
        return mask

    def constants(self) -> dict[str, dict[str, Any]]:
        """Return the constants by detector and name, as psana takes them."""
        return {
            detector: {
                path.parent.name: np.load(path)
                if path.suffix == ".npy"
                else path.read_text()
                for path in sorted((self.calib_dir / detector).glob("*/0-end.*"))
            }
            for detector in (JUNGFRAU, EPIX)
        }

    def _mask_file(self, detector: str) -> Path:
        return self.folder / f"{detector}_good.npy"


def _write_run(folder: Path) -> None:
    detectors = DetectorSpec(JUNGFRAU), DetectorSpec(EPIX)
    spec = RunSpec(EXPERIMENT, RUN, detectors, EVENTS, setup=SETUP)
    lit = np.mean([shot.xrays for shot in shots_of(spec)])
    with patch.object(frames.Photons, "mean", OCCUPANCY / lit):
        make_run(folder, spec)


def _parameters() -> str:
    """Return the job as a parameter file."""
    sections = [
        f'schema = "smalldata-ana-params/1"\nexperiment = "{EXPERIMENT}"\n',
        _ENTRY.format(JUNGFRAU, "geometry") + f"center = {list(SETUP.center)}\n"
        f"dis_to_sam = {SETUP.distance}\neBeam = {SETUP.energy}\n"
        f"polarization = {SETUP.polarization}\n",
        _ENTRY.format(JUNGFRAU, "azav")
        + f'name = "azav"\nphiBins = {PHI_BINS}\nnBins = {Q_BINS}\n',
        *(
            _ENTRY.format(JUNGFRAU, "roi")
            + f'name = "{name}"\nROI = {[list(pair) for pair in region]}\n'
            for name, region in ROIS.items()
        ),
        _ENTRY.format(JUNGFRAU, "sums") + 'sums = ["calib"]\n',
        _ENTRY.format(EPIX, "sums") + "sums = []\n",
        _ENTRY.format(EPIX, "common_mode") + "common_mode = 0\n",
        _ENTRY.format(EPIX, "droplet")
        + f'name = "droplet"\nthreshold = {HIGH}\nthresholdLow = {LOW}\n',
        _ENTRY.format(EPIX, "photons")
        + f'name = "photons"\nof = "droplet"\naduspphot = {SETUP.energy}\n',
    ]
    return "\n".join(sections)
