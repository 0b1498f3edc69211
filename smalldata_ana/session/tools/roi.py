"""`RoiTool`: choose a region of a detector, with the mouse or without."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.regions import (
    Box,
    Region,
    RegionNumbers,
    boxes_within,
    region,
    region_numbers,
)
from smalldata_ana.average_image import AverageImage
from smalldata_ana.errors import DetectorNotFound, UsageError, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.chosen import show_chosen
from smalldata_ana.session.made_on_image import made_on_image
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.regions import KIND
from smalldata_ana.session.tools.base import Tool
from smalldata_ana.session.tools.canvas import ToolFigure
from smalldata_ana.session.tools.free_names import free_name
from smalldata_ana.session.tools.live_numbers import LiveNumbers
from smalldata_ana.session.tools.outlines import Rectangle, region_lines

Mask = npt.NDArray[np.bool_]

_REGION = "region"
_NOTHING = "no region is chosen; set .value, or give ROI=…"


class RoiTool(Tool[Region]):
    """A region that is being chosen; nothing is taken before `accept`.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    detector : name of an area detector of the run
    ROI : the region: a box ``[[p0, p1], [r0, r1], [c0, c1]]`` of half-open pairs in
        raw indices, or a list of boxes
    average : the average image that it is chosen on, or None
    command : the name of the command that made the tool

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if the region makes no sense, or does not lie in the detector
    """

    kind = KIND

    def __init__(
        self,
        session: Any,
        detector: str,
        ROI: Region | None = None,
        average: AverageImage | None = None,
        command: str = "SelectRegion",
    ) -> None:
        run = session.run
        if detector not in run.detectors:
            where = f"{run.experiment} run {run.number}"
            raise DetectorNotFound(
                unknown("area detector", detector, run.detectors, where)
            )
        self.session = session
        self.detector = detector
        self.average = average
        self.figure: ToolFigure | None = None
        self._command = command
        super().__init__(None if ROI is None else self.checked(ROI))
        session.tools.add(self)

    def checked(self, value: Region) -> Region:
        """Return the region with all axes of the detector, checked against it."""
        return region(self._boxes(region(value)))

    def _boxes(self, value: Region) -> list[Box]:
        shape = self.session.run.detectors[self.detector].shape
        return boxes_within(value, shape, self.detector)

    @property
    def image(self) -> AverageImage:
        """The average image.

        Raises
        ------
        UsageError
            if there is none
        """
        if self.average is None:
            raise UsageError(
                f"there is no average image of {self.detector!r} to choose a region "
                f"on; make one: AvImage({self.detector!r})"
            )
        return self.average

    def draw(self, rectangle: Rectangle) -> None:
        """Take the pixels of each panel that a rectangle of the image touches.

        Raises
        ------
        UsageError
            if it touches none, or there is no image
        """
        boxes = self.image.geometry.boxes(*rectangle.pixels())
        if not boxes:
            raise UsageError("this rectangle touches no panel")
        self.value = region(boxes)

    def numbers(self) -> RegionNumbers | None:
        """Return sum, mean and size in the image; None without a region or image."""
        if self.value is None or self.average is None:
            return None
        average = self.average
        return region_numbers(average.data, average.good, self._boxes(self.value))

    @property
    def mask(self) -> Mask:
        """The pixels of the region: bool, shape of a frame, True inside.

        Raises
        ------
        UsageError
            if no region is chosen
        """
        if self.value is None:
            raise UsageError(_NOTHING)
        inside = np.zeros(self.session.run.detectors[self.detector].shape, bool)
        for box in self._boxes(self.value):
            inside[tuple(slice(*pair) for pair in box)] = True
        return inside

    def summary(self) -> str:
        """Return the region and what it holds, as people say it."""
        if self.value is None:
            return "no region"
        numbers = self.numbers()
        if numbers is not None:
            return f"ROI={self.value}, {numbers.text(self.image.unit)}"
        boxes = self._boxes(self.value)
        pixels = sum(math.prod(e - b for b, e in box) for box in boxes)
        return f"ROI={self.value}, {pixels} pixels"

    # -- the picture -------------------------------------------------------------------

    def show(
        self, display: Display, limits: tuple[float, float] | None = None
    ) -> ToolFigure:
        """Open the image, with what is already chosen, for the mouse to draw on.

        Parameters
        ----------
        display : how images are shown
        limits : colour limits [percentiles]; by default those of `display`

        Raises
        ------
        UsageError
            if there is no image
        """
        average = self.image
        title = f"{self._command}_{self.detector}"
        figure = ToolFigure(average, display, title, limits)
        figure.keep(self)
        show_chosen(self.session, figure)
        self.figure = figure
        self.changed()
        return figure

    def changed(self) -> None:
        """Show the region and what it holds."""
        if self.figure is None:
            return
        lines, around = None, None
        if self.value is not None:
            lines = region_lines(self.image.geometry, self._boxes(self.value))
            around = Rectangle.enclosing(lines)
        self.figure.outline(_REGION, lines)
        self.figure.rectangle(self.draw, around, moving=self._say_numbers)
        if self.value is not None:
            self.figure.say(self.summary())

    def _say_numbers(self, rectangle: Rectangle) -> None:
        """Tell what a rectangle holds that is being drawn."""
        numbers = self._live.of(*rectangle.pixels())
        text = numbers.text(self.image.unit) if numbers.size else "no panel"
        if self.figure is not None:
            self.figure.say(text)

    @functools.cached_property
    def _live(self) -> LiveNumbers:
        return LiveNumbers(self.image)

    # -- what comes of it --------------------------------------------------------------

    def accept(self, name: str | None = None) -> Entry:
        """Take the region: it becomes an entry that `exportParams` will write.

        Parameters
        ----------
        name : what its results will be called; by default the first free of
            ``ROI_0``, ``ROI_1``, …

        Raises
        ------
        UsageError
            if no region is chosen, or something else has the name
        ParameterError
            if the name cannot be one
        """
        if self.value is None:
            raise UsageError(_NOTHING)
        run = self.session.run.number
        entry = Entry(
            detector=self.detector,
            kind=KIND,
            runs=RunRange(run),
            values={"ROI": self.value},
            name=name or self.free_name(),
            made=made_on_image(self._command, self.session, self.average),
            automatic=not name,
        )
        entry.make()
        self.session.take(entry, self)
        return entry

    def free_name(self) -> str:
        """Return the first name that neither this session nor the file has."""
        names = (f"ROI_{number}" for number in itertools.count())
        return free_name(self.session, self.detector, names)

    def scripted(self) -> str:
        """Return the command that chooses the same region without a mouse."""
        return f"anaps.{self._command}({self.detector!r}, ROI={self.value})"

    def __repr__(self) -> str:
        return f"<RoiTool: {self.detector}, {self.summary()}>"
