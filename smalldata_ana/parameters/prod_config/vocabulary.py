"""Which parameters smalldata_tools knows, and under which names.

Its functions take any keyword, and ignore those that they do not know.  What stands in
a ``prod_config`` for them is therefore only what they act on; whatever else an entry
says is told, and where results would be others without it, the entry is left out.

Source: the constructors of smalldata_tools' functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.model import Parameters
from smalldata_ana.parameters.prod_config.forms import Flavour
from smalldata_ana.parameters.toml_text import plain
from smalldata_ana.units import wavelength

_M_PER_ANGSTROM = 1e-10
_BOX_DIMENSIONS = 2
"""Axes, and begin and end of each."""

Values = dict[str, Any]


_IGNORED = {
    "azav": frozenset({"debug"}),
    "mectt": frozenset({"debug"}),
    "photons": frozenset({"cputime", "one_photon_info"}),
}
"""By kind what only measures or tells how smalldata_tools' function works."""


@dataclass(frozen=True)
class Vocabulary:
    """The parameters of a kind that smalldata_tools' function acts on.

    Attributes
    ----------
    known : their names, which are ours as well
    additions : parameters of ours that add results, and change no other
    checks : parameters of ours that change no result
    unlike : known ones that have another default there
    none : what None says there, in our words; for others, that nothing is given
    translate : puts values into smalldata_tools' words; returns what it lacks words for
    """

    known: frozenset[str]
    additions: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()
    unlike: frozenset[str] = frozenset()
    none: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    translate: Callable[[Values, Parameters], list[str]] = lambda values, made: []


@dataclass(frozen=True)
class Words:
    """An entry in the words of smalldata_tools.

    Attributes
    ----------
    entry : with its values as they are written
    lacking : what there are no words for, and results would be others without
    additions : parameters that are left out, and that only add results
    """

    entry: Entry
    lacking: Sequence[str] = ()
    additions: Sequence[str] = ()


def words_of(entry: Entry, flavour: Flavour) -> Words:
    """Return an entry in the words of smalldata_tools.

    Parameters
    ----------
    entry : with all that it takes from others, e.g. the beam's geometry
    flavour : which producer it is for
    """
    if entry.kind == "sums":
        return _sums(entry, flavour)
    known = VOCABULARIES.get(entry.kind)
    if known is None:
        return Words(entry)
    try:
        made = entry.make()
    except ParameterError as error:
        return Words(entry, [str(error)])
    values = {k: plain(v) for k, v in entry.values.items() if v is not None}
    values |= {k: getattr(made, k) for k in known.unlike - set(values)}
    lacking = known.translate(values, made)
    default = entry.model.partly({})
    unsaid = [
        key
        for key in sorted(set(values) - known.known - known.checks)
        if values[key] != plain(getattr(default, key))
    ]
    lacking += [f"its {key}" for key in unsaid if key not in known.additions]
    said = {key: value for key, value in values.items() if key in known.known}
    additions = [key for key in unsaid if key in known.additions]
    return Words(replace(entry, values=said), lacking, additions)


def in_our_words(kind: str, values: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """Return the parameters of an entry as they stand in a ``prod_config``, as ours.

    Returns
    -------
    The parameters, and the names of those that are ignored.
    """
    none = VOCABULARIES[kind].none if kind in VOCABULARIES else {}
    ignored = _IGNORED.get(kind, frozenset()) & set(values)
    said: Values = {}
    for key, value in values.items():
        if key not in ignored:
            said |= none.get(key, {}) if value is None else {key: value}
    return said, sorted(ignored)


# -- sums ------------------------------------------------------------------------------

_WORDS = {
    Flavour.LCLS1: {"calib", "img", "skip", "nhits", "square", "max", "dropped"},
    Flavour.LCLS2: {"calib", "nhits", "square", "max"},
}
_THRESHOLD = "thresADU"


def _sums(entry: Entry, flavour: Flavour) -> Words:
    keys = entry.values["sums"]
    strange = [key for key in keys if not _is_sum(key, flavour)]
    known = [key for key in keys if key not in strange]
    sums = replace(entry, values={"sums": known})
    return Words(sums, () if known else strange, strange if known else ())


def _is_sum(key: str, flavour: Flavour) -> bool:
    """Tell whether each word of a key is one of smalldata_tools, which skips others."""
    words = key.split("_")
    return all(w in _WORDS[flavour] or w.startswith(_THRESHOLD) for w in words)


# -- translations ----------------------------------------------------------------------

_NOT_GIVEN = "a {} that is not given"
"""A default is taken for it there."""


def _one_box(values: Values, made: Parameters) -> list[str]:
    """Write a region in pairs; it is one box there."""
    region = getattr(made, "ROI", None)
    if region is None:
        return []
    if np.ndim(region) > _BOX_DIMENSIONS:
        return [f"its ROI of {len(region)} boxes"]
    values["ROI"] = plain(region)
    return []


def _beam(values: Values, made: Parameters) -> list[str]:
    """Translate the polarization; where something is not given, a default is taken."""
    needed = ("center", "dis_to_sam", "eBeam")
    lacking = [_NOT_GIVEN.format(key) for key in needed if key not in values]
    if isinstance(values.get("phiBins"), list):
        lacking.append("its edges of phiBins")
    values.pop("polarization", None)
    if values.get("polCorr", True):
        fraction = _fraction(made)
        if fraction is None:
            lacking.append(_NOT_GIVEN.format("polarization"))
        else:
            values["Pplane"] = fraction
    return lacking


class _Polarized(Protocol):
    def fraction(self, who: str) -> float: ...


def _fraction(made: Parameters) -> float | int | None:
    """Return the fraction of horizontal polarization, or None if it is not given."""
    try:
        fraction = cast("_Polarized", made).fraction("")
    except ParameterError:
        return None
    return int(fraction) if fraction.is_integer() else fraction


def _pyfai(values: Values, made: Parameters) -> list[str]:
    """Translate the polarization and the energy; the beam is said in pyFAI's words."""
    lacking = []
    if not {"poni_file", "ai_kwargs", "center"} & set(values):
        lacking.append(_NOT_GIVEN.format("center"))
    energy = values.pop("eBeam", None)
    if energy is not None and "ai_kwargs" in values:
        metres = wavelength(energy) * _M_PER_ANGSTROM
        values["ai_kwargs"] = values["ai_kwargs"] | {"wavelength": metres}
    elif energy is not None and "poni_file" in values:
        lacking.append("its eBeam beside a poni_file")
    for key in ("polarization", "Pplane"):
        values.pop(key, None)
    if not values.pop("polCorr", True):
        values["polarization_factor"] = None
    elif "polarization_factor" not in values:
        fraction = _fraction(made)
        if fraction is None:
            lacking.append(_NOT_GIVEN.format("polarization"))
        else:
            values["polarization_factor"] = 2 * fraction - 1
    return lacking


def _one_limit(values: Values, made: Parameters) -> list[str]:
    pair = isinstance(values.get(_THRESHOLD), list)
    return [f"its upper limit of {_THRESHOLD}"] if pair else []


def _correlation(values: Values, made: Parameters) -> list[str]:
    """Two numbers where we take one as well; the region is one box of an image."""
    lacking = []
    if _THRESHOLD in values and not isinstance(values[_THRESHOLD], list):
        lacking.append(f"its {_THRESHOLD} without an upper limit")
    if "roi" in values and np.shape(values["roi"]) != (2, 2):
        lacking.append("its roi of several panels or boxes")
    if "save_range" in values:
        values["save_range"] = np.broadcast_to(values["save_range"], 2).tolist()
    return lacking


VOCABULARIES = {
    "roi": Vocabulary(
        frozenset({"ROI", "writeArea", "calcPars", "thresADU"}),
        additions=frozenset({"saturation"}),
        translate=_one_box,
    ),
    "projection": Vocabulary(
        frozenset({"axis", "mean", "singlePhoton", "thresADU"}),
        additions=frozenset({"calcPars"}),
        translate=_one_limit,
    ),
    # rbin and thresRms end in an error there, and ADU_per_Photon has no effect
    "azav": Vocabulary(
        frozenset(
            {
                *("center", "dis_to_sam", "eBeam", "tx", "ty", "Pplane"),
                *("phiBins", "qbin", "thresADU", "thresADUhigh"),
                *("geomCorr", "polCorr", "square"),
            }
        ),
        additions=frozenset({"errors", "counts"}),
        translate=_beam,
    ),
    "azav_pyfai": Vocabulary(
        frozenset(
            {
                *("poni_file", "ai_kwargs", "polarization_factor", "thres"),
                *("npts", "npts_az", "int_units", "return2d"),
            }
        ),
        additions=frozenset({"error_model"}),
        unlike=frozenset({"return2d"}),
        none={"polarization_factor": {"polCorr": False}},
        translate=_pyfai,
    ),
    "droplet": Vocabulary(
        frozenset(
            {
                *("threshold", "thresholdLow", "thresADU", "pixmax"),
                *("useRms", "relabel"),
            }
        ),
        unlike=frozenset({"threshold"}),
        translate=_one_limit,
    ),
    "photons": Vocabulary(
        frozenset({"aduspphot", "photpts"}),
        additions=frozenset({"perPanel", "ROIs"}),
        checks=frozenset({"eBeam"}),
    ),
    "photon": Vocabulary(
        frozenset({"ADU_per_photon", "thr_fraction", "thresADU"}),
        checks=frozenset({"eBeam"}),
    ),
    # it does nothing with illumination_correction there
    "autocorrelation": Vocabulary(
        frozenset({"thresADU", "roi", "mask", "save_lineout", "save_range"}),
        translate=_correlation,
    ),
    "svdfit": Vocabulary(
        frozenset(
            {
                *("basis_file", "n_components", "n_pulse", "delay", "sampling"),
                *("mode", "return_reconstructed"),
            }
        )
    ),
    "wfintegration": Vocabulary(
        frozenset({"sig_roi", "bkg_roi", "negative_signal"}),
    ),
    "hitfinder": Vocabulary(
        frozenset({"threshold", "threshold_max", "use_rms", "bkg_roi"})
    ),
    "curve_correction": Vocabulary(
        frozenset({"polynomial_coefficients", "axis"}),
        unlike=frozenset({"axis"}),
    ),
    "sparsify": Vocabulary(frozenset({"nData"})),
}
"""By kind; kinds that are not here have no function in a ``prod_config``."""
