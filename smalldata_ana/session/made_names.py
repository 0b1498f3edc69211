"""The names after ``anaps.`` beside the commands: of images, detectors, results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from smalldata_ana.detector.det_object import DetObject

_ARRAYS = {
    "pedestals": "ped",
    "rms": "rms",
    "x": "x",
    "y": "y",
    "ix": "ix",
    "iy": "iy",
}
"""Attributes of a detector by what follows its name."""


def made_names(session: Any) -> dict[str, Callable[[], Any]]:
    """Return what gives the value of each name of a session that is no command.

    They are those of smalldata_tools: ``AvImg_<name>``, ``_mask_AvImg_<name>``
    (1 = good), ``_azint_<name>``, ``<detector>``, and ``<detector>_pedestals``,
    ``_rms``, ``_x``, ``_y``, ``_ix`` and ``_iy``.  Those of detectors are there as soon
    as the run is; nothing here waits for it.

    Parameters
    ----------
    session : the session
    """
    names: dict[str, Callable[[], Any]] = {}
    for entry in session.pending:
        if entry.kind == "mask" and entry.made.get("image"):
            mask = functools.partial(np.asarray, entry.array, np.uint8)
            names[f"_mask_{entry.made['image']}"] = mask
    for (_, azint), found in session.azints.items():
        names[f"_azint_{azint}"] = functools.partial(_itself, found)
    for detector in session.detectors if session.is_open else ():
        names[detector] = functools.partial(det_object, session, detector)
        for end, attribute in _ARRAYS.items():
            array = functools.partial(_array, session, detector, attribute)
            names[f"{detector}_{end}"] = array
    for image in session.images:
        names[image] = functools.partial(session.images.__getitem__, image)
    return names


def det_object(session: Any, detector: str) -> DetObject:
    """Return a detector that there is, with its functions, or a new one.

    Parameters
    ----------
    session : the session
    detector : name of an area detector of its run
    """
    from smalldata_ana.detector.det_object import DetObject

    made: dict[str, DetObject] = session.det_objects
    if detector not in made:
        made[detector] = DetObject(detector, session.run)
    return made[detector]


def _array(session: Any, detector: str, attribute: str) -> Any:
    return getattr(det_object(session, detector), attribute)


def _itself(value: Any) -> Any:
    return value
