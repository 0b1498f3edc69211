"""`DetObject`: a detector with the functions that work on its images."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.detector.common_mode_ghost import FramesBefore
from smalldata_ana.detector.function_results import (
    Fields,
    as_described,
    functions_as_dict,
    missing_results,
)
from smalldata_ana.detector.kind_model import CommonModeChoice
from smalldata_ana.detector.pixel_arrays import PixelArrays
from smalldata_ana.detector.protocol import (
    Array,
    Environment,
    Field,
    Function,
    chained_names,
    described_as,
    run_of,
)
from smalldata_ana.detector.shots import Shot
from smalldata_ana.detector.sums import Sums
from smalldata_ana.errors import (
    DetectorNotFound,
    NameNotFound,
    ParameterError,
    SmallDataError,
    did_you_mean,
    unknown,
)
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.constants import Constant
from smalldata_ana.sources.events import Event

logger = logging.getLogger(__name__)

T = TypeVar("T")

Failed = Callable[[str, Exception], None]
"""Is told which function raised what on an event."""

_FIRST = 10
"""Of so many images one must be good for a function that cannot work on zeros."""


@dataclass
class EventData:
    """What a detector holds of one event.

    Attributes
    ----------
    event : the event, or None before the first
    dat : the calibrated image, float32, or None if the detector has no data
    results : what the functions found, as ``<function>_<key>``
    """

    event: Event | None = None
    dat: Array | None = None
    results: dict[str, Array] = field(default_factory=dict)


class DetObject(PixelArrays):
    """An area detector of a run: its calibrated images, and functions of them.

    Its constants, masks and positions of pixels are those of `PixelArrays`.  A function
    is also an attribute of its name, e.g. ``det.azav``, unless the detector has another
    one of that name.

    Parameters
    ----------
    detname : the detector's name in the data acquisition
    run_or_env : the run, as `open_run` returns it, or an environment that has it
    run_number : the number of that run; only checked, it may be left out
    common_mode : number of the common mode, or psana's parameters as a tuple, or a
        table with what it needs beside (`smalldata_ana.detector.common_mode_inputs`),
        or None for the detector's default
    name : what its results are called, if not `detname`
    applyMask : 1 sets the pixels outside of `mask` to 0, 2 those outside of `cmask`
    maskCentral : mask the wide pixels where two chips meet; False divides the images
        by the areas of the pixels instead

    Attributes
    ----------
    run : the run
    evt : the event that was read last; a new object for each event
    funcs : the functions, by name
    sums : the sums over the events, by key; see `storeSum`
    calibration : how raw frames become images
    local_gain : float32, shape of a frame; what images are multiplied with, or None

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if an option has a value that is not allowed
    ConstantsError
        if constants are missing or are not this detector's; with ``common_mode=-1``
        the images are raw data, whatever the constants are
    GeometryError
        if the geometry among the constants is not this detector's
    """

    def __init__(
        self,
        detname: str,
        run_or_env: Run | Environment,
        run_number: int | None = None,
        /,
        *,
        common_mode: CommonModeChoice | None = None,
        name: str | None = None,
        applyMask: int = 0,
        maskCentral: bool = True,
    ) -> None:
        run = run_of(run_or_env)
        _check(run, detname, run_number, applyMask)
        calibration = Calibration.for_run(run, detname, common_mode)
        _log(detname, calibration.notes)
        super().__init__(run, detname, calibration, maskCentral)
        self.name = name or detname
        self.applyMask = applyMask
        self._asked_common_mode = common_mode
        self._before = FramesBefore(run, detname, calibration.looks_back)
        self.evt = EventData()
        self.funcs: dict[str, Function] = {}
        self._frozen = False
        self.sums = Sums(self.shape, lambda: self.geometry)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        funcs = f", functions: {', '.join(self.funcs)}" if self.funcs else ""
        return (
            f"<DetObject {self.name}: {shape} pixels [{self.unit}], common mode "
            f"{self.common_mode}{funcs}>"
        )

    def __getattr__(self, name: str) -> Function:
        # Before `__init__` has run, as in a copy, there are no functions.
        funcs: Mapping[str, Function] = vars(self).get("funcs", {})
        if name not in funcs:
            hint = did_you_mean(name, [n for n in dir(self) if not n.startswith("_")])
            raise AttributeError(f"a DetObject has no {name!r}.{hint}")
        return funcs[name]

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *vars(self).get("funcs", {})]

    @property
    def _name(self) -> str:
        """What the results are called, as users' scripts spell it."""
        return self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image: (panels, rows, columns), or (rows, columns)."""
        return self.calibration.shape

    @property
    def unit(self) -> str:
        """The unit of the images."""
        return self.calibration.unit

    # -- events ------------------------------------------------------------------------

    def getData(self, evt: Event) -> None:
        """Read and calibrate the detector's image of an event into ``evt.dat``.

        Parameters
        ----------
        evt : an event of the detector's run

        Raises
        ------
        ParameterError
            if it is of another run
        """
        if evt.run is not self.run:
            raise ParameterError(
                f"{self.name!r} is of {self.run.experiment} run {self.run.number}, and "
                f"the event of {evt.run.experiment} run {evt.run.number} opened apart"
            )
        self.evt = EventData(evt)
        raw = self.run.read(self.detname, evt.number)
        if raw is None:
            return
        image: Array = self.calibration(raw, before=self._before(evt.number))
        if not self.maskCentral:
            image /= self.areas
        if self.local_gain is not None:
            image *= self.local_gain
        if self.applyMask:
            mask = self.mask if self.applyMask == 1 else self.cmask
            image[mask == 0] = 0
        self.evt.dat = image

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
        func.attach(self)
        described = {} if self._frozen else self._described(func)
        taken = self.fields.keys() & described.keys()
        if taken:
            raise ParameterError(
                f"{func.name!r} gives {sorted(taken)}, which another function of "
                f"{self.name!r} gives already; give another name"
            )
        self.funcs[func.name] = func
        self._forget_fields()

    def removeFunc(self, name: str) -> None:
        """Detach a function.

        Raises
        ------
        NameNotFound
            if there is none of that name
        """
        if name not in self.funcs:
            raise NameNotFound(unknown("function", name, self.funcs, self.name))
        del self.funcs[name]
        self._forget_fields()

    def processFuncs(self, failed: Failed | None = None) -> None:
        """Let all functions work on the event that was read last.

        Where the detector has no data, the results are NaN (or `MISSING_INTEGER`), or
        have length 0 if their length may differ.

        Parameters
        ----------
        failed : is told what a function raised, whose results are then missing in this
            event; by default the error is raised, and the event has no results

        Raises
        ------
        ParameterError
            if a result is not of the type and shape that its function described
        """
        results: dict[str, Array] = {}
        for name, func in self.funcs.items():
            if self.evt.dat is None:
                results |= missing_results(self.fields_of[name])
                continue
            try:
                results |= self._results_of(name, func, self.evt.dat)
            except Exception as error:
                if failed is None:
                    raise
                failed(name, error)
                results |= missing_results(self.fields_of[name])
        self.evt.results = results

    def _results_of(self, name: str, func: Function, image: Array) -> dict[str, Array]:
        found = chained_names(name, _going_on(lambda: func.process(image)))
        if found.keys() != self.fields_of[name].keys():
            self._forget_fields()
        return as_described(found, self.fields_of[name])

    def freeze(self, fields_of: Fields | None = None) -> None:
        """Hold the functions to a description; other results are an error from now on.

        Functions that are attached later are not asked for theirs.

        Parameters
        ----------
        fields_of : the results of each function; default: what they describe now
        """
        self.fields_of = dict(fields_of or self.fields_of)
        vars(self).pop("fields", None)
        self._frozen = True

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The results that the functions give for each event."""
        return {key: f for of in self.fields_of.values() for key, f in of.items()}

    @cached_property
    def fields_of(self) -> dict[str, Mapping[str, Field]]:
        """What each function described when it was asked last."""
        return {name: self._described(func) for name, func in self.funcs.items()}

    def _described(self, func: Function) -> dict[str, Field]:
        """Return what a function says that it gives, or what it gives first."""
        try:
            return described_as(func.name, _going_on(func.describe))
        except SmallDataError:
            raise
        except Exception:
            with contextlib.closing(self._first_images()) as images:
                for image in images:
                    with contextlib.suppress(Exception):
                        fields = func.described_by(
                            _going_on(functools.partial(func.process, image))
                        )
                        func.forget()
                        return described_as(func.name, fields)
            raise

    def _first_images(self) -> Generator[Array, None, None]:
        """Yield the first images, each as that of the event that was read last."""
        before = self.evt
        there = np.flatnonzero(self.run.contributed(self.detname))
        try:
            for number in there[:_FIRST]:
                with contextlib.suppress(OSError, SmallDataError):
                    self.getData(Event(self.run, int(number)))
                    if self.evt.dat is not None:
                        yield self.evt.dat
        finally:
            self.evt = before

    def _forget_fields(self) -> None:
        if self._frozen:
            return
        for name in ("fields", "fields_of"):
            vars(self).pop(name, None)

    @property
    def lookback(self) -> int:
        """How many events before the first one the functions need to have seen."""
        return max((func.events_before() for func in self.funcs.values()), default=0)

    def forget(self) -> None:
        """Let the functions forget earlier events."""
        for func in self.funcs.values():
            func.forget()

    # -- sums --------------------------------------------------------------------------

    def storeSum(self, sumAlgo: str | None = None) -> Sums:
        """Let a sum over the events begin, before the first event.

        Parameters
        ----------
        sumAlgo : words that say what is summed, e.g. ``calib_thresADU2.5_square``;
            `smalldata_ana.detector.sums` describes them.  None: only return the sums

        Returns
        -------
        All sums by key, with the number of events of each as ``<key>_nEvents``.

        Raises
        ------
        ParameterError
            if a word is unknown, or events were summed already
        """
        if sumAlgo is not None:
            self.sums.define(sumAlgo)
        return self.sums

    def processSums(
        self, dropped: bool | None = None, laser: bool | None = None
    ) -> None:
        """Add the event that was read last to the sums that it belongs to.

        Parameters
        ----------
        dropped : True if its X-rays were dropped
        laser : True if the optical laser was on

        Notes
        -----
        What is not given is taken from the event codes, where a sum needs it.
        """
        event = self.evt.event
        if event is None or self.evt.dat is None:
            return
        shot = Shot(event.number_in_run, dropped, laser)
        if self.sums.need_light and (dropped is None or laser is None):
            shot = shot.with_codes_of(event)
        self.sums.add(self.evt.dat, shot)

    # -- other constants ---------------------------------------------------------------

    def setPed(self, ped: npt.ArrayLike) -> None:
        """Use other pedestals from now on [ADU].

        Parameters
        ----------
        ped : shape of a frame, or ``(stages, *frame)`` for several gain stages

        Pixels whose pedestal is not a number are not `good`, and give 0.

        Raises
        ------
        ParameterError
            if they have another shape, or leave no good pixel; nothing has changed then
        ConstantsError
            if they are no numbers at all; nothing has changed then
        """
        run, calibration = self.run, self.calibration
        info, known = run.detectors[self.detname], calibration.constants
        n_stages = len(calibration.kind.gain_stages)
        frame = info.shape if n_stages == 1 else (n_stages, *info.shape)
        given = self._fitting("pedestals", ped, frame).astype(np.float32)
        # Constants are kept for all panels, whichever the data have.
        full = np.zeros((n_stages, max(info.panels) + 1, *info.shape[-2:]), np.float32)
        full[:, list(info.panels)] = given.reshape(n_stages, -1, *info.shape[-2:])
        constant = Constant("pedestals", full, run.number, run.number, "setPed")
        items = {**known.items, "pedestals": constant}
        new = Calibration.for_run(
            run,
            self.detname,
            self._asked_common_mode,
            constants=dataclasses.replace(known, items=items),
        )
        self._replace("pedestals", calibration=new, ped=None)
        _log(self.detname, [n for n in new.notes if n not in calibration.notes])

    def _prepare(self) -> None:
        super()._prepare()
        self._forget_fields()
        for func in self.funcs.values():
            func.attach(self)

    # -- record ------------------------------------------------------------------------

    def params_as_dict(self) -> dict[str, Any]:
        """Return how the results were made, as ``UserDataCfg/<detector>`` holds it.

        That is the options, the arrays of `PixelArrays`, and the parameters of the
        functions as ``<function>__<function>_<parameter>``, those of a function that
        is chained to it as ``<function>__<chained>_<parameter>``.
        """
        options = {
            "run": self.run.number,
            "name": self.name,
            "detname": self.detname,
            "applyMask": self.applyMask,
            "maskCentral": self.maskCentral,
            "unit": self.unit,
        }
        return options | self.arrays_as_dict() | functions_as_dict(self.funcs)


def _going_on(call: Callable[[], T]) -> T:
    """Call what may be a user's: it may fail, but not end the program."""
    try:
        return call()
    except SystemExit as error:
        raise RuntimeError(f"it called sys.exit({error.code!r})") from error


def _log(detname: str, notes: Iterable[str]) -> None:
    for note in notes:
        logger.warning("%s: %s", detname, note)


def _check(run: Run, detname: str, run_number: int | None, apply_mask: int) -> None:
    where = f"{run.experiment} run {run.number}"
    if detname not in run.detectors:
        raise DetectorNotFound(unknown("area detector", detname, run.detectors, where))
    if run_number is not None and int(run_number) != run.number:
        raise ParameterError(f"run number {run_number} was given with {where}")
    if apply_mask not in {0, 1, 2}:
        raise ParameterError(f"applyMask = {apply_mask!r} is not 0, 1 or 2")
