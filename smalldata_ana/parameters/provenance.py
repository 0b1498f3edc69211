"""Who made an entry, when, how and with what."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Protocol

import smalldata_ana

_TYPES: Mapping[str, tuple[type, str]] = {
    "by": (str, "a text"),
    "at": (date, "a time, such as 2026-11-20T15:46:21Z"),
    "tool": (str, "a text"),
    "how": (str, "a text"),
    "run": (int, "a whole number"),
    "image": (str, "a text"),
    "events": (int, "a whole number"),
    "selection": (str, "a text"),
    "calibration": (Mapping, "a table"),
}
"""What the values of `made` are, of those whose type is fixed."""


def author() -> str:
    """Return ``user@host``, with ``unknown`` for a user without a name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def made(how: str, **more: Any) -> dict[str, Any]:
    """Return the provenance of something that is made now.

    Parameters
    ----------
    how : what made it, e.g. ``SelectRegion``
    more : what else is known (``run``, ``image``, ``events``, …); None is left out
    """
    known = {key: value for key, value in more.items() if value is not None}
    tool = f"smalldata_ana {smalldata_ana.__version__}"
    return {"by": author(), "at": now(), "tool": tool, "how": how, **known}


def problems_of_made(made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Check the provenance of an entry; it may have more than `made` gives.

    Yields
    ------
    A key with a wrong value, and what is wrong.
    """
    for key, (wanted, words) in _TYPES.items():
        value = made.get(key)
        if key in made and (not isinstance(value, wanted) or isinstance(value, bool)):
            yield key, f"{key} = {value!r} is not {words}"


class Image(Protocol):
    """As much of an average image as is recorded; see `AverageImage`."""

    @property
    def name(self) -> str:
        """What it is called in its session."""

    @property
    def n_used(self) -> int:
        """How many events are in it."""

    @property
    def made(self) -> Mapping[str, Any]:
        """How it was made."""


def made_on(how: str, run: int, image: Image | None, **more: Any) -> dict[str, Any]:
    """Return the provenance of something that is chosen on an image now.

    Parameters
    ----------
    how : what made it, e.g. ``SelectRegion``
    run : the run of the session
    image : the average image that it was chosen on, or None
    more : what else is known; None is left out

    Notes
    -----
    ``calibration`` has the validity of each constant: the producer tells where those
    of its run are others.
    """
    if image is None:
        return made(how, run=run, **more)
    constants = image.made.get("constants", {})
    validity = {name: constant["validity"] for name, constant in constants.items()}
    return made(
        how,
        run=run,
        image=image.name,
        events=image.n_used,
        selection=image.made.get("selection") or None,
        common_mode=image.made.get("common_mode"),
        calibration=validity or None,
        **more,
    )
