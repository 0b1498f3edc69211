"""A mask goes into the constants store: a step of its own, with a range of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.mask_shapes import Mask
from smalldata_ana.detector.masks import MaskParts
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.constants_store import ConstantsStore, Record

if TYPE_CHECKING:
    from smalldata_ana.session.tools.mask import MaskTool

_NAME = "pixel_mask"


def put_user_mask(
    tool: MaskTool, begin: int | None, end: int | None, *, keep: bool
) -> Path:
    """Put the mask of a tool into the store; as `MaskTool.to_store`."""
    session = tool.session
    run, detector = session.run, tool.detector
    good = tool.good
    if keep:
        good = good & MaskParts.for_run(run, detector).good(calib=True)
    if not good.any():
        raise ParameterError(
            "every pixel is masked; such a mask is not put into a store"
        )
    info = run.detectors[detector]
    path = ConstantsStore(session.places.calib).put(
        detector,
        _NAME,
        _for_all_panels(good, info),
        run.number if begin is None else begin,
        end,
        serial=info.serial,
        made={"origin": f"MakeMask, {session.title()}"},
    )
    run.forget_constants(detector)
    return path


def stored_before(tool: MaskTool, begin: int | None, end: int | None) -> Record | None:
    """Return the user mask that `put_user_mask` would replace, or None."""
    session = tool.session
    first = session.run.number if begin is None else begin
    records = ConstantsStore(session.places.calib).list(tool.detector)
    of_these = [r for r in records if (r.name, r.begin, r.end) == (_NAME, first, end)]
    return of_these[0] if of_these else None


def _for_all_panels(good: Mask, info: DetectorInfo) -> npt.NDArray[np.uint8]:
    """Return a mask for all panels, whichever the data have: 1 = good."""
    if good.ndim == 2:
        return good.astype(np.uint8)
    full = np.ones((max(info.panels) + 1, *good.shape[1:]), np.uint8)
    full[list(info.panels)] = good
    return full
