"""Choice of events."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalldata_ana.errors import NameNotFound, NoDataError, ParameterError
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event, choose, selection_mask


class _Events(SimpleNamespace):
    """As much of a run as the choice of events needs."""

    experiment = "xppsim01"
    number = 1

    def __len__(self) -> int:
        return len(self.timestamps)


def events(count: int) -> Run:
    stamps = (np.arange(count, dtype=np.uint64) + 7) << np.uint64(33)
    return cast(Run, _Events(timestamps=stamps))


def test_event() -> None:
    assert Event(events(3), 1).timestamp == 8 << 33


def test_first_events() -> None:
    assert choose(events(10), 3).tolist() == [0, 1, 2]
    assert choose(events(10), 3, skip=4).tolist() == [4, 5, 6]
    assert choose(events(3), 10).tolist() == [0, 1, 2]


@pytest.mark.parametrize("count", [None, -1])
def test_all_events(count: int | None) -> None:
    assert choose(events(4), count, skip=1).tolist() == [1, 2, 3]


def test_uniform() -> None:
    assert choose(events(11), 3, uniform=True).tolist() == [0, 5, 10]
    assert choose(events(11), 2, skip=3, uniform=True).tolist() == [3, 10]
    assert choose(events(11), 1, uniform=True).tolist() == [0]


def test_skip_counts_events_of_the_run() -> None:
    odd = np.arange(10) % 2 == 1
    assert choose(events(10), 2, skip=4, selection=odd).tolist() == [5, 7]


@given(
    selection=hnp.arrays(bool, st.integers(1, 60)),
    count=st.integers(1, 70),
    skip=st.integers(0, 60),
    uniform=st.booleans(),
)
def test_properties(
    selection: np.ndarray, count: int, skip: int, uniform: bool
) -> None:
    run = events(len(selection))
    left = [n for n in range(skip, len(selection)) if selection[n]]
    if not left:
        with pytest.raises(NoDataError):
            choose(run, count, skip=skip, uniform=uniform, selection=selection)
        return
    chosen = choose(run, count, skip=skip, uniform=uniform, selection=selection)
    assert chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all()
    assert set(chosen.tolist()) <= set(left)
    assert len(chosen) == min(count, len(left))
    assert chosen[0] == left[0]
    if uniform and count > 1:
        assert chosen[-1] == left[-1]
        gaps = np.diff(np.searchsorted(left, chosen))
        assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("count", [0, -2])
def test_count_out_of_range(count: int) -> None:
    with pytest.raises(ParameterError, match=f"above 0, or -1 for all, not {count}"):
        choose(events(3), count)


def test_skip_out_of_range() -> None:
    with pytest.raises(ParameterError, match="not be below 0, but are -1"):
        choose(events(3), skip=-1)


def test_nothing_left() -> None:
    selection = np.array([True, True, False, False])
    with pytest.raises(
        NoDataError, match="has 4 events, the selection has 2 of them, and the first 2 "
    ):
        choose(events(4), 5, skip=2, selection=selection)


def test_run_without_events() -> None:
    with pytest.raises(NoDataError, match="xppsim01 run 1 is left: it has 0 events"):
        choose(events(0))


def test_selection_of_all() -> None:
    assert selection_mask(events(3), None).tolist() == [True] * 3


def test_selection_by_name() -> None:
    named = {"xon": np.array([True, False, True])}
    assert selection_mask(events(3), "xon", named).tolist() == [True, False, True]
    with pytest.raises(NameNotFound, match=r"no selection 'xonn' .* mean 'xon'\?"):
        selection_mask(events(3), "xonn", named)
    with pytest.raises(NameNotFound, match="'xon' in xppsim01 run 1; there are none"):
        selection_mask(events(3), "xon")


def test_selection_by_array_is_a_copy() -> None:
    given_mask = np.array([True, False, True])
    mask = selection_mask(events(3), given_mask)
    assert mask.tolist() == given_mask.tolist()
    assert not np.shares_memory(mask, given_mask)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones(4, bool), "the selection is for 4 events, xppsim01 run 1 has 3 "),
        (np.ones((3, 1), bool), r"an array of shape \(3, 1\), xppsim01 run 1 has 3 "),
    ],
)
def test_selection_of_another_length(mask: np.ndarray, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        selection_mask(events(3), mask)
    with pytest.raises(ParameterError, match=says):
        choose(events(3), selection=mask)


def test_named_selection_of_another_length() -> None:
    with pytest.raises(ParameterError, match="selection 'old' is for 2 events"):
        selection_mask(events(3), "old", {"old": np.ones(2, bool)})


@pytest.mark.parametrize("make", [list, np.array, lambda s: np.array(s, np.int64)])
def test_selection_by_timestamps(make: Callable[[list[int]], object]) -> None:
    stamps = [10 << 33, 7 << 33, 7 << 33]
    mask = selection_mask(events(5), make(stamps))  # type: ignore[arg-type]
    assert np.flatnonzero(mask).tolist() == [0, 3]


def test_no_timestamps_select_nothing() -> None:
    assert not selection_mask(events(5), []).any()


def test_timestamps_of_another_run() -> None:
    with pytest.raises(
        NameNotFound, match=r"2 of 3 timestamps are not in xppsim01 .* them 42"
    ):
        selection_mask(events(5), [7 << 33, 42, 43])


@pytest.mark.parametrize("what", [[0.5, 1.5], [[1, 2]], 3, ["a"]])
def test_no_selection_at_all(what: object) -> None:
    with pytest.raises(ParameterError, match="a selection is a name, a boolean array"):
        selection_mask(events(5), what)  # type: ignore[arg-type]
