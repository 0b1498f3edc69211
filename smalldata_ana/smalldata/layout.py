"""What a small-data file holds: the names, types and units of its datasets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.protocol import Field, stored_names

TIMESTAMP = "timestamp"
CONFIGURATION = "UserDataCfg"
PARAMETERS = f"{CONFIGURATION}/params"
PRODUCER = f"{CONFIGURATION}/producer"
SUMS = "Sums"

Layout = dict[str, Field]
"""The datasets with a row for each event, by their path in the file."""


def layout_of(detectors: Iterable[DetObject]) -> Layout:
    """Return the datasets that the results of some detectors need.

    Parameters
    ----------
    detectors : with their functions attached

    Notes
    -----
    ``timestamp`` is psana's: seconds since 1990 in the high 32 bits, nanoseconds in
    the low ones.
    """
    layout: Layout = {TIMESTAMP: Field(np.dtype(np.int64))}
    for detector in detectors:
        layout |= stored_names(detector.name, detector.fields, detector.fields)
    return layout
