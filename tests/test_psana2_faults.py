"""Runs in LCLS-II files of which something is lost or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated import make, ours

from smalldata_ana.opening import open_run
from smalldata_ana.sources.datagrams import HEADER, whole_datagrams

TRUNCATED_AT = 5


@pytest.mark.parametrize("with_smd", [True, False])
class TestFaults:
    def test_chunks(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path / "a", chunk_after=3, with_smd=with_smd)
        plain = ours(make(tmp_path / "b"))
        found = ours(made)
        assert len(list(made.xtc_dir.glob("*-c002.xtc2"))) == 2
        assert len(found) == len(plain) == 8
        for event in range(8):
            np.testing.assert_array_equal(
                found.read("cspad140k", event), plain.read("cspad140k", event)
            )
        for name in ("gmd/millijoulesperpulse", "scan/lxt"):
            np.testing.assert_array_equal(found.scalar(name), plain.scalar(name))
        assert not found.problems

    def test_missing_chunk(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, chunk_after=3, with_smd=with_smd)
        (lost,) = made.xtc_dir.glob("*-s001-c001.xtc2")
        lost.unlink()
        found = ours(made)
        assert len(found) == 8
        there = found.contributed("cspad140k")
        kept = [0, 1, 2, 6, 7] if with_smd else [0, 1, 2]
        assert np.flatnonzero(there).tolist() == kept
        assert found.read("cspad140k", 3) is None
        (problem,) = found.problems
        events = "3 of 8 events of" if with_smd else "a part of"
        assert problem == f"{lost.name} is missing, and with it {events} stream 1"

    def test_missing_chunk_of_the_timing(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, chunk_after=3, with_smd=with_smd)
        (lost,) = made.xtc_dir.glob("*-s000-c001.xtc2")
        lost.unlink()
        found = ours(made)
        codes = found.event_codes()
        gone = (codes == -1).all(axis=1)
        assert np.flatnonzero(gone).tolist() == (
            [3, 4, 5] if with_smd else [3, 4, 5, 6, 7]
        )
        assert np.isnan(found.scalar("gmd/millijoulesperpulse")[gone]).all()
        assert np.isfinite(found.scalar("gmd/millijoulesperpulse")[~gone]).all()

    def test_truncated_data(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, truncate_at=TRUNCATED_AT, with_smd=with_smd)
        found = ours(made)
        assert len(found) == 8
        assert found.contributed("cspad140k").sum() == TRUNCATED_AT
        assert found.read("cspad140k", TRUNCATED_AT - 1) is not None
        assert found.read("cspad140k", TRUNCATED_AT) is None
        (problem,) = found.problems
        assert "s001-c000.xtc2 is truncated" in problem
        assert with_smd == ("3 of 8 events of stream 1 are lost" in problem)

    def test_truncated_single_stream(self, tmp_path: Path, with_smd: bool) -> None:
        made = make(tmp_path, truncate_at=TRUNCATED_AT, with_smd=with_smd)
        found = open_run(files=[made.files[1]])
        assert len(found) == (8 if with_smd else TRUNCATED_AT + 1)
        assert found.contributed("cspad140k").sum() == TRUNCATED_AT
        assert len(found.problems) == 1


def test_missing_data_file_beside_its_offset_file(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.files[1].unlink()
    found = open_run(files=[made.files[0]])
    assert len(found) == 8
    from smalldata_ana.sources.psana2.scanned_run import ScannedRun
    from smalldata_ana.sources.xtc_files import streams_of_files

    (first,) = streams_of_files([made.files[0]])
    second = type(first)(
        made.files[1],
        made.xtc_dir / "smalldata" / made.files[1].name.replace("xtc2", "smd.xtc2"),
    )
    both = ScannedRun(lambda: [first, second], lambda _: pytest.fail)
    assert len(both) == 8
    (problem,) = both.problems
    assert problem == (
        f"{made.files[1].name} is missing, and with it 8 of 8 events of stream 1"
    )
    assert "cspad140k" not in both.detectors


def test_damaged_events_count_as_missing(tmp_path: Path) -> None:
    made = make(tmp_path)
    with open(made.files[1], "r+b") as file:
        events = [d for d in whole_datagrams(file) if d.service.is_event]
        for event, content in ((2, bytes(24)), (4, b"\xff" * 24)):
            file.seek(events[event].offset)
            file.write(content)
    found = ours(made)
    for _ in range(2):
        read = [found.read("cspad140k", k) is not None for k in range(8)]
    assert read == [True, True, False, True, False, True, True, True]
    assert found.problems == [
        "stream 1 has 2 damaged events, taken as missing, the first at timestamp "
        f"{found.timestamps[2]}"
    ]


def test_what_the_daq_marks_as_damaged_counts_as_missing(tmp_path: Path) -> None:
    """The mark is on the data of one segment; the rest of the event is as it is."""
    made = make(tmp_path)
    plain = ours(made).read("cspad140k", 2)
    (path,) = made.xtc_dir.glob("*-s001-c000.xtc2")
    with path.open("rb") as file:
        events = [d for d in whole_datagrams(file) if d.service.is_event]
    with path.open("r+b") as file:
        file.seek(events[3].offset + HEADER.size + 4)  # source, damage, type, extent
        file.write((1 << 1).to_bytes(2, "little"))
    found = ours(made)
    assert found.read("cspad140k", 3) is None
    np.testing.assert_array_equal(found.read("cspad140k", 2), plain)
    assert found.event_codes(np.array([3])).max() == 1
