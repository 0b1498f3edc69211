"""Masks of a detector from what is known of its kind, and from its constants.

In the core a mask is ``good``: bool, True = use, the shape of a frame.  Users have
uint8 with 1 = good (`as_users`).  The reasons to leave a pixel out have the names of
psana's mask options:

===============  ================================================================
``calib``        the mask that was put into the constants, ``pixel_mask``
``status``       a bit of ``pixel_status``, in any gain stage
``edges``        the rim of each panel
``central``      the wide pixels where two chips of a panel meet
``unbond``       pixels that are not connected to the sensor
``unbondnbrs``   these and their four neighbours
``unbondnbrs8``  these and their eight neighbours
===============  ================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.detector_constants import (
    DetectorConstants,
    area_detector,
)
from smalldata_ana.detector.kind_model import Kind
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import Run

Mask = npt.NDArray[np.bool_]
Shape = tuple[int, ...]

REASONS = (
    "calib",
    "status",
    "edges",
    "central",
    "unbond",
    "unbondnbrs",
    "unbondnbrs8",
)
"""The reasons by name; see the top of this module."""

GEOMETRIC = ("unbond", "unbondnbrs", "status", "edges", "central")
"""Reasons of the specification's ``mask``; its ``cmask`` has ``calib`` as well."""

_NEIGHBOURS: Mapping[int, tuple[tuple[int, int], ...]] = {
    0: (),
    4: ((-1, 0), (1, 0), (0, -1), (0, 1)),
    8: tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j),
}


def as_users(good: Mask) -> npt.NDArray[np.uint8]:
    """Return a mask as users have it: uint8, 1 = good."""
    return good.astype(np.uint8)


def edges(
    kind: Kind, shape: Shape, rows: int | None = None, cols: int | None = None
) -> Mask:
    """Return True but for the rim of each panel.

    Parameters
    ----------
    kind : the kind of the detector
    shape : of a frame
    rows, cols : how many at each side, or None for those that the kind has

    Raises
    ------
    ParameterError
        if a number is negative
    """
    rows = kind.edges[0] if rows is None else rows
    cols = kind.edges[1] if cols is None else cols
    _check_width(rows, cols)
    good = np.zeros(shape, np.bool_)
    good[..., rows : shape[-2] - rows, cols : shape[-1] - cols] = True
    return good


def central(kind: Kind, shape: Shape, rows: int = 1, cols: int = 1) -> Mask:
    """Return True but for the wide pixels where two chips of a panel meet.

    Parameters
    ----------
    kind : the kind of the detector; if it has no wide pixels, all are good
    shape : of a frame, which holds whole panels
    rows, cols : how many at each side of the border

    Raises
    ------
    ParameterError
        if a number is negative, or the frames do not hold whole panels: it is not
        known then where the chips meet
    """
    _check_width(rows, cols)
    good = np.ones(shape, np.bool_)
    if kind.wide_pixel_size is None:
        return good
    _check_panels(kind, shape)
    chip_rows, chip_cols = _chip(kind, shape)
    for border in range(chip_rows, shape[-2], chip_rows):
        good[..., border - rows : border + rows, :] = False
    for border in range(chip_cols, shape[-1], chip_cols):
        good[..., border - cols : border + cols] = False
    return good


def unbonded(kind: Kind, shape: Shape, neighbours: int = 0) -> Mask:
    """Return True but for pixels that are not connected to the sensor.

    Parameters
    ----------
    kind : the kind of the detector; if it has no such pixels, all are good
    shape : of a frame, which holds whole panels
    neighbours : 0, 4 or 8: mask so many neighbours on the same chip as well

    Raises
    ------
    ParameterError
        if `neighbours` has another value, or the frames do not hold whole panels
    """
    if neighbours not in _NEIGHBOURS:
        raise ParameterError(f"neighbours = {neighbours!r} is not 0, 4 or 8")
    if not kind.unbonded:
        return np.ones(shape, np.bool_)
    _check_panels(kind, shape)
    chip_rows, chip_cols = _chip(kind, shape)
    chip = np.zeros((chip_rows, chip_cols), np.bool_)
    for index in kind.unbonded:
        chip[index] = True
    chip = _grown(chip, _NEIGHBOURS[neighbours])
    panel = np.tile(chip, (shape[-2] // chip_rows, shape[-1] // chip_cols))
    return np.broadcast_to(~panel, shape).copy()


def pixel_areas(kind: Kind, shape: Shape) -> npt.NDArray[np.float32]:
    """Return the area of each pixel, relative to a normal one.

    It is what to divide by where wide pixels are used: they collect more light.

    Parameters
    ----------
    kind : the kind of the detector
    shape : of a frame, which holds whole panels

    Returns
    -------
    float32, shape of a frame; 1 where the kind has no wide pixels.

    Raises
    ------
    ParameterError
        if the frames do not hold whole panels
    """
    areas = np.ones(shape, np.float32)
    if kind.wide_pixel_size is None or kind.pixel_size is None:
        return areas
    width = kind.wide_pixel_size / kind.pixel_size
    areas[~central(kind, shape, rows=1, cols=0)] *= width
    areas[~central(kind, shape, rows=0, cols=1)] *= width
    return areas


def _check_width(rows: int, cols: int) -> None:
    if rows < 0 or cols < 0:
        raise ParameterError(f"rows = {rows}, cols = {cols}: they cannot be negative")


def _check_panels(kind: Kind, shape: Shape) -> None:
    if not kind.has_panels_of(shape):
        raise ParameterError(_not_whole(kind, shape))


def _not_whole(kind: Kind, shape: Shape) -> str:
    return (
        f"frames of {shape} do not hold whole panels of {kind.title}, which have "
        f"{kind.panel_shape} pixels: where its wide and unbonded pixels are is not "
        "known"
    )


def _chip(kind: Kind, shape: Shape) -> tuple[int, int]:
    rows, cols = kind.chip_shape
    return rows or shape[-2], cols or shape[-1]


def _grown(chip: Mask, steps: tuple[tuple[int, int], ...]) -> Mask:
    """Return the pixels of a chip and their neighbours, within the chip."""
    rows, cols = chip.shape
    grown = chip.copy()
    for i, j in steps:
        shifted = chip[max(-i, 0) : rows - max(i, 0), max(-j, 0) : cols - max(j, 0)]
        grown[max(i, 0) : rows + min(i, 0), max(j, 0) : cols + min(j, 0)] |= shifted
    return grown


@dataclass(frozen=True)
class MaskCount:
    """How many pixels a reason leaves out.

    Attributes
    ----------
    reason : one of the names at the top of this module
    pixels : left out for this reason
    alone : of these, left out for no other reason of ``cmask``
    """

    reason: str
    pixels: int
    alone: int


class MaskParts:
    """The masks of a detector by reason.

    What is not known of a detector leaves no pixel out, and is noted.

    Parameters
    ----------
    fitted : the constants of the detector, which know its kind and frames

    Attributes
    ----------
    kind : its row of the table of kinds
    shape : of a frame
    """

    def __init__(self, fitted: DetectorConstants) -> None:
        self._fitted = fitted
        self.kind = fitted.kind
        self.shape = fitted.info.shape
        whole = self.kind.has_panels_of(self.shape)
        has_chips = self.kind.wide_pixel_size is not None or self.kind.unbonded
        self._chips_known = whole or not has_chips
        self._notes = [] if self._chips_known else [_not_whole(self.kind, self.shape)]
        self._kept: dict[str, Mask] = {}

    @classmethod
    def for_run(cls, run: Run, detector: str) -> Self:
        """Make the masks of a detector from the constants of a run.

        Raises
        ------
        DetectorNotFound
            if the run has no such area detector
        """
        info = area_detector(run, detector)
        kind = kind_of(info.dettype, info.shape)
        return cls(DetectorConstants(info, kind, run.constants(detector)))

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for people."""
        return (*self._fitted.notes, *self._notes)

    def good(
        self,
        *,
        calib: bool = False,
        status: bool = False,
        edges: bool = False,
        central: bool = False,
        unbond: bool = False,
        unbondnbrs: bool = False,
        unbondnbrs8: bool = False,
    ) -> Mask:
        """Return the pixels that none of some reasons leaves out.

        Parameters
        ----------
        calib, status, edges, central, unbond, unbondnbrs, unbondnbrs8 : the reasons
            to regard; see the top of this module.  As in psana, ``unbondnbrs`` and
            ``unbondnbrs8`` leave out the unbonded pixels themselves, too.

        Returns
        -------
        bool, shape of a frame; a new array.
        """
        wanted = {
            "calib": calib,
            "status": status,
            "edges": edges,
            "central": central,
            "unbond": unbond,
            "unbondnbrs": unbondnbrs,
            "unbondnbrs8": unbondnbrs8,
        }
        good = np.ones(self.shape, np.bool_)
        for reason, regarded in wanted.items():
            if regarded:
                good &= self._of(reason)
        return good

    def status_mask(self) -> Mask:
        """Return the specification's ``statusMask``: the status alone."""
        return self.good(status=True)

    def mask(self, central: bool = True) -> Mask:
        """Return the specification's ``mask``: `GEOMETRIC`.

        Parameters
        ----------
        central : leave out the wide pixels; users call it ``maskCentral``
        """
        return self.good(**dict.fromkeys(GEOMETRIC, True) | {"central": central})

    def cmask(self, central: bool = True) -> Mask:
        """Return the specification's ``cmask``: ``mask``, and the deployed mask."""
        return self.mask(central) & self._of("calib")

    def counts(self, central: bool = True) -> list[MaskCount]:
        """Return how many pixels each reason of ``cmask`` leaves out.

        Parameters
        ----------
        central : regard the wide pixels, as in `mask`
        """
        reasons = [r for r in ("calib", *GEOMETRIC) if central or r != "central"]
        bad = {reason: ~self._of(reason) for reason in reasons}
        # The neighbours include the unbonded pixels, which count once.
        bad["unbondnbrs"] &= ~bad["unbond"]
        left_out = np.sum(list(bad.values()), axis=0, dtype=np.uint8)
        return [
            MaskCount(
                reason,
                int(np.count_nonzero(pixels)),
                int(np.count_nonzero(pixels & (left_out == 1))),
            )
            for reason, pixels in bad.items()
        ]

    def status_bits(self) -> dict[int, int]:
        """Return how many pixels have each status bit in any gain stage, by its value.

        What a bit means is up to the program that made the constants.
        """
        return self._fitted.status_bits()

    def _of(self, reason: str) -> Mask:
        if reason not in self._kept:
            self._kept[reason] = self._makers()[reason]()
        return self._kept[reason]

    def _makers(self) -> Mapping[str, Callable[[], Mask]]:
        kind, shape = self.kind, self.shape
        return {
            "calib": self._fitted.mask_good,
            "status": self._fitted.status_good,
            "edges": lambda: edges(kind, shape),
            "central": lambda: self._of_chips(central),
            "unbond": lambda: self._of_chips(unbonded),
            "unbondnbrs": lambda: self._of_chips(unbonded, neighbours=4),
            "unbondnbrs8": lambda: self._of_chips(unbonded, neighbours=8),
        }

    def _of_chips(self, make: Callable[..., Mask], **options: int) -> Mask:
        if not self._chips_known:
            return np.ones(self.shape, np.bool_)
        return make(self.kind, self.shape, **options)
