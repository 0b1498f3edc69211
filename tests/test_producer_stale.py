"""Files that would be made otherwise now: found, told, and made anew."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from simulated import make

from smalldata_ana.commands.producer import main

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xppsim01"\n'
ROI = """\
[[detector.cspad140k.common_mode]]
runs = "1-"
common_mode = 0
[[detector.cspad140k.roi]]
runs = "1-"
ROI = [[0, 1], [20, 40], [50, {}]]
"""


@pytest.fixture
def site(tmp_path):
    """A run, its parameters, and a file that was made of them."""
    made = make(tmp_path / "run", events=6, with_constants=True)
    site = Site(made, tmp_path)
    site.parameters.write_text(HEAD + ROI.format(90))
    assert site.produce() == 0
    return site


class Site:
    def __init__(self, made, folder: Path):
        self.made = made
        self.parameters = folder / "p.toml"
        self.output = folder / "out/xppsim01_Run0001.h5"

    def produce(self, *options: str) -> int:
        where = ["--xtc-dir", str(self.made.xtc_dir), "-d", str(self.output.parent)]
        where += ["--calib-dir", str(self.made.calib_dir), "--nproc", "1"]
        params = ["--params", str(self.parameters)]
        return main(["-e", "xppsim01", *where, *params, *(options or ("-r", "1"))])

    def sum(self) -> float:
        with h5py.File(self.output) as file:
            return float(file["cspad140k/ROI_0_sum"][0])


def test_what_is_as_it_would_be_made_stays(site, capsys):
    site.parameters.write_text("# a comment\n" + site.parameters.read_text())
    before = site.output.stat().st_mtime_ns
    assert site.produce("--stale") == 0
    assert "run 1: as it would be made now" in capsys.readouterr().out
    assert site.output.stat().st_mtime_ns == before


def test_other_parameters(site, capsys):
    before, value = site.output.stat().st_mtime_ns, site.sum()
    site.parameters.write_text(HEAD + ROI.format(95))
    assert site.produce("--stale", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "stale" in told
    assert "cspad140k roi 'ROI_0': ROI was" in told
    assert site.output.stat().st_mtime_ns == before
    assert site.produce("--stale", "-r", "1-3") == 0
    assert "6 of 6 events written" in capsys.readouterr().out
    assert site.sum() != value
    assert site.produce("--stale") == 0
    assert "as it would be made now" in capsys.readouterr().out


def test_other_pedestals(site, capsys):
    value = site.sum()
    (path,) = (site.made.calib_dir / "cspad140k/pedestals").glob("*.npy")
    np.save(path, np.load(path) + 1)
    assert site.produce("--stale") == 0
    assert "cspad140k pedestals: were" in capsys.readouterr().out
    assert site.sum() == pytest.approx(value - 20 * 40, rel=1e-4)


def test_options_of_before_stay(site, capsys):
    made_with = ["--nosum", "--epicsAll", "-n", "4", "--compression", "bitshuffle-lz4"]
    assert site.produce("-r", "1", *made_with) == 0
    capsys.readouterr()
    site.parameters.write_text(HEAD + ROI.format(95))
    assert site.produce("--stale") == 0
    with h5py.File(site.output) as file:
        assert "epicsAll" in file
        assert len(file["timestamp"]) == 4
        assert file["timestamp"].id.get_create_plist().get_nfilters() == 1
    assert site.produce("--stale") == 0
    assert "as it would be made now" in capsys.readouterr().out


def test_a_file_that_does_not_say_how_it_was_made(site, capsys):
    with h5py.File(site.output, "w") as file:
        file["timestamp"] = np.arange(3)
    assert site.produce("--stale") == 2
    assert "does not say how it was made" in capsys.readouterr().err


def test_runs_without_a_file_are_named(site, capsys):
    assert site.produce("--stale", "-r", "6-9") == 2
    assert "--run 6-9: there are files of the runs '1'" in capsys.readouterr().err


def test_without_files_there_is_nothing_to_compare(site, capsys):
    site.output.unlink()
    assert site.produce("--stale") == 2
    assert "there are no files of xppsim01" in capsys.readouterr().err
