"""`AverageImage`: an average over events that knows how it was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.kinds import RAW
from smalldata_ana.errors import NameNotFound, counted, listing
from smalldata_ana.sources.base import Indices

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

PREFIX = "AvImg_"

QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "mean": "mean",
        "sum": "number of hits",
        "std": "standard deviation",
        "median": "median",
        "max": "maximum",
        "hits": "number of hits",
    }
)
"""What an image can show, and how that is called."""

DERIVED = ("std", "median", "max", "hits")
"""What is made beside the mean where it is asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class AverageImage:
    """An average over events, in raw shape, with all that is known of its making.

    ``np.asarray(img)`` is `data`.

    Attributes
    ----------
    name : e.g. ``AvImg_pedSub_jungfrau1M``
    detector : name of the detector
    data : float32 (uint32 for hits), (panels, rows, columns) or (rows, columns)
    unit : of the data; empty for numbers of hits
    good : bool, pixels to use
    events, timestamps : int64 and uint64, (n_used,), the events that are in it
    made : how it was made: experiment, run, detector, common_mode, thresholds,
        selection, events asked for and used, constants, notes, by, at, …
    find_geometry : returns how the image is assembled; the positions of the pixels
        are read only when it is called
    statistic : what `data` is, a key of `QUANTITIES`
    std, median, max, hits : the same shape as `data`, or None if not asked for
    median_error : largest deviation of `median` from the true one, 0 where it is
        exact, infinite where it is not known
    """

    name: str
    detector: str
    data: Array
    unit: str
    good: Mask
    events: Indices
    timestamps: npt.NDArray[np.uint64]
    made: Mapping[str, Any]
    find_geometry: Callable[[], ImageGeometry]
    statistic: str = "mean"
    std: Image | None = None
    median: Image | None = None
    median_error: Image | None = None
    max: Image | None = None
    hits: npt.NDArray[np.uint32] | None = None

    @property
    def n_used(self) -> int:
        """Number of events that are in it."""
        return len(self.events)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.data.shape

    @property
    def quantity(self) -> str:
        """What the data are, with their unit: ``mean [keV]``."""
        unit = f" [{self.unit}]" if self.unit else ""
        return QUANTITIES[self.statistic] + unit

    @property
    def geometry(self) -> ImageGeometry:
        """How the image is assembled."""
        return self.find_geometry()

    @property
    def image(self) -> Image:
        """The assembled image, float32, NaN in the gaps.

        Without a geometry the panels are put below each other.
        """
        return self.geometry.assemble(self.data)

    @property
    def lacks_constants(self) -> bool:
        """True where raw data were averaged only because there are no constants."""
        asked = self.made.get("common_mode_asked")
        return bool(self.made["common_mode"] == RAW != asked)

    def statistics(self) -> tuple[str, ...]:
        """Return what there is: ``mean`` (or ``sum``), and what was asked for."""
        more = (name for name in DERIVED if getattr(self, name) is not None)
        return (self.statistic, *more)

    def of(self, statistic: str) -> AverageImage:
        """Return the same with another statistic as its `data`, which is not copied.

        Parameters
        ----------
        statistic : one of `statistics`

        Raises
        ------
        NameNotFound
            if this statistic was not made
        """
        if statistic == self.statistic:
            return self
        if statistic not in self.statistics():
            raise NameNotFound(
                f"no {statistic!r} in {self.name}; there are "
                f"{listing(self.statistics())}. Ask for more: AvImage(std=True)"
            )
        without: dict[str, Any] = dict.fromkeys(DERIVED)
        return dataclasses.replace(
            self,
            name=derived_name(self.name, statistic),
            data=getattr(self, statistic),
            unit="" if statistic == "hits" else self.unit,
            statistic=statistic,
            **without,
        )

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> Array:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<AverageImage {self.name}: {self}>"

    def __str__(self) -> str:
        more = [QUANTITIES[name] for name in self.statistics()[1:]]
        with_more = f", with {', '.join(more)}" if more else ""
        events = counted(self.n_used, "event")
        return f"{self.quantity} of {events}, shape {self.shape}{with_more}"


def derived_name(name: str, statistic: str) -> str:
    """Return the name of another statistic: ``AvImg_std_…`` beside ``AvImg_…``."""
    return f"{PREFIX}{statistic}_{name.removeprefix(PREFIX)}"


def image_name(
    detector: str,
    label: str,
    *,
    selection: str = "",
    thresADU: float = 0.0,  # noqa: N803
    thresRms: float = 0.0,  # noqa: N803
) -> str:
    """Return the name of an average image.

    The scheme is smalldata_tools'
    ``AvImg_[Filter<f>_][thresADU<n>_][thresRms<10 n>_]<correction><detector>``, with
    all digits of the numbers, a point written as ``p`` and a minus sign as ``m``.

    Parameters
    ----------
    detector : its name
    label : what the correction is called, e.g. ``pedSub_``
    selection : what the events were selected by
    thresADU, thresRms : see `average`

    Examples
    --------
    >>> image_name("epix100", "pedSub_", thresADU=1.5)
    'AvImg_thresADU1p5_pedSub_epix100'
    """
    filtered = f"Filter{selection}_" if selection else ""
    adu = f"thresADU{_digits(thresADU)}_" if thresADU else ""
    rms = f"thresRms{_digits(thresRms, 10)}_" if thresRms else ""
    return f"{PREFIX}{filtered}{adu}{rms}{label}{detector}"


def _digits(number: float, factor: int = 1) -> str:
    # Decimal keeps the digits as they were typed: 0.7 * 10 is 7, not 7.000000000001.
    exact = Decimal(repr(float(number))) * factor
    text = format(exact.normalize(), "f")
    return text.replace("-", "m").replace(".", "p")
