"""`DetObject`: a detector with the functions that work on its images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.protocol import Array, Field, Function
from smalldata_ana.errors import DetectorNotFound, ParameterError, unknown
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event


@dataclass
class EventData:
    """What a detector holds of one event.

    Attributes
    ----------
    dat : the calibrated image, float32, or None if the detector has no data
    results : what the functions found, by function and key
    """

    dat: Array | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


class DetObject:
    """An area detector of a run: its calibrated images, and functions of them.

    Parameters
    ----------
    detname : the detector's name in the data acquisition
    run_or_env : the run, as `open_run` returns it
    run_number : the number of that run; only checked, it may be left out
    common_mode : number of the common mode, or None for the detector's default
    name : what its results are called, if not `detname`
    applyMask : 1 or 2 sets the pixels that are not good to 0
    maskCentral : mask the wide pixels in the middle of a chip

    Attributes
    ----------
    run : the run
    evt : the event that was read last; a new object for each event
    funcs : the functions, by name
    calibration : how raw frames become images

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if an option has a value that is not allowed
    """

    def __init__(
        self,
        detname: str,
        run_or_env: Run,
        run_number: int | None = None,
        /,
        *,
        common_mode: int | None = None,
        name: str | None = None,
        applyMask: int = 0,
        maskCentral: bool = True,
    ) -> None:
        self.run = run_or_env
        self._check(detname, run_number, applyMask, maskCentral)
        self.detname = detname
        self.name = name or detname
        self.applyMask = applyMask
        self.maskCentral = maskCentral
        self.calibration = Calibration.for_run(self.run, detname, common_mode)
        self.evt = EventData()
        self.funcs: dict[str, Function] = {}

    def _check(
        self, detname: str, run_number: int | None, apply_mask: int, central: bool
    ) -> None:
        where = f"{self.run.experiment} run {self.run.number}"
        if detname not in self.run.detectors:
            raise DetectorNotFound(
                unknown("area detector", detname, self.run.detectors, where)
            )
        if run_number is not None and int(run_number) != self.run.number:
            raise ParameterError(f"run number {run_number} was given with {where}")
        if apply_mask not in {0, 1, 2}:
            raise ParameterError(f"applyMask = {apply_mask!r} is not 0, 1 or 2")
        if not central:
            raise ParameterError("maskCentral=False is not supported yet")

    @property
    def _name(self) -> str:
        """What the results are called, as users' scripts spell it."""
        return self.name

    @property
    def common_mode(self) -> int:
        """Number of the common mode that is done."""
        return self.calibration.common_mode

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image: (panels, rows, columns), or (rows, columns)."""
        return self.calibration.shape

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Pixels to use, bool, the shape of an image."""
        return self.calibration.good

    @property
    def unit(self) -> str:
        """The unit of the images."""
        return self.calibration.unit

    def addFunc(self, func: Function) -> None:
        """Attach a function, and prepare it for this detector.

        Raises
        ------
        ParameterError
            if the name is taken, or the function does not fit the detector
        """
        if func.name in self.funcs:
            raise ParameterError(
                f"{self.name!r} has a function {func.name!r} already; give another name"
            )
        func.setFromDet(self)
        self.funcs[func.name] = func

    def getData(self, evt: Event) -> None:
        """Read and calibrate the detector's image of an event into ``evt.dat``.

        Parameters
        ----------
        evt : an event of the detector's run
        """
        self.evt = EventData()
        raw = self.run.read(self.detname, evt.number)
        if raw is None:
            return
        image: Array = self.calibration(raw)
        self.evt.dat = np.where(self.good, image, 0) if self.applyMask else image

    def processFuncs(self) -> None:
        """Let all functions work on the event that was read last.

        Where the detector has no data, the results are NaN (or `MISSING_INTEGER`).
        """
        for name, func in self.funcs.items():
            self.evt.results[name] = (
                {key: item.missing() for key, item in func.describe().items()}
                if self.evt.dat is None
                else dict(func.process(self.evt.dat))
            )

    def describe(self) -> dict[str, Field]:
        """Return the results that `getUserData` gives for each event."""
        return {
            f"{name}_{key}": item
            for name, func in self.funcs.items()
            for key, item in func.describe().items()
        }


def getUserData(det: DetObject) -> dict[str, Any]:
    """Return the results of a detector's functions for its last event.

    Parameters
    ----------
    det : a detector after ``getData`` and ``processFuncs``

    Returns
    -------
    The results as ``<function>_<key>``.
    """
    return {
        f"{name}_{key}": value
        for name, results in det.evt.results.items()
        for key, value in results.items()
    }
