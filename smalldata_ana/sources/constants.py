"""Calibration constants: where they are kept, and which of them is valid for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import SmallDataError

if TYPE_CHECKING:
    from smalldata_ana.sources.constants_store import ConstantsStore

NAMES = (
    "pedestals",
    "pixel_rms",
    "pixel_gain",
    "pixel_offset",
    "pixel_status",
    "pixel_mask",
    "common_mode",
    "geometry",
)
"""What there can be for a detector, in psana's names."""

Value = npt.NDArray[Any] | str


@dataclass(frozen=True)
class Constant:
    """One calibration constant, with where it came from.

    Attributes
    ----------
    name : one of `NAMES`
    content : the value, or a function that reads it, as arrays are large
    begin, end : first and last run that it is valid for; ``end`` None: until further
        notice
    origin : the file or database it was read from
    time : when it was made, ISO 8601, or an empty string
    """

    name: str
    content: Value | Callable[[], Value]
    begin: int
    end: int | None
    origin: str
    time: str = ""

    @property
    def value(self) -> Value:
        """An array, or text (``geometry``); read anew each time it is asked for.

        Raises
        ------
        ConstantsError
            if its file cannot be read, or has changed
        """
        return self.content() if callable(self.content) else self.content

    @property
    def validity(self) -> str:
        """The range of runs as text, e.g. ``10-end``."""
        return validity(self.begin, self.end)


@dataclass(frozen=True)
class Constants:
    """The constants of one detector that are valid for one run.

    Attributes
    ----------
    detector : its name
    items : the constants by name; what there is none of is absent
    notes : remarks for people, e.g. that two stores differ
    places : where they were looked for
    """

    detector: str
    items: Mapping[str, Constant]
    notes: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def array(self, name: str) -> npt.NDArray[Any] | None:
        """Return the array of a constant, or None where there is none."""
        item = self.items.get(name)
        return None if item is None else np.asarray(item.value)

    def text(self, name: str) -> str | None:
        """Return the text of a constant, or None where there is none."""
        item = self.items.get(name)
        return None if item is None else str(item.value)


def validity(begin: int, end: int | None) -> str:
    """Return a range of runs as text, e.g. ``10-end``."""
    return f"{begin}-{'end' if end is None else end}"


def age(begin: int, end: int | None) -> tuple[int, float]:
    """Return the key of a range of runs by which the best match is the greatest.

    The largest begin wins; of equal begins, the narrower range, as in psana.
    """
    return begin, -(float("inf") if end is None else end)


def valid_constants(
    detector: str,
    run: int,
    *,
    store: ConstantsStore,
    given: bool,
    database: Callable[[], Constants] | None,
    serial: str = "",
) -> Constants:
    """Return the constants that are valid for a run, from the store and the database.

    Each constant is taken on its own.  A store that the user named comes first, and
    the database gives what it lacks; else the newest validity wins (`age`), and of
    equal ones the store.

    Parameters
    ----------
    detector : its name
    run : number of the run
    store : the constants store
    given : True if the user named the store
    database : asks psana's database; None where there is none
    serial : serial number of the detector in this run, where it is known

    Returns
    -------
    The constants.  Their notes say where the two differ, and that the database did not
    answer, which is no error.

    Raises
    ------
    ConstantsError
        if the store is damaged
    """
    local = store.get(detector, run, serial=serial)
    if database is None:
        return local
    try:
        remote = database()
    except SmallDataError as error:
        note = f"the constants database was not used: {error}"
        return replace(local, notes=(*local.notes, note))
    items, notes = dict(remote.items), [*local.notes, *remote.notes]
    for name, ours in local.items.items():
        theirs = remote.items.get(name)
        if theirs is None or given or not _newer(theirs, ours):
            items[name] = ours
        if theirs is not None and not _same(ours, theirs):
            notes.append(_difference(detector, ours, theirs, items[name] is ours))
    places = (*local.places, "psana's constants database")
    return Constants(detector, items, tuple(notes), places)


def _newer(one: Constant, other: Constant) -> bool:
    return age(one.begin, one.end) > age(other.begin, other.end)


def _same(one: Constant, other: Constant) -> bool:
    first, second = one.value, other.value
    if isinstance(first, str) or isinstance(second, str):
        return str(first) == str(second)
    return np.array_equal(first, second, equal_nan=True)


def _difference(detector: str, ours: Constant, theirs: Constant, local: bool) -> str:
    return (
        f"{detector}: {ours.name} of the store ({ours.validity}) and of the database "
        f"({theirs.validity}) differ; that of the {'store' if local else 'database'} "
        "is used"
    )
