"""Each option of the producer has an effect."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from simulated import make
from small_run import small_run

from smalldata_ana.commands.producer import main
from smalldata_ana.commands.producer_options import parser
from smalldata_ana.producing import batches, executors, run_table

EVENTS = 6
DETECTOR = "cspad140k"
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xppsim01"\n'
PARAMETERS = f"""{HEAD}
[[detector.{DETECTOR}.common_mode]]
runs = "1-"
common_mode = 0
[[detector.{DETECTOR}.roi]]
runs = "1-"
ROI = [[0, 1], [20, 40], [50, 90]]
[[detector.{DETECTOR}.sums]]
runs = "1-"
sums = ["calib"]
"""
OWN = f"""{HEAD}
[[detector.{DETECTOR}.function]]
runs = "1-"
call = "brightest"
"""
FUNCTIONS = '''
import numpy as np
from smalldata_ana import DetObjectFunc
from smalldata_ana.detector.protocol import Field
from smalldata_ana.own_functions import own_function

@own_function("brightest")
class Brightest(DetObjectFunc):
    """The largest value of an image; fails on the event {failing}."""
    def describe(self):
        return {{"value": Field(np.dtype(float))}}
    def process(self, data):
        if self.source.evt.event.number_in_run == {failing}:
            raise ArithmeticError("made to fail")
        return {{"value": float(data.max())}}
'''
CONFIG = f"""
detectors = ["{DETECTOR}"]
def getROIs(run):
    return {{"{DETECTOR}": [{{"ROI": [[0, 1], [0, 5], [0, 5]], "name": "of_config"}}]}}
"""
TESTED_ELSEWHERE = {
    "help": "argparse",
    "experiment": "test_producer.py",
    "run": "test_producer.py",
    "nevents": "test_producer.py",
    "resume": "test_producing.py",
    "stale": "test_producer_stale.py",
    "live": "test_producing_live.py",
}


class Producer:
    """The producer on a small run; options replace those that it is given otherwise."""

    def __init__(self, made, folder: Path):
        self.made = made
        self.folder = folder
        self.parameters = folder / "p.toml"
        self.parameters.write_text(PARAMETERS)
        self.out = folder / "out"
        self.file = self.out / "xppsim01_Run0001.h5"

    def __call__(self, *options: object, **changed: object) -> int:
        given = {
            "-e": "xppsim01",
            "-r": 1,
            "--xtc-dir": self.made.xtc_dir,
            "--calib-dir": self.made.calib_dir,
            "--params": self.parameters,
            "-d": self.out,
            "--nproc": 1,
        }
        given |= {
            f"--{name.replace('_', '-')}": value for name, value in changed.items()
        }
        words = [w for pair in given.items() if pair[1] is not None for w in pair]
        return main([str(word) for word in (*words, *options)])

    def paths(self) -> set[str]:
        """Return the paths of the datasets in the file."""
        found = set()
        with h5py.File(self.file) as file:
            file.visititems(
                lambda name, item: (
                    found.add(name) if isinstance(item, h5py.Dataset) else None
                )
            )
        return found

    def value(self, path: str) -> np.ndarray:
        with h5py.File(self.file) as file:
            return file[path][()]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    return make(folder, events=EVENTS, with_constants=True)


@pytest.fixture
def produce(made, tmp_path):
    return Producer(made, tmp_path)


def test_every_option_has_a_test():
    text = Path(__file__).read_text()
    tests = {line for line in text.splitlines() if line.startswith("def test_")}
    for action in parser()._actions:
        name = action.dest.lower()
        assert name in TESTED_ELSEWHERE or any(name in test for test in tests), name


def test_every_option_is_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs/producer.md").read_text()
    for action in parser()._actions:
        for option in action.option_strings:
            assert f"`{option}" in text or option == "--no-resume", option


# ---- which run -----------------------------------------------------------------------


def test_xtc_dir(produce, tmp_path, capsys):
    assert produce(xtc_dir=tmp_path) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert produce() == 0


def test_files(produce):
    files = sorted(produce.made.xtc_dir.glob("*.xtc2"))
    assert produce("--files", *files, xtc_dir=None) == 0
    assert len(produce.value("timestamp")) == EVENTS


def test_files_of_another_run(produce, capsys):
    files = sorted(produce.made.xtc_dir.glob("*.xtc2"))
    changed = {"-r": 7}
    assert produce("--files", *files, *changed, 7, xtc_dir=None) == 2
    assert "run 1, not 7" in capsys.readouterr().err


def test_calib_dir(produce, tmp_path):
    assert produce() == 0
    before = produce.value(f"{DETECTOR}/ROI_0_sum")
    shutil.copytree(produce.made.calib_dir, tmp_path / "calib")
    (path,) = (tmp_path / "calib" / DETECTOR / "pedestals").glob("*.npy")
    np.save(path, np.load(path) - 1)
    assert produce(calib_dir=tmp_path / "calib") == 0
    after = produce.value(f"{DETECTOR}/ROI_0_sum")
    np.testing.assert_allclose(after, before + 20 * 40, rtol=1e-4)


def test_norecorder(produce, tmp_path, capsys):
    folder = tmp_path / "xtc"
    shutil.copytree(produce.made.xtc_dir, folder)
    for path in [*folder.rglob("*-s*")]:
        if "-s000" not in path.name:
            path.rename(path.with_name(path.name.replace("-s0", "-s1")))
    there = {p.name for p in folder.rglob("*-s1*.xtc2")}
    assert there, sorted(folder.rglob("*"))
    assert produce(xtc_dir=folder) == 0
    assert produce("--norecorder", xtc_dir=folder) == 2
    assert DETECTOR in capsys.readouterr().err


def test_wait(produce, tmp_path, capsys):
    folder = tmp_path / "late"
    folder.mkdir()
    begin = time.monotonic()
    assert produce(xtc_dir=folder, wait=0.3) == 2
    assert time.monotonic() - begin >= 0.3
    capsys.readouterr()

    def arrive():
        shutil.copytree(produce.made.xtc_dir, tmp_path / "aside")
        os.rename(tmp_path / "aside", tmp_path / "there")
        folder.rmdir()
        os.rename(tmp_path / "there", folder)

    later = threading.Timer(0.3, arrive)
    later.start()
    assert produce(xtc_dir=folder, wait=60) == 0
    later.join()


# ---- what to compute -----------------------------------------------------------------


def test_params(produce, tmp_path, capsys):
    assert produce(params=tmp_path / "absent.toml") == 2
    assert "absent.toml" in capsys.readouterr().err


def test_config(produce, tmp_path):
    path = tmp_path / "prod_config_mine.py"
    path.write_text(CONFIG)
    assert produce(params=None, config=path) == 0
    assert f"{DETECTOR}/of_config_sum" in produce.paths()


def test_config_and_params_exclude_each_other(produce, capsys):
    assert produce(config="prod_config_mine") == 2
    assert "cannot both be given" in capsys.readouterr().err


def test_functions(produce, tmp_path, capsys):
    produce.parameters.write_text(OWN)
    assert produce() == 2
    assert "brightest" in capsys.readouterr().err
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS.format(failing=-1))
    assert produce(functions=path) == 0
    assert np.isfinite(produce.value(f"{DETECTOR}/brightest_value")).all()


def test_strict(produce, tmp_path, capsys):
    produce.parameters.write_text(OWN)
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS.format(failing=3))
    assert produce(functions=path) == 0
    missing = np.isnan(produce.value(f"{DETECTOR}/brightest_value"))
    assert missing.nonzero()[0].tolist() == [3]
    assert "ArithmeticError on 1 events" in capsys.readouterr().out
    assert produce("--strict", "--no-resume", functions=path) == 1
    assert "made to fail" in capsys.readouterr().err


def test_detectors(produce, capsys):
    assert produce(detectors=DETECTOR) == 0
    assert produce(detectors="cspad") == 2
    assert f"Did you mean '{DETECTOR}'?" in capsys.readouterr().err


def test_default(produce):
    assert produce("--default") == 0
    paths = produce.paths()
    assert not any(path.startswith((f"{DETECTOR}/", "Sums/")) for path in paths)
    assert "lightStatus/xray" in paths


# ---- what to store beside ------------------------------------------------------------


def test_full_and_image(produce):
    assert produce("--full", "--image") == 0
    panels = produce.value(f"{DETECTOR}/full_area")
    assert panels.shape[0] == EVENTS
    np.testing.assert_allclose(
        panels[:, 0, 20:40, 50:90].sum(axis=(1, 2), dtype=float),
        produce.value(f"{DETECTOR}/ROI_0_sum"),
        rtol=1e-5,
    )
    assert produce.value(f"{DETECTOR}/image_img").ndim == 3


def test_epicsall(produce):
    assert produce() == 0
    assert not any(path.startswith("epicsAll/") for path in produce.paths())
    assert produce("--epicsAll") == 0
    assert any(path.startswith("epicsAll/") for path in produce.paths())


def test_nosum(produce):
    assert produce() == 0
    assert f"Sums/{DETECTOR}_calib" in produce.paths()
    assert produce("--nosum") == 0
    assert not any(path.startswith("Sums/") for path in produce.paths())


def test_compression(produce):
    assert produce("--full") == 0
    plain = produce.value(f"{DETECTOR}/full_area")
    with h5py.File(produce.file) as file:
        size = file[f"{DETECTOR}/full_area"].id.get_storage_size()
    assert produce("--full", compression="bitshuffle-lz4") == 0
    with h5py.File(produce.file) as file:
        dataset = file[f"{DETECTOR}/full_area"]
        assert dataset.id.get_storage_size() < size
        np.testing.assert_array_equal(dataset[()], plain)


# ---- how to work ---------------------------------------------------------------------


def test_directory(produce, tmp_path):
    other = tmp_path / "other"
    assert produce("-d", other) == 0
    assert (other / produce.file.name).exists()
    assert not produce.file.exists()


def test_nproc(produce, monkeypatch):
    asked = []

    class Workers(executors.Workers):
        def __init__(self, number=None):
            asked.append(number)
            super().__init__(1)

    monkeypatch.setattr(executors, "Workers", Workers)
    assert produce(nproc=3) == 0
    assert produce(nproc=None) == 0
    assert asked == [3, None]


@pytest.mark.parametrize("name", ["nproc", "gather_interval", "nevents"])
def test_numbers_that_make_no_sense(produce, capsys, name):
    assert produce(f"--{name}", 0) == 2
    assert f"--{name} 0 is not a number above 0" in capsys.readouterr().err


def test_gather_interval(produce, capsys):
    assert produce("--dry-run", "--gather_interval", 4) == 0
    assert "6 events in 2 batches of 4" in capsys.readouterr().out


def test_gather_interval_is_bounded_by_memory(produce, capsys, caplog, monkeypatch):
    panels = 2 * 185 * 388 * 4
    monkeypatch.setattr(batches, "ROW_BYTES", 3 * panels + panels // 2)
    options = ["--dry-run", "--full", "--gather_interval"]
    assert produce(*options, 4) == 0
    assert "6 events in 2 batches of 3" in capsys.readouterr().out
    assert "batches of 4 events are too large" in caplog.text
    assert "have 0.574 MB; they have 3 events" in caplog.text
    caplog.clear()
    assert produce(*options, 3) == 0
    assert "too large" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--url", "https://x"], "--url https://x is for --postRuntable"),
        (["--wait", "-5"], "--wait -5 is not a time in seconds"),
        (["--wait", "nan"], "--wait nan is not a time in seconds"),
        (["--files", "a.xtc2"], "--files and --xtc-dir cannot both be given"),
        (["--default", "--full"], "--default and --full cannot both be given"),
        (["--default", "--detectors", "x"], "--default and --detectors cannot both"),
        (["--default", "--nosum"], "--default and --nosum cannot both be given"),
        (["--stale", "--full", "--nevents", "3"], "--stale and --full cannot both"),
        (["--stale", "--nevents", "3"], "--stale and --nevents cannot both be given"),
        (["--stale", "--compression", "bitshuffle-lz4"], "--stale and --compression"),
    ],
)
def test_options_without_effect(produce, capsys, options, message):
    assert produce(*options) == 2
    assert message in capsys.readouterr().err
    assert not produce.out.exists()


@pytest.mark.parametrize("option", ["--calib-dir", "--norecorder", "--live"])
def test_options_without_effect_on_an_hdf5_file(tmp_path, capsys, option):
    value = [str(tmp_path)] if option == "--calib-dir" else []
    assert main(["--files", str(tmp_path / "run.h5"), option, *value]) == 2
    assert f"--files and {option} cannot both be given" in capsys.readouterr().err


def test_an_hdf5_file_of_another_run(tmp_path, capsys):
    path = small_run(tmp_path).origin
    where = ["--files", path, "--default", "-d", str(tmp_path)]
    assert main([*where, "-r", "13"]) == 2
    assert "the files are of run 12, not 13" in capsys.readouterr().err
    assert main([*where, "-e", "xpptut16"]) == 2
    assert "experiment 'xpptut15', not 'xpptut16'" in capsys.readouterr().err


def test_nproc_over_mpi(produce, capsys, monkeypatch):
    monkeypatch.setattr(executors, "under_mpi", lambda: True)
    assert produce(nproc=3) == 2
    assert "--nproc 3: over MPI there are as many workers" in capsys.readouterr().err


def test_dry_run(produce, capsys):
    assert produce("--dry-run") == 0
    assert "ROI_0_sum (number)" in capsys.readouterr().out
    assert not produce.out.exists()


def test_log_level(produce, tmp_path, capsys):
    assert produce(params=tmp_path / "absent.toml", log_level="debug") == 2
    quiet = capsys.readouterr().err
    assert produce(params=tmp_path / "absent.toml") == 2
    assert len(capsys.readouterr().err) <= len(quiet)


# ---- the run table -------------------------------------------------------------------


@pytest.fixture
def logbook(monkeypatch, tmp_path):
    """Return the address of a logbook, and what it is told."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            size = int(self.headers["Content-Length"])
            told.append((self.path, json.loads(self.rfile.read(size))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"success": true}')

        def log_message(self, *arguments):
            """Say nothing."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(run_table, "PASSWORD_FILE", tmp_path / "absent.txt")
    monkeypatch.setenv(run_table.PASSWORD_VARIABLE, "secret")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    server.server_close()


def test_postruntable_and_url(produce, logbook):
    url, told = logbook
    assert produce("--postRuntable", url=url) == 0
    ((path, values),) = told
    assert path == "/run_control/xppsim01/ws/add_run_params?run_num=1"
    assert set(values) == {
        *("Prod_jobstart", "Prod_start", "Prod_end", "Prod_duration", "Prod_ncores"),
        "SmallData",
    }
    assert (values["SmallData"], values["Prod_ncores"]) == ("done", 1)
    assert produce("--postRuntable", "--default", url=url) == 0
    assert told[1][1]["SmallData"] == "default"


def test_nobody_is_told_without_postruntable(produce, logbook):
    url, told = logbook
    assert produce() == 0
    assert produce("--postRuntable", "--dry-run", url=url) == 0
    assert not told


def test_a_logbook_that_is_away_does_not_fail_the_job(produce, logbook, caplog):
    assert produce("--postRuntable", url="http://127.0.0.1:9") == 0
    assert "the run table was not told" in caplog.text
    assert produce.file.exists()
