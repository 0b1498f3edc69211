"""Parts made while data were missing or bad are made anew when the data are there."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from producing_run import BATCH, assert_equal, output, parts, site_of
from simulated import make

from smalldata_ana.producing import provenance
from smalldata_ana.sources.datagrams import whole_datagrams

EVENTS, CHUNK = 18, 6
STOPPED_AT = 13
"""The event that ends the first job, with --strict."""

FINISHED = STOPPED_AT // BATCH
BAD = CHUNK // BATCH
"""Batches of the chunk that is away for a while."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A run in three chunks, with the detector of the function alone."""
    folder = tmp_path_factory.mktemp("lost")
    made = make(folder, events=EVENTS, chunk_after=CHUNK, with_constants=True)
    site = site_of(made, folder / "site")
    path = site.folder / "p.toml"
    text = path.read_text().replace("epix100", "cspad140k")
    path.write_text(text.split("[[detector.cspad140k.drop")[0])
    return site


@pytest.fixture(scope="module")
def reference(site, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference")
    site.order()
    assert site.produce(out, "--nproc", 1) == 0
    return output(out)


@contextmanager
def without_chunk(made):
    """Have a chunk of the detector's stream away for a while."""
    (chunk,) = made.xtc_dir.glob("*-s001-c001.xtc2")
    away = chunk.with_name("away")
    chunk.rename(away)
    yield
    away.rename(chunk)


@contextmanager
def with_bad_event(made):
    """Have an event of the second batch bad for a while."""
    event = BATCH + 1
    (path,) = made.xtc_dir.glob("*-s001-c000.xtc2")
    right = path.read_bytes()
    with open(path, "r+b") as file:
        events = [d for d in whole_datagrams(file) if d.service.is_event]
        file.seek(events[event].offset)
        file.write(b"\xff" * 24)
    yield
    path.write_bytes(right)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("spoilt", "bad"), [(without_chunk, BAD), (with_bad_event, 1)])
def test_data_that_came_back(site, reference, tmp_path, capsys, workers, spoilt, bad):
    with spoilt(site.made):
        site.order(**{"raise": [STOPPED_AT]})
        assert site.produce(tmp_path, "--nproc", workers, "--strict") == 1
    left = len(parts(tmp_path))
    assert left >= FINISHED
    site.order()
    capsys.readouterr()
    assert site.produce(tmp_path, "--nproc", 1) == 0
    told = capsys.readouterr().out
    assert f"{BATCH * (left - bad)} of them by an earlier job" in told
    assert "incomplete" not in told
    assert_equal(output(tmp_path), reference)


def test_data_that_are_still_missing(site, tmp_path, capsys):
    """What is as it was is not read anew, and is told of again."""
    with without_chunk(site.made):
        site.order(**{"raise": [STOPPED_AT]})
        assert site.produce(tmp_path, "--nproc", 1, "--strict") == 1
        left = len(parts(tmp_path))
        site.order()
        capsys.readouterr()
        assert site.produce(tmp_path, "--nproc", 1) == 3
    told = capsys.readouterr().out
    assert f"{BATCH * left} of them by an earlier job" in told
    assert "c001.xtc2 is missing" in told


def test_parts_of_other_versions_are_not_reused(
    site, reference, tmp_path, capsys, monkeypatch
):
    site.order(**{"raise": [STOPPED_AT]})
    assert site.produce(tmp_path, "--nproc", 1, "--strict") == 1
    site.order()
    others = provenance.versions() | {"numpy": "0.1"}
    monkeypatch.setattr(provenance, "versions", lambda: others)
    capsys.readouterr()
    assert site.produce(tmp_path, "--nproc", 1) == 0
    assert "by an earlier job" not in capsys.readouterr().out
    assert_equal(output(tmp_path), reference)
