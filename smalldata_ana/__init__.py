"""Interactive analysis of LCLS area detectors, and a producer of small data.

The public names are imported when they are first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

_HOME = {
    "Autocorrelation": "ana_funcs.autocorrelation",
    "DetObject": "detector.det_object",
    "DetObjectFunc": "ana_funcs.base",
    "PolynomialCurveCorrection": "ana_funcs.curve_correction",
    "ROIFunc": "ana_funcs.roi",
    "SimpleHitFinder": "ana_funcs.hit_finder",
    "SvdFit": "ana_funcs.svd_fit",
    "WfIntegration": "ana_funcs.waveforms",
    "acf": "ana_funcs.autocorrelation",
    "azav_pyfai": "ana_funcs.azav_pyfai",
    "azimuthalBinning": "ana_funcs.azimuthal",
    "checkDet": "detector.user_data",
    "droplet2Photons": "ana_funcs.droplet_photons",
    "dropletFunc": "ana_funcs.droplet",
    "fitCenter": "ana_funcs.fit_center",
    "getCMPeakFunc": "ana_funcs.zero_peak",
    "getUserData": "detector.user_data",
    "getUserEnvData": "detector.user_data",
    "hitFinderCFDFunc": "ana_funcs.hit_finder",
    "imageFunc": "ana_funcs.image_func",
    "lineoutFunc": "ana_funcs.projection",
    "make_basis": "ana_funcs.waveform_basis",
    "mecttFunc": "ana_funcs.mectt",
    "open_run": "opening",
    "own_function": "own_functions",
    "photonFunc": "ana_funcs.photon",
    "projectionFunc": "ana_funcs.projection",
    "rebinFunc": "ana_funcs.rebin",
    "sparsifyFunc": "ana_funcs.sparsify",
    "spectrumFunc": "ana_funcs.spectrum",
    "templateFitFunc": "ana_funcs.template_fit",
    "unsparsifyFunc": "ana_funcs.sparsify",
}

__all__ = [
    "Autocorrelation",
    "DetObject",
    "DetObjectFunc",
    "PolynomialCurveCorrection",
    "ROIFunc",
    "SimpleHitFinder",
    "SvdFit",
    "WfIntegration",
    "acf",
    "azav_pyfai",
    "azimuthalBinning",
    "checkDet",
    "droplet2Photons",
    "dropletFunc",
    "fitCenter",
    "getCMPeakFunc",
    "getUserData",
    "getUserEnvData",
    "hitFinderCFDFunc",
    "imageFunc",
    "lineoutFunc",
    "make_basis",
    "mecttFunc",
    "open_run",
    "own_function",
    "photonFunc",
    "projectionFunc",
    "rebinFunc",
    "sparsifyFunc",
    "spectrumFunc",
    "templateFitFunc",
    "unsparsifyFunc",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%load_ext smalldata_ana`` work in any IPython or Jupyter."""
    from smalldata_ana.session.extension import load

    load(shell)
