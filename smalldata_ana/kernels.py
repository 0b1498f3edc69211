"""How this package compiles its inner loops.

A module of kernels imports `njit` from here, gives every kernel its signature, and is
itself imported only when it is needed, as importing numba takes a second.  Kernels
are single-threaded and release the GIL: events run in parallel, not pixels
(`docs/decisions/0003-kernels.md`).  Compiled code is kept in the user's cache; where
nobody can write there, in a temporary folder of the user's own.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import stat
import tempfile
from pathlib import Path

import numba

from smalldata_ana.places import cache

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder for compiled code, which is made if need be."""
    try:
        folder = cache() / "numba"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        why = f"{folder} is write-protected"
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        why = str(error)
    instead = _temporary_folder()
    logger.warning(
        "compiled kernels are kept in %s: %s; set SMALLDATA_ANA_CACHE to a folder in "
        "which you can write",
        instead,
        why,
    )
    return instead


def _temporary_folder() -> Path:
    """Return a folder in which only this user can write: what is in it is executed."""
    folder = Path(tempfile.gettempdir()) / f"smalldata_ana_{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    state = folder.lstat()
    own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid()
    if own and stat.S_IMODE(state.st_mode) == 0o700:
        return folder
    return Path(tempfile.mkdtemp(prefix="smalldata_ana_"))


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]

njit = functools.partial(numba.njit, nogil=True, cache=True)
"""Decorator of a kernel: compiled for the given signatures, cached, without the GIL."""

KERNEL_MODULES = (
    "smalldata_ana.ana_funcs.azimuthal_kernels",
    "smalldata_ana.ana_funcs.droplet_kernels",
    "smalldata_ana.ana_funcs.droplet_photon_kernels",
    "smalldata_ana.ana_funcs.image_kernels",
    "smalldata_ana.ana_funcs.photon_kernels",
    "smalldata_ana.ana_funcs.projection_kernels",
    "smalldata_ana.ana_funcs.spectrum_kernels",
    "smalldata_ana.beam_center.polish_kernels",
    "smalldata_ana.beam_center.search_kernels",
    "smalldata_ana.cubes.cube_kernels",
    "smalldata_ana.detector.calibration_kernels",
    "smalldata_ana.detector.common_mode_kernels",
    "smalldata_ana.detector.median_kernels",
    "smalldata_ana.detector.sums_kernels",
    "smalldata_ana.pedestals.dark_kernels",
    "smalldata_ana.statistics_kernels",
)
"""All modules of kernels; importing one compiles it or reads it from the cache."""


def compile_all() -> None:
    """Compile every kernel into the user's cache, where it is not there yet."""
    for module in KERNEL_MODULES:
        importlib.import_module(module)
