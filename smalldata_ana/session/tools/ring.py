"""`RingTool`: fit the centre of the rings of a picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.beam_parameters import BeamParameters, completed
from smalldata_ana.average_image import AverageImage
from smalldata_ana.azimuth_center import (
    PHI_BINS,
    PictureSource,
    RefinedCenter,
    refined_center,
)
from smalldata_ana.beam_center import (
    CenterFit,
    Support,
    find_center,
    fit_circle,
    fit_circle_threshold,
)
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.errors import BeamCenterError, ParameterError, UsageError, counted
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.beam_questions import unknown_of_beam
from smalldata_ana.session.known_beam import beam_in_numbers
from smalldata_ana.session.known_geometry import KIND, known_geometry
from smalldata_ana.session.made_on_image import made_on_image
from smalldata_ana.session.tools.base import Tool
from smalldata_ana.session.tools.ring_fit import (
    RingFit,
    as_lists,
    errors_are_lost,
    pixel_of,
    placed_ring,
)

Mask = npt.NDArray[np.bool_]
Point = list[float]

_FEWEST = 3
"""Points that make a circle."""


class Shown(Protocol):
    """A window that shows what a tool has."""

    def show(self) -> None:
        """Draw it anew."""


class RingTool(Tool[RingFit]):
    """The centre of rings that is being fitted; nothing is taken before `accept`.

    Each fit becomes the value.  Rows and columns are those of the assembled image,
    whole in the middle of a pixel.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    average : the image that is fitted
    good : pixels to use, bool, shape of the image's data; by default those that are
        good
    options : what else the command was given, for `scripted`
    start : the value to begin with, or None

    Attributes
    ----------
    figure : the picture that shows it, or None
    """

    kind = KIND

    def __init__(
        self,
        session: Any,
        average: AverageImage,
        good: Mask | None = None,
        options: Mapping[str, Any] | None = None,
        start: Any = None,
    ) -> None:
        self.session = session
        self.average = average
        self.detector = average.detector
        self.good = average.good if good is None else good
        self._options = dict(options or {})
        self._waiting: list[Point] = []
        self.figure: Shown | None = None
        super().__init__(None if start is None else self.checked(start))
        session.tools.add(self)
        session.tools.keep(self)  # where it begins, nobody has chosen yet

    def changed(self) -> None:
        """Show the rings anew, if there is a figure."""
        if self.figure is not None:
            self.figure.show()

    def checked(self, value: CenterFit) -> RingFit:
        """Return a fit in the frame of the detector."""
        if not isinstance(value, CenterFit):
            raise ParameterError(
                f"{value!r} is no fitted centre; use .fit_points(…), .fit_threshold() "
                "or .fit_auto(), or a CenterFit of smalldata_ana.beam_center"
            )
        if not isinstance(value, RingFit):
            value = RingFit.of(value, "")
        place = self._place
        if all(getattr(value, key) == place[key] for key in place):
            return value
        return dataclasses.replace(value, **place)

    # -- fits --------------------------------------------------------------------------

    @property
    def points(self) -> list[Point]:
        """The points that were picked: row and column [px]."""
        fitted = self.value.arguments.get("points", []) if self.value else []
        return [*fitted, *self._waiting]

    def add_point(self, row: float, column: float) -> RingFit | None:
        """Add a point on the ring; from the third on, a circle is fitted.

        Parameters
        ----------
        row, column : of the assembled image [px]

        Returns
        -------
        The value, or None as long as the points tell no circle.
        """
        points = [*self.points, [float(row), float(column)]]
        try:
            return self.fit_points(points)
        except BeamCenterError:
            # Further points may tell a circle.
            self._waiting.append(points[-1])
            self.changed()
            return self.value

    def fit_points(self, points: Sequence[Any]) -> RingFit:
        """Fit a circle to points; a note tells if the picture contradicts the centre.

        Parameters
        ----------
        points : row and column of each [px]; or for each of several rings a list of
            points

        Raises
        ------
        BeamCenterError
            if they do not tell a centre
        ParameterError
            if they are not pairs of numbers
        """
        fit = self._support.checked(fit_circle(points))
        return self._set(fit, "FitCircle", points=as_lists(points))

    def fit_threshold(self, percentile: float = 99.0) -> RingFit:
        """Fit a circle to the brightest pixels.

        Parameters
        ----------
        percentile : of the good pixels, above which they are taken

        Raises
        ------
        BeamCenterError
            if they do not lie on a circle
        ParameterError
            if it is not between 0 and 100
        """
        image, good = self.picture
        fit = fit_circle_threshold(image, good=good, percentile=percentile)
        return self._set(fit, "FitCircleThreshold", thresIn=percentile)

    def fit_auto(self) -> RingFit:
        """Find the centre of all rings without a guess.

        Raises
        ------
        BeamCenterError
            if no rings are seen
        """
        return self._set(find_center(*self.picture), "FitCircleAuto")

    def place(self, row: float, column: float, radius: float) -> RingFit:
        """Take a ring that was placed by hand; its errors are not known.

        Parameters
        ----------
        row, column : of its centre [px]
        radius : [px]

        Raises
        ------
        ParameterError
            if a number is not finite, or the radius not above 0
        """
        ring = [float(row), float(column), float(radius)]
        return self._set(placed_ring(*ring), "FitCircle", ring=ring)

    def refine(
        self, center: Sequence[float] | None = None, phi_bins: int = PHI_BINS
    ) -> RefinedCenter:
        """Refine a centre with how the rings depend on the azimuth.

        Distance and tilts are taken as they are known.

        Parameters
        ----------
        center : x and y to begin with [um]; by default the value, or the centre that
            is known
        phi_bins : number of azimuths

        Returns
        -------
        What was found; it becomes the value, too.

        Raises
        ------
        UsageError
            if no centre is known
        BeamCenterError
            if there are no rings to tell
        GeometryError
            if the places of the pixels are not known
        """
        known = beam_in_numbers(self.session, self.detector)
        if center is None:
            center = known.get("center") if self.value is None else self.value.center_um
        if center is None:
            raise UsageError(
                f"no centre of {self.detector!r} is known to begin with; give "
                "center=(x, y) [um], or accept one of FitCircleAuto"
            )
        start = BeamParameters(**completed({"center": list(center)}, known))
        source = PictureSource(
            self.detector,
            self.good,
            self.average.unit,
            positions_of(self.session.run, self.detector),
        )
        found = refined_center(
            source,
            self.average.data,
            (start.center[0], start.center[1]),
            distance=start.dis_to_sam,
            tilt=(start.tx, start.ty),
            phi_bins=phi_bins,
        )
        fit = CenterFit(
            center_px=pixel_of(self.average.geometry, found.center),
            covariance=found.covariance / self._place["pixel_size"] ** 2,
            rings=(),
            quality=math.nan,
            how=f"azimuthal averages in {phi_bins} sectors",
        )
        self._set(fit, "centerFromAzimuth", center=start.center, phiBins=phi_bins)
        return found

    def _set(self, fit: CenterFit, command: str, **arguments: Any) -> RingFit:
        self._waiting.clear()
        made_by = self.checked(RingFit.of(fit, command, **self._options, **arguments))
        self.value = made_by
        return made_by

    @cached_property
    def picture(self) -> tuple[npt.NDArray[np.float32], Mask]:
        """The assembled image, and its pixels to use; gaps are not."""
        geometry = self.average.geometry
        good = self.good.astype(np.float32)
        return self.average.image, geometry.assemble(good, fill=0) == 1

    @cached_property
    def _support(self) -> Support:
        return Support(*self.picture)

    @cached_property
    def _place(self) -> dict[str, Any]:
        geometry = self.average.geometry
        return {"pixel_size": geometry.pixel_size, "corner": geometry.corner}

    # -- steps -------------------------------------------------------------------------

    def undo(self) -> RingFit | None:
        """Take back the last point or fit; as `Tool.undo`."""
        if self._waiting:
            self._waiting.pop()
            self.changed()
            return self.value
        points = self.points
        value = super().undo()
        if value is None and len(points) == _FEWEST:
            # They were clicked one after the other; the first two stay.
            self._waiting = points[:-1]
            self.changed()
        return value

    def redo(self) -> RingFit | None:
        """Take back an undo; as `Tool.redo`."""
        value = super().redo()
        self._waiting.clear()
        return value

    def reset(self) -> RingFit | None:
        """Forget all points and fits; as `Tool.reset`."""
        self._waiting.clear()
        return super().reset()

    # -- results -----------------------------------------------------------------------

    def accept(self, name: str | None = None) -> Entry:
        """Take the centre: it becomes the detector's ``geometry`` for `exportParams`.

        Distance, energy, tilts and polarization stay as they are known; they may
        follow, and a note says so where distance or energy are not known.

        Parameters
        ----------
        name : a detector has one geometry, which has no name

        Raises
        ------
        UsageError
            if nothing was fitted, or a name is given
        BeamCenterError
            if the fit hardly tells the centre
        ParameterError
            if the place of the pixels is not known
        """
        fit = self.value
        if fit is None:
            raise UsageError(
                "no centre was fitted; pick points (.add_point, .fit_points), or use "
                ".fit_threshold() or .fit_auto()"
            )
        if name is not None:
            raise UsageError(f"a geometry has no name; .accept() without {name!r}")
        fit.check()
        values = known_geometry(self.session, self.detector)
        known, known_err = values.get("center"), values.pop("center_err", None)
        values["center"] = list(fit.center_um)
        if np.all(np.isfinite(fit.center_um_err)):
            values["center_err"] = list(fit.center_um_err)
        elif known is not None and known_err is not None:
            print(errors_are_lost(self.detector, known, known_err))
        run = self.session.run.number
        entry = Entry(self.detector, KIND, RunRange(run), values, made=self._made(fit))
        entry.make()
        self.session.take(entry, self)
        if note := unknown_of_beam(self.session, self.detector):
            print(f"note: {note}")
        return entry

    def _made(self, fit: RingFit) -> dict[str, Any]:
        how, notes = fit.command or "RingTool", "; ".join(fit.notes) or None
        return made_on_image(how, self.session, self.average, fit=fit.how, notes=notes)

    def scripted(self) -> str:
        """Return the command that does the same without a mouse.

        Raises
        ------
        UsageError
            if nothing was fitted, not with a command, or on an image that is not one
            of the session's
        """
        if self.value is None or not self.value.command:
            raise UsageError("there is no fit that a command makes")
        if self.average.name not in self.session.images:
            raise UsageError(
                f"{self.average.name} was given to the command; the session has no "
                "such image"
            )
        given = "".join(f", {k}={v!r}" for k, v in self.value.arguments.items())
        return f"anaps.{self.value.command}({self.detector!r}{given})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.detector}, {self.summary()}>"

    def summary(self) -> str:
        """Return what was fitted, with errors and units, in one line."""
        if self.value is None:
            return f"{counted(len(self.points), 'point')}, no centre yet"
        return self.value.summary()
