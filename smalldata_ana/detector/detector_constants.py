"""Calibration constants brought into the shape of a detector's frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kinds import Kind
from smalldata_ana.errors import DetectorNotFound, unknown
from smalldata_ana.sources.base import DetectorInfo, Run
from smalldata_ana.sources.constants import Constant, Constants

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

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
    without it, down to raw data, and says so.

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
        value = self._fitted(name, {len(self.kind.gain_stages)})
        return None if value is None else np.asarray(value, np.float32)

    def status(self) -> Array | None:
        """Return the status bits of each gain stage, (stages, *frame), 0 = good.

        There may be one stage for all.  None where there are none.
        """
        return self._fitted("pixel_status", {1, len(self.kind.gain_stages)})

    def status_good(self) -> Mask:
        """Return the pixels without a status bit in any gain stage, shape of a frame.

        This is what psana multiplies calibrated images with.
        """
        status = self.status()
        if status is None:
            return np.ones(self.info.shape, np.bool_)
        good: Mask = (status[:_STATUS_STAGES] == 0).all(axis=0)
        return good

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
        """Return the pixels that the deployed mask keeps, shape of a frame."""
        mask = self._fitted("pixel_mask", {1, len(self.kind.gain_stages)})
        if mask is None:
            return np.ones(self.info.shape, np.bool_)
        good: Mask = (mask != 0).all(axis=0)
        return good

    def _fitted(self, name: str, stages: set[int]) -> Array | None:
        constant = self.constants.items.get(name)
        if constant is None:
            return None
        value = np.asarray(constant.value)
        full = value.reshape((1,) * (4 - value.ndim) + value.shape)
        if value.ndim in {2, 3, 4} and self._fits(full, stages):
            return self._of_panels(full).reshape(-1, *self.info.shape)
        self.notes.append(f"{self._misfit(constant, value)}; left out")
        return None

    def _fits(self, value: Array, stages: set[int]) -> bool:
        rows_columns = self.info.shape[-2:]
        return (
            value.shape[0] in stages
            and value.shape[1] > max(self.info.panels)
            and value.shape[2:] == rows_columns
        )

    def _of_panels(self, value: Array) -> Array:
        panels = self.info.panels
        if panels == tuple(range(value.shape[1])):
            return value
        return value[:, panels]

    def _misfit(self, constant: Constant, value: Array) -> str:
        panels = max(self.info.panels) + 1
        lead = (len(self.kind.gain_stages), panels)
        wanted = (*lead, *self.info.shape[-2:])
        return (
            f"{constant.name} of {self.info.name!r} have the shape {value.shape}, but "
            f"frames of the shape {self.info.shape} need {wanted} (gain stages, at "
            f"least {panels} panels, rows, columns); from {constant.origin}"
        )
