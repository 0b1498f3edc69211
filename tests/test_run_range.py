"""Ranges of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.run_range import RunRange

runs = st.integers(0, 10**6)
ranges = st.builds(
    lambda begin, more: RunRange(begin, None if more is None else begin + more),
    runs,
    st.none() | st.integers(0, 10**4),
)


@pytest.mark.parametrize(
    ("text", "inside", "outside", "spelling"),
    [
        ("12", [12], [11, 13], "12"),
        ("12-", [12, 13, 10**9], [11], "12-"),
        ("12-end", [12, 10**9], [0, 11], "12-"),
        ("12-40", [12, 25, 40], [11, 41], "12-40"),
        (" 12 - 40 ", [12, 40], [11, 41], "12-40"),
        ("7-7", [7], [6, 8], "7"),
    ],
)
def test_spellings(text, inside, outside, spelling):
    range_ = RunRange.parse(text)
    assert all(run in range_ for run in inside)
    assert not any(run in range_ for run in outside)
    assert str(range_) == spelling


@pytest.mark.parametrize("text", ["", "-", "-12", "a", "12-3", "1,2", "12-40-", "1.5"])
def test_what_is_no_range_is_an_error(text):
    with pytest.raises(ParameterError, match="runs"):
        RunRange.parse(text)


@given(ranges)
def test_text_round_trip(range_):
    assert RunRange.parse(str(range_)) == range_


@given(ranges, runs)
def test_membership_is_the_comparison(range_, run):
    last = 10**9 if range_.end is None else range_.end
    assert (run in range_) == (range_.begin <= run <= last)


def test_a_whole_number_is_that_run():
    assert RunRange.parse(12) == RunRange(12, 12)
    for wrong in (-3, 1.5, True):
        with pytest.raises(ParameterError, match=f"{wrong!r} is not a range of runs"):
            RunRange.parse(wrong)
