"""Values that change slowly, EPICS and scan variables, as they were at each event.

psana, asked after later updates were read, gives the next value instead of the one
in force; here an event has the last update at or before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Array, ScalarInfo
from smalldata_ana.sources.datagrams import HEADER, Service
from smalldata_ana.sources.event_index import EventIndex

SERVICES = {
    "epics": (Service.SLOW_UPDATE,),
    "scan": (Service.BEGIN_RUN, Service.BEGIN_STEP),
}
"""Which transitions carry which group of values."""


class SlowValues:
    """All slow values of a run, read from its transitions.

    Parameters
    ----------
    index : the run's index
    decoder : gives for a stream the function that decodes its datagrams
    """

    def __init__(
        self, index: EventIndex, decoder: Callable[[int], Callable[[bytes], Any]]
    ) -> None:
        self._updates: dict[str, list[tuple[int, Any]]] = {}
        for group, services in SERVICES.items():
            for transition in index.transitions(*services):
                if len(transition.data) <= HEADER.size:
                    continue
                datagram = decoder(transition.stream)(transition.data)
                for segment in getattr(datagram, group, {}).values():
                    self._collect(group, transition.timestamp, segment)
        for updates in self._updates.values():
            updates.sort(key=lambda update: update[0])

    def _collect(self, group: str, timestamp: int, segment: Any) -> None:
        for values in vars(segment).values():
            if not hasattr(values, "__dict__"):
                continue
            for name, value in vars(values).items():
                if name.startswith("_") or name == "damage":
                    continue
                kept = value if isinstance(value, str) else np.array(value)
                self._updates.setdefault(f"{group}/{name}", []).append(
                    (timestamp, kept)
                )

    def infos(self) -> dict[str, ScalarInfo]:
        """Return what there is, by name."""
        found = {}
        for name, updates in self._updates.items():
            value = updates[0][1]
            if isinstance(value, str):
                found[name] = ScalarInfo(name, (), np.dtype(object))
            else:
                found[name] = ScalarInfo(name, value.shape, np.dtype(np.float64))
        return found

    def values(self, name: str, timestamps: npt.NDArray[np.uint64]) -> Array:
        """Return the value in force at each time, NaN or '' before the first."""
        updates = self._updates[name]
        times = np.array([time for time, _ in updates], np.uint64)
        last = np.searchsorted(times, timestamps, side="right") - 1
        if isinstance(updates[0][1], str):
            text = [updates[k][1] if k >= 0 else "" for k in last]
            return np.array(text, object)
        table = np.array([value for _, value in updates], np.float64)
        result = table[np.maximum(last, 0)]
        result[last < 0] = np.nan
        return result
