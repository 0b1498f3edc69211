"""`RingFit`: a fitted centre that knows the command which fits it again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from smalldata_ana.beam_center import CenterFit, Ring
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import BeamCenterError, ParameterError


@dataclass(frozen=True, repr=False)
class RingFit(CenterFit):
    """A fitted centre, and the command that fits it again.

    Attributes
    ----------
    command : of the session
    arguments : of the command, beside the detector
    """

    command: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, fit: CenterFit, command: str, **arguments: Any) -> Self:
        """Return a fit with the command that made it."""
        values = {f.name: getattr(fit, f.name) for f in dataclasses.fields(CenterFit)}
        return cls(**values, command=command, arguments=arguments)

    def summary(self) -> str:
        """Return what was fitted, with errors and units, in one line."""
        parts = [_measured("center", self.center_px, self.center_px_err, "px")]
        if self.pixel_size is not None:
            in_um = _measured("center", self.center_um, self.center_um_err, "um")
            parts.insert(0, in_um)
        if self.rings:
            parts.append(_measured("R", self.radius_px, self.radius_px_err, "px"))
        parts.append(self.how)
        if math.isfinite(self.quality):
            parts.append(f"quality {self.quality:.2f}")
        parts += [f"note: {note}" for note in self.notes]
        return "; ".join(parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def check(self) -> None:
        """Refuse a centre that the fit hardly tells: its quality is 0.

        Raises
        ------
        BeamCenterError
            if it is so
        """
        if self.quality == 0:
            measured = _measured("the centre", self.center_px, self.center_px_err, "px")
            raise BeamCenterError(
                f"{measured}, is hardly told by {self.how}, R = "
                f"{max(self.radius_px):.0f} px: are they all of one ring? Take points "
                "back (.undo()), pick others, use .fit_auto(), or place the ring by "
                "hand (.place(row, column, radius))"
            )


def placed_ring(row: float, column: float, radius: float) -> CenterFit:
    """Return a ring that was placed by hand; its errors are not known.

    Parameters
    ----------
    row, column : of its centre [px]
    radius : [px]

    Raises
    ------
    ParameterError
        if a number is not finite, or the radius not above 0
    """
    if not (math.isfinite(row + column + radius) and radius > 0):
        raise ParameterError(
            f"ring = {row:g}, {column:g}, {radius:g} is no ring: row and column of its "
            "centre, and a radius above 0 [px]"
        )
    ring = Ring(radius, math.nan, 0)
    unknown = np.full((2, 2), np.nan)
    return CenterFit((row, column), unknown, (ring,), math.nan, "placed by hand")


def _measured(
    what: str, values: Sequence[float], errors: Sequence[float], unit: str
) -> str:
    pairs = ", ".join(
        f"{value:.2f} ± {error:.2g}" if math.isfinite(error) else f"{value:.2f}"
        for value, error in zip(values, errors, strict=True)
    )
    return f"{what} = {pairs} {unit}"


def errors_are_lost(
    detector: str, center: Sequence[float], error: Sequence[float]
) -> str:
    """Tell that a centre with errors is replaced by one without."""
    x, y = (f"{c:.1f} ± {e:.2g}" for c, e in zip(center, error, strict=True))
    return (
        f"note: the centre of {detector} that was known with its errors, x = {x}, "
        f"y = {y} um, is replaced by one without errors"
    )


def as_lists(points: Any) -> list[Any]:
    """Return points, or points of several rings, in lists."""
    return [as_lists(item) if np.ndim(item) else float(item) for item in points]


def pixel_of(
    geometry: ImageGeometry, place: tuple[float, float]
) -> tuple[float, float]:
    """Return row and column of a place in the psana frame [um]."""
    row, column = geometry.image_from_um(*place)
    return float(row), float(column)
