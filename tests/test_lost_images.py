"""Sums between the images of an integrating detector, where images are lost.

The function gives the number of each event, so that each sum is known.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from producing_run import output, site_of
from simulated import make, ours

from smalldata_ana.errors import DetectorNotFound
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.sources.datagrams import whole_datagrams

EVENTS, EVERY, FIRST, BATCH = 26, 6, 3, 5
IMAGES = np.arange(FIRST, EVENTS, EVERY)  # 3, 9, 15, 21
LOST = 2
"""The image that is damaged."""

PARAMETERS = """\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[event]
integrating = ["epix100"]
[[detector.cspad140k.function]]
runs = "1-"
call = "trouble"
name = "trouble"
[[detector.epix100.roi]]
runs = "1-"
ROI = [[0, 704], [0, 768]]
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A run with an image of the epix100 in few events."""
    others = tuple(n for n in range(EVENTS) if n not in IMAGES)
    detectors = DetectorSpec("cspad140k"), DetectorSpec("epix100", missing=others)
    folder = tmp_path_factory.mktemp("slow")
    return make(folder, events=EVENTS, detectors=detectors, with_constants=True)


@pytest.fixture
def site(slow, tmp_path):
    site = site_of(slow, tmp_path / "site")
    (site.folder / "p.toml").write_text(PARAMETERS)
    return site


@pytest.fixture
def damaged(slow):
    """The same run, while one of its images is damaged."""
    path = slow.files[-1]
    before = path.read_bytes()
    with path.open("r+b") as file:
        images = [d for d in whole_datagrams(file) if d.service.is_event]
        assert len(images) == len(IMAGES)
        file.seek(images[LOST].offset)
        file.write(b"\xff" * 24)
    yield slow
    path.write_bytes(before)


def check(path, made, lost=(), unknown=()):
    """Check the sums of a file against what is known of the run.

    Parameters
    ----------
    path, made : the file, and its run
    lost : events that are not in the file, or not with their image
    unknown : events that are not in the file
    """
    run = ours(made)
    times = np.array(run.timestamps, np.int64)
    energy = run.scalar("gmd/millijoulesperpulse")
    run.close()
    begins = [0, *(IMAGES[:-1] + 1)]
    windows = [np.arange(b, e + 1) for b, e in zip(begins, IMAGES, strict=True)]
    windows = [w for w in windows if not np.isin(w, lost).any()]
    with h5py.File(path) as file:
        group = file["intg/epix100"]
        assert group["count"][:].tolist() == [len(w) for w in windows]
        assert group["timestamp_min"][:].tolist() == [times[w[0]] for w in windows]
        assert group["timestamp_max"][:].tolist() == [times[w[-1]] for w in windows]
        numbers = group["cspad140k_sum_trouble_number"][:].tolist()
        assert numbers == [w.sum() for w in windows]
        energies = group["gmd_sum_millijoulesperpulse"]
        np.testing.assert_allclose(energies, [energy[w].sum() for w in windows])
        assert np.isin(group["timestamp_max"], file["epix100/timestamp"]).all()
        # Each event is in a row, or behind the last image, or named.
        behind = (file["timestamp"][:] > times[IMAGES[-1]]).sum()
        there = group["count"][:].sum() + behind
        assert len(file["timestamp"]) == EVENTS - len(unknown)
        missing = len(file["timestamp"]) - there
        problems = json.loads(file["UserDataCfg/producer/problems"].asstr()[...].item())
    text = f"intg/epix100 is without {missing} events whose image, or another event"
    assert any(text in p for p in problems) == bool(missing)
    return missing


def test_nothing_is_lost(site, slow, tmp_path):
    assert site.produce(tmp_path, "--nproc", 1, "--gather_interval", BATCH) == 0
    assert check(output(tmp_path), slow) == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch", [BATCH, 100])
def test_a_damaged_image(site, damaged, tmp_path, workers, batch, capsys):
    options = "--nproc", workers, "--gather_interval", batch
    assert site.produce(tmp_path, *options) == 3
    assert check(output(tmp_path), damaged, [IMAGES[LOST]]) == EVERY
    assert "intg/epix100 is without 6 events" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kill", "out_of_windows"),
    [
        pytest.param(1, 5, id="the first"),  # 5..9 are left of its windows
        pytest.param(17, 7, id="one in the middle"),  # 10..14 before, 20 and 21 after
        pytest.param(9, 7, id="one with an image at its end"),  # 4; 10..15
    ],
)
def test_a_batch_that_is_given_up(site, slow, tmp_path, kill, out_of_windows):
    site.order(kill=kill, times=99)
    options = "--nproc", 2, "--gather_interval", BATCH
    assert site.produce(tmp_path, *options) == 3
    begin = kill // BATCH * BATCH
    lost = np.arange(begin, begin + BATCH)
    # What was at the end of a lost batch is not known, so that the next one is lost.
    assert check(output(tmp_path), slow, [*lost, lost[-1] + 1], lost) == out_of_windows


def test_an_incomplete_image_ends_its_window(tmp_path):
    part = DetectorSpec("cspad140k", streams=2, missing=(4,))
    made = make(tmp_path, detectors=(part,), with_constants=True)
    site = site_of(made, tmp_path / "site")
    text = PARAMETERS.replace("epix100", "cspad140k").split("[[detector.cspad140k.roi")
    (site.folder / "p.toml").write_text(text[0])
    assert site.produce(tmp_path, "--nproc", 1) == 3
    with h5py.File(output(tmp_path)) as file:
        assert file["intg/cspad140k/count"][:].tolist() == [1] * 7
        there = np.delete(file["timestamp"][:], 4)
        np.testing.assert_array_equal(file["intg/cspad140k/timestamp_max"], there)


def test_a_detector_without_entries_or_images(site, slow, tmp_path):
    site.rewrite('["epix100"]', '["epix100", "ipm2"]')
    path = site.folder / "p.toml"
    path.write_text(path.read_text().split("[[detector.epix100")[0])
    assert site.produce(tmp_path, "--nproc", 1) == 0
    with h5py.File(output(tmp_path)) as file:
        windows = file["intg/epix100/count"][:].tolist()
        assert windows == [FIRST + 1] + [EVERY] * (len(IMAGES) - 1)
        assert file["intg/ipm2/count"][:].tolist() == [1] * EVENTS
        numbers = file["intg/ipm2/cspad140k_sum_trouble_number"][:]
        np.testing.assert_array_equal(numbers, np.arange(EVENTS))


class TestRecorded:
    """`Run.recorded` tells of which events there were data."""

    def test_damaged_images(self, damaged):
        run = ours(damaged)
        found = run.recorded("epix100", np.arange(EVENTS))
        np.testing.assert_array_equal(np.flatnonzero(found), IMAGES)
        some = np.array([IMAGES[LOST], 0])
        assert run.recorded("epix100", some).tolist() == [True, False]
        assert run.read("epix100", int(IMAGES[LOST])) is None
        run.close()

    def test_images_behind_the_end_of_a_file(self, tmp_path):
        made = make(tmp_path, truncate_at=5)
        run = ours(made)
        assert run.contributed("cspad140k").tolist() == [True] * 5 + [False] * 3
        assert run.recorded("cspad140k", np.arange(8)).all()
        run.close()

    def test_detectors_of_one_stream(self, slow):
        run = ours(slow)
        assert run.recorded("ipm2", np.arange(EVENTS)).all()
        with pytest.raises(DetectorNotFound, match=r"'ipm3'.* Did you mean 'ipm2'\?"):
            run.recorded("ipm3", np.arange(EVENTS))
        run.close()
