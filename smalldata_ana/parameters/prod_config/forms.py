"""Which function of a ``prod_config`` has which kind of entry, in either spelling.

====================== ============================== =============================
kind                   LCLS-I                         LCLS-II
====================== ============================== =============================
roi, with projections  getROIs, ``pj``                getROIs, ``proj_ax``
azav                   getAzIntParams: a list         get_azav: one
azav_pyfai             getAzIntPyFAIParams: a list    get_azav_pyfai: one
droplet                get_droplet: a list            get_droplet: one
droplet with photons   get_droplet2photon: a list     get_droplet2photon: one
photon                 getPhotonParams: one
autocorrelation        getAutocorrParams: one
svdfit                 getSvdParams: one              get_wf_svd: one
wfintegration                                         get_wf_integrate: one
hitfinder                                             get_wf_hitfinder: one
curve_correction                                      get_polynomial_correction: one
sums                   getDetSums: a list of keys     get_sum_algos: a list of keys
====================== ============================== =============================

``get_mectt`` is only read: the producer of LCLS-I looks for another name, and takes no
notice of it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

ROIS = "getROIs"
DROPLET = "get_droplet"
PHOTONS = "get_droplet2photon"
N_DATA = "nData"


class Flavour(enum.Enum):
    """Which producer of smalldata_tools the Python is for."""

    LCLS1 = "lcls1"
    LCLS2 = "lcls2"

    @property
    def detectors(self) -> str:
        """The list of detectors."""
        return "detnames" if self is Flavour.LCLS1 else "detectors"

    @property
    def projections(self) -> str:
        """The key of a region's projections."""
        return "pj" if self is Flavour.LCLS1 else "proj_ax"

    @property
    def event_lists(self) -> tuple[str, ...]:
        """The lists out of `EVENT_LISTS` that the producer looks for."""
        known = tuple(EVENT_LISTS)
        return known if self is Flavour.LCLS1 else known[:-1]


PROJECTIONS = tuple(flavour.projections for flavour in Flavour)
DETECTOR_LISTS = tuple(flavour.detectors for flavour in Flavour)


@dataclass(frozen=True)
class Form:
    """How a kind of entry stands in a ``prod_config``.

    Attributes
    ----------
    function : its name
    several : True for a list of dicts for each detector, False for one dict
    """

    function: str
    several: bool


OLD_AZAV = "getAzIntParams"
OLD_AZAV_KEYS = frozenset({"center", "dis_to_sam", "eBeam"})
OLD_AZAV_VALUES = {"phiBins": 11, "Pplane": 0, "qbin": 0.015}
"""A dict with these keys and no other for a detector, as producers of old had it, which
said the rest themselves: 11 sectors, and a vertical polarization.
"""

FORMS: dict[Flavour, dict[str, Form]] = {
    Flavour.LCLS1: {
        "azav": Form(OLD_AZAV, True),
        "azav_pyfai": Form("getAzIntPyFAIParams", True),
        "photon": Form("getPhotonParams", False),
        "autocorrelation": Form("getAutocorrParams", False),
        "svdfit": Form("getSvdParams", False),
    },
    Flavour.LCLS2: {
        "azav": Form("get_azav", False),
        "azav_pyfai": Form("get_azav_pyfai", False),
        "wfintegration": Form("get_wf_integrate", False),
        "hitfinder": Form("get_wf_hitfinder", False),
        "svdfit": Form("get_wf_svd", False),
        "curve_correction": Form("get_polynomial_correction", False),
    },
}
"""The kinds that stand alone: a dict of parameters for each entry."""

SUMS = {Flavour.LCLS1: "getDetSums", Flavour.LCLS2: "get_sum_algos"}

PLAIN = {
    form.function: kind for table in FORMS.values() for kind, form in table.items()
} | {"get_mectt": "mectt"}
"""The functions that hold entries of one kind, whether as a list or a dict."""

OLD_DROPLET = "getDropletParams"
OLD_PHOTONS = "getDroplet2Photons"
OLD_PROJECTIONS = {"getProjection_ax0": 0, "getProjection_ax1": 1}
"""Functions of older templates."""

FUNCTIONS = (
    ROIS,
    DROPLET,
    PHOTONS,
    OLD_DROPLET,
    OLD_PHOTONS,
    *OLD_PROJECTIONS,
    *SUMS.values(),
    *PLAIN,
)
"""All functions whose values belong to detectors."""

INTEGRATING = "get_intg"
"""The function of the integrating detectors: the slowest one, and a list of others."""

INTEGRATING_LIST = "integrating_detectors"
"""The list of them, in older modules."""

EVENT_LISTS = {"epicsPV": "epics", "epicsOncePV": "epics_once", "ttCalib": "ttCalib"}
"""Lists that belong to the table ``[event]``, with their names there.

The last one is of LCLS-I only.
"""
