"""The commands about single detectors."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.detector.det_object import DetObject


class DetectorCommands(SessionState):
    """`addDetInfo`, `commonModeStr`."""

    @functools.cached_property
    def det_objects(self) -> dict[str, DetObject]:
        """The detectors of `addDetInfo` by name."""
        return {}

    def addDetInfo(
        self, detname: str | None = "None", common_mode: int | None = None
    ) -> DetObject:
        """Return a detector as the producer has it, also as ``anaps.<detname>``.

        A detector that is there keeps its functions, unless its common mode changes.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        common_mode : number of the correction; by default the usual one of the type

        Examples
        --------
        >>> det = anaps.addDetInfo("epix100")  # doctest: +SKIP
        """
        from smalldata_ana.detector.det_object import DetObject

        name = self.pick_detector(detname)
        there = self.det_objects.get(name)
        if there is not None and there.common_mode == common_mode:
            return there
        if there is not None and there.funcs:
            print(f"{name} has another common mode now; its functions are gone")
        self.det_objects[name] = DetObject(name, self.run, common_mode=common_mode)
        return self.det_objects[name]

    def commonModeStr(self, common_mode: int = 0) -> str:
        """Return what a correction is called in the names of images.

        Parameters
        ----------
        common_mode : number of the correction

        Examples
        --------
        >>> anaps.commonModeStr(0)  # doctest: +SKIP
        'pedSub_'
        """
        from smalldata_ana.detector.kinds import label_of

        return label_of(common_mode)
