"""Sums over events of what is made of a detector's images.

What is summed is said by a key of words, e.g. ``calib_thresADU2.5_square``:

===============  =====================================================================
``calib``        the calibrated image; it may be left out where other words stand
``thresADU<x>``  values below ``x`` count as 0 [unit of the images]
``nhits``        1 where the value is above 0, else 0
``square``       the square of the value
``max``          the largest value of each pixel instead of the sum
``img``          stored as assembled image instead of panels; 0 in the gaps, and the
                 sum (or maximum) of pixels of panels that fall into one of the image
``skip``         without the first event of the run
``dropped``      only shots whose X-rays were dropped; without it, all shots
``on``, ``off``  only shots with the optical laser on, or off: of those with X-rays,
                 or, together with ``dropped``, of those without
===============  =====================================================================

Their order makes no difference: the threshold comes first, then the count or the
square.  An event of which it is not known whether it had X-rays, or the laser, is in
no sum that depends on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.protocol import Field
from smalldata_ana.detector.shots import Shot
from smalldata_ana.errors import ParameterError, did_you_mean, listing

Array = npt.NDArray[Any]
Totals = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

COUNT = "_nEvents"
"""What follows a sum's key where the number of its events is stored."""

_THRESHOLD = "thresADU"
_WORDS = ("calib", "img", "skip", "nhits", "square", "max", "dropped", "on", "off")
WORDS = (*_WORDS, f"{_THRESHOLD}<number>")
"""The words of a key."""


@dataclass(frozen=True)
class SumAlgorithm:
    """What a key says, but for the form in which the sum is stored.

    Attributes
    ----------
    limit : values below count as 0; minus infinity for none
    hits, square, maximum, skip, dropped : True if the word is there
    laser : True for ``on``, False for ``off``, None for neither
    """

    limit: float = -math.inf
    hits: bool = False
    square: bool = False
    maximum: bool = False
    skip: bool = False
    dropped: bool = False
    laser: bool | None = None

    @classmethod
    def of(cls, key: str) -> Self:
        """Read a key.

        Raises
        ------
        ParameterError
            if a word is unknown, comes twice, or contradicts another
        """
        words = key.split("_")
        limits = [word for word in words if word.startswith(_THRESHOLD)]
        plain = [word for word in words if word not in limits]
        for word in plain:
            if word not in _WORDS:
                raise ParameterError(
                    f"no word {word!r} for a sum, in {key!r}; there are "
                    f"{listing(WORDS)}.{did_you_mean(word, WORDS)}"
                )
        if len(set(plain)) < len(plain) or len(limits) > 1:
            raise ParameterError(f"the sum {key!r} has a word twice")
        if {"on", "off"} <= set(plain):
            raise ParameterError(f"the sum {key!r} is for the laser both on and off")
        return cls(
            limit=_limit(limits[0], key) if limits else -math.inf,
            hits="nhits" in plain,
            square="square" in plain,
            maximum="max" in plain,
            skip="skip" in plain,
            dropped="dropped" in plain,
            laser="on" in plain if {"on", "off"} & set(plain) else None,
        )

    @property
    def needs_light(self) -> bool:
        """True if it depends on X-rays or laser."""
        return self.dropped or self.laser is not None

    def unit(self, unit: str) -> str:
        """Return its unit, if that of the images is `unit`."""
        if self.hits:
            return "count"
        return f"{unit}2" if self.square and unit else unit

    def meaning(self, unit: str) -> str:
        """Say what it is and of which events, if the unit of the images is `unit`."""
        what = (
            "events in which the value is above 0"
            if self.hits
            else "squares of the values"
            if self.square
            else "values"
        )
        words = [f"{'largest' if self.maximum else 'sum'} of the {what}"]
        if self.hits:
            words = [f"{'any' if self.maximum else 'number of'} {what}"]
        if self.limit > -math.inf:
            words.append(f"values below {self.limit:g} {unit} count as 0".rstrip())
        return ", ".join([*words, *self.selection])

    @property
    def selection(self) -> tuple[str, ...]:
        """Words for the events that it takes, none if these are all."""
        chosen = {
            "X-rays dropped": self.dropped,
            "with X-rays": self.laser is not None and not self.dropped,
            "laser on": self.laser is True,
            "laser off": self.laser is False,
            "without the first event": self.skip,
        }
        return tuple(text for text, said in chosen.items() if said)

    def takes(self, shot: Shot) -> bool:
        """Tell whether an event belongs to the sum."""
        if self.skip and shot.number == 0:
            return False
        if not self.needs_light:
            return True
        # What is not known, also as -1, equals neither.
        same_laser = self.laser is None or shot.laser == self.laser
        return same_laser and shot.dropped == self.dropped


def _limit(word: str, key: str) -> float:
    """Return the number of a ``thresADU<number>``, as the float32 that images are."""
    number = word.removeprefix(_THRESHOLD)
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", number):
        raise ParameterError(
            f"{word!r} in the sum {key!r} needs a number, e.g. {_THRESHOLD}2.5"
        )
    return float(np.float32(number))


class _Accumulators:
    """The totals of some algorithms, one row each, as the kernel takes them."""

    def __init__(self, algorithms: tuple[SumAlgorithm, ...], pixels: int) -> None:
        from smalldata_ana.detector.sums_kernels import HITS, PLAIN, SQUARE

        self.limits = np.array([a.limit for a in algorithms], np.float32)
        self.maximum = np.array([a.maximum for a in algorithms], np.bool_)
        self.what = np.array(
            # The square of a hit is a hit.
            [HITS if a.hits else SQUARE if a.square else PLAIN for a in algorithms],
            np.int64,
        )
        self.totals = np.zeros((len(algorithms), pixels))
        self.totals[self.maximum] = -np.inf

    def add(self, image: Array, rows: npt.NDArray[np.int64]) -> None:
        from smalldata_ana.detector.sums_kernels import add_image

        flat = np.ascontiguousarray(image, np.float32).reshape(-1)
        add_image(flat, rows, self.limits, self.what, self.maximum, self.totals)

    def merge(self, later: Totals) -> None:
        largest = self.maximum
        self.totals[~largest] += later[~largest]
        self.totals[largest] = np.maximum(self.totals[largest], later[largest])


class Sums(Mapping[str, Array]):
    """Sums of a detector's images, as they are stored below ``Sums/<detector>_``.

    A mapping: each key to its sum, float64 in the shape of an image (or of the
    assembled image), and ``<key>_nEvents`` to the number of events that are in it.  A
    maximum of no events is NaN.  Keys that differ in ``img`` only share their memory.

    Parameters
    ----------
    shape : of the images
    geometry : gives the geometry for ``img``; called when such a sum is defined
    """

    def __init__(
        self, shape: tuple[int, ...], geometry: Callable[[], ImageGeometry]
    ) -> None:
        self.shape = shape
        self._geometry_of = geometry
        self._geometry: ImageGeometry | None = None
        self._row_of: dict[str, int] = {}
        self._algorithms: tuple[SumAlgorithm, ...] = ()
        self._accumulators: _Accumulators | None = None
        self._events: list[int] = []

    def define(self, key: str) -> None:
        """Let a sum begin; nothing happens to one that has begun already.

        Raises
        ------
        ParameterError
            if the key is wrong, or events were added already
        """
        if key in self._row_of:
            return
        algorithm = SumAlgorithm.of(key)
        if self._accumulators is not None:
            raise ParameterError(
                f"the sum {key!r} cannot begin after the first event; define all sums "
                "before"
            )
        if "img" in key.split("_") and self._geometry is None:
            self._geometry = self._geometry_of()
        if algorithm not in self._algorithms:
            self._algorithms += (algorithm,)
            self._events.append(0)
        self._row_of[key] = self._algorithms.index(algorithm)

    @property
    def need_light(self) -> bool:
        """True if some sum depends on X-rays or laser."""
        return any(algorithm.needs_light for algorithm in self._algorithms)

    @property
    def nbytes(self) -> int:
        """Memory that the totals take [bytes]."""
        return len(self._algorithms) * math.prod(self.shape) * 8

    def add(self, image: Array, shot: Shot) -> None:
        """Add an image to the sums that it belongs to; it is not changed.

        Parameters
        ----------
        image : float32, `shape`
        shot : the event

        Raises
        ------
        ParameterError
            if the image has another shape
        """
        if image.shape != self.shape:
            raise ParameterError(
                f"an image of {image.shape} cannot be added to sums of {self.shape}"
            )
        rows = [i for i, a in enumerate(self._algorithms) if a.takes(shot)]
        if rows:
            self._begun().add(image, np.array(rows, np.int64))
        for row in rows:
            self._events[row] += 1

    def stored(self) -> tuple[Totals, Counts]:
        """Return what was summed, for `add_stored` of sums with the same keys.

        Returns
        -------
        totals : (sums, pixels), or (0, pixels) if nothing was summed
        events : (sums,), number of events in each
        """
        begun = self._accumulators
        nothing = np.zeros((0, math.prod(self.shape)))
        return nothing if begun is None else begun.totals, np.array(self._events, int)

    def add_stored(self, totals: Totals, events: Counts) -> None:
        """Add what `stored` returned for later events."""
        if len(totals):
            self._begun().merge(totals)
        self._events = [a + int(b) for a, b in zip(self._events, events, strict=True)]

    def clear(self) -> None:
        """Begin anew with the same keys."""
        self._accumulators = None
        self._events = [0] * len(self._algorithms)

    def _begun(self) -> _Accumulators:
        if self._accumulators is None:
            pixels = math.prod(self.shape)
            self._accumulators = _Accumulators(self._algorithms, pixels)
        return self._accumulators

    def __iter__(self) -> Iterator[str]:
        for key in self._row_of:
            yield key
            yield key + COUNT

    def __len__(self) -> int:
        return 2 * len(self._row_of)

    def __getitem__(self, key: str) -> Array:
        row = self._row_of[key.removesuffix(COUNT)]
        if key.endswith(COUNT):
            return np.array(self._events[row])
        panels = self._total(row).reshape(self.shape)
        if self._geometry is None or "img" not in key.split("_"):
            return panels
        maximum = self._algorithms[row].maximum
        return assembled_sums(panels, self._geometry, maximum=maximum)

    def field(self, key: str, unit: str) -> Field:
        """Describe what is stored of a key.

        Parameters
        ----------
        key : of a sum, or ``<key>_nEvents``
        unit : of the images
        """
        plain = key.removesuffix(COUNT)
        algorithm = self._algorithms[self._row_of[plain]]
        if key != plain:
            text = ", ".join(["number of events in the sum", *algorithm.selection])
            return Field(np.dtype(np.int64), long_name=text)
        assembled = self._geometry is not None and "img" in key.split("_")
        shape = self._geometry.shape if self._geometry and assembled else self.shape
        meaning = algorithm.meaning(unit)
        return Field(np.dtype(np.float64), shape, algorithm.unit(unit), meaning)

    def _total(self, row: int) -> Totals:
        if self._events[row] and self._accumulators is not None:
            total: Totals = self._accumulators.totals[row].copy()
            return total
        empty = np.nan if self._algorithms[row].maximum else 0.0
        return np.full(math.prod(self.shape), empty)


def assembled_sums(panels: Array, geometry: ImageGeometry, *, maximum: bool) -> Totals:
    """Draw sums in float64, with 0 in gaps.

    Pixels that share a pixel of the image are added, so that no count is lost; of
    maxima the largest is shown.
    """
    size = math.prod(geometry.shape)
    indices = (geometry.ix.ravel(), geometry.iy.ravel())
    target = np.ravel_multi_index(indices, geometry.shape)
    if not maximum:
        total = np.bincount(target, panels.ravel(), size).astype(np.float64)
        return total.reshape(geometry.shape)
    image = np.full(size, -np.inf)
    np.maximum.at(image, target, panels.ravel())
    image[np.isneginf(image)] = 0
    return image.reshape(geometry.shape)
