"""Which events of a run decide what there is in it: the same while it is taken."""

from __future__ import annotations

import numpy as np

from smalldata_ana.sources.base import Run

MOST = 1000
"""Events that decide, at most."""

SECONDS = 30
"""Time from a run's first event in which they are, by their timestamps [s]."""


def first_events(run: Run) -> int:
    """Return how many events at the begin of a whole run decide what there is in it.

    They are the first `MOST`, as far as they are within `SECONDS` of the first one. The
    timestamps of the events count, not the time of day, so that the number is the same
    in a job that follows the run and in a later one.

    Parameters
    ----------
    run : a whole run; while it grows, the number is final when `complete` tells so
    """
    times = run.timestamps[:MOST]
    if not len(times):
        return 0
    # seconds are the high half of a timestamp
    end = times[0] + np.uint64(SECONDS << 32)
    return int(np.searchsorted(times, end, side="right"))


def complete(run: Run) -> bool:
    """Tell whether all the events that decide are there.

    Parameters
    ----------
    run : a whole run
    """
    first = first_events(run)
    return not run.growing or first == MOST or first < len(run)
