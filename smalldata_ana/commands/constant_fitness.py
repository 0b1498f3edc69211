"""Tell whether a constant fits the detector that it is put for."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.detector_constants import DetectorConstants
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import ConstantsError, SmallDataError
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.constants import Constant, Constants
from smalldata_ana.sources.constants_files import TEXT
from smalldata_ana.sources.constants_store import ConstantsStore

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

_OF_NO_PIXELS = "common_mode"
_FEWEST = 100
"""The smallest panels, lines of pixels among them, have more pixels."""


def check_fits(
    store: ConstantsStore,
    experiment: str | None,
    detector: str,
    name: str,
    value: Array | str,
    begin: int,
    origin: str,
) -> None:
    """Check that a constant of the pixels can be one of a detector.

    Where the run is there, its frames decide; else only what no detector has is
    refused, and a warning tells if the other constants are of another size.

    Parameters
    ----------
    store : the constants that there are
    experiment : name of the experiment, or None for that of the environment
    detector, name, value : the constant
    begin : the first run that it is for
    origin : its file

    Raises
    ------
    ConstantsError
        if it cannot be
    """
    if name in TEXT or name == _OF_NO_PIXELS:
        return
    array = np.asarray(value)
    _check_shape(detector, name, array, origin)
    info = _in_run(experiment or os.environ.get("EXPERIMENT"), begin, detector)
    if info is None:
        _compare(store, detector, name, array, begin)
        return
    constant = Constant(name, array, begin, None, origin)
    kind = kind_of(info.dettype, info.shape)
    DetectorConstants(info, kind, Constants(detector, {name: constant})).check()


def _check_shape(detector: str, name: str, array: Array, origin: str) -> None:
    if not 2 <= array.ndim <= 4 or np.prod(array.shape[-2:]) < _FEWEST:
        raise ConstantsError(
            f"{name} of {detector!r} cannot have the shape {array.shape}: it is (rows, "
            "columns) of a camera, (panels, rows, columns), or (gain stages, panels, "
            f"rows, columns); from {origin}"
        )


def _in_run(experiment: str | None, run: int, detector: str) -> DetectorInfo | None:
    """Return what a run says of a detector, if the run is there."""
    if experiment is None:
        return None
    from smalldata_ana.opening import open_run

    try:
        opened = open_run(experiment, run)
    except SmallDataError as error:
        logger.info("the shape is not checked with run %d: %s", run, error)
        return None
    try:
        return opened.detectors.get(detector)
    finally:
        opened.close()


def _compare(
    store: ConstantsStore, detector: str, name: str, array: Array, begin: int
) -> None:
    """Warn if the other constants of the run are for panels of another size."""
    size = array.shape[-2:]
    for record in store.valid(detector, begin).values():
        others = record.shape or () if record.name not in {*TEXT, _OF_NO_PIXELS} else ()
        if record.name != name and len(others) > 1 and others[-2:] != size:
            logger.warning(
                "%s of %s has the shape %s, but %s (%s) %s",
                *(name, detector, array.shape, record.name, record.path, others),
            )
