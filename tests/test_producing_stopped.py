"""A job that is told to end finishes what is in hand, or loses only that."""

from __future__ import annotations

import os
import signal
import time

import pytest
from producing_run import (
    BATCH,
    EVENTS,
    MPIRUN,
    assert_equal,
    ended,
    ending,
    output,
    parts,
    processes_of_group,
    until,
)

from smalldata_ana.producing import part_file

pytest_plugins = ["producing_fixtures"]

WITH_MPI = pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside python")

IN_HAND = {"part_000001.h5", "part_000002.h5"}
"""What the two workers make while they wait."""


def finished(out):
    """Return the names of the parts that are complete."""
    return {path.name for path in parts(out) if path.suffix == ".h5"}


def assert_resumes(site, reference, out, capsys):
    """Check that the next job uses what is finished, and makes the same file."""
    left = finished(out)
    assert not output(out).exists()
    site.order()
    assert site.produce(out, "--nproc", 1) == 0
    reused = capsys.readouterr().out.split(" of them by an earlier job")[0]
    assert int(reused.split()[-1]) == BATCH * len(left)
    assert_equal(output(out), reference)


@WITH_MPI
class TestOverMpi:
    @pytest.fixture
    def waiting(self, site, tmp_path):
        """A job whose two workers have a batch in hand; its process is mpirun."""
        site.order(wait=[BATCH, 2 * BATCH])
        with ending(site.begin(tmp_path, mpi=3)) as job:
            site.await_waiting(BATCH, 2 * BATCH)
            yield job
            until(lambda: not processes_of_group(job.pid))

    def test_asked_to_end(self, waiting, site, reference, tmp_path, capsys):
        waiting.send_signal(signal.SIGUSR1)
        time.sleep(1)
        site.go()
        code, said = ended(waiting)
        assert code == 143, said
        assert said.splitlines()[-1].startswith("error: stopped; finished parts are")
        assert "MPI_ABORT" not in said
        assert finished(tmp_path) > IN_HAND
        assert_resumes(site, reference, tmp_path, capsys)

    def test_asked_twice(self, waiting, site, reference, tmp_path, capsys):
        for _ in range(2):
            waiting.send_signal(signal.SIGUSR1)
            time.sleep(1)
        code, said = ended(waiting)
        assert code == 130, said
        assert not IN_HAND & finished(tmp_path)
        assert_resumes(site, reference, tmp_path, capsys)

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
    def test_mpirun_kills(self, waiting, site, reference, tmp_path, capsys, sent):
        """It leaves no time to finish anything."""
        waiting.send_signal(sent)
        code, said = ended(waiting)
        assert code != 0, said
        assert not IN_HAND & finished(tmp_path)
        assert_resumes(site, reference, tmp_path, capsys)

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--detectors", "epix10"], "no area detector 'epix10'"),
            (["--no-such-option"], "unrecognized arguments"),
        ],
    )
    def test_wrong_input(self, site, tmp_path, words, told):
        with ending(site.begin(tmp_path, *words, mpi=2)) as job:
            code, said = ended(job)
        assert code == 2, said
        assert told in said.splitlines()[-1]
        assert "MPI_ABORT" not in said


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)],
)
def test_while_parts_are_put_together(
    site, reference, tmp_path, capsys, monkeypatch, sent, expected
):
    append = part_file.append_rows
    appended = []

    def interrupted(*arguments):
        append(*arguments)
        appended.append(arguments)
        if len(appended) == EVENTS // BATCH // 2:
            os.kill(os.getpid(), sent)

    with monkeypatch.context() as patch:
        patch.setattr(part_file, "append_rows", interrupted)
        assert site.produce(tmp_path, "--nproc", 1) == expected
    assert "finished parts are kept" in capsys.readouterr().err
    assert len(finished(tmp_path)) == EVENTS // BATCH
    assert [path.name for path in tmp_path.iterdir()] == [
        parts(tmp_path)[0].parent.name
    ]
    assert_resumes(site, reference, tmp_path, capsys)
