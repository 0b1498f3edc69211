"""Who made an entry, when, how and with what."""

from __future__ import annotations

import getpass
import socket
from datetime import UTC, datetime
from typing import Any

import smalldata_ana


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
