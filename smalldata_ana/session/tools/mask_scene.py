"""What a mask is drawn on: a detector with its image and constants."""

from __future__ import annotations

import dataclasses

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.detector_constants import DetectorConstants, area_detector
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.kinds import kind_of
from smalldata_ana.detector.mask_shapes import Scene
from smalldata_ana.detector.masks import MaskParts
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.errors import ParameterError
from smalldata_ana.sources.base import Run


def scene_of(run: Run, detector: str, average: AverageImage | None = None) -> Scene:
    """Return what masks of a detector are drawn on.

    Parameters
    ----------
    run : the run
    detector : name of an area detector of the run
    average : its average image, or None

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if the image is not one of these frames
    """
    info = area_detector(run, detector)
    if average is not None and average.shape != info.shape:
        raise ParameterError(
            f"{average.name} is an image of frames of {average.shape}, and "
            f"{detector!r} has {info.shape} in this run; average it anew"
        )
    kind = kind_of(info.dettype, info.shape)
    constants = DetectorConstants(info, kind, run.constants(detector))
    return Scene(
        geometry=_geometry(run, detector) if average is None else average.geometry,
        kind=kind,
        good=MaskParts(constants).cmask(),
        values={
            "image": lambda: None if average is None else average.data,
            "pedestal": lambda: constants.by_stage("pedestals"),
            "noise": lambda: constants.by_stage("pixel_rms"),
        },
    )


def _geometry(run: Run, detector: str) -> ImageGeometry:
    shape = run.detectors[detector].shape
    return ImageGeometry.from_positions(positions_of(run, detector), shape)


def check_panel(scene: Scene, panel: int | None) -> None:
    """Check the number of the only panel to draw on.

    Raises
    ------
    ParameterError
        if the detector has no such panel
    """
    panels = scene.panels if len(scene.shape) > 2 else 0
    if panel is not None and not 0 <= panel < panels:
        raise ParameterError(
            f"singleTile = {panel}: the detector has {panels} panels, from 0; -1 draws "
            "on all of it"
        )


def panel_image(average: AverageImage, panel: int) -> AverageImage:
    """Return the image of one panel, in the panel's own rows and columns.

    Parameters
    ----------
    average : the image of the detector
    panel : number of the panel in its frames
    """
    return dataclasses.replace(
        average,
        name=f"{average.name}_panel{panel}",
        data=average.data[panel],
        good=average.good[panel],
        find_geometry=lambda: ImageGeometry.from_positions(None, average.shape[1:]),
        std=None,
        median=None,
        median_error=None,
        max=None,
        hits=None,
    )
