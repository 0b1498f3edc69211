"""How this package compiles its inner loops.

A module of kernels imports `njit` from here, gives every kernel its signature, and is
itself imported only when it is needed, as importing numba takes a second.  Kernels
are single-threaded and release the GIL: events run in parallel, not pixels
(`docs/decisions/0003-kernels.md`).  Compiled code is kept in the user's cache.
"""

from __future__ import annotations

import functools
import importlib
import os

import numba

from smalldata_ana.places import cache

if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache() / "numba")  # type: ignore[attr-defined]

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
