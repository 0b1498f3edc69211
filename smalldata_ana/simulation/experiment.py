"""The simulated experiment xppsim01: three runs, made in the user's cache when needed.

Run 1 is a laser delay scan, run 2 a dark run, run 3 a calibrant (LaB6).  All three
have the beam at the same place and distance; in run 3 the detector is tilted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_ana.errors import FileError, RunNotFound
from smalldata_ana.places import SIMULATED, experiment_root
from smalldata_ana.simulation.frames import Sample
from smalldata_ana.simulation.physics import Ring, Setup
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import Progress, SimulatedRun, make_run

VERSION = 2
"""Of what is made: raise it with every change, and everybody's copy is made anew."""

LAB6 = 4.156826
"""Lattice constant of LaB6, NIST SRM 660c [Angstrom]."""

_LAB6_PHOTONS = {1: 3.2, 2: 6.0, 3: 2.4, 4: 1.3, 5: 2.8, 6: 1.6}
"""Photons at the top of a ring, by h^2 + k^2 + l^2."""
_CALIB = Path("results/smalldata_ana/calib")
_MARKER, _LOCK, _MAKING = "simulation.json", ".simulation.lock", ".simulation.making"
_OPAL_MISSING = (12, 33, 34, 77, 118)


def calibrant(width: float = 0.01) -> Sample:
    """Return LaB6 powder: rings of that width (sigma) [1/Angstrom], little else."""
    rings = tuple(
        Ring(2 * np.pi * np.sqrt(order) / LAB6, width, photons)
        for order, photons in _LAB6_PHOTONS.items()
    )
    return Sample(rings=rings, liquid=0.1, excited=None)


def specs() -> dict[int, RunSpec]:
    """Return what the runs are, by number; the constants of the first serve all."""
    detectors = (
        DetectorSpec("jungfrau1M"),
        DetectorSpec("epix100"),
        DetectorSpec("opal"),
    )
    with_gaps = (*detectors[:2], DetectorSpec("opal", missing=_OPAL_MISSING))
    return {
        1: RunSpec(run=1, detectors=with_gaps, events=120, steps=6),
        2: RunSpec(
            run=2,
            detectors=detectors,
            events=45,
            steps=3,
            dark=True,
            with_constants=False,
        ),
        3: RunSpec(
            run=3,
            detectors=detectors,
            events=10,
            laser=False,
            with_constants=False,
            sample=calibrant(),
            setup=Setup(tilt=(0.8, -0.5)),
        ),
    }


def ensure(run: int | None = None, progress: Progress | None = None) -> Path:
    """Make the simulated experiment, unless it is there, and return its folder.

    It is made aside and moved into place, by one process at a time; what else is in
    the folder (results, other constants) is left alone.

    Parameters
    ----------
    run : the run that is wanted, or None for any
    progress : told after each event, if anything has to be made

    Raises
    ------
    RunNotFound
        if the experiment has no such run
    FileError
        if it cannot be written
    """
    root = experiment_root(SIMULATED)
    wanted = specs()
    if run is not None and run not in wanted and not _has(root, run):
        numbers = ", ".join(str(n) for n in wanted)
        raise RunNotFound(f"no run {run} in {SIMULATED}; there are {numbers}")
    try:
        if _version(root) != VERSION:
            root.mkdir(parents=True, exist_ok=True)
            with _alone(root):
                if _version(root) != VERSION:
                    _make(root, wanted, progress)
    except OSError as error:
        raise FileError(
            f"the simulated experiment cannot be written to {root} ({error}); it takes "
            "800 MB; set SMALLDATA_ANA_CACHE to a folder that has room for it"
        ) from error
    return root


def truth(run: int) -> dict[str, Any]:
    """Return what is true of a run, by name; see `SimulatedRun.truth`."""
    with np.load(ensure(run) / _truth_file(run)) as file:
        return dict(file)


def _make(root: Path, wanted: Mapping[int, RunSpec], progress: Progress | None) -> None:
    aside = root / _MAKING
    shutil.rmtree(aside, ignore_errors=True)
    try:
        before, total = 0, sum(spec.events for spec in wanted.values())
        for number, spec in wanted.items():
            made = make_run(aside, spec, _shifted(progress, before, total))
            _save_truth(aside / _truth_file(number), made)
            before += spec.events
        (aside / _CALIB.parent).mkdir(parents=True)
        os.rename(aside / "calib", aside / _CALIB)
        text = json.dumps(_description(wanted), indent=2)
        (aside / "truth/truth.json").write_text(text + "\n")
        _move_into_place(aside, root, wanted)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move_into_place(aside: Path, root: Path, runs: Mapping[int, RunSpec]) -> None:
    (root / _MARKER).unlink(missing_ok=True)
    for number in runs:
        for old in root.glob(f"xtc/**/{SIMULATED}-r{number:04d}-*"):
            old.unlink()
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            target = root / path.relative_to(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    marker = root / f"{_MARKER}.new"
    marker.write_text(json.dumps({"version": VERSION}) + "\n")
    os.replace(marker, root / _MARKER)


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


def _truth_file(run: int) -> Path:
    return Path("truth") / f"run{run:04d}.npz"


def _save_truth(path: Path, made: SimulatedRun) -> None:
    """Save what is true of a run; of a dark run, also pedestals and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels: dict[str, Any] = {}
    if made.spec.dark:
        pixels = {
            f"{detector}/{name}": items[name]
            for detector, items in made.constants.items()
            for name in ("pedestals", "pixel_rms")
        }
    np.savez(path, allow_pickle=False, **made.truth, **pixels)


def _description(wanted: Mapping[int, RunSpec]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "units": {
            "center": "um, psana x and y",
            "distance": "mm",
            "energy": "keV",
            "tilt": "deg",
            "q, width": "1/Angstrom",
            "delays": "s",
            "rise": "ps",
        },
        "runs": {number: asdict(spec) for number, spec in wanted.items()},
    }


def _has(root: Path, run: int) -> bool:
    return any(root.glob(f"xtc/{SIMULATED}-r{run:04d}-s*.xtc2*"))


def _version(root: Path) -> object:
    """Return the version of what is there, or None if it is not (wholly) there."""
    try:
        content = json.loads((root / _MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content.get("version")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait until no other process is making the experiment; then keep others out."""
    with open(root / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
