"""The commands that make, show and compare calibration constants."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import DetectorNotFound, NoDataError, UsageError, unknown
from smalldata_ana.session.calibration_tables import comparison_table, pedestal_table
from smalldata_ana.session.progress import Progress
from smalldata_ana.session.selecting import Filter, choose_events
from smalldata_ana.session.state import SessionState
from smalldata_ana.sources.events import choose, selection_mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from smalldata_ana.common_mode_noise import Comparison
    from smalldata_ana.detector.geometry import ImageGeometry
    from smalldata_ana.detector.kind_model import CommonModeChoice
    from smalldata_ana.pedestals import Pedestals
    from smalldata_ana.sources.base import Indices, Run
    from smalldata_ana.sources.constants_store import ConstantsStore

Array = npt.NDArray[Any]

_ONLY_STORE = "calib"
"""The folder's name by which users of smalldata_tools mean the store."""


_ALSO_BEFORE = (
    "note: no dark run comes before it, so it is also for the runs from 1 on; begin= "
    "names another first run"
)


class CalibrationCommands(SessionState):
    """`makePedestal`, `plotCalib`, `plotCalibHisto`, `compareCommonMode`."""

    def makePedestal(
        self,
        detname: str | None = "None",
        useFilter: Filter | None = None,
        numEvts: int = -1,
        pedRange: tuple[float, float] | None = None,
        rmsRange: tuple[float, float] | None = None,
        i0Check: str | None = "ipm",
        dirname: str | os.PathLike[str] | None = "./",
        *,
        runs: Sequence[int] | None = None,
        stages: Sequence[str] | None = None,
        begin: int | None = None,
        end: int | None = None,
        deploy: bool = True,
        plot: bool = True,
    ) -> Pedestals:
        """Make pedestals, noise and pixel status from this dark run.

        They are put into the constants store, and calibrate this experiment's runs
        from then on; gain stages that the run did not take stay as they are.  Lit
        shots and stray photons are left out, and a run that is not dark is refused.
        The noise includes the common mode.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        useFilter : events to use: name of a selection (``'xoff'``), boolean array over
            the run's events, or timestamps
        numEvts : how many events, spread over each run; -1 for all
        pedRange : lowest and highest pedestal of a good pixel [ADU], for all gain
            stages; by default it is judged by the other pixels of its panel
        rmsRange : the same of the noise [ADU]; by default within a factor of 4 of the
            gain stage's median
        i0Check : None takes the run as dark, whatever its event codes and frames say;
            with any text they are looked at
        dirname : folder for psana's text files, ``<det>/<constant>/<begin>-end.data``;
            None or 'calib': no text files
        runs : numbers of the dark runs, if it is not this one, or several: one for
            each gain stage
        stages : names of the gain stages to make; by default all that were taken
        begin : first run that they are for; by default the dark run.  The first dark
            run of an experiment is also for the runs before it
        end : last run that they are for; by default until further notice
        deploy : put them into the store
        plot : show them

        Returns
        -------
        ``.pedestals``, ``.rms``, ``.status``, ``.stages`` (what was found), ``.notes``.

        Examples
        --------
        >>> anaps.makePedestal("epix100")  # doctest: +SKIP
        >>> anaps.makePedestal("jungfrau1M", runs=[7, 8, 9], begin=5)  # doctest: +SKIP
        """
        from smalldata_ana.pedestals import make_pedestals, usual_begin

        detector = self.pick_detector(detname)
        with ExitStack() as stack:
            numbers = runs or [self.run.number]
            opened = [stack.enter_context(self._dark_run(n)) for n in numbers]
            progress = stack.enter_context(Progress(f"pedestals of {detector}"))
            made = make_pedestals(
                opened,
                detector,
                events=[
                    self._dark_events(run, detector, numEvts, useFilter)
                    for run in opened
                ],
                stages=stages,
                ped_range=pedRange,
                rms_range=rmsRange,
                require_dark=i0Check is not None,
                progress=progress,
            )
        print(pedestal_table(made))
        first = usual_begin(made, self._store()) if begin is None else begin
        if first < min(made.runs) and begin is None:
            print(_ALSO_BEFORE)
        if deploy:
            self._deploy(made, first, end)
        if dirname is not None and str(dirname) != _ONLY_STORE:
            _export(made, Path(dirname).expanduser(), first, end)
        if plot:
            runs_text = ", ".join(map(str, made.runs))
            self._plot_constants(
                detector,
                made.constants(),
                f"{made.experiment} run {runs_text}, {detector}: new constants",
            )
        return made

    def plotCalib(self, detname: str | None = "None") -> Figure:
        """Show pedestals and noise that are valid for this run, by gain stage.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several

        Returns
        -------
        The figure: images, and histograms of the good pixels.

        Examples
        --------
        >>> anaps.plotCalib("epix100")  # doctest: +SKIP
        """
        detector = self.pick_detector(detname)
        constants = self.run.constants(detector)
        found = {
            name: np.asarray(constants.items[name].value)
            for name in ("pedestals", "pixel_rms", "pixel_status")
            if name in constants.items
        }
        if "pedestals" not in found:
            raise NoDataError(
                f"there are no pedestals of {detector!r} for {self.title()}; make "
                "them from a dark run: anaps.makePedestal(...)"
            )
        item = constants.items["pedestals"]
        print(f"pedestals valid for runs {item.validity}, from {item.origin}")
        title = f"{self.title()}, {detector}: constants of runs {item.validity}"
        return self._plot_constants(detector, found, title)

    def plotCalibHisto(self, detname: str | None = "None") -> Figure:
        """Show how pedestals and noise changed from dark run to dark run.

        All constants of the store are shown, for the runs for which they are valid:
        the median over the pixels, and where 68 % of the pixels are.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several

        Examples
        --------
        >>> anaps.plotCalibHisto("epix100")  # doctest: +SKIP
        """
        from smalldata_ana.session.calibration_plots import (
            constants_history,
            plot_history,
        )

        detector = self.pick_detector(detname)
        history = constants_history(
            self._store(), detector, self._stage_names(detector)
        )
        if not history:
            raise NoDataError(
                f"the store {self._store().folder} has no pedestals of {detector!r}; "
                "make them from a dark run: anaps.makePedestal(...)"
            )
        title = f"{self.run.experiment}, {detector}: constants by run"
        return plot_history(history, self.run.number, title)

    def compareCommonMode(
        self,
        detname: str | None = "None",
        common_modes: Sequence[CommonModeChoice] = (),
        numEvts: int = 100,
        useFilter: Filter | None = None,
        plot: bool = True,
    ) -> Comparison:
        """Compare common-mode corrections: noise, noise of rows and columns, signal.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        common_modes : numbers of the corrections; by default all that the detector
            has, but raw data
        numEvts : how many events, spread over the run
        useFilter : events to use, as in `AvImage`; ``'xoff'`` (dropped shots) tells
            the noise best
        plot : show them

        Returns
        -------
        ``.modes`` with all numbers, ``.recommended`` and ``.reason``.

        Examples
        --------
        >>> anaps.compareCommonMode("epix100", [0, 46]).recommended  # doctest: +SKIP
        """
        from smalldata_ana.common_mode_noise import compare_common_modes

        detector = self.pick_detector(detname)
        events = choose_events(
            self.run,
            detector,
            numEvts,
            self.selections,
            use_filter=useFilter,
            uniform=True,
        )
        with Progress(f"common modes of {detector}", "images") as progress:
            comparison = compare_common_modes(
                self.run,
                detector,
                common_modes,
                events=events.numbers,
                progress=progress,
            )
        print(comparison_table(comparison))
        if plot:
            from smalldata_ana.session.comparison_plots import plot_comparison

            plot_comparison(comparison, self._geometry(detector))
        return comparison

    def _dark_run(self, number: int) -> AbstractContextManager[Run]:
        """Give a run of the experiment, and close it in the end if it is another."""
        if number == self.run.number:
            return nullcontext(self.run)
        from smalldata_ana.opening import open_run

        where = self.places
        run = open_run(
            self.run.experiment,
            number,
            # The usual two folders are found without being named.
            xtc_dir=where.xtc[0] if len(where.xtc) == 1 else None,
            calib_dir=where.calib if where.calib_given else None,
        )
        return closing(run)

    def _dark_events(
        self, run: Run, detector: str, count: int, use_filter: Filter | None
    ) -> Indices:
        from smalldata_ana.sources.light_status import selections

        by_name = use_filter is None or isinstance(use_filter, str)
        if not by_name and run is not self.run:
            raise UsageError(
                "with other runs, useFilter can only be the name of a selection"
            )
        named = self.selections if run is self.run else selections(run)
        mask = selection_mask(run, use_filter, named) & _contributed(run, detector)
        return choose(run, count, uniform=True, selection=mask)

    def _store(self) -> ConstantsStore:
        from smalldata_ana.sources.constants_store import ConstantsStore

        return ConstantsStore(self.places.calib)

    def _deploy(self, made: Pedestals, begin: int, end: int | None) -> None:
        from smalldata_ana.pedestals import deploy
        from smalldata_ana.sources.constants import validity

        store, detector = self._store(), made.detector
        paths = deploy(made, store, begin, end)
        print(f"valid for runs {validity(begin, end)}; in the store {store.folder}:")
        print("\n".join(f"  {path.relative_to(store.folder)}" for path in paths))
        self.run.forget_constants(detector)
        used = self.run.constants(detector).items.get("pedestals")
        if used is None or used.origin != str(paths[0]):
            what = "none" if used is None else f"{used.validity}, {used.origin}"
            print(f"note: {self.title()} itself has other pedestals: {what}")

    def _geometry(self, detector: str) -> ImageGeometry:
        from smalldata_ana.detector.geometry import ImageGeometry
        from smalldata_ana.detector.nominal_geometry import positions_of

        shape = self.run.detectors[detector].shape
        return ImageGeometry.from_positions(positions_of(self.run, detector), shape)

    def _stage_names(self, detector: str) -> Sequence[str]:
        from smalldata_ana.detector.kinds import kind_of

        info = self.run.detectors[detector]
        return kind_of(info.dettype, info.shape).gain_stages

    def _plot_constants(
        self, detector: str, constants: Mapping[str, Array], title: str
    ) -> Figure:
        from smalldata_ana.session.calibration_plots import plot_constants

        return plot_constants(
            constants,
            self.run.detectors[detector],
            self._stage_names(detector),
            self._geometry(detector),
            title,
        )


def _contributed(run: Run, detector: str) -> Array:
    if detector not in run.detectors:
        where = f"{run.experiment} run {run.number}"
        raise DetectorNotFound(unknown("area detector", detector, run.detectors, where))
    return run.contributed(detector)


def _export(made: Pedestals, folder: Path, begin: int, end: int | None) -> None:
    from smalldata_ana.pedestals import export_text

    paths = export_text(made, folder, begin, end)
    print("as psana's text:")
    print("\n".join(f"  {path}" for path in paths))
