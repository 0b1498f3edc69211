"""The commands that hand what was found to the producer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.session.export_report import ExportReport


class ParameterCommands(SessionState):
    """`exportParams`, `forget`."""

    def exportParams(
        self,
        runs: str | int | None = None,
        path: str | os.PathLike[str] | None = None,
        what: str | Iterable[str] | None = None,
        replace: bool = False,
    ) -> ExportReport:
        """Append what was accepted to the parameter file of the producer.

        Parameters
        ----------
        runs : for which runs: "12" or 12, "12-" or "12-40"; by default from this run
            on
        path : the file, by default that of the experiment
        what : names or kinds of what to write, by default all of it
        replace : let it apply to all of these runs, also where an older entry of the
            same name begins later; nothing in the file is edited

        Returns
        -------
        What was written, what it replaces, value by value, and for which runs each
        entry takes effect; it is printed.

        Examples
        --------
        >>> anaps.exportParams(runs="12-")  # doctest: +SKIP
        """
        from smalldata_ana.session.export import export_params

        report = export_params(self, runs, path, what, replace=replace)
        print(report)
        return report

    def forget(self, name: str, detname: str | None = None) -> None:
        """Withdraw what was accepted and is not exported yet.

        What stands in the parameter file stays there; a region of it can be removed
        with ``anaps.ROIs.remove(name)``.

        Parameters
        ----------
        name : of what was accepted; or the kind of it, e.g. ``"geometry"``, which has
            no name
        detname : of which detector, where several have something of that name

        Examples
        --------
        >>> anaps.forget("ROI_0")  # doctest: +SKIP
        """
        from smalldata_ana.session.export import accepted_as

        for entry in accepted_as(self.pending, name, detname):
            self.pick_detector(entry.detector)
            self.pending[:] = [e for e in self.pending if e is not entry]
            print(f"forgotten: {entry}")
