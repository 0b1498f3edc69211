"""Calibration constants brought into the shape of a detector's frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kinds import Kind
from smalldata_ana.errors import ConstantsError, DetectorNotFound, counted, unknown
from smalldata_ana.sources.base import DetectorInfo, Run
from smalldata_ana.sources.constants import Constant, Constants

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_OF_PIXELS = (
    "pedestals",
    "pixel_rms",
    "pixel_gain",
    "pixel_offset",
    "pixel_status",
    "pixel_mask",
)
_FOR_ALL_STAGES = ("pixel_status", "pixel_mask")
"""The constants that may be given once for all gain stages."""

_FROM_DARKS = ("pedestals", "pixel_rms")

_STATUS_STAGES = 5
"""Gain stages whose status counts, as in psana: of the seven of an epix10ka, the last
two are not measured but computed."""


def area_detector(run: Run, detector: str) -> DetectorInfo:
    """Return what a run says of an area detector.

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    """
    if detector not in run.detectors:
        where = f"{run.experiment} run {run.number}"
        raise DetectorNotFound(unknown("area detector", detector, run.detectors, where))
    return run.detectors[detector]


class DetectorConstants:
    """The constants of a detector for the panels that its data hold.

    What does not fit the frames is left out, with a note: an image is then made
    without it, down to raw data, and says so.  `check` makes it an error.

    Parameters
    ----------
    info : the detector
    kind : its row of the table of kinds
    constants : as they are kept, for all panels

    Attributes
    ----------
    notes : remarks for people, which grow while constants are asked for
    """

    def __init__(self, info: DetectorInfo, kind: Kind, constants: Constants) -> None:
        self.info = info
        self.kind = kind
        self.constants = constants
        self.notes = list(constants.notes)

    def by_stage(self, name: str) -> Array | None:
        """Return a constant of each gain stage.

        The result shares the memory of the constants where their type and panels are
        those of the data; do not write into it.

        Parameters
        ----------
        name : e.g. ``pedestals``

        Returns
        -------
        float32 ``(stages, *frame)``, or None where there is none.
        """
        value = self._fitted(name)
        return None if value is None else np.asarray(value, np.float32)

    def status(self) -> Array | None:
        """Return the status bits of each gain stage, (stages, *frame), 0 = good.

        There may be one stage for all.  None where there are none.
        """
        return self._fitted("pixel_status")

    def status_good(self) -> Mask:
        """Return the pixels without a status bit in any gain stage, shape of a frame.

        This is what psana multiplies calibrated images with.
        """
        status = self.status()
        if status is None:
            return np.ones(self.info.shape, np.bool_)
        return _everywhere(stage == 0 for stage in status[:_STATUS_STAGES])

    def status_bits(self) -> dict[int, int]:
        """Return how many pixels have each status bit in any gain stage.

        Returns
        -------
        The number of pixels by the value of the bit, of those bits that there are.
        """
        status = self.status()
        if status is None:
            return {}
        words = status[:_STATUS_STAGES].astype(np.uint64)
        bits = np.bitwise_or.reduce(words, axis=0)
        there = int(np.bitwise_or.reduce(bits, axis=None))
        values = [1 << n for n in range(64) if there >> n & 1]
        return {v: int(np.count_nonzero(bits & np.uint64(v))) for v in values}

    def mask_good(self) -> Mask:
        """Return the pixels that the deployed mask keeps, shape of a frame.

        It is 1 = good, as psana's.
        """
        mask = self._fitted("pixel_mask")
        if mask is None:
            return np.ones(self.info.shape, np.bool_)
        return _everywhere(stage != 0 for stage in mask)

    def check(self) -> None:
        """Check that the constants of the pixels are of this detector's shape.

        Raises
        ------
        ConstantsError
            if some are not, or `pixel_mask` is not of 0 and 1: all of them
        """
        there = [self.constants.items.get(name) for name in _OF_PIXELS]
        found = (self._misfit(c, np.asarray(c.value)) for c in there if c)
        wrong = [misfit for misfit in found if misfit]
        if wrong:
            raise ConstantsError(
                f"{'; '.join(wrong)}. Put what fits with `smalldata-ana calib put "
                f"{self.info.name} CONSTANT FILE --begin RUN`; common_mode=-1 gives "
                "raw data"
            )

    def lacks(self, name: str) -> str:
        """Say that there is no constant of a name, and what to do.

        What was left out, and why, is said with it.

        Parameters
        ----------
        name : one of the constants of the pixels
        """
        detector = self.info.name
        places = " or ".join(self.constants.places) or "the constants of the run"
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"there are no {name} of {detector!r} in {places}; their shape would be "
            f"{self._wanted(name)}{notes}. {self._remedy(name)}"
        )

    def unusable(self, name: str, why: str) -> str:
        """Say that a constant that there is cannot be used, and what to do.

        Parameters
        ----------
        name : one of the constants of the pixels
        why : what it is, e.g. ``in no pixel a number above 0``
        """
        return (
            f"{name} of {self.info.name!r} is {why}; from "
            f"{self.constants.items[name].origin}. {self._remedy(name)}"
        )

    def _remedy(self, name: str) -> str:
        detector = self.info.name
        dark = f"make them with anaps.makePedestal({detector!r}) in a dark run, or "
        return (
            f"To have them, {dark * (name in _FROM_DARKS)}"
            f"`smalldata-ana calib put {detector} {name} FILE --begin RUN`, or "
            "`smalldata-ana calib import`"
        )

    def _fitted(self, name: str) -> Array | None:
        constant = self.constants.items.get(name)
        if constant is None:
            return None
        value = np.asarray(constant.value)
        misfit = self._misfit(constant, value)
        if not misfit:
            full = value.reshape((1,) * (4 - value.ndim) + value.shape)
            return self._of_panels(full).reshape(-1, *self.info.shape)
        note = f"{misfit}; left out"
        if note not in self.notes:
            self.notes.append(note)
        return None

    def _fits(self, name: str, value: Array) -> bool:
        if value.ndim not in {2, 3, 4}:
            return False
        stages, panels, *frame = (1,) * (4 - value.ndim) + value.shape
        allowed = {len(self.kind.gain_stages), 1 if name in _FOR_ALL_STAGES else None}
        return (
            stages in allowed
            and panels > max(self.info.panels)
            and tuple(frame) == self.info.shape[-2:]
        )

    def _of_panels(self, value: Array) -> Array:
        panels = self.info.panels
        if panels == tuple(range(value.shape[1])):
            return value
        return value[:, panels]

    def _misfit(self, constant: Constant, value: Array) -> str:
        """Say what is wrong with a constant, or return an empty string."""
        what = f"{constant.name} of {self.info.name!r}"
        if not self._fits(constant.name, value):
            return (
                f"{what} have the shape {value.shape}, but frames of the shape "
                f"{self.info.shape} need {self._wanted(constant.name)}; from "
                f"{constant.origin}"
            )
        if constant.name == "pixel_mask":
            others = value[(value != 0) & (value != 1)]
            if others.size:
                return (
                    f"{what} has the value {others[0]} (in all "
                    f"{counted(others.size, 'value')} other than 0 and 1), but it must "
                    f"be 1 where a pixel is good, else 0; from {constant.origin}"
                )
        return ""

    def _wanted(self, name: str) -> str:
        """Return the shape of a constant as it is kept, with what its axes are."""
        axes = {"rows": self.info.shape[-2], "columns": self.info.shape[-1]}
        if len(self.info.shape) > 2 or None not in self.kind.panel_shape:
            panels = max(self.info.panels) + 1
            axes = {f"at least {counted(panels, 'panel')}": panels, **axes}
        stages = len(self.kind.gain_stages)
        if stages > 1 and name != "pixel_mask":
            axes = {"gain stages": stages, **axes}
        return f"{tuple(axes.values())} ({', '.join(axes)})"


def _everywhere(masks: Iterator[Mask]) -> Mask:
    """Return where all masks are True; they are made one after the other."""
    good = next(masks)
    for mask in masks:
        good &= mask
    return good
