"""Slow values as events see them; psana has no part in it."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.sources.psana2.slow_values import (
    ConfigurationChanges,
    SlowValues,
    Updates,
)

TIMES = st.lists(st.integers(0, 60), unique=True, max_size=30).map(sorted)


def updates(times: list[int], text: bool = False) -> Updates:
    values = np.array([f"at {t}" for t in times], object) if text else np.array(times)
    return Updates(
        np.array(times, np.uint64), values if text else values.astype(np.float64)
    )


@given(times=TIMES, seen=TIMES)
def test_events_see_the_same_of_what_is_cut_to_them(
    times: list[int], seen: list[int]
) -> None:
    events = np.array(seen, np.uint64)
    whole = SlowValues({"epics/x": updates(times), "epics/note": updates(times, True)})
    cut = pickle.loads(pickle.dumps(whole.seen_at(events)))
    expected = [max((t for t in times if t <= event), default=None) for event in seen]
    numbers = [np.nan if t is None else t for t in expected]
    text = ["" if t is None else f"at {t}" for t in expected]
    for values in (whole, cut):
        np.testing.assert_array_equal(values.values("epics/x", events), numbers)
        assert values.values("epics/note", events).tolist() == text
        assert values.infos() == whole.infos()


@given(times=TIMES, seen=TIMES)
def test_no_more_is_kept_than_can_be_seen(times: list[int], seen: list[int]) -> None:
    kept = updates(times).seen_at(np.array(seen, np.uint64))
    assert len(kept.times) <= len(seen)


def test_many_slow_values_of_a_long_run_are_small_in_a_part() -> None:
    long = updates([*range(0, 100_000, 10)])
    whole = SlowValues({f"epics/pv_{k}": long for k in range(500)})
    part = whole.seen_at(np.arange(50_003, 50_103, dtype=np.uint64))
    assert len(pickle.dumps(part)) < 300_000
    assert part.values("epics/pv_7", np.array([50_003], np.uint64)) == [50_000]


def test_configuration_of_a_detector_that_no_step_changed() -> None:
    assert ConfigurationChanges({}).at("epixquad", 0, np.uint64(5)) == {}
