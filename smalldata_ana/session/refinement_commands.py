"""The command that refines the geometry with a calibrant."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from smalldata_ana.errors import UsageError
from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.progress import Progress
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.detector.beam_geometry import BeamGeometry
    from smalldata_ana.session.in_image import InImage
    from smalldata_ana.session.tools.refinement import RefinementTool

_WORDS = {
    "dis_to_sam": "the distance of the sample, dis_to_sam=… [mm]",
    "eBeam": "the energy of the photons, eBeam=… [keV]",
}


class RefinementCommands(SessionState):
    """`refineGeometry`."""

    def refineGeometry(
        self,
        detname: str | None = None,
        calibrant: str = "AgBh",
        center: Sequence[float] | None = None,
        dis_to_sam: float | None = None,
        eBeam: float | None = None,
        *,
        tx: float | None = None,
        ty: float | None = None,
        fixed: Literal["energy", "distance"] = "energy",
        fitCenter: bool = True,
        tilt: bool = True,
        rings: Sequence[int] | None = None,
        search: float = 0.1,
        poni: str | os.PathLike[str] | None = None,
        use_mask: bool = True,
        inImage: InImage | None = None,
    ) -> RefinementTool:
        """Refine distance, centre and tilt with the rings of a calibrant.

        With ``fixed="distance"`` the energy is fitted instead of the distance.  What
        is not given is taken from what was accepted or exported, a missing centre
        from the rings.  Nothing is taken before ``.accept()``.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        calibrant : a name of pyFAI's list, ``AgBh``, ``LaB6``, ``CeO2``, …; a wrong one
            lists them all
        center : x and y to begin with [um]
        dis_to_sam : distance to begin with, or the known one [mm]
        eBeam : known energy, or the one to begin with [keV]
        tx, ty : tilts to begin with [deg]
        fixed : ``energy`` or ``distance``: which of them is known
        fitCenter : fit the centre
        tilt : fit the tilts, as far as the rings tell them
        rings : numbers of the rings to use, from 1; by default all that are seen
        search : largest relative error of the distance (or energy) to begin with
        poni : a ``.poni`` file of the assembled image to begin with
        use_mask : leave out bad pixels
        inImage : use this image instead of the latest

        Returns
        -------
        A tool with ``.value`` (the geometry with its errors, residual, rings),
        ``.accept()``, ``.save_poni(path)``, ``.scripted()``.

        Examples
        --------
        >>> found = anaps.refineGeometry(
        ...     calibrant="LaB6", dis_to_sam=80, eBeam=9.5
        ... )  # doctest: +SKIP
        >>> found.accept()  # doctest: +SKIP
        """
        import numpy as np

        from smalldata_ana.geometry_refinement.calibrants import calibrant_name
        from smalldata_ana.session.tools.refinement import Refinement, RefinementTool

        name = calibrant_name(calibrant)
        average = average_of(self, inImage, detname)
        given = {
            "center": center,
            "dis_to_sam": dis_to_sam,
            "eBeam": eBeam,
            "tx": tx,
            "ty": ty,
        }
        start = self._start(average, given, poni)
        options = {"fixed": fixed, "tilt": tilt, "rings": rings, "search": search}
        begun = {
            "calibrant": name,
            "center": list(start.center),
            "dis_to_sam": start.distance,
            "eBeam": start.energy,
            "tx": start.tilt[0],
            "ty": start.tilt[1],
        }
        command = begun | options | {"fitCenter": fitCenter, "use_mask": use_mask}
        good = average.good if use_mask else np.ones_like(average.good)
        tool = RefinementTool(self, average, good)
        core = options | {"center": fitCenter}
        with Progress(f"geometry of {tool.detector}", "rounds") as progress:
            found = tool.refine(Refinement(name, start, core, command), progress)
        print(f"{tool.detector}: {found}")
        return tool

    def _start(
        self,
        average: AverageImage,
        given: dict[str, Any],
        poni: str | os.PathLike[str] | None,
    ) -> BeamGeometry:
        """Return where to begin: what is given, a file, what is known, the rings."""
        from smalldata_ana.ana_funcs.followed_values import followed
        from smalldata_ana.detector.beam_geometry import BeamGeometry
        from smalldata_ana.session.known_geometry import known_geometry

        values = known_geometry(self, average.detector)
        if poni is not None:
            values |= _of_file(poni, average)
        values |= {key: value for key, value in given.items() if value is not None}
        values = followed(values, self.run)
        missing = [text for key, text in _WORDS.items() if values.get(key) is None]
        if missing:
            raise UsageError(f"refineGeometry needs {' and '.join(missing)}")
        center = values.get("center")
        if center is None:
            center = _center_of_rings(average)
        return BeamGeometry(
            (float(center[0]), float(center[1])),
            float(values["dis_to_sam"]),
            float(values["eBeam"]),
            (float(values.get("tx", 0.0)), float(values.get("ty", 0.0))),
        )


def _of_file(path: str | os.PathLike[str], average: AverageImage) -> dict[str, Any]:
    from smalldata_ana.detector.pyfai_geometry import read_poni

    beam = read_poni(path, average.geometry)
    tx, ty = beam.tilt
    values = {"center": beam.center, "dis_to_sam": beam.distance, "tx": tx, "ty": ty}
    return values | ({} if beam.energy is None else {"eBeam": beam.energy})


def _center_of_rings(average: AverageImage) -> tuple[float, float]:
    import numpy as np

    from smalldata_ana.beam_center import find_center

    geometry = average.geometry
    good = geometry.assemble(average.good.astype(np.float32), fill=0) == 1
    row, column = find_center(average.image, good).center_px
    x, y = geometry.um_from_image(row, column)
    return float(x), float(y)
