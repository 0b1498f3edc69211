"""The commands that hand what was found to the producer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.session.export import ExportReport


class ParameterCommands(SessionState):
    """`exportParams`."""

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
