"""The histogram of the pixels' values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import TraitError, TraitType, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.thresholds import as_floats
from smalldata_ana.ana_funcs.traits import is_number
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

FORMS = (
    "[low, high, number of bins], with a whole number; [low, high, width], with a "
    "decimal point; or four and more growing edges"
)

_MOST_BINS = 1_000_000


class BinsTrait(TraitType[Any, Any]):
    """A parameter that gives the bins of a histogram."""

    info_text = FORMS
    default_value = (0, 100, 100)

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Return the bins as a list, after a look at what they are."""
        bins = value.tolist() if isinstance(value, np.ndarray) else value
        is_list = isinstance(bins, list | tuple)
        if not is_list or not all(is_number(v) and math.isfinite(v) for v in bins):
            self.error(obj, value)
        try:
            edges_of(bins)
        except ParameterError as error:
            raise TraitError(str(error)) from error
        return [v.item() if isinstance(v, np.generic) else v for v in bins]


def edges_of(bins: list[float]) -> npt.NDArray[np.float64]:
    """Return the edges of bins.

    Parameters
    ----------
    bins : ``[low, high, n]`` with a whole number n of bins; ``[low, high, width]``
        with a width of type float, which goes into high - low a whole number of
        times; or four or more growing edges

    Raises
    ------
    ParameterError
        if it is none of these
    """
    if len(bins) < 3:
        raise ParameterError(f"bins = {bins!r} are no bins; write {FORMS}")
    if len(bins) > 3:
        edges = np.asarray(bins, np.float64)
        if not (np.diff(edges) > 0).all():
            raise ParameterError(f"bins = {bins!r}: edges must grow")
        return edges
    low, high, third = bins
    if not low < high:
        raise ParameterError(f"bins = {bins!r}: low must be below high")
    is_width = isinstance(third, float | np.floating)
    number = _number_of(low, high, third) if is_width else int(third)
    if not 1 <= number <= _MOST_BINS:
        raise ParameterError(
            f"bins = {bins!r} are {number} bins; 1 to {_MOST_BINS} are possible"
        )
    return np.linspace(low, high, number + 1)


def _number_of(low: float, high: float, width: float) -> int:
    if not 0 < width <= high - low:
        raise ParameterError(
            f"bins = {[low, high, width]!r}: a width lies between 0 and high - low; a "
            "number of bins is written without a decimal point"
        )
    number = (high - low) / width
    if abs(number - round(number)) > 1e-6 * number:
        raise ParameterError(
            f"bins = {[low, high, width]!r}: {high - low:g} is no whole number of bins "
            f"of {width:g}"
        )
    return round(number)


@register("spectrum")
class spectrumFunc(DetObjectFunc):
    """Histogram of the values of the good pixels.

    Result: ``histogram``, the number of pixels in each bin (int64).  A bin holds its
    lower edge, and the last one its upper edge too.  Pixels that are not good or not
    finite, and values outside of the bins, are not counted.  The edges are among the
    parameters that are stored, as ``edges`` [unit of the image].
    """

    name = Unicode("spectrum", help="what the results are called: <name>_<key>")
    bins = BinsTrait(help=f"{FORMS} [unit of the image]")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        if not det.good.any():
            raise ParameterError(f"no pixel of {det.name!r} is good; all are masked")
        self._good = det.good.ravel().copy()
        self._edges = edges_of(self.bins)

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        number = self._edges.size - 1
        what = "number of pixels in each bin"
        return {"histogram": Field(np.dtype(np.int64), (number,), "count", what)}

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        values = np.ascontiguousarray(as_floats(data)).reshape(-1)
        if len(self.bins) > 3:
            values = values[self._good & np.isfinite(values)]
            counts = np.histogram(values, self._edges)[0].astype(np.int64)
        else:
            counts = self._in_equal_bins(values)
        return {"histogram": counts}

    def _in_equal_bins(self, values: Array) -> npt.NDArray[np.int64]:
        from smalldata_ana.ana_funcs.spectrum_kernels import count_values

        counts = np.zeros(self._edges.size - 1, np.int64)
        count_values(values, self._good, self._edges, counts)
        return counts

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters and the edges of the bins, for the record."""
        return super().params_as_dict() | {"edges": edges_of(self.bins)}
