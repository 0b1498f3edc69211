"""The producer's file does not depend on how the work was done, or how often begun."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from producing_run import (
    BATCH,
    EVENTS,
    LATE,
    MPIRUN,
    NUMBER,
    Site,
    assert_complete,
    assert_equal,
    ended,
    ending,
    output,
    parts,
    processes_of_group,
    until,
)

from smalldata_ana.detector.protocol import Field

pytest_plugins = ["producing_fixtures"]

WITH_MPI = pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside python")
STOPPED_AT = 13
"""The event that ends the job of `left`."""

FINISHED = STOPPED_AT // BATCH
"""Batches that are complete then."""


def test_one_worker(reference, timestamps):
    assert_complete(reference, timestamps)
    with h5py.File(reference) as file:
        missing = Field(file[NUMBER].dtype).missing()
        assert file[NUMBER][LATE] == missing
        sums = file["epix100/trouble_sum"][:]
        assert np.flatnonzero(np.isnan(sums)).tolist() == [LATE]
        total = file["Sums/epix100_calib"][:].sum()
        np.testing.assert_allclose(total, np.nansum(sums), rtol=1e-6)


def test_two_processes(site, reference, tmp_path):
    assert site.produce(tmp_path, "--nproc", 2) == 0
    assert_equal(output(tmp_path), reference)
    assert os.listdir(tmp_path) == [output(tmp_path).name]


def test_sixteen_processes(site, tmp_path):
    """With a batch for each event, so that there is work for all of them."""
    for number in (1, 16):
        options = ("--nproc", number, "--gather_interval", 1, "--nevents", 16)
        assert site.produce(tmp_path / str(number), *options) == 0
    assert_equal(output(tmp_path / "16"), output(tmp_path / "1"))


@WITH_MPI
def test_mpi(site, reference, tmp_path):
    with ending(site.begin(tmp_path, mpi=3)) as job:
        code, said = ended(job)
    assert code == 0, said
    assert_equal(output(tmp_path), reference)


@WITH_MPI
def test_a_killed_rank_ends_the_job_which_resumes(site, reference, tmp_path, capsys):
    site.order(kill=STOPPED_AT, times=1)
    with ending(site.begin(tmp_path, mpi=2)) as job:
        code, said = ended(job)
        assert code != 0, said
        until(lambda: not processes_of_group(job.pid))
    assert not output(tmp_path).exists()
    finished = [path for path in parts(tmp_path) if path.suffix == ".h5"]
    assert finished
    assert site.produce(tmp_path, "--nproc", 1) == 0
    assert reused(capsys) == BATCH * len(finished)
    assert_equal(output(tmp_path), reference)


def test_killed_and_resumed(site, reference, tmp_path, capsys):
    """The parent alone is killed; a second producer is refused before, not after."""
    site.order(wait=[STOPPED_AT])
    with ending(site.begin(tmp_path, "--nproc", 2)) as job:
        site.await_waiting(STOPPED_AT)
        until(lambda: len(parts(tmp_path)) == EVENTS // BATCH - 1)
        assert site.produce(tmp_path, "--nproc", 1) == 2
        told = capsys.readouterr().err
        assert "error: another producer works on this run: " in told
        assert f"process {job.pid}, since 20" in told
        os.kill(job.pid, signal.SIGKILL)
        until(lambda: not processes_of_group(job.pid))
    assert not output(tmp_path).exists()
    site.go()
    assert site.produce(tmp_path, "--nproc", 1) == 0
    assert reused(capsys) == EVENTS - BATCH
    assert_equal(output(tmp_path), reference)
    assert os.listdir(tmp_path) == [output(tmp_path).name]


def test_slurm_ends_all_processes(site, reference, tmp_path, capsys):
    site.order(wait=[BATCH, 2 * BATCH])
    with ending(site.begin(tmp_path, "--nproc", 2)) as job:
        site.await_waiting(BATCH, 2 * BATCH)
        os.killpg(job.pid, signal.SIGTERM)
        site.go()
        code, said = ended(job)
        assert code == 143, said
        assert "finished parts are kept" in said
        until(lambda: not processes_of_group(job.pid))
    assert_resumes(site, reference, tmp_path, capsys)


def test_ctrl_c(site, reference, tmp_path, capsys):
    site.order(wait=[BATCH, 2 * BATCH])

    def interrupt():
        _interrupt_all()
        site.go()

    with meanwhile(site, interrupt):
        assert site.produce(tmp_path, "--nproc", 2) == 130
    assert "finished parts are kept" in capsys.readouterr().err
    assert_resumes(site, reference, tmp_path, capsys)


def test_a_second_ctrl_c_ends_it_at_once(site, tmp_path, capsys):
    site.order(wait=[BATCH, 2 * BATCH])

    def interrupt():
        _interrupt_all()
        time.sleep(1)
        _interrupt_all()

    with meanwhile(site, interrupt):
        assert site.produce(tmp_path, "--nproc", 2) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    names = {path.name for path in parts(tmp_path)}
    assert not names & {"part_000001.h5", "part_000002.h5"}
    assert not multiprocessing.active_children()


@contextmanager
def meanwhile(site, action):
    """Do something as soon as two workers wait."""

    def act():
        site.await_waiting(BATCH, 2 * BATCH)
        action()

    before = signal.signal(signal.SIGINT, lambda *_: None)
    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def _interrupt_all():
    """Send what a terminal sends to all processes of a job."""
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def assert_resumes(site, reference, out, capsys):
    """Check that what was in hand was finished, and is used by the next job."""
    names = {path.name for path in parts(out)}
    assert {"part_000001.h5", "part_000002.h5"} < names
    assert len(names) < EVENTS // BATCH
    assert not output(out).exists()
    site.order()
    assert site.produce(out, "--nproc", 1) == 0
    assert reused(capsys) == BATCH * len(names)
    assert_equal(output(out), reference)


@pytest.fixture(scope="module")
def left_by_one(made, run_folder, reference):
    """The folder of a job that was ended by a function."""
    site = Site(made, run_folder / "site")
    site.order(**{"raise": [STOPPED_AT]})
    out = run_folder / "left"
    assert site.produce(out, "--nproc", 1, "--strict") == 1
    assert len(parts(out)) == FINISHED
    return out


@pytest.fixture
def left(left_by_one, tmp_path):
    """A copy of it for each test."""
    return shutil.copytree(left_by_one, tmp_path / "out")


def reused(capsys):
    """Return how many events the last job says that it has reused."""
    words = capsys.readouterr().out.split(" of them by an earlier job")
    return int(words[0].split()[-1]) if len(words) > 1 else 0


def test_parts_are_reused(site, left, reference, capsys):
    assert site.produce(left, "--nproc", 1) == 0
    assert reused(capsys) == FINISHED * BATCH
    assert_equal(output(left), reference)


def test_parts_are_not_reused_if_the_user_wants_it_so(site, left, reference, capsys):
    assert site.produce(left, "--nproc", 1, "--no-resume") == 0
    assert reused(capsys) == 0
    assert_equal(output(left), reference)


def test_parts_of_other_parameters_are_not_reused(site, left, capsys):
    site.rewrite("[20, 40]", "[20, 41]")
    assert site.produce(left, "--nproc", 1) == 0
    assert reused(capsys) == 0


def test_parts_of_another_function_are_not_reused(site, left, capsys):
    path = site.folder / "functions.py"
    path.write_text(path.read_text() + "# changed\n")
    assert site.produce(left, "--nproc", 1) == 0
    assert reused(capsys) == 0


def test_parts_of_other_constants_are_not_reused(site, left, tmp_path, capsys):
    store = shutil.copytree(site.made.calib_dir, tmp_path / "calib")
    (pedestals,) = (store / "epix100/pedestals").glob("*.npy")
    np.save(pedestals, np.load(pedestals) + 1)
    assert site.produce(left, "--nproc", 1, "--calib-dir", store) == 0
    assert reused(capsys) == 0


def test_parts_of_other_batches_are_not_reused(site, left, timestamps, capsys):
    assert site.produce(left, "--nproc", 1, "--gather_interval", BATCH + 1) == 0
    assert reused(capsys) == 0
    assert_complete(output(left), timestamps)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "attribute"])
def test_a_damaged_part_is_done_again(site, left, reference, damage, capsys):
    first, second, *_ = parts(left)
    if damage == "attribute":
        with h5py.File(second, "r+") as file:
            del file.attrs["report"]
    elif damage == "other":
        shutil.copy(first, second)
    else:
        os.truncate(second, second.stat().st_size // 2 if damage == "cut" else 0)
    assert site.produce(left, "--nproc", 1) == 0
    assert reused(capsys) == (FINISHED - 1) * BATCH
    assert_equal(output(left), reference)


def test_half_a_part_is_removed(site, left, reference):
    (parts(left)[0].parent / "part_000006.4711").write_bytes(b"half")
    assert site.produce(left, "--nproc", 1) == 0
    assert_equal(output(left), reference)
    assert os.listdir(left) == [output(left).name]
