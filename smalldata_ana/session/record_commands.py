"""The commands about the session itself: its record, and whether all is in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.errors import counted
from smalldata_ana.session.output_folder import output_folder
from smalldata_ana.session.record import History
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.session.doctor import Diagnosis


class RecordCommands(SessionState):
    """`history`, `saveScript`, `doctor`."""

    def history(self) -> History:
        """Return what was made, integrated, accepted and exported in this session.

        What only shows something, and tools that only choose something and were not
        accepted, are not in it.  Long commands are shortened; `saveScript` writes them
        whole.

        Examples
        --------
        >>> anaps.history()  # doctest: +SKIP
          1  09:12:44  anaps.AvImage(detname='epix100')
                       <AverageImage AvImg_pedSub_epix100: mean [ADU] of 100 events>
        """
        return self.record.steps

    def saveScript(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write a script that does without a mouse what was done in this session.

        ``runSmallDataAna --script FILE`` then makes the same parameter file.

        Parameters
        ----------
        path : the file, by default ``<experiment>_Run<run>.py`` in the folder
            ``scripts`` beside the images; where the experiment has none, in the
            working directory

        Returns
        -------
        The file.

        Examples
        --------
        >>> anaps.saveScript("choose_rois.py")  # doctest: +SKIP
        """
        from smalldata_ana.safe_files import replacing

        text = self.record.script(self.run.experiment, self.run.number)
        if path is None:
            folder = output_folder(self.places, self.places.results / "scripts")
            target = folder / f"{self.file_stem()}.py"
        else:
            target = Path(path).expanduser()
        with replacing(target) as aside:
            aside.write_text(text)
        steps = self.record.to_do_again
        for step in steps:
            if step.problem:
                print(f"note: the script cannot do {step.shown}: {step.problem}")
        print(f"{target}: {counted(len(steps), 'step')}")
        return target

    def doctor(self) -> Diagnosis:
        """Check before a long production whether all is in order.

        Detectors, constants, geometry, masks, regions, the energy and units are
        looked at, for what was accepted and what the parameter file says of this run.

        Returns
        -------
        The findings, one line each with what to do; ``.problems`` are those that are
        not in order.

        Examples
        --------
        >>> anaps.doctor()  # doctest: +SKIP
        """
        from smalldata_ana.session.doctor import diagnose

        return diagnose(self)
