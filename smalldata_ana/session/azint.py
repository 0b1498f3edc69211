"""`AzimuthalAverage`: what the session integrates of an average image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.average_image import AverageImage
from smalldata_ana.errors import ParameterError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class AzimuthalAverage:
    """The azimuthal average of an image; ``np.asarray`` gives `values`.

    Attributes
    ----------
    name : of the function
    detector : its name
    image : name of the image
    title : what the image is, for people
    values : mean intensity, (bins in phi, bins in q), NaN where there are no pixels
    unit : of the values
    axis : ``q`` [1/angstrom] or ``r`` [um]
    edges : of the bins along the axis, (bins + 1,)
    phi_edges : of the bins in phi [deg], (bins + 1,)
    """

    name: str
    detector: str
    image: str
    title: str
    values: Floats
    unit: str
    axis: str
    edges: Floats
    phi_edges: Floats

    @property
    def x(self) -> Floats:
        """Middles of the bins along the axis."""
        middles: Floats = (self.edges[1:] + self.edges[:-1]) / 2
        return middles

    @property
    def phi(self) -> Floats:
        """Middles of the bins in phi [deg]."""
        middles: Floats = (self.phi_edges[1:] + self.phi_edges[:-1]) / 2
        return middles

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        phi, bins = self.values.shape
        return (
            f"<AzimuthalAverage {self.name} of {self.image}: {bins} bins in "
            f"{self.axis}, {phi} in phi, [{self.unit}]>"
        )


def azimuthal_average(
    func: azimuthalBinning, average: AverageImage, good: npt.NDArray[np.bool_]
) -> AzimuthalAverage:
    """Integrate an image with a function that is set up for its detector.

    Parameters
    ----------
    func : the function
    average : the image
    good : pixels to use beside what the function leaves out, shape of the image

    Raises
    ------
    ParameterError
        if results are to be in photons, and the image is in another unit than those
        that the function was set up for
    """
    if func.ADU_per_Photon is not None and average.unit != func.unit:
        raise ParameterError(
            f"{average.name} is in {average.unit!r}, and ADU_per_Photon of "
            f"{func.name!r} in {func.unit!r}; average the image with the common mode "
            "of the detector"
        )
    found = func.process(np.where(good, average.data, np.float32(np.nan)))
    axes = func.params_as_dict()
    axis = "q" if "q" in axes else "r"
    made = average.made
    return AzimuthalAverage(
        name=func.name,
        detector=average.detector,
        image=average.name,
        title=f"{made['experiment']} run {made['run']}, {average.detector}",
        values=found["azav"],
        unit=average.unit if func.ADU_per_Photon is None else "photon",
        axis=axis,
        edges=axes[f"{axis}_edges"],
        phi_edges=axes["phi_edges"],
    )
