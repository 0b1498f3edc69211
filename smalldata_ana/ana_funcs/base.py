"""What every analysis function is: validated parameters, a set-up and `process`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from traitlets import TraitError, Unicode, default, validate

from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import Parameters


class DetObjectFunc(Parameters):
    """A function of a detector's image; subclass it and write `process`.

    The parameters of a subclass are its traits: ``width = Int(3, help="…")``.  They
    are given as keywords, and read when the function is set up.

    Attributes
    ----------
    funcs : the functions that work on what this one passes on, by name

    Raises
    ------
    ParameterError
        if a keyword is unknown, or a value is not allowed

    Examples
    --------
    >>> class Brightest(DetObjectFunc):
    ...     def process(self, data):
    ...         return {"value": data.max()}
    """

    name = Unicode(help="what the results are called: <name>_<key>")

    @default("name")
    def _class_name(self) -> str:
        return type(self).__name__

    @validate("name")
    def _can_be_stored(self, proposal: Mapping[str, Any]) -> Any:
        name = proposal["value"]
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise TraitError(f"{name!r} is not a name; a name has no '/'")
        return name

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.funcs: dict[str, DetObjectFunc] = {}
        self._source: ImageSource | None = None

    @property
    def source(self) -> ImageSource:
        """What this function was set up for.

        Raises
        ------
        ParameterError
            before the set-up
        """
        if self._source is None:
            raise ParameterError(
                f"{self.name!r} belongs to no detector yet; det.addFunc({self.name})"
            )
        return self._source

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector, once for a run.

        Raises
        ------
        ParameterError
            if the parameters do not fit the detector
        """
        self._source = det

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image.

        Parameters
        ----------
        data : the image, shape of the detector; it is not written to

        Returns
        -------
        The results by key: numbers, or arrays whose shape is the same for all events.
        """
        raise NotImplementedError

    def addFunc(self, func: DetObjectFunc) -> None:
        """Chain a function to this one: it works on the image that this passes on.

        Raises
        ------
        ParameterError
            always, for a function that passes no image on
        """
        raise ParameterError(
            f"{type(self).__name__} {self.name!r} passes no image on, so "
            f"{func.name!r} cannot be chained to it; add it to the detector"
        )

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, children included, after set-up.

        This finds them by processing an image of zeros; a function for which that is
        not typical says it itself.
        """
        empty = np.zeros(self.source.shape, np.float32)
        results = {key: np.asarray(v) for key, v in self.process(empty).items()}
        return {key: Field(v.dtype, v.shape) for key, v in results.items()}

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, for the record; those that are None are left out."""
        values: dict[str, Any] = self.trait_values()
        return {key: v for key, v in values.items() if v is not None}
