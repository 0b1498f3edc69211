"""The bins of an azimuthal average, and the sums over their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from traitlets import TraitError, TraitType

from smalldata_ana.ana_funcs.azimuthal_maps import PixelAngles
from smalldata_ana.detector.protocol import Array
from smalldata_ana.errors import ParameterError

Floats = npt.NDArray[np.float64]

_BLOCK = 1 << 16
"""Pixels whose bins are found at once."""

_MOST = 1_000_000
"""Bins; more are a mistake, and take much memory."""

_RADIANS = 2 * np.pi + 0.01
"""Edges of φ within this are taken to be in radians."""


class Steps(TraitType[Any, Any]):
    """A parameter that is a width or a number of bins, or the edges of the bins.

    Parameters
    ----------
    whole : whether a single number is a number of bins, not a width
    """

    def __init__(self, whole: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self._whole = whole
        one = "a number of bins" if whole else "a width above 0"
        self.info_text = f"{one} or a growing list of edges"

    def validate(self, obj: Any, value: Any) -> int | float | list[float]:
        """Return the number, or the edges as a list."""
        try:
            numbers = np.asarray(value)
        except ValueError:
            self.error(obj, value)
        if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
            self.error(obj, value)
        if numbers.ndim == 0 and numbers > 0:
            if not self._whole:
                return float(numbers)
            if numbers == int(numbers):
                return int(numbers)
        if numbers.ndim == 1 and numbers.size > 1 and np.all(np.diff(numbers) > 0):
            edges: list[float] = numbers.astype(np.float64).tolist()
            return edges
        raise TraitError(
            f"{self.name} = {value!r} is not {self.info_text}: {self.help}"
        )


def check_number(number: int, what: str) -> None:
    """Check that so many bins can be wanted.

    Raises
    ------
    ParameterError
        if they are too many
    """
    if number > _MOST:
        raise ParameterError(
            f"{what} makes {number} bins; at most {_MOST} are possible: give fewer or "
            "wider ones"
        )


def steps_of(width: float, lowest: float, highest: float) -> Floats:
    """Return edges at multiples of a width, (bins + 1,).

    The first and the last bin are at least half within the range, so that none is
    mostly empty, and the edges depend little on which pixels are masked.

    Parameters
    ----------
    width : of a bin
    lowest, highest : the range

    Raises
    ------
    ParameterError
        if they are too many
    """
    first, last = round(lowest / width), round(highest / width)
    check_number(last - first, f"a width of {width:g}")
    first -= first == last
    edges: Floats = width * np.arange(first, last + 1, dtype=np.float64)
    return edges


def azimuth_edges(bins: int | list[float]) -> Floats:
    """Return the edges of the bins in φ [deg].

    Parameters
    ----------
    bins : so many of the whole circle, the first with its middle at φ = 0; or edges

    Raises
    ------
    ParameterError
        if the edges span more than a circle or are in radians, or are too many
    """
    if isinstance(bins, int):
        check_number(bins, f"phiBins = {bins}")
        width = 360 / bins
        edges: Floats = width * (np.arange(bins + 1, dtype=np.float64) - 0.5)
        return edges
    span = bins[-1] - bins[0]
    if span > 360:
        raise ParameterError(f"phiBins span {span:g} degrees, more than a circle")
    if span <= _RADIANS:
        raise ParameterError(
            f"phiBins are edges in degrees; {bins} span only {span:g}. If they are in "
            f"radians, give {np.rad2deg(bins).round(3).tolist()}"
        )
    return np.asarray(bins)


@dataclass(frozen=True, eq=False)
class Bins:
    """Which pixel belongs to which bin.

    Attributes
    ----------
    shape : number of bins in φ and in q or r
    index : bin of each pixel, uint16 or uint32, (pixels,); those that belong to none
        have the one after the last
    """

    shape: tuple[int, int]
    index: npt.NDArray[Any]

    @classmethod
    def of(
        cls,
        angles: PixelAngles,
        use: npt.NDArray[np.bool_],
        sine_edges: Floats,
        phi_edges: Floats,
    ) -> Self:
        """Sort pixels into bins, each of which excludes its upper edge.

        Parameters
        ----------
        angles : of the pixels
        use : pixels to use, bool, (pixels,)
        sine_edges : of the bins, as `PixelAngles.sine`
        phi_edges : of the bins [deg]

        Raises
        ------
        ParameterError
            if they are too many
        """
        shape = len(phi_edges) - 1, len(sine_edges) - 1
        none = shape[0] * shape[1]
        check_number(none, f"{shape[0]} in φ by {shape[1]} in q")
        dtype = np.uint16 if none <= np.iinfo(np.uint16).max else np.uint32
        index = np.empty(use.size, dtype)
        for begin in range(0, use.size, _BLOCK):
            part = slice(begin, begin + _BLOCK)
            ring = np.searchsorted(sine_edges, angles.sine[part], "right") - 1
            sector = _sector(angles.phi[part], phi_edges)
            inside = use[part] & (ring >= 0) & (ring < shape[1]) & (sector >= 0)
            index[part] = np.where(inside, sector * shape[1] + ring, none)
        return cls(shape, index)

    @property
    def size(self) -> int:
        """Number of bins."""
        return self.shape[0] * self.shape[1]


def _sector(phi: Array, edges: Floats) -> npt.NDArray[np.intp]:
    """Return the bin of each azimuth, -1 where there is none."""
    beyond = (phi.astype(np.float64) - edges[0]) % 360
    # The remainder of a small negative number is rounded to 360.
    beyond[beyond >= 360] = 0
    sector = np.searchsorted(edges - edges[0], beyond, "right") - 1
    return np.where(sector < len(edges) - 1, sector, -1)


class Sums(NamedTuple):
    """Sums over the pixels of each bin that are used, each (bins,).

    Attributes
    ----------
    number : of pixels
    response : Σc, of what they see
    response2 : Σc²
    value : Σv, of their values
    value2 : Σv², or None where it was not asked for
    product : Σvc, likewise
    """

    number: Floats
    response: Floats
    response2: Floats
    value: Floats
    value2: Floats | None = None
    product: Floats | None = None

    def scaled(self, scale: float) -> Self:
        """Return the sums of values that are so many times larger."""
        value2 = None if self.value2 is None else self.value2 * scale**2
        product = None if self.product is None else self.product * scale
        value = self.value * scale
        return self._replace(value=value, value2=value2, product=product)

    def ratio(self) -> Floats:
        """Return Σv / Σc; NaN for an empty bin."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.response > 0, self.value / self.response, np.nan)

    def scatter_error(self) -> Floats:
        """Return the standard error of the ratio from the scatter of the pixels.

        That is √(n/(n-1) Σ(v - Rc)²) / Σc, R = Σv/Σc; NaN for a bin with one pixel.
        Source: Cochran, *Sampling Techniques*, 3rd ed. (1977), chapter 6.
        """
        if self.value2 is None or self.product is None:
            raise ValueError("the sums were made without moments")
        ratio, n = self.ratio(), self.number
        squares = self.value2 - 2 * ratio * self.product + ratio**2 * self.response2
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(n / (n - 1) * np.maximum(squares, 0)) / self.response
        return np.where(n > 1, error, np.nan)

    def count_error(self) -> Floats:
        """Return the standard error of the ratio where the values are Poisson counts.

        That is √Σv / Σc; a sum that noise makes negative counts as 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(np.maximum(self.value, 0)) / self.response
        return np.where(self.response > 0, error, np.nan)


class BinSums:
    """Sums up images in bins; it has buffers, and is used by one thread.

    Parameters
    ----------
    bins : of the pixels
    response : what the pixels see, float32, (pixels,)
    moments : whether squares and products are summed too
    """

    def __init__(
        self, bins: Bins, response: npt.NDArray[np.float32], moments: bool
    ) -> None:
        from smalldata_ana.ana_funcs.azimuthal_kernels import LANES, MOMENT_LANES

        self.bins = bins
        self._response = response
        room = bins.size + 1
        self._with_moments = moments
        self._sums = np.empty((LANES, room))
        self._moments = np.empty((MOMENT_LANES, room, 3))
        self._lost = np.empty((3, room))
        self._number = np.bincount(bins.index, minlength=room)[:-1].astype(float)
        self._response_sum = self._values(response)
        self._response2_sum = self._values(np.square(response))

    @property
    def number(self) -> Floats:
        """Number of pixels in each bin, if all are finite, (bins,)."""
        return self._number

    @property
    def response(self) -> Floats:
        """What those see together, (bins,)."""
        return self._response_sum

    def of(self, image: Array) -> Sums:
        """Return the sums of an image; values that are not finite are left out.

        Parameters
        ----------
        image : float32 or float64, contiguous, (pixels,)
        """
        found = self._all(image) if self._with_moments else (self._values(image),)
        lost = self._lost[:, :-1]
        number = self._number - lost[0]
        # What is left of all responses but for rounding is none.
        response = np.where(number > 0, self._response_sum - lost[1], 0)
        return Sums(number, response, self._response2_sum - lost[2], *found)

    def _values(self, image: Array) -> Floats:
        from smalldata_ana.ana_funcs.azimuthal_kernels import add_values

        add_values(image, self.bins.index, self._response, self._sums, self._lost)
        total: Floats = self._sums[:, :-1].sum(axis=0)
        return total

    def _all(self, image: Array) -> tuple[Floats, Floats, Floats]:
        from smalldata_ana.ana_funcs.azimuthal_kernels import add_moments

        add_moments(image, self.bins.index, self._response, self._moments, self._lost)
        total = self._moments[:, :-1].sum(axis=0)
        value, value2, product = total.T
        return value, value2, product
