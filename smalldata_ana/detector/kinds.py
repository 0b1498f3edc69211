"""Kinds of area detectors: find one, and add one's own.

A new kind is a row of the table in `smalldata_ana.detector.kind_table`, not a branch;
`register_kind` adds one at run time::

    register_kind(Kind("mycam", "my camera", pixel_size=5.5))
"""

from __future__ import annotations

from smalldata_ana.detector.kind_model import (
    ADU,
    KEV,
    RAW,
    CommonMode,
    Correction,
    Kind,
    label_of,
)
from smalldata_ana.detector.kind_table import GENERIC, TABLE

__all__ = [
    "ADU",
    "GENERIC",
    "KEV",
    "RAW",
    "CommonMode",
    "Correction",
    "Kind",
    "kind_of",
    "label_of",
    "register_kind",
]

_kinds = {(kind.dettype, kind.panels): kind for kind in TABLE}


def kind_of(dettype: str, shape: tuple[int, ...] | None = None) -> Kind:
    """Return the kind of a detector by its type in the data acquisition.

    Parameters
    ----------
    dettype : e.g. ``jungfrau``
    shape : of a frame, ``(panels, rows, columns)`` or ``(rows, columns)``: tells
        detectors of one type by their number of panels, as an ePix10ka quad and an
        ePix10k2M; None: what they have in common

    Returns
    -------
    The row of the table for this number of panels, else that of the type, else
    `GENERIC`.
    """
    kind = _kinds.get((dettype, None), GENERIC)
    if shape is None:
        return kind
    panels = shape[0] if len(shape) == 3 else 1
    return _kinds.get((dettype, panels), kind)


def register_kind(kind: Kind) -> None:
    """Add a kind to the table, or replace those of the same type.

    A kind with a number of panels replaces only the one of that number.

    Raises
    ------
    ParameterError
        if the kind contradicts itself; see `Kind.check`
    """
    kind.check()
    if kind.panels is None:
        for key in [key for key in _kinds if key[0] == kind.dettype]:
            del _kinds[key]
    _kinds[kind.dettype, kind.panels] = kind
