"""The commands that hand what was found to the producer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.ana_funcs.regions import Region
    from smalldata_ana.session.export import ExportReport
    from smalldata_ana.session.tools.roi import RoiTool


class ParameterCommands(SessionState):
    """`SelectRegion`, `exportParams`."""

    def SelectRegion(
        self,
        detname: str | None = None,
        limits: tuple[float, float] = (5, 99.5),
        *,
        ROI: Region | None = None,
    ) -> RoiTool:
        """Choose a region of a detector; nothing is taken before ``.accept()``.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        limits : colour limits of the picture [percentiles]
        ROI : the region, to choose it without a picture: half-open ``[begin, end)``
            pairs in raw indices, ``[[p0, p1], [r0, r1], [c0, c1]]``, or
            ``[[r0, r1], [c0, c1]]`` for a detector without panels

        Returns
        -------
        A tool with ``.value``, ``.undo()``, ``.redo()``, ``.reset()`` and
        ``.accept(name=None)``.

        Examples
        --------
        >>> roi = anaps.SelectRegion(
        ...     "jungfrau1M", ROI=[[0, 1], [100, 120], [50, 60]]
        ... )  # doctest: +SKIP
        >>> roi.accept(name="ROI_0")  # doctest: +SKIP
        """
        from smalldata_ana.session.tools.roi import RoiTool

        detector = self.pick_detector(detname)
        return RoiTool(
            session=self,
            detector=detector,
            ROI=ROI,
            average=self.images.latest(detector),
        )

    def exportParams(
        self,
        runs: str | int | None = None,
        path: str | os.PathLike[str] | None = None,
        what: str | Iterable[str] | None = None,
    ) -> ExportReport:
        """Append what was accepted to the parameter file of the producer.

        Parameters
        ----------
        runs : for which runs: "12" or 12, "12-" or "12-40"; by default from this run
            on
        path : the file, by default that of the experiment
        what : names or kinds of what to write, by default all of it

        Returns
        -------
        What was written, and for which runs each entry takes effect; it is printed.

        Examples
        --------
        >>> anaps.exportParams(runs="12-")  # doctest: +SKIP
        """
        from smalldata_ana.session.export import export_params

        report = export_params(self, runs, path, what)
        print(report)
        return report
