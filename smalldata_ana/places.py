"""Where an experiment keeps its files: the one table of places.

The session, the producer, the cubes and the `ana` object all ask here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from smalldata_ana.errors import ExperimentNotFound

SLAC_DATA = Path("/sdf/data/lcls/ds")
SLAC_FFB = Path("/sdf/data/lcls/drpsrcf/ffb")
SIMULATED = "xppsim01"

_EXPERIMENT = re.compile(r"^[a-z][a-z0-9]{3,}$")


def at_slac() -> bool:
    """Tell whether this machine sees SLAC's data."""
    return SLAC_DATA.is_dir()


def cache() -> Path:
    """Return the user's cache: ``$SMALLDATA_ANA_CACHE`` or ``~/.cache/smalldata_ana``.

    Simulated experiments and compiled kernels live there; all of it can be made anew.
    """
    given = os.environ.get("SMALLDATA_ANA_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache/smalldata_ana"


def hutch_of(experiment: str) -> str:
    """Return the hutch of an experiment: the first three letters of its name.

    Raises
    ------
    ExperimentNotFound
        if the text cannot be the name of an experiment
    """
    if not _EXPERIMENT.match(experiment):
        raise ExperimentNotFound(
            f"{experiment!r} is not the name of an experiment; "
            "a name looks like xppl1001021"
        )
    return experiment[:3]


def experiment_root(experiment: str) -> Path:
    """Return the folder of an experiment, whether it exists or not.

    The simulated experiment is in the user's cache; others are in SLAC's data tree,
    or below ``$SIT_PSDM_DATA`` elsewhere.
    """
    hutch = hutch_of(experiment)
    if experiment == SIMULATED:
        return cache() / hutch / experiment
    base = os.environ.get("SIT_PSDM_DATA")
    if at_slac() or not base:
        return SLAC_DATA / hutch / experiment
    return Path(base) / hutch / experiment


def _path(text: str | os.PathLike[str] | None) -> Path | None:
    return None if text is None else Path(text).expanduser().absolute()


@dataclass(frozen=True)
class Places:
    """The places of one experiment; make it with `places`.

    Attributes
    ----------
    experiment : its name
    root : its folder, or None if there is none (files given one by one)
    xtc : folders to look for xtc2 files, in this order
    params : the parameter file
    calib : the constants store
    calib_given : True if the user named the store, which then comes first
    results : images, pictures and scripts of the session
    smalldata : folder of the small-data files
    """

    experiment: str
    root: Path | None
    xtc: tuple[Path, ...]
    params: Path
    calib: Path
    calib_given: bool
    results: Path
    smalldata: Path

    @property
    def images(self) -> Path:
        """Folder of the images that the session saves."""
        return self.results / "images"

    @property
    def cubes(self) -> Path:
        """Folder of the cubes."""
        return self.smalldata / "cube"

    def smalldata_file(self, run: int) -> Path:
        """Return the small-data file of a run."""
        return self.smalldata / f"{self.experiment}_Run{run:04d}.h5"

    def parts(self, run: int) -> Path:
        """Return the folder of a producer's unfinished parts, beside its output."""
        return self.smalldata / f".{self.experiment}_Run{run:04d}.parts"

    def cube_file(self, run: int, name: str) -> Path:
        """Return the file of a cube."""
        return self.cubes / f"Cube_{self.experiment}_Run{run:04d}_{name}.h5"


def places(
    experiment: str,
    *,
    xtc_dir: str | os.PathLike[str] | None = None,
    params: str | os.PathLike[str] | None = None,
    calib_dir: str | os.PathLike[str] | None = None,
    directory: str | os.PathLike[str] | None = None,
    loose_files: bool = False,
) -> Places:
    """Return the places of an experiment.

    Parameters
    ----------
    experiment : its name
    xtc_dir, params, calib_dir : what the options of the same name give
    directory : folder for the output: small data of a producer, images of a session
    loose_files : True if the data are files given one by one; where the experiment
        has no folder, results then go below the working directory

    Raises
    ------
    ExperimentNotFound
        if the text cannot be the name of an experiment
    """
    hutch = hutch_of(experiment)
    root = experiment_root(experiment)
    homeless = loose_files and not root.is_dir()
    base = Path.cwd() if homeless else root
    results = base if homeless else root / "results/smalldata_ana"
    store = calib_dir or os.environ.get("SMALLDATA_ANA_CALIB") or results / "calib"
    given_xtc = _path(xtc_dir)
    return Places(
        experiment=experiment,
        root=None if homeless else root,
        xtc=(given_xtc,)
        if given_xtc
        else (root / "xtc", SLAC_FFB / hutch / experiment / "xtc"),
        params=_path(params) or results / "params" / f"{experiment}.toml",
        calib=_path(store) or results / "calib",
        calib_given=calib_dir is not None,
        results=_path(directory) or results,
        smalldata=_path(directory) or (base if homeless else root / "hdf5/smalldata"),
    )
