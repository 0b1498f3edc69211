"""The arrays that a dark run fills, on top of the constants that are valid now."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kinds import Kind
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.constants import Constants

Array = npt.NDArray[Any]

_FRESH: dict[str, tuple[type, float]] = {
    "pedestals": (np.float32, np.nan),
    "pixel_rms": (np.float32, np.nan),
    "pixel_status": (np.uint64, 0),
}
"""Type, and what stands for 'never measured': a status bit there would take the pixel
away in all gain stages."""


class PedestalArrays:
    """Pedestals, noise and status, by gain stage and for all panels.

    A dark run fills the gain stages and panels that it took; the others stay.

    Parameters
    ----------
    constants : those that are valid now
    info, kind : the detector
    """

    def __init__(self, constants: Constants, info: DetectorInfo, kind: Kind) -> None:
        self._constants, self._info, self._kind = constants, info, kind
        self._lead = len(kind.gain_stages)
        self._old = {name: self._before(name) for name in _FRESH}
        panels = max(
            [max(info.panels) + 1]
            + [old.shape[1] for old in self._old.values() if old is not None]
        )
        self._shape = (self._lead, panels, *info.shape[-2:])
        self._arrays = {name: self._start(name) for name in _FRESH}
        self._taken: set[int] = set()

    def usual_noise(self, stage: int) -> float | None:
        """Return the median noise of a stage by the constants, or None [ADU]."""
        old = self._old["pixel_rms"]
        known = None if old is None else old[stage][old[stage] > 0]
        return None if known is None or not known.size else float(np.median(known))

    def again_good(self, stage: int, status: npt.NDArray[np.uint64]) -> int:
        """Return how many pixels of a stage are bad in the constants, but not by this.

        Parameters
        ----------
        stage : its number
        status : what is to be put in, shape of a frame
        """
        before = self._of_panels("pixel_status", stage).reshape(status.shape)
        return int(np.count_nonzero((before != 0) & (status == 0)))

    def fill(
        self, stage: int, mean: Array, rms: Array, status: npt.NDArray[np.uint64]
    ) -> None:
        """Put in what was found in a gain stage, in the shape of a frame.

        A pixel without a mean keeps its constants.
        """
        self._taken.add(stage)
        measured = np.isfinite(mean)
        found = {"pedestals": mean, "pixel_rms": rms}
        for name, values in found.items():
            before = self._of_panels(name, stage).reshape(mean.shape)
            self._put(name, stage, np.where(measured, values, before))
        self._put("pixel_status", stage, status)

    def finished(self, name: str) -> Array:
        """Return an array in the shape that the constants of the detector have."""
        array = self._arrays[name]
        before = self._constants.array(name)
        if before is not None and before.size == array.size:
            return array.reshape(before.shape)
        if self._lead == 1:
            array = array[0]
        return array if self._info.shape[:-2] else array[0]

    def notes(self) -> list[str]:
        """Return remarks on what stays, and on what is lacking."""
        notes = [self._misfit(name) for name in _FRESH if self._is_misfit(name)]
        others = [n for n in range(self._lead) if n not in self._taken]
        if not others:
            return notes
        names = ", ".join(self._kind.gain_stages[n] for n in others)
        old = self._constants.items.get("pedestals")
        if self._old["pedestals"] is None or old is None:
            return [
                *notes,
                f"there are no constants of {names}: pixels in these stages give 0",
            ]
        return [*notes, f"{names} stay as they are ({old.validity}, {old.origin})"]

    def _before(self, name: str) -> Array | None:
        """Return a constant, (stages, panels, rows, columns), if it fits."""
        value = self._constants.array(name)
        if value is None or not 2 <= value.ndim <= 4:
            return None
        full: Array = value.reshape((1,) * (4 - value.ndim) + value.shape)
        stages, panels, *pixels = full.shape
        fits = (
            stages == self._lead
            and panels > max(self._info.panels)
            and tuple(pixels) == self._info.shape[-2:]
        )
        return full if fits else None

    def _is_misfit(self, name: str) -> bool:
        return self._old[name] is None and name in self._constants.items

    def _misfit(self, name: str) -> str:
        constant = self._constants.items[name]
        return (
            f"the {name} that are valid now ({constant.origin}) do not fit the "
            "detector; nothing is taken from them"
        )

    def _start(self, name: str) -> Array:
        dtype, fresh = _FRESH[name]
        array = np.full(self._shape, fresh, dtype)
        old = self._old[name]
        if old is not None:
            array[:, : old.shape[1]] = old
        return array

    def _of_panels(self, name: str, stage: int) -> Array:
        return self._arrays[name][stage, list(self._info.panels)]

    def _put(self, name: str, stage: int, values: Array) -> None:
        panels = values.reshape(-1, *values.shape[-2:])
        self._arrays[name][stage, list(self._info.panels)] = panels
