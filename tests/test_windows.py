"""Integrating detectors: sums of the other data between their events."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_ana import open_run
from smalldata_ana.commands.producer import main
from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.windows import (
    RunWindows,
    Windows,
    fields_of,
    write_part,
)

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2/intg_det"


def windows_by_hand(ends, times, values, lost=()):
    """Sum the events after an end, up to and with the next, one by one.

    Windows with a lost event are left out.
    """
    found, begin = [], 0
    for k in np.flatnonzero(ends):
        if set(range(begin, k + 1)) & set(lost):
            begin = k + 1
            continue
        some = values[begin : k + 1]
        known = np.isfinite(some).any(axis=0)
        total = np.where(known, np.nansum(some, axis=0), np.nan)
        found.append((k + 1 - begin, times[begin], times[k], total))
        begin = k + 1
    return found


VALUE = st.one_of(st.none(), st.integers(-1000, 1000))


def run_file(folder, fields):
    """Return a file of a run, and the object that writes its windows."""
    file = h5py.File(folder / "run.h5", "w", driver="core", backing_store=False)
    return file, RunWindows(file, "slow", fields, None, 40)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "", "image", "broken"]), VALUE, VALUE),
        min_size=1,
        max_size=40,
    ),
    st.lists(st.integers(1, 39), max_size=5),
    st.sets(st.integers(0, 5)),
)
def test_cut_anywhere_they_are_the_same(events, cuts, missing):
    ends = np.array([what != "" for what, *_ in events])
    there = np.array([what == "image" for what, *_ in events])
    times = np.arange(100, 100 + len(there))
    values = np.array([row for _, *row in events], float)
    integers = np.where(np.isnan(values), MISSING_INTEGER, values).astype(np.int64)
    edges = sorted({0, len(there), *(c for c in cuts if c < len(there))})
    lost = set(np.flatnonzero(ends & ~there))
    row = Field(np.dtype(float), (2,))
    layout = {"a/float": row, "a/integer": replace(row, dtype=np.dtype(np.int64))}
    with TemporaryDirectory() as folder:
        file, written = run_file(Path(folder), layout)
        for number, (begin, end) in enumerate(itertools.pairwise(edges)):
            if number in missing:
                # Whether its last event was an image is not known.
                lost |= {*range(begin, end), min(end, len(there) - 1)}
                continue
            some = slice(begin, end)
            data = {"a_sum_float": values[some], "a_sum_integer": integers[some]}
            windows = Windows.of(ends[some], there[some], times[some], data)
            with h5py.File("part", "w", driver="core", backing_store=False) as part:
                write_part(part, "slow", windows)
                written.append(Batch(number, begin, end), part)
        with file:
            found = {name: dataset[()] for name, dataset in file["intg/slow"].items()}
    expected = windows_by_hand(ends, times, values, lost)
    assert len(found["count"]) == len(expected)
    for k, (count, first, last, total) in enumerate(expected):
        assert found["count"][k] == count
        assert found["timestamp_min"][k] == first
        assert found["timestamp_max"][k] == last
        np.testing.assert_array_equal(found["a_sum_float"][k], total)
        np.testing.assert_array_equal(found["a_sum_integer"][k], total)


def of_one(data):
    """Return the windows of three events, of which the second and third are images."""
    ends = np.array([False, True, True])
    return Windows.of(ends, ends, np.arange(3), data).values


def test_missing_values_count_as_nothing():
    found = of_one(
        {
            "float": np.array([1.0, np.nan, 4.0], np.float32),
            "integer": np.array([1, MISSING_INTEGER, 4]),
        }
    )
    assert found["float"][:2].tolist() == [1, 4]
    assert found["integer"][:2].tolist() == [1, 4]
    assert found["count"].tolist() == [2, 1, 0]


def test_no_data_in_a_window_is_not_a_sum_of_0():
    found = of_one(
        {"float": np.array([np.nan, np.nan, 0.0]), "integer": np.array([-99999] * 3)}
    )
    np.testing.assert_array_equal(found["float"][:2], [np.nan, 0])
    assert np.isnan(found["integer"]).all()


def test_what_is_said_of_a_sum_holds_for_means_too():
    mean = Field(np.dtype(float), unit="keV", long_name="mean of the region")
    field = fields_of({"a/ROI_mean": mean})["a_sum_ROI_mean"]
    assert field.unit == "keV"
    assert field.long_name == "sum of the values of single events: mean of the region"


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
