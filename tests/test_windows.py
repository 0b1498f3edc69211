"""Integrating detectors: sums of the other data between their events."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana import open_run
from smalldata_ana.commands.producer import main
from smalldata_ana.detector.protocol import MISSING_INTEGER
from smalldata_ana.producing.windows import Windows

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2/intg_det"


def windows_by_hand(there, times, values):
    """Sum the events after an end, up to and with the next, one by one."""
    found, begin = [], 0
    for k in np.flatnonzero(there):
        some = values[begin : k + 1]
        known = np.isfinite(some).any(axis=0)
        total = np.where(known, np.nansum(some, axis=0), np.nan)
        found.append((k + 1 - begin, times[begin], times[k], total))
        begin = k + 1
    return found


VALUE = st.one_of(st.none(), st.integers(-1000, 1000))


@given(
    st.lists(st.tuples(st.booleans(), VALUE, VALUE), min_size=1, max_size=40),
    st.lists(st.integers(1, 39), max_size=5),
)
def test_cut_anywhere_they_are_the_same(events, cuts):
    there = np.array([end for end, *_ in events])
    times = np.arange(100, 100 + len(there))
    values = np.array([row for _, *row in events], float)
    integers = np.where(np.isnan(values), MISSING_INTEGER, values).astype(np.int64)
    edges = sorted({0, len(there), *(c for c in cuts if c < len(there))})
    whole = None
    for begin, end in itertools.pairwise(edges):
        some = slice(begin, end)
        ends = np.flatnonzero(there[some])
        data = {"sum": values[some], "integers": integers[some]}
        part = Windows.of(ends, times[some], data)
        if whole is None:
            whole = part
        else:
            whole.append(part)
    expected = windows_by_hand(there, times, values)
    assert len(whole.values["count"]) == len(expected) + 1
    for k, (count, first, last, total) in enumerate(expected):
        assert whole.values["count"][k] == count
        assert whole.values["timestamp_min"][k] == first
        assert whole.values["timestamp_max"][k] == last
        np.testing.assert_array_equal(whole.values["sum"][k], total)
        np.testing.assert_array_equal(whole.values["integers"][k], total)


def test_missing_values_count_as_nothing():
    data = {
        "float": np.array([1.0, np.nan, 4.0], np.float32),
        "integer": np.array([1, MISSING_INTEGER, 4]),
    }
    found = Windows.of(np.array([2]), np.arange(3), data)
    assert found.values["float"][0] == 5
    assert found.values["integer"][0] == 5
    assert found.values["count"].tolist() == [3, 0]


def test_no_data_in_a_window_is_not_a_sum_of_0():
    data = {"float": np.array([np.nan, np.nan, 0.0]), "integer": np.array([-99999] * 3)}
    found = Windows.of(np.array([1, 2]), np.arange(3), data)
    np.testing.assert_array_equal(found.values["float"][:2], [np.nan, 0])
    assert np.isnan(found.values["integer"]).all()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}")
@pytest.mark.parametrize("batch", ["3", "100"])
def test_of_a_real_integrating_detector(tmp_path, batch):
    parameters = tmp_path / "p.toml"
    parameters.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        '[event]\nintegrating = ["andor"]\n'
    )
    options = ["--xtc-dir", str(REAL), "--params", str(parameters), "--default"]
    options += ["-d", str(tmp_path), "--gather_interval", batch, "--nproc", "1"]
    assert main(["-e", "xpptut15", "-r", "14", *options]) == 0
    run = open_run("xpptut15", 14, xtc_dir=REAL)
    andor, epix = run.scalar("andor/calib"), run.scalar("epix/calib")
    there = np.isfinite(andor).all(axis=(1, 2))
    assert 0 < there.sum() < len(run)
    expected = windows_by_hand(there, run.timestamps, epix)
    with h5py.File(next(tmp_path.glob("xpptut15_Run*.h5"))) as file:
        group = file["intg/andor"]
        counts, firsts, lasts, sums = zip(*expected, strict=True)
        np.testing.assert_array_equal(group["count"], counts)
        np.testing.assert_array_equal(group["timestamp_min"], firsts)
        np.testing.assert_array_equal(group["timestamp_max"], lasts)
        np.testing.assert_array_equal(group["epix_sum_calib"], sums)
        np.testing.assert_array_equal(group["andor_sum_calib"], andor[there])
    run.close()
