"""In which gain stage a raw frame was taken: from its words and its configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kinds import Kind, kind_of
from smalldata_ana.errors import ConstantsError, ParameterError
from smalldata_ana.sources.base import Run

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Stages = npt.NDArray[np.int8]

NEARLY_ALL = 0.9
"""Share of the pixels that have to be in one stage for a frame to be of this stage."""

_BITS_SHIFT = 14


class FrameStages:
    """Splits the raw frames of one detector of a run into gain stage and data.

    Parameters
    ----------
    run, detector : whose frames

    Raises
    ------
    ParameterError
        if the frames are not of the type that the kind of detector has
    """

    def __init__(self, run: Run, detector: str) -> None:
        info = run.detectors[detector]
        self.kind: Kind = kind_of(info.dettype, info.shape)
        if self.kind.data_mask is not None and info.dtype != np.uint16:
            raise ParameterError(
                f"raw frames of {info.dettype!r} are uint16 words, but those of "
                f"{detector!r} are {info.dtype}"
            )
        self._run, self._detector = run, detector
        self._by_step: dict[int, Stages] = {}

    def split(self, raw: Array, event: int) -> tuple[int | None, Image]:
        """Return the gain stage of a frame, and its data.

        Parameters
        ----------
        raw : the frame
        event : its number in the run; the configuration of its step counts

        Returns
        -------
        stage : the one that nearly all pixels are in, or None where there is none
        values : float32, the data bits; NaN where a pixel is in another stage
        """
        if self.kind.data_mask is None:
            return 0, raw.astype(np.float32)
        values = np.bitwise_and(raw, self.kind.data_mask).astype(np.float32)
        if len(self.kind.gain_stages) == 1:
            return 0, values
        stages = self._stages(raw, event)
        stage, share = _most(stages)
        if stage < 0 or share < NEARLY_ALL:
            return None, values
        values[stages != stage] = np.nan
        return stage, values

    def _stages(self, raw: Array, event: int) -> Stages:
        """Return the gain stage of each pixel, negative where a word is invalid."""
        bits = np.bitwise_and(raw, self.kind.gain_bits) >> _BITS_SHIFT
        planes: Stages = np.array(self.kind.plane_of_bits, np.int8)[bits]
        if self.kind.configured_stages is None:
            return planes
        step = int(self._run.steps[event])
        if step not in self._by_step:
            self._by_step[step] = self._configured(self.kind, event)
        first, switched = self._by_step[step]
        stages: Stages = np.where(planes == 1, switched, first)
        return stages

    def _configured(self, kind: Kind, event: int) -> Stages:
        configuration = self._run.gain_configuration(self._detector, event)
        if configuration is None or kind.configured_stages is None:
            raise ConstantsError(
                f"{self._run.experiment} run {self._run.number} has no gain "
                f"configuration of {self._detector!r}, without which the gain stage of "
                "its pixels is not known"
            )
        return kind.configured_stages(configuration)


def _most(stages: Stages) -> tuple[int, float]:
    """Return the stage that most pixels are in, and their share."""
    counts = np.bincount(stages.reshape(-1) + 1)
    most = int(np.argmax(counts))
    return most - 1, float(counts[most] / stages.size)
