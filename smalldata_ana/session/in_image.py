"""The image that a command is to work on, in whichever form it is given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.errors import ParameterError, UsageError, unknown

if TYPE_CHECKING:
    from smalldata_ana.detector.calibration import Calibration

Array = npt.NDArray[Any]
InImage = AverageImage | npt.ArrayLike | Mapping[str, Any]
"""An average, an array in the shape of the detector's frames or of its assembled image,
or a table with 'image' and, if wanted, 'mask' (1 = use), 'detname' and 'name'."""

_KEYS = ("image", "mask", "detname", "name")


def average_of(
    session: Any,
    inImage: InImage | None = None,
    detname: str | None = None,
    imgName: str | None = None,
) -> AverageImage:
    """Return what a command is to work on as an `AverageImage`.

    Parameters
    ----------
    session : the session: its run and images
    inImage : see `InImage`; without it, an image of the session is taken.  An array is
        taken to be in the unit of the detector's calibrated images
    detname : name of the detector; that in the table wins
    imgName : which image of the session, by default the latest of the detector

    Raises
    ------
    UsageError
        if the table has no image
    ParameterError
        if a key of the table is unknown, or the image or mask has neither the shape of
        the detector's frames nor that of its assembled image
    """
    if isinstance(inImage, AverageImage):
        return inImage
    if inImage is None or (isinstance(inImage, Mapping) and not inImage):
        found: AverageImage = session.getAvImage(detname, imgName)
        return found
    given = _table(inImage)
    detector = session.pick_detector(given.get("detname") or detname)
    return _given(session.run, detector, given)


def _table(in_image: npt.ArrayLike | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(in_image, Mapping):
        return {"image": in_image}
    for key in in_image:
        if key not in _KEYS:
            raise ParameterError(unknown("key", str(key), _KEYS, "inImage"))
    if in_image.get("image") is None:
        raise UsageError("inImage has no 'image'; give an array under this key")
    return in_image


def _given(run: Any, detector: str, given: Mapping[str, Any]) -> AverageImage:
    from smalldata_ana.detector.calibration import Calibration
    from smalldata_ana.detector.nominal_geometry import positions_of

    calibration = Calibration.for_run(run, detector, None, lenient=True)

    @functools.cache
    def geometry() -> ImageGeometry:
        shape = calibration.shape
        return ImageGeometry.from_positions(positions_of(run, detector), shape)

    data = _as_frame("image", given["image"], calibration, geometry)
    good = calibration.good & np.isfinite(data)
    if given.get("mask") is not None:
        mask = _as_frame("mask", given["mask"], calibration, geometry)
        good = good & (mask == 1)
    data.setflags(write=False)
    return AverageImage(
        name=str(given.get("name") or f"inImage_{detector}"),
        detector=detector,
        data=data,
        unit=calibration.unit,
        good=good,
        events=np.empty(0, np.int64),
        timestamps=np.empty(0, np.uint64),
        made={
            "experiment": run.experiment,
            "run": run.number,
            "detector": detector,
            "common_mode": None,
            "correction": "given as inImage",
            "notes": (),
        },
        find_geometry=geometry,
    )


def _as_frame(what: str, given: Any, calibration: Calibration, geometry: Any) -> Array:
    """Return an image in raw shape, float32, a copy; gaps of an assembled one go."""
    try:
        array = np.array(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"the {what} of inImage is not an array: {error}"
        ) from None
    if array.shape == calibration.shape:
        return array
    layout: ImageGeometry = geometry()
    if array.shape == layout.shape:
        return np.asarray(array[layout.ix, layout.iy])
    raise ParameterError(
        f"the {what} of inImage has the shape {array.shape}; frames of "
        f"{calibration.detector!r} have {calibration.shape}, and its assembled image "
        f"has {layout.shape}"
    )
