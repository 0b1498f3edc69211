"""A small simulated run for the producer, and a function that makes trouble in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalldata_ana.commands.producer import main
from smalldata_ana.simulation.run_writer import SimulatedRun

PRODUCER = Path(__file__).parents[1] / "producers/smd_producer.py"
MPIRUN = Path(sys.executable).with_name("mpirun")

EVENTS, BATCH = 24, 3
LATE = 10
"""The event in which the epix100 has no data."""

NUMBER = "epix100/trouble_number"
"""The dataset with the number of each event, as the function has seen it."""

PARAMETERS = """\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[[detector.epix100.function]]
runs = "1-"
call = "trouble"
name = "trouble"
[[detector.epix100.droplet]]
runs = "1-"
threshold = 1.0
[[detector.epix100.sums]]
runs = "1-"
sums = ["calib", "calib_dropped"]
[[detector.cspad140k.roi]]
runs = "1-"
ROI = [[0, 1], [20, 40], [50, 90]]
"""

FUNCTIONS = '''\
"""A function that does what the orders in the file beside this one say."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from smalldata_ana import DetObjectFunc
from smalldata_ana.detector.protocol import Field
from smalldata_ana.own_functions import own_function

HERE = Path(__file__).parent


def fill(disk, left):
    """Fill a disk, but for some bytes."""
    block = bytes(1 << 18)
    with open(disk / "filler", "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(block)
        file.truncate(file.tell() - left)


@own_function("trouble")
class Trouble(DetObjectFunc):
    """The number of the event and the sum of its image, if all goes well."""

    def describe(self):
        return {"number": Field(np.dtype(int)), "sum": Field(np.dtype(float))}

    def process(self, data):
        event = self.source.evt.event.number_in_run
        orders = json.loads((HERE / "orders.json").read_text())
        if event in orders.get("raise", []):
            raise ArithmeticError("made to fail")
        if event in orders.get("exit", []):
            raise SystemExit(3)
        if event == orders.get("kill"):
            deaths = HERE / "deaths"
            before = deaths.read_text() if deaths.exists() else ""
            if len(before) < orders["times"]:
                deaths.write_text(before + "x")
                os.kill(os.getpid(), signal.SIGKILL)
        if event == orders.get("fill"):
            fill(Path(orders["disk"]), orders["left"])
        if event in orders.get("wait", []):
            (HERE / f"waiting{event}").touch()
            end = time.monotonic() + 120
            while not (HERE / "go").exists() and time.monotonic() < end:
                time.sleep(0.02)
        return {"number": event, "sum": data.sum(dtype=float)}
'''

ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


@dataclass
class Site:
    """A run, its parameters, and the trouble that it is to have.

    Attributes
    ----------
    made : the run
    folder : of the parameters, the functions and the orders
    """

    made: SimulatedRun
    folder: Path

    def order(self, **orders: Any) -> None:
        """Say what trouble there is to be; without arguments, none.

        ``raise=[events]`` fails in these events, ``exit=[events]`` would end the
        program; ``kill=event, times=n`` kills the process there n times;
        ``wait=[events]`` waits there for `go`; ``fill=event, disk=folder, left=bytes``
        fills a disk.
        """
        for pattern in ("deaths", "waiting*", "go"):
            for path in self.folder.glob(pattern):
                path.unlink()
        (self.folder / "orders.json").write_text(json.dumps(orders))

    @property
    def deaths(self) -> int:
        """How many processes were killed by order."""
        path = self.folder / "deaths"
        return len(path.read_text()) if path.exists() else 0

    def await_waiting(self, *events: int) -> None:
        """Return when processes wait at these events."""
        until(lambda: all((self.folder / f"waiting{e}").exists() for e in events))

    def go(self) -> None:
        """Let the event that waits go on."""
        (self.folder / "go").touch()

    def rewrite(self, old: str, new: str) -> None:
        """Change the parameters."""
        path = self.folder / "p.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def arguments(self, out: Path, *options: object) -> list[str]:
        """Return the arguments of the producer."""
        given = {
            "-e": "xppsim01",
            "-r": "1",
            "--xtc-dir": self.made.xtc_dir,
            "--calib-dir": self.made.calib_dir,
            "--params": self.folder / "p.toml",
            "--functions": self.folder / "functions.py",
            "-d": out,
            "--gather_interval": BATCH,
        }
        words = [word for pair in given.items() for word in pair]
        return [str(word) for word in (*words, *options)]

    def produce(self, out: Path, *options: object) -> int:
        """Run the producer in this process (its workers may be others)."""
        return main(self.arguments(out, *options))

    def begin(
        self, out: Path, *options: object, mpi: int | None = None
    ) -> subprocess.Popen[str]:
        """Begin the producer as a process group of its own.

        Parameters
        ----------
        out, options : of the producer
        mpi : number of MPI processes, or None for no MPI
        """
        command = [sys.executable, PRODUCER, *self.arguments(out, *options)]
        if mpi:
            command[1:1] = ["-m", "mpi4py.futures"]
            command[:0] = [MPIRUN, "-n", mpi, "--oversubscribe"]
        return begun(command)


def begun(command: Sequence[object]) -> subprocess.Popen[str]:
    """Begin a program as a process group of its own."""
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )


def output(out: Path) -> Path:
    """Return the file that the producer makes."""
    return out / "xppsim01_Run0001.h5"


def parts(out: Path) -> list[Path]:
    """Return the parts that a job has left."""
    return sorted((out / ".xppsim01_Run0001.parts").glob("part_*"))


def until(condition: Callable[[], bool], timeout: float = 120) -> None:
    """Wait for something, which must happen in this time [s]."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; return its exit code, and what it and its children said."""
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Leave nothing of a process and its group, whatever happens."""
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def processes_of_group(group: int) -> list[int]:
    """Return the living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def site_of(made: SimulatedRun, folder: Path) -> Site:
    """Return a run with parameters and functions in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "p.toml").write_text(PARAMETERS)
    (folder / "functions.py").write_text(FUNCTIONS)
    site = Site(made, folder)
    site.order()
    return site


def contents(path: Path) -> dict[str, Any]:
    """Return all that a file holds, but what says how it was made."""
    found: dict[str, Any] = {}

    def enter(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.startswith("UserDataCfg/producer"):
            return
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype.str, item.shape, _value(item[()], item.file))
        for key, value in item.attrs.items():
            found[f"{name}@{key}"] = _value(value, item.file)

    with h5py.File(path) as file:
        file.visititems(enter)
        enter("", file)
    return found


def _value(value: Any, file: h5py.File) -> Any:
    array = np.asarray(value)
    if array.dtype.kind == "V" and array.dtype.names:
        return [_value(array[name], file) for name in array.dtype.names]
    if array.dtype.kind != "O":
        return array.tobytes()
    return [_named(v, file) for v in array.ravel()]


def _named(value: Any, file: h5py.File) -> Any:
    if isinstance(value, h5py.Reference):
        return file[value].name
    if isinstance(value, np.ndarray):
        return [_named(v, file) for v in value.ravel()]
    return value


def assert_equal(path: Path, reference: Path) -> None:
    """Check that two files hold the same, to the last bit."""
    found, expected = contents(path), contents(reference)
    assert set(found) == set(expected)
    differ = [name for name in expected if found[name] != expected[name]]
    assert differ == []


def assert_complete(path: Path, timestamps: Any, lost: Any = ()) -> None:
    """Check that each event of the index is in the file once, but those lost."""
    kept = np.setdiff1d(np.arange(len(timestamps)), np.asarray(lost, int))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["timestamp"], timestamps[kept])
        seen = file[NUMBER][:]
    np.testing.assert_array_equal(seen[kept != LATE], kept[kept != LATE])
