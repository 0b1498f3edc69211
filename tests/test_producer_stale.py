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


EVENTS = 6
FUNCTIONS = """
import numpy as np
from smalldata_ana import DetObjectFunc
from smalldata_ana.detector.protocol import Field
from smalldata_ana.own_functions import own_function

@own_function("brightest")
class Brightest(DetObjectFunc):
    def describe(self):
        return {"value": Field(np.dtype(float))}
    def process(self, data):
        return {"value": float(data.max()) * FACTOR}
"""
OWN = """\
[[detector.cspad140k.function]]
runs = "1-"
call = "brightest"
"""
CONFIG = """
detectors = ["cspad140k"]
def getROIs(run):
    return {"cspad140k": [{"ROI": [[0, 1], [0, 5], [0, WIDTH]], "name": "config"}]}
"""


@pytest.fixture
def site(tmp_path):
    """A run, its parameters, and a file that was made of them."""
    made = make(tmp_path / "run", events=EVENTS, with_constants=True)
    site = Site(made, tmp_path)
    site.parameters.write_text(HEAD + ROI.format(90))
    assert site.produce() == 0
    return site


class Site:
    def __init__(self, made, folder: Path):
        self.made = made
        self.folder = folder
        self.parameters = folder / "p.toml"
        self.output = folder / "out/xppsim01_Run0001.h5"

    def produce(self, *options: str) -> int:
        """Produce, by default run 1, with all files and folders named."""
        params = ["--params", str(self.parameters), *self.constants]
        return self.produce_plainly(*params, *(options or ("-r", "1")))

    def produce_plainly(self, *options: object) -> int:
        """Produce without a word about parameters and constants."""
        where = ["--xtc-dir", self.made.xtc_dir, "-d", self.output.parent]
        words = ["-e", "xppsim01", *where, "--nproc", "1", *options]
        return main([str(word) for word in words])

    @property
    def constants(self) -> list[str]:
        return ["--calib-dir", str(self.made.calib_dir)]

    def sum(self) -> float:
        with h5py.File(self.output) as file:
            return float(file["cspad140k/ROI_0_sum"][0])

    def more_runs(self, *numbers: int) -> list[Path]:
        """Take more runs; return where their files will be."""
        for number in numbers:
            make(self.folder / "run", events=EVENTS, with_constants=True, run=number)
        return [self.output.with_name(f"xppsim01_Run{n:04d}.h5") for n in numbers]


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


def test_a_file_that_is_not_there(site, capsys):
    site.output.unlink()
    files = sorted(map(str, site.made.xtc_dir.glob("*.xtc2")))
    options = ["-d", str(site.output.parent), "--stale", "--files", *files]
    assert main(options) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: there is no file {site.output}; leave out --stale")


def test_files_one_by_one(site, capsys):
    files = sorted(map(str, site.made.xtc_dir.glob("*.xtc2")))
    where = ["-d", str(site.output.parent), "--nproc", "1"]
    given = ["--params", str(site.parameters), *site.constants]
    assert main([*where, *given, "--files", *files]) == 0
    site.parameters.write_text(HEAD + ROI.format(95))
    capsys.readouterr()
    assert main([*where, "--stale", "--files", *files, "--dry-run"]) == 0
    assert "ROI was" in capsys.readouterr().out
    assert main([*where, "--stale", "-e", "xppsim01"]) == 0
    assert "6 of 6 events written" in capsys.readouterr().out


def test_runs_without_a_file_are_named(site, capsys):
    assert site.produce("--stale", "-r", "6-9") == 2
    assert "--run 6-9: there are files of the runs '1'" in capsys.readouterr().err


def test_the_run_of_the_environment(site, capsys, monkeypatch):
    monkeypatch.setenv("RUN_NUM", "3")
    assert site.produce("--stale") == 2
    assert "RUN_NUM 3: there are files of the runs '1'" in capsys.readouterr().err
    monkeypatch.setenv("RUN_NUM", "1")
    assert site.produce("--stale") == 0


def test_without_files_there_is_nothing_to_compare(site, capsys):
    site.output.unlink()
    assert site.produce("--stale") == 2
    assert "there are no files of xppsim01" in capsys.readouterr().err


# -- with what they were made with -----------------------------------------------------


def test_several_runs_with_a_config_and_other_constants(site, capsys):
    second, third = site.more_runs(2, 3)
    config = site.folder / "prod_config_mine.py"
    config.write_text(CONFIG.replace("WIDTH", "5"))
    given = ["--config", config, *site.constants]
    assert site.produce_plainly("-r", "2,3", *given) == 0
    capsys.readouterr()
    assert site.produce_plainly("--stale") == 0
    told = capsys.readouterr().out
    assert [line.split(": ")[1] for line in told.splitlines()] == [
        "as it would be made now"
    ] * 3
    before = second.stat().st_mtime_ns, third.stat().st_mtime_ns
    config.write_text(CONFIG.replace("WIDTH", "7"))
    assert site.produce_plainly("--stale") == 0
    told = capsys.readouterr().out
    assert "run 1: as it would be made now" in told
    assert told.count("cspad140k roi 'config': ROI was") == 2
    assert second.stat().st_mtime_ns != before[0]
    assert third.stat().st_mtime_ns != before[1]
    with h5py.File(third) as file:
        assert "cspad140k/config_sum" in file
        assert "cspad140k/ROI_0_sum" not in file
    (path,) = (site.made.calib_dir / "cspad140k/pedestals").glob("*.npy")
    np.save(path, np.load(path) + 1)
    assert site.produce_plainly("--stale", "--dry-run") == 0
    assert capsys.readouterr().out.count("cspad140k pedestals: were") == 3


def test_parameters_that_are_given_anew(site, capsys):
    config = site.folder / "prod_config_mine.py"
    config.write_text(CONFIG.replace("WIDTH", "5"))
    assert site.produce_plainly("-r", "1", "--config", config, *site.constants) == 0
    capsys.readouterr()
    assert site.produce_plainly("--stale", "--params", site.parameters) == 0
    assert "cspad140k roi 'ROI_0': new" in capsys.readouterr().out
    assert site.sum() > 0
    config.unlink()
    assert site.produce_plainly("--stale") == 0
    assert "as it would be made now" in capsys.readouterr().out


def test_own_functions_of_before(site, capsys):
    path = site.folder / "functions.py"
    path.write_text(FUNCTIONS.replace("FACTOR", "1"))
    site.parameters.write_text(HEAD + OWN)
    assert site.produce("-r", "1", "--functions", str(path)) == 0
    path.write_text(FUNCTIONS.replace("FACTOR", "2"))
    capsys.readouterr()
    assert site.produce_plainly("--stale") == 0
    told = capsys.readouterr().out
    assert "functions changed" in told
    assert "6 of 6 events written" in told


def test_recorders_stay_away(site, capsys):
    site.parameters.write_text(HEAD + "[event]\n")
    for path in [*site.made.xtc_dir.rglob("*-s001*")]:
        path.rename(path.with_name(path.name.replace("-s0", "-s1")))
    assert site.produce("-r", "1", "--norecorder", "--default") == 0
    with h5py.File(site.output) as file:
        before = set(file["damage"])
    site.parameters.write_text(HEAD + "[event]\nepics_once = ['sam_x']\n")
    capsys.readouterr()
    assert site.produce_plainly("--stale") == 0
    assert "events written" in capsys.readouterr().out
    with h5py.File(site.output) as file:
        assert set(file["damage"]) == before


@pytest.mark.parametrize("option", ["--params", "--calib-dir", "--config"])
def test_what_it_was_made_with_is_gone(site, capsys, option):
    config = site.folder / "prod_config_mine.py"
    config.write_text(CONFIG.replace("WIDTH", "5"))
    path = {
        "--params": site.parameters,
        "--config": config,
        "--calib-dir": site.made.calib_dir,
    }[option]
    parameters = "--config" if option == "--config" else "--params"
    given = {parameters: {"--config": config, "--params": site.parameters}[parameters]}
    words = [word for pair in given.items() for word in pair]
    assert site.produce_plainly("-r", "1", *words, *site.constants) == 0
    path.rename(path.with_name("moved"))
    assert site.produce_plainly("--stale") == 2
    told = capsys.readouterr().err
    assert f"Run0001.h5 was made with {option} {path}, which is not there any" in told
    assert f"give another {option}" in told


# -- several, of which some are bad ----------------------------------------------------


def test_bad_files_do_not_end_it(site, capsys):
    junk, foreign, _, view, _ = site.more_runs(2, 3, 4, 5, 6)
    assert site.produce("-r", "4,6") == 0
    for path in site.made.xtc_dir.rglob("*-r0004-*"):
        path.unlink()
    junk.write_bytes(b"junk")
    with h5py.File(foreign, "w") as file:
        file["UserDataCfg/producer"] = np.arange(3)
    with h5py.File(view, "w") as file:
        file.attrs["unfinished"] = "3 finished batches"
    site.parameters.write_text(HEAD + ROI.format(95))
    capsys.readouterr()
    assert site.produce("--stale") == 2
    told = capsys.readouterr()
    assert told.out.count("6 of 6 events written") == 2
    expected = [
        f"error: run 2: {junk} does not say how it was made",
        f"error: run 3: {foreign} does not say how it was made",
        "error: run 4: no files of xppsim01 run 4",
        f"error: run 5: {view} is unfinished",
        "4 of 6 runs failed: 2, 3, 4, 5",
    ]
    lines = [line for line in told.err.splitlines() if "events, " not in line]
    for line, begin in zip(lines, expected, strict=True):
        assert line.startswith(begin)


# -- data that were missing ------------------------------------------------------------


def test_data_that_came_back(tmp_path, capsys):
    made = make(tmp_path / "run", events=EVENTS, with_constants=True, chunk_after=3)
    site = Site(made, tmp_path)
    site.parameters.write_text(HEAD + ROI.format(90))
    (chunk,) = made.xtc_dir.glob("*-s001-c001.xtc2")
    away = chunk.rename(chunk.with_name("away"))
    assert site.produce() == 3
    assert "c001.xtc2 is missing" in capsys.readouterr().out
    assert site.produce("--stale") == 0
    assert "run 1: as it would be made now" in capsys.readouterr().out
    away.rename(chunk)
    assert site.produce("--stale") == 0
    told = capsys.readouterr().out
    assert f"no longer true: {chunk.name} is missing, and with it" in told
    with h5py.File(site.output) as file:
        assert np.isfinite(file["cspad140k/ROI_0_sum"][:]).all()
    assert site.produce("--stale") == 0
    assert "run 1: as it would be made now" in capsys.readouterr().out


def test_data_that_were_lost_since_do_not_spoil_a_file(tmp_path, capsys):
    made = make(tmp_path / "run", events=EVENTS, with_constants=True, chunk_after=3)
    site = Site(made, tmp_path)
    site.parameters.write_text(HEAD + ROI.format(90))
    assert site.produce() == 0
    (chunk,) = made.xtc_dir.glob("*-s001-c001.xtc2")
    chunk.unlink()
    assert site.produce("--stale") == 0
    assert "run 1: as it would be made now" in capsys.readouterr().out
