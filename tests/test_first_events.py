"""How many events at the begin of a run decide what there is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from smalldata_ana.sources import first_events
from smalldata_ana.sources.datagrams import timestamp

BEGIN = 1_124_000_000_700_000_000
"""Of the run [ns], so that seconds change within an interval."""


@dataclass
class Taken:
    """A run of which some events are there already."""

    times: list[int]
    growing: bool = False
    timestamps: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        stamps = [timestamp(BEGIN + time) for time in self.times]
        self.timestamps = np.array(stamps, np.uint64)

    def __len__(self) -> int:
        return len(self.times)


def at(rate: float, events: int) -> list[int]:
    return [round(k * 1e9 / rate) for k in range(events)]


@pytest.mark.parametrize(
    ("rate", "events", "first"),
    [
        (120, 5000, 1000),
        (120, 700, 700),
        (10, 5000, 301),
        (10, 20, 20),
        (0.01, 3, 1),
        (120, 0, 0),
    ],
)
def test_as_many_in_any_state_of_the_run(rate: float, events: int, first: int) -> None:
    times = at(rate, events)
    assert first_events.first_events(Taken(times)) == first
    assert first_events.complete(Taken(times))
    for there in {n for n in (0, 1, first - 1, first, first + 1) if 0 <= n <= events}:
        growing = Taken(times[:there], growing=True)
        known = first_events.complete(growing)
        assert first_events.first_events(growing) == min(there, first)
        assert known == (there >= 1000 or there > first)


def test_the_limit_is_exact() -> None:
    for late, first in ((0, 2), (1, 1)):
        run = Taken([0, 30 * 10**9 + late])
        assert first_events.first_events(run) == first
