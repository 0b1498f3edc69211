"""One family of errors, each of which says what to do next.

Every error that a user can cause is a `SmallDataError`.  The command lines turn its
``exit_code`` into their own and print its text as one line; the session prints the
text and goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SmallDataError(Exception):
    """Something that the user can understand and mend."""

    exit_code = 2


class UsageError(SmallDataError):
    """A command line or an argument makes no sense."""


class ExperimentNotFound(SmallDataError):
    """No experiment was given, or there is none of that name."""


class RunNotFound(SmallDataError):
    """The run has no files, or they cannot be opened."""


class DetectorNotFound(SmallDataError):
    """The run has no detector of that name."""


class NameNotFound(SmallDataError):
    """An image, a scalar, a selection or the like does not exist."""


class NoDataError(SmallDataError):
    """There is nothing to work on: no events, none selected, or none with data."""


class ParameterError(SmallDataError, ValueError):
    """A parameter is unknown or has a value that is not allowed."""


class ConstantsError(SmallDataError):
    """Calibration constants are missing, unreadable or of the wrong shape."""


class GeometryError(SmallDataError):
    """A detector has no geometry, or one that does not fit it."""


class BeamCenterError(SmallDataError):
    """A picture or points do not tell where the centre of the rings is."""


class FileError(SmallDataError):
    """A file cannot be read or written."""


class IncompleteDataError(SmallDataError):
    """The data of a run are damaged: truncated, or with parts missing."""

    exit_code = 3


class UserCodeError(SmallDataError):
    """A file of the user's own failed; the text has its traceback."""

    exit_code = 1


class MissingSoftwareError(SmallDataError):
    """A package that this action needs is not there."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the sentence ``Did you mean 'x'?`` with a leading blank, or nothing.

    Examples
    --------
    >>> did_you_mean("jungfrau", ["jungfrau1M", "epix100"])
    " Did you mean 'jungfrau1M'?"
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        lower = {k.lower(): k for k in known}
        near = [k for low, k in lower.items() if name.lower() in low][:1]
    return f" Did you mean {near[0]!r}?" if near else ""


def listing(names: Iterable[str]) -> str:
    """Return ``'a', 'b'`` or, for no names, the word ``none``."""
    return ", ".join(repr(n) for n in names) or "none"


def counted(number: int, what: str, plural: str | None = None) -> str:
    """Return a number of things in words.

    Parameters
    ----------
    number : how many
    what : one of them
    plural : several of them, if it is not `what` with an s

    Examples
    --------
    >>> counted(1, "event"), counted(0, "entry", "entries")
    ('1 event', '0 entries')
    """
    return f"{number} {what if number == 1 else plural or what + 's'}"


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> str:
    """Say that a name is unknown, what there is, and which one was perhaps meant.

    Parameters
    ----------
    what : the kind of thing, e.g. ``"area detector"``
    name : what was asked for
    known : the names that exist
    where : where they were looked for, e.g. ``"xppsim01 run 1"``

    Examples
    --------
    >>> unknown("area detector", "jungfrau", ["jungfrau1M"], "xppsim01 run 1")
    "no area detector 'jungfrau' in xppsim01 run 1; there is 'jungfrau1M'. \
Did you mean 'jungfrau1M'?"
    """
    known = list(known)
    place = f" in {where}" if where else ""
    verb = "is" if len(known) == 1 else "are"
    there = f"there {verb} {listing(known)}"
    return f"no {what} {name!r}{place}; {there}.{did_you_mean(name, known)}"
