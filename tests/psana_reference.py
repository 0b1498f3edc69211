"""psana as the reference of tests: its modules, and its detectors without files."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from smalldata_ana.errors import MissingSoftwareError
from smalldata_ana.sources.psana2.mended import psana

CLASSES = {
    "jungfrau": ("psana.detector.jungfrau", "jungfrau_raw_0_1_0"),
    "epix10ka": ("psana.detector.epix10ka", "epix10ka_raw_2_0_1"),
    "epix100": ("psana.detector.epix100", "epix100_raw_2_0_1"),
    "opal": ("psana.detector.opal", "opal_raw_2_0_0"),
}
META = {"experiment": "xpptut15", "run": 1}


def psana_module(name: str) -> ModuleType:
    """Import a module of psana, or skip the test where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            psana()
            return importlib.import_module(name)
    except MissingSoftwareError as error:
        pytest.skip(f"compares with psana: {error}")


def with_meta(constants: dict[str, Any]) -> dict[str, Any]:
    """Return constants as psana keeps them: each with its metadata."""
    return {name: (np.array(value), META) for name, value in constants.items()}


def psana_calib(
    dettype: str,
    words: np.ndarray,
    constants: dict[str, Any],
    *,
    panels: tuple[int, ...] = (0,),
    control: np.ndarray | None = None,
    cmpars: tuple[float, ...] | None = None,
) -> np.ndarray:
    """Return psana's ``det.raw.calib`` of a raw frame.

    Parameters
    ----------
    dettype : a key of `CLASSES`
    words : the raw frame
    constants : the arrays by psana's names, for all panels
    panels : numbers of the panels in `words`
    control : control bits of the pixels, for an epix10ka
    cmpars : parameters of the common mode, or None for none
    """
    module, name = CLASSES[dettype]
    configuration = SimpleNamespace(
        configs=[], sorted_segment_ids=list(panels), uniqueid="u", dettype=dettype
    )
    detector = getattr(psana_module(module), name)(
        "det", "raw", configuration, with_meta(constants)
    )
    detector.raw = lambda evt, copy=True: words.copy()
    detector._cbits_config_detector = lambda: control
    options: dict[str, Any] = {"cversion": 0} if dettype == "jungfrau" else {}
    if cmpars is not None:
        options["cmpars"] = cmpars
    return detector.calib("an event", **options)
