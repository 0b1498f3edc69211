"""Whatever goes wrong: each event is in the producer's file once, or named."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from producing_run import (
    BATCH,
    EVENTS,
    LATE,
    NUMBER,
    assert_complete,
    assert_equal,
    contents,
    output,
    parts,
    site_of,
)
from simulated import make, ours

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field
from smalldata_ana.sources.datagrams import whole_datagrams

pytest_plugins = ["producing_fixtures"]

AT = 13
"""The event in which something happens, in the middle of a batch."""

SUM = "epix100/trouble_sum"
DESCRIBE = r"    def describe.self.:\n.*?\n\n"
"""How the function says what it gives."""

ITS_BATCH = np.arange(12, 15)


def problems_of(path):
    """Return what a file says is wrong with it."""
    with h5py.File(path) as file:
        return json.loads(file["UserDataCfg/producer/problems"].asstr()[...].item())


class TestKilledWorker:
    def test_once(self, site, reference, tmp_path, caplog):
        site.order(kill=AT, times=1)
        assert site.produce(tmp_path, "--nproc", 2) == 0
        assert site.deaths == 1
        assert "a worker died in batch 4 (events 12 to 14)" in caplog.text
        assert_equal(output(tmp_path), reference)

    def test_always(self, site, timestamps, tmp_path, capsys, caplog):
        site.order(kill=AT, times=99)
        assert site.produce(tmp_path, "--nproc", 2) == 3
        # The first time it is not known which of two batches has done it.
        assert site.deaths in (3, 4)
        named = "batch 4 (events 12 to 14) killed every worker"
        assert f"incomplete: {named}" in capsys.readouterr().out
        assert "is given up" in caplog.text
        assert problems_of(output(tmp_path)) == [named]
        assert_complete(output(tmp_path), timestamps, lost=ITS_BATCH)
        assert os.listdir(tmp_path) == [output(tmp_path).name]

    def test_on_the_first_event(self, site, timestamps, tmp_path, capsys, caplog):
        """On which the parent looks before the work begins."""
        site.order(kill=0, times=99)
        assert site.produce(tmp_path, "--nproc", 2) == 3
        assert "a function of epix100 killed its process on event 0" in caplog.text
        named = "batch 0 (events 0 to 2) killed every worker"
        assert f"incomplete: {named}" in capsys.readouterr().out
        assert_complete(output(tmp_path), timestamps, lost=np.arange(BATCH))

    def test_in_every_batch(self, site, reference, tmp_path, capsys):
        """Nothing is better than the file of before."""
        shutil.copy(reference, output(tmp_path))
        site.order(kill=1, times=99)
        assert site.produce(tmp_path, "--nproc", 2, "--nevents", BATCH) == 1
        assert "error: every batch killed its workers" in capsys.readouterr().err
        assert_equal(output(tmp_path), reference)


class TestFunctionThatRaises:
    FAILED = (4, AT)
    # Of two workers, either may come to its event first.
    TOLD = re.compile(r"(error: )?epix100/trouble failed on event (4|13):\nTraceback")

    @pytest.fixture(params=[1, 2], ids=["here", "processes"])
    def workers(self, request):
        return request.param

    def test_the_end_of_the_program_is_a_failure(
        self, site, tmp_path, capsys, caplog, workers
    ):
        site.order(exit=[0, AT])
        assert site.produce(tmp_path, "--nproc", workers) == 0
        assert "it called sys.exit(3)" in caplog.text
        assert "RuntimeError on 2 events" in capsys.readouterr().out
        with h5py.File(output(tmp_path)) as file:
            lost = np.flatnonzero(file[NUMBER][:] == MISSING_INTEGER)
        assert lost.tolist() == [0, LATE, AT]

    def test_without_an_event_and_on_the_first(
        self, made, reference, tmp_path, workers
    ):
        """Its results are described by the first image on which it does not fail."""
        site = site_of(made, tmp_path)
        path = site.folder / "functions.py"
        path.write_text(re.sub(DESCRIBE, "", path.read_text(), flags=re.DOTALL))
        site.order(**{"raise": [0]})
        assert site.produce(tmp_path / "out", "--nproc", workers) == 0
        with (
            h5py.File(output(tmp_path / "out")) as file,
            h5py.File(reference) as before,
        ):
            for name, missing in ((NUMBER, MISSING_INTEGER), (SUM, np.nan)):
                expected = before[name][:]
                expected[0] = missing
                np.testing.assert_array_equal(file[name], expected)

    def test_is_counted(self, site, reference, tmp_path, capsys, caplog, workers):
        site.order(**{"raise": self.FAILED})
        caplog.set_level(logging.WARNING)
        assert site.produce(tmp_path, "--nproc", workers) == 0
        told = "epix100/trouble: ArithmeticError on 2 events"
        assert told in capsys.readouterr().out
        (message,) = [m for m in caplog.messages if "ArithmeticError" in m]
        assert self.TOLD.match(message)
        assert 'raise ArithmeticError("made to fail")' in message
        self.assert_the_rest_is_equal(output(tmp_path), reference)

    def assert_the_rest_is_equal(self, path, reference):
        found, expected = contents(path), contents(reference)
        differ = {name for name in expected if found[name] != expected[name]}
        assert differ == {NUMBER, "epix100/trouble_sum"}
        missing = Field(np.dtype(int)).missing()
        with h5py.File(path) as file, h5py.File(reference) as before:
            numbers, sums = before[NUMBER][:], before["epix100/trouble_sum"][:]
            numbers[list(self.FAILED)], sums[list(self.FAILED)] = missing, np.nan
            np.testing.assert_array_equal(file[NUMBER], numbers)
            np.testing.assert_array_equal(file["epix100/trouble_sum"], sums)

    def test_stops_a_strict_job(self, site, reference, tmp_path, capsys, workers):
        site.order(**{"raise": self.FAILED})
        assert site.produce(tmp_path, "--nproc", workers, "--strict") == 1
        told = capsys.readouterr().err
        assert self.TOLD.search(told)
        assert "ArithmeticError: made to fail" in told
        assert not output(tmp_path).exists()
        site.order()
        assert site.produce(tmp_path, "--nproc", 1, "--strict") == 0
        assert "of them by an earlier job" in capsys.readouterr().out
        assert_equal(output(tmp_path), reference)


class TestLostData:
    """Of a detector, that is: the timing has all of its 8 events."""

    @pytest.fixture(params=[1, 2], ids=["here", "processes"])
    def produce(self, request, tmp_path, capsys):
        """Return a function that produces, and checks all but what was read."""

        def run_it(made):
            site = site_of(made, tmp_path / "site")
            path = site.folder / "p.toml"
            path.write_text(path.read_text().replace("epix100", "cspad140k"))
            path.write_text(path.read_text().split("[[detector.cspad140k.drop")[0])
            code = site.produce(tmp_path / "out", "--nproc", request.param)
            with h5py.File(output(tmp_path / "out")) as file:
                run = ours(made)
                np.testing.assert_array_equal(file["timestamp"], run.timestamps)
                assert len(run) == 8
                run.close()
                numbers = file["cspad140k/trouble_number"][:]
                sums = file["cspad140k/trouble_sum"][:]
            read = np.flatnonzero(np.isfinite(sums))
            np.testing.assert_array_equal(numbers[read], read)
            said = capsys.readouterr().out
            for problem in problems_of(output(tmp_path / "out")):
                assert f"incomplete: {problem}" in said
            assert f"cspad140k: {8 - len(read)} events without data" in said
            return code, read.tolist(), said

        return run_it

    def test_damaged_event(self, produce, tmp_path):
        made = make(tmp_path, with_constants=True)
        with open(made.files[1], "r+b") as file:
            events = [d for d in whole_datagrams(file) if d.service.is_event]
            for event in (2, 5):
                file.seek(events[event].offset)
                file.write(b"\xff" * 24)
        code, read, said = produce(made)
        assert code == 3
        assert read == [0, 1, 3, 4, 6, 7]
        assert "damaged" in said

    def test_truncated_file(self, produce, tmp_path):
        code, read, said = produce(make(tmp_path, truncate_at=5, with_constants=True))
        assert code == 3
        assert read == [0, 1, 2, 3, 4]
        assert "3 of 8 events of stream 1 are lost" in said

    def test_missing_chunk(self, produce, tmp_path):
        made = make(tmp_path, chunk_after=3, with_constants=True)
        (lost,) = made.xtc_dir.glob("*-s001-c001.xtc2")
        lost.unlink()
        code, read, said = produce(made)
        assert code == 3
        assert read == [0, 1, 2, 6, 7]
        assert f"{lost.name} is missing, and with it 3 of 8 events of stream 1" in said


@contextmanager
def disk(folder, options):
    """A disk of its own in a folder; skips where it cannot be had."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class TestNoPlaceToWrite:
    def test_full_disk_before_the_first_event(self, site, tmp_path, capsys):
        with disk(tmp_path / "disk", "size=1m") as full:
            assert site.produce(full, "--nproc", 1) == 2
            assert os.listdir(full) == []
        told = capsys.readouterr().err
        assert told.startswith(
            f"error: cannot write {output(tmp_path / 'disk')}: about"
        )
        assert "are needed, 0.00105 GB are free; free some space" in told

    @pytest.mark.parametrize("workers", [1, 2])
    def test_full_disk_in_the_middle(self, site, reference, tmp_path, capsys, workers):
        with disk(tmp_path / "disk", "size=150m") as filling:
            site.order(fill=AT, disk=str(filling), left=1 << 20)
            assert site.produce(filling, "--nproc", workers) == 2
            assert "the disk is full" in capsys.readouterr().err
            assert not output(filling).exists()
            (filling / "filler").unlink()
            site.order()
            assert site.produce(filling, "--nproc", 1) == 0
            assert "of them by an earlier job" in capsys.readouterr().out
            assert_equal(output(filling), reference)

    def test_too_little_room_to_merge(self, site, reference, tmp_path, capsys):
        with disk(tmp_path / "disk", "size=150m") as filling:
            site.order(fill=EVENTS - 1, disk=str(filling), left=15 << 20)
            assert site.produce(filling, "--nproc", 1) == 2
            assert "are needed, 0.00" in capsys.readouterr().err
            assert len(parts(filling)) == EVENTS // BATCH
            assert not list(filling.glob("*.h5"))
            assert not list(filling.glob(".*.h5"))
            (filling / "filler").unlink()
            site.order()
            assert site.produce(filling, "--nproc", 1) == 0
            assert f"{EVENTS} of them by an earlier job" in capsys.readouterr().out
            assert_equal(output(filling), reference)

    def test_folder_that_cannot_be_written(self, site, tmp_path, capsys):
        with disk(tmp_path / "disk", "size=1m,ro") as folder:
            assert site.produce(folder, "--nproc", 1) == 2
            assert os.listdir(folder) == []
        told = capsys.readouterr().err
        assert told.startswith("error: cannot write")
        assert str(folder) in told

    def test_folder_that_cannot_be_made(self, site, tmp_path, capsys):
        with disk(tmp_path / "disk", "size=1m,ro") as folder:
            assert site.produce(folder / "new", "--nproc", 1) == 2
        assert "the file system is read-only" in capsys.readouterr().err

    def test_a_file_in_the_place_of_the_folder(self, site, tmp_path, capsys):
        (tmp_path / "out").touch()
        assert site.produce(tmp_path / "out", "--nproc", 1) == 2
        assert "it is a file" in capsys.readouterr().err

    def test_a_folder_in_the_place_of_the_file(self, site, tmp_path, capsys):
        output(tmp_path).mkdir()
        assert site.produce(tmp_path, "--nproc", 1) == 2
        assert "it is a folder" in capsys.readouterr().err
        assert os.listdir(tmp_path) == [output(tmp_path).name]


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_an_output_that_is_open_elsewhere(site, reference, tmp_path, mode):
    """Its reader keeps the old one; who opens it again has the new one."""
    path = output(tmp_path)
    with h5py.File(path, "w") as file:
        file["timestamp"] = [1, 2]
    path.chmod(0o640)
    reader = (
        "import sys, h5py\n"
        "file = h5py.File(sys.argv[1], sys.argv[2])\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
        "print(file['timestamp'][:].tolist())\n"
        "file.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as elsewhere:
        try:
            assert elsewhere.stdout.readline() == "open\n"
            assert site.produce(tmp_path, "--nproc", 1) == 0
            said, _ = elsewhere.communicate("", timeout=60)
        finally:
            elsewhere.kill()
    assert said == "[1, 2]\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert_equal(path, reference)
