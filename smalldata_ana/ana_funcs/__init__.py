"""The analysis functions: what is computed of each image.

Importing this package registers the parameters of every function, of masks and of
sums, so that parameter files may hold them.
"""

from smalldata_ana.ana_funcs.autocorrelation import Autocorrelation, acf
from smalldata_ana.ana_funcs.azav_pyfai import azav_pyfai
from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.curve_correction import PolynomialCurveCorrection
from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.droplet_photons import droplet2Photons
from smalldata_ana.ana_funcs.fit_center import fitCenter
from smalldata_ana.ana_funcs.hit_finder import SimpleHitFinder, hitFinderCFDFunc
from smalldata_ana.ana_funcs.image_func import imageFunc
from smalldata_ana.ana_funcs.mectt import mecttFunc
from smalldata_ana.ana_funcs.photon import photonFunc
from smalldata_ana.ana_funcs.projection import lineoutFunc, projectionFunc
from smalldata_ana.ana_funcs.rebin import rebinFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.ana_funcs.sparsify import sparsifyFunc, unsparsifyFunc
from smalldata_ana.ana_funcs.spectrum import spectrumFunc
from smalldata_ana.ana_funcs.svd_fit import SvdFit
from smalldata_ana.ana_funcs.template_fit import templateFitFunc
from smalldata_ana.ana_funcs.waveform_basis import make_basis
from smalldata_ana.ana_funcs.waveforms import WfIntegration
from smalldata_ana.ana_funcs.zero_peak import getCMPeakFunc
from smalldata_ana.detector import (  # noqa: F401
    common_mode_entries,
    mask_entries,
    sum_entries,
)

__all__ = [
    "Autocorrelation",
    "DetObjectFunc",
    "PolynomialCurveCorrection",
    "ROIFunc",
    "SimpleHitFinder",
    "SvdFit",
    "WfIntegration",
    "acf",
    "azav_pyfai",
    "azimuthalBinning",
    "droplet2Photons",
    "dropletFunc",
    "fitCenter",
    "getCMPeakFunc",
    "hitFinderCFDFunc",
    "imageFunc",
    "lineoutFunc",
    "make_basis",
    "mecttFunc",
    "photonFunc",
    "projectionFunc",
    "rebinFunc",
    "sparsifyFunc",
    "spectrumFunc",
    "templateFitFunc",
    "unsparsifyFunc",
]
