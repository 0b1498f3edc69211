"""`RefinementTool`: distance, centre and tilt from the rings of a calibrant."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.beam_parameters import GeometryParameters
from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.nominal_geometry import positions_of
from smalldata_ana.detector.pyfai_geometry import write_poni
from smalldata_ana.errors import GeometryError, ParameterError, UsageError
from smalldata_ana.geometry_refinement import RefinedGeometry, refine_geometry
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.known_geometry import KIND, known_geometry
from smalldata_ana.session.made_on_image import made_on_image
from smalldata_ana.session.tools.base import Tool

_KEPT = ("polarization", "polarization_err", "Pplane")
"""What rings do not tell."""


@dataclass(frozen=True)
class Refinement:
    """What to refine, and from where.

    Attributes
    ----------
    calibrant : its name
    start : the geometry to begin with
    options : more arguments of `refine_geometry`
    command : the arguments of ``anaps.refineGeometry`` that do the same
    """

    calibrant: str
    start: BeamGeometry
    options: Mapping[str, Any]
    command: Mapping[str, Any]


class RefinementTool(Tool[RefinedGeometry]):
    """A geometry that was refined; nothing is taken before `accept`.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    average : the image that is fitted
    good : pixels to use, bool, shape of the image's data
    """

    kind = KIND

    def __init__(
        self, session: Any, average: AverageImage, good: npt.NDArray[np.bool_]
    ) -> None:
        super().__init__()
        self.session = session
        self.average = average
        self.detector = average.detector
        self.good = good
        self._done: dict[int, Refinement] = {}
        session.tools.add(self)

    def checked(self, value: RefinedGeometry) -> RefinedGeometry:
        """Return the value, if it is a refined geometry."""
        if not isinstance(value, RefinedGeometry):
            raise ParameterError(
                f"{value!r} is no refined geometry; use .refine(…), or "
                "smalldata_ana.geometry_refinement.refine_geometry"
            )
        return value

    def refine(
        self,
        what: Refinement,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> RefinedGeometry:
        """Refine the geometry; it becomes the value.

        Parameters
        ----------
        what : what to refine, and from where
        progress : called with the rounds that are done, and are at most

        Raises
        ------
        BeamCenterError
            if no rings of the calibrant fit
        GeometryError
            if the places of the pixels are not known
        """
        positions = positions_of(self.session.run, self.detector)
        if positions is None:
            raise GeometryError(
                f"the places of the pixels of {self.detector!r} are not known; put a "
                f"geometry with `smalldata-ana calib put {self.detector} geometry FILE`"
            )
        found = refine_geometry(
            self.average.data,
            positions,
            what.calibrant,
            what.start,
            good=self.good,
            progress=progress,
            **what.options,
        )
        self.value = found
        self._done[id(found)] = what
        return found

    def entry_values(self) -> dict[str, Any]:
        """Return the value as parameters of a ``geometry`` entry.

        Raises
        ------
        UsageError
            if nothing was refined
        """
        found = self._found()
        beam = found.beam
        tx, ty = beam.tilt
        values: dict[str, Any] = {
            "center": list(beam.center),
            "dis_to_sam": beam.distance,
            "eBeam": beam.energy,
            "tx": tx,
            "ty": ty,
            "center_err": found.center_err and list(found.center_err),
            "dis_to_sam_err": found.distance_err,
            "eBeam_err": found.energy_err,
            "tx_err": found.error("tx"),
            "ty_err": found.error("ty"),
        }
        return {key: value for key, value in values.items() if value is not None}

    def accept(self, name: str | None = None) -> Entry:
        """Take the geometry for `exportParams`.

        A known polarization stays, and a given distance or energy that follows the
        run does so further.

        Parameters
        ----------
        name : a detector has one geometry, which has no name

        Raises
        ------
        UsageError
            if nothing was refined, or a name is given
        """
        found = self._found()
        if name is not None:
            raise UsageError(f"a geometry has no name; .accept() without {name!r}")
        values = self._with_known()
        GeometryParameters(**values)
        average = self.average
        run = self.session.run.number
        entry = Entry(
            detector=self.detector,
            kind=KIND,
            runs=RunRange(run),
            values=values,
            made=made_on_image(
                "refineGeometry",
                self.session,
                average,
                calibrant=found.calibrant,
                notes="; ".join(found.notes) or None,
            ),
        )
        self.session.take(entry, self)
        return entry

    def _with_known(self) -> dict[str, Any]:
        """Return the values, with what is known beside them."""
        known = known_geometry(self.session, self.detector)
        values = self.entry_values()
        for key, value in known.items():
            # A distance or energy that follows the run goes on to do so.
            follows = isinstance(value, Mapping) and f"{key}_err" not in values
            if key in _KEPT or follows:
                values[key] = value
        return values

    def save_poni(self, path: str | os.PathLike[str]) -> None:
        """Write the geometry as a ``.poni`` file for the assembled image.

        Parameters
        ----------
        path : the file to make or to replace

        Raises
        ------
        UsageError
            if nothing was refined
        FileError
            if the file cannot be written
        """
        write_poni(path, self._found().beam, self.average.geometry)
        self.session.tools.keep(self)

    def scripted(self) -> str:
        """Return the command that refines the same.

        Raises
        ------
        UsageError
            if nothing was refined, or not with `refine`
        """
        what = self._done.get(id(self.value))
        if what is None:
            raise UsageError("there is no geometry that a command refined")
        given = "".join(f", {key}={value!r}" for key, value in what.command.items())
        return f"anaps.refineGeometry({self.detector!r}{given})"

    def _found(self) -> RefinedGeometry:
        if self.value is None:
            raise UsageError("nothing was refined; use .refine(…)")
        return self.value

    def __repr__(self) -> str:
        found = "no geometry yet" if self.value is None else str(self.value)
        return f"<RefinementTool: {self.detector}, {found}>"
