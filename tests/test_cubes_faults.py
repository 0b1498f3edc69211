"""What goes wrong while a cube is made: its file is whole, or not there."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from producing_run import MPIRUN, begun, ended, ending
from simulated import make, ours

from smalldata_ana.commands.cube import main
from smalldata_ana.cubes.making import Making
from smalldata_ana.cubes.planning import plan
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.errors import FileError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.interruption import StoppedError
from smalldata_ana.simulation.run_writer import SimulatedRun

PROGRAM = Path(__file__).parents[1] / "producers/lets_cube.py"
DETECTOR = "cspad140k"
EVENTS, STEPS = 24, 4
PARAMETERS = f"""\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[cube.steps]
laser = false
xray = false
bins = {{ var = "scan/lxt" }}
add = ["ipm2/sum"]
[cube.steps.detectors.{DETECTOR}]
"""


@dataclass
class Cubes:
    """A run whose cube is made in a folder."""

    made: SimulatedRun
    folder: Path

    @property
    def target(self) -> Path:
        """The file."""
        return self.folder / "Cube_xppsim01_Run0001_steps.h5"

    @property
    def arguments(self) -> list[str]:
        """Those of the command line."""
        given = {
            "-e": "xppsim01",
            "-r": 1,
            "--xtc-dir": self.made.xtc_dir,
            "--calib-dir": self.made.calib_dir,
            "--params": self.parameters,
            "-d": self.folder,
        }
        return [str(word) for pair in given.items() for word in pair]

    @property
    def parameters(self) -> Path:
        """The parameter file."""
        path = self.folder / "p.toml"
        path.write_text(PARAMETERS)
        return path

    def making(self, **options) -> Making:
        """Return the work on it, in batches of a step."""
        run = ours(self.made)
        resolved = ParameterFile.load(self.parameters).resolve(1)
        variables = Variables.of(run, resolved, self.folder / "none.h5")
        parts = self.folder / ".steps.parts"
        return Making(
            plan(run, resolved, "steps", parts, variables), self.target, **options
        )


def content(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {
            name: item[()]
            for name, item in file.items()
            if isinstance(item, h5py.Dataset)
        }


def assert_equal(path: Path, expected: dict[str, np.ndarray]) -> None:
    found = content(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return make(folder, events=EVENTS, steps=STEPS, with_constants=True)


@pytest.fixture(scope="module")
def expected(run, tmp_path_factory):
    """Return the cube that one undisturbed worker makes."""
    cubes = Cubes(run, tmp_path_factory.mktemp("expected"))
    assert main([*cubes.arguments, "--nproc", "1"]) == 0
    return content(cubes.target)


@pytest.fixture
def cubes(run, tmp_path, monkeypatch):
    monkeypatch.setattr("smalldata_ana.cubes.planning.batch_size", lambda *sizes: 6)
    return Cubes(run, tmp_path)


@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside python")
def test_mpi(cubes, expected):
    command = [MPIRUN, "-n", 3, "--oversubscribe", sys.executable]
    command += ["-m", "mpi4py.futures", PROGRAM, *cubes.arguments]
    with ending(begun(command)) as job:
        code, said = ended(job)
    assert code == 0, said
    assert_equal(cubes.target, expected)


def test_ctrl_c_and_resumed(cubes, expected):
    def interrupt(done: int, total: int | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError):
        cubes.making(progress=interrupt).run(Workers(1))
    assert not cubes.target.exists()
    result = cubes.making().run(Workers(1))
    assert 0 < result.reused < EVENTS
    assert result.report.events == EVENTS
    assert_equal(cubes.target, expected)


def test_two_at_once(cubes, expected):
    """The second is refused, and the first does not suffer from it."""
    refused = []

    def second(done: int, total: int | None) -> None:
        with pytest.raises(FileError, match=r"another .* works on this run") as caught:
            cubes.making().run(Workers(1))
        refused.append(caught.value)

    cubes.making(progress=second).run(Workers(1))
    assert len(refused) == STEPS
    assert_equal(cubes.target, expected)


def test_a_missing_chunk(tmp_path, capsys):
    """What is lost is told, and the rest is in the cube."""
    made = make(tmp_path / "run", events=EVENTS, chunk_after=9, with_constants=True)
    (lost,) = made.xtc_dir.glob("*-s001-c001.xtc2")
    lost.unlink()
    cubes = Cubes(made, tmp_path)
    text = cubes.parameters.read_text()
    every = '{ var = "ipm2/sum", edges = [-1, 10] }'
    params = tmp_path / "one_bin.toml"
    params.write_text(text.replace('{ var = "scan/lxt" }', every))
    options = ["--params", str(params), "--nproc", "1"]
    assert main([*cubes.arguments, *options]) == 3
    told = capsys.readouterr().out
    assert f"incomplete: {lost.name} is missing" in told
    found = content(cubes.target)
    assert found["nEntries"].tolist() == [EVENTS]
    assert found[f"{DETECTOR}_nEntries"].tolist() == [EVENTS - 9]
