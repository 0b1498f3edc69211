"""The commands about single detectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from smalldata_ana.detector.kind_model import CommonModeChoice
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.detector.det_object import DetObject


class DetectorCommands(SessionState):
    """`addDetInfo`, `maskInfo`, `commonModeStr`."""

    def addDetInfo(
        self, detname: str | None = "None", common_mode: CommonModeChoice | None = None
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
        det = DetObject(name, self.run, common_mode=common_mode)
        # Numbers tell all of a correction, but not of one with inputs of its own.
        by_number = not isinstance(common_mode, Mapping)
        if there is not None and by_number and there.common_mode == det.common_mode:
            return there
        if there is not None and there.funcs:
            print(f"{name} has another common mode now; its functions are gone")
        self.det_objects[name] = det
        return det

    def maskInfo(
        self, detname: str | None = "None", maskCentral: bool = True
    ) -> dict[str, int]:
        """Print how many pixels of a detector are masked, and why.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        maskCentral : mask the wide pixels where two chips meet

        Returns
        -------
        The number of masked pixels by reason, and in all, as ``statusMask``, ``mask``
        and ``cmask``.

        Examples
        --------
        >>> anaps.maskInfo("epix100")["edges"]  # doctest: +SKIP
        2940
        """
        from smalldata_ana.detector.masks import MaskParts

        name = self.pick_detector(detname)
        parts = MaskParts.for_run(self.run, name)
        counts = parts.counts(maskCentral)
        masks = {
            "statusMask": parts.status_mask(),
            "mask": parts.mask(maskCentral),
            "cmask": parts.cmask(maskCentral),
        }
        masked = {key: int(mask.size - mask.sum()) for key, mask in masks.items()}
        lines = [f"{name}: masked pixels, and those masked for this reason alone"]
        lines += [f"  {c.reason:<10} {c.pixels:>10} {c.alone:>10}" for c in counts]
        lines += [
            f"  status bit {bit:#x}: {pixels} pixels"
            for bit, pixels in parts.status_bits().items()
        ]
        size = math.prod(parts.shape)
        lines += [
            f"  {key:<10} {number:>10}  {number / size:.3%} of {size}"
            for key, number in masked.items()
        ]
        print("\n".join([*lines, *(f"  note: {note}" for note in parts.notes)]))
        return {c.reason: c.pixels for c in counts} | masked

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
