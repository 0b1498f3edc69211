"""The names after ``anaps.`` that commands make: of images, detectors, results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

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
    """Return what gives the value of each name that commands of a session made.

    They are those of smalldata_tools: ``AvImg_<name>``, ``_mask_AvImg_<name>``
    (1 = good), ``_azint_<name>``, ``<detector>``, and ``<detector>_pedestals``,
    ``_rms``, ``_x``, ``_y``, ``_ix`` and ``_iy``.

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
    for detector, det in session.det_objects.items():
        names[detector] = functools.partial(_itself, det)
        for end, attribute in _ARRAYS.items():
            names[f"{detector}_{end}"] = functools.partial(getattr, det, attribute)
    for image in session.images:
        names[image] = functools.partial(session.images.__getitem__, image)
    return names


def _itself(value: Any) -> Any:
    return value
