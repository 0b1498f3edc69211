"""`AzIntTool`: an azimuthal integration that is attached to a detector."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import ParameterError, UsageError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.known_geometry import geometry_in_numbers
from smalldata_ana.session.made_on_image import made_on_image
from smalldata_ana.session.tools.base import Tool

KIND = "azav"


class AzIntTool(Tool[azimuthalBinning]):
    """The azimuthal integration of a detector; its value is attached to it.

    `accept` makes of it an entry for the producer.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    det : the detector
    func : the function to begin with
    average : the image that its parameters come from, or None

    Raises
    ------
    ParameterError
        if the function does not fit the detector
    """

    kind = KIND

    def __init__(
        self,
        session: Any,
        det: DetObject,
        func: azimuthalBinning,
        average: AverageImage | None = None,
    ) -> None:
        self.session = session
        self.det = det
        self.detector = det.detname
        self.average = average
        super().__init__(self.checked(func))
        self.changed()
        session.tools.add(self)

    def checked(self, value: azimuthalBinning) -> azimuthalBinning:
        """Return a function that fits the detector."""
        value.attach(self.det)
        return value

    def changed(self) -> None:
        """Attach the function in place of one of its name."""
        func = self._function
        if isinstance(self.det.funcs.get(func.name), azimuthalBinning):
            self.det.removeFunc(func.name)
        self.det.addFunc(func)

    @property
    def holds(self) -> bool:
        """Whether the function is still that of the detector by its name."""
        func = self._function
        return self.det.funcs.get(func.name) is func

    @property
    def _function(self) -> azimuthalBinning:
        if self.value is None:
            raise ParameterError(f"{self.detector!r} has no azimuthal integration")
        return self.value

    def given(self) -> dict[str, Any]:
        """Return the parameters that are not as usual, nor as the known geometry."""
        func = self._function
        geometry = geometry_in_numbers(self.session, self.detector)
        traits = type(func).class_traits()
        usual = {key: traits[key].default() for key in func.file_keys()} | geometry
        values = {key: getattr(func, key) for key in func.file_keys() if key != "name"}
        return {
            key: value
            for key, value in values.items()
            if value is not None and value != usual[key]
        }

    def accept(self, name: str | None = None) -> Entry:
        """Take it: it becomes an ``azav`` entry that `exportParams` will write.

        What is as in the known geometry of the detector is left to that.

        Parameters
        ----------
        name : what its results are called; by default as the function is

        Raises
        ------
        UsageError
            if the function has arrays, which cannot stand in a parameter file, or
            something else has the name
        """
        func = self._function
        for key in ("userMask", "darkImg", "gainImg"):
            if getattr(func, key) is not None:
                raise UsageError(
                    f"{key} cannot stand in a parameter file; a mask can, with MakeMask"
                )
        average = self.average
        run = self.session.run.number
        entry = Entry(
            self.detector,
            KIND,
            RunRange(run),
            self.given(),
            name or func.name,
            made=made_on_image("addAzInt", self.session, average),
        )
        entry.make()
        self.session.take(entry, self)
        return entry

    def scripted(self) -> str:
        """Return the command that adds the same."""
        func = self._function
        given = self.given()
        given.pop("qbin", None)
        # What upstream's command takes for usual is not what the function does.
        given |= {"qBin": func.qbin, "name": func.name}
        words = "".join(f", {k}={_written(v)}" for k, v in given.items())
        return f"anaps.addAzInt({self.detector!r}{words})"

    def __repr__(self) -> str:
        func = self._function
        x, y = func.center
        energy = "" if func.eBeam is None else f", {func.eBeam:g} keV"
        return (
            f"<AzIntTool: {self.detector}, {func.name!r}: center = {x:.1f}, {y:.1f} "
            f"um, {func.dis_to_sam:g} mm{energy}>"
        )


def _written(value: Any) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)
