"""A region that is drawn with the mouse in a real window, up to the parameter file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import figure_places
import numpy as np
import pexpect
import pytest
import simulated
from figure_places import Place
from xvfb_display import Screen, screen

import smalldata_ana.ana_funcs  # registers the kinds of a parameter file
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.places import SIMULATED, cache
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.simulation.run_writer import SimulatedRun

TESTS = Path(__file__).parent
WINDOW = "SelectRegion_jungfrau1M"
OUT = r"SDAna .*In .*\[.*\d.*\]: "

CORNERS = (1, 100, 200), (1, 300, 500)
"""Where the mouse drags from and to: panel, row, column of the raw frame."""

ELSEWHERE = (0, 50, 700), (0, 250, 900)

TOOLKITS = {"qt": [], "tk": ["--simple-prompt"]}
"""Options with which the session itself takes this toolkit."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    folder = tmp_path_factory.mktemp("run")
    detectors = (DetectorSpec("jungfrau1M"),)
    return simulated.make(folder, detectors=detectors, events=3, with_constants=True)


@pytest.fixture
def display() -> Iterator[Screen]:
    with screen() as started:
        yield started


@pytest.fixture(params=TOOLKITS)
def toolkit(request: pytest.FixtureRequest, display: Screen) -> str:
    """Return its name; skip the test if it opens no window."""
    name: str = request.param
    done = subprocess.run(
        [sys.executable, "-c", "import matplotlib.pyplot as plt; plt.figure()"],
        env=display.environment | {"MPLBACKEND": f"{name}agg"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip() or f"exit code {done.returncode}"
        pytest.skip(f"{name} opens no windows: {why.splitlines()[-1]}")
    return name


@pytest.fixture
def session(
    display: Screen, toolkit: str, made: SimulatedRun, tmp_path: Path
) -> Iterator[pexpect.spawn]:
    """Start a session as users do, and wait for its first prompt."""
    started = pexpect.spawn(
        str(TESTS.parent / "producers/runSmallDataAna"),
        [
            *("-e", SIMULATED, "-r", str(made.spec.run)),
            *("--xtc-dir", str(made.xtc_dir), "--calib-dir", str(made.calib_dir)),
            *("--params", str(tmp_path / "params.toml"), "-d", str(tmp_path)),
            "--HistoryManager.hist_file=:memory:",
            *TOOLKITS[toolkit],
        ],
        env=_environment(display, tmp_path),
        cwd=tmp_path,
        encoding="utf8",
        timeout=60,
        dimensions=(60, 200),
    )
    try:
        started.expect(OUT)
        yield started
    finally:
        started.close(force=True)


def _environment(display: Screen, folder: Path) -> dict[str, str]:
    """Return variables for a session that writes into a folder only."""
    (folder / "matplotlibrc").write_text(figure_places.HOOK)
    kept = {k: v for k, v in display.environment.items() if k != "MPLBACKEND"}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": str(folder),
        "SMALLDATA_ANA_CACHE": str(folder / "cache"),
        # To compile all kernels anew would take long.
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(cache() / "numba")),
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        figure_places.FOLDER: str(folder),
    }


def say(session: pexpect.spawn, line: str, *answers: str) -> None:
    """Type a line, and wait for answers, one after the other."""
    session.sendline(line)
    for answer in answers:
        session.expect(answer)


class Image:
    """The assembled image, laid out by psana."""

    def __init__(self, made: SimulatedRun) -> None:
        raw = simulated.opened(made).Detector("jungfrau1M").raw
        self.rows, self.columns = (i.astype(int) for i in raw._pixel_coord_indexes())

    def dots(self, place: Place, corners: tuple) -> list[tuple[int, int]]:
        """Return where raw pixels are on the screen."""
        return [place.on_screen(self.rows[i], self.columns[i]) for i in corners]

    def box(self, place: Place, dots: list[tuple[int, int]]) -> np.ndarray:
        """Return the raw pixels between two dots: panel, row, column, [begin, end)."""
        (row0, column0), (row1, column1) = (place.on_image(*dot) for dot in dots)
        inside = (self.rows >= row0) & (self.rows <= row1)
        inside &= (self.columns >= column0) & (self.columns <= column1)
        return np.array([(i.min(), i.max() + 1) for i in np.nonzero(inside)])


def test_what_the_mouse_drags_is_exported(session, display, toolkit, made, tmp_path):
    say(session, "image = anaps.AvImage()", "AvImg_pedSub_jungfrau1M", OUT)
    say(session, "region = anaps.SelectRegion()", "of the image: ")
    place = figure_places.place(tmp_path, WINDOW)
    assert place.toolkit == toolkit
    image = Image(made)
    dots = image.dots(place, CORNERS)
    display.drag(*dots)
    figure_places.place(tmp_path, WINDOW, "released")
    display.drag(*image.dots(place, ELSEWHERE))
    figure_places.place(tmp_path, WINDOW, "released", times=2)
    display.press_key(display.window(WINDOW), "ctrl+z")
    after = figure_places.place(tmp_path, WINDOW, "ctrl+z")
    assert (after.origin, after.step) == (place.origin, place.step)
    say(session, "", r"Happy with this selection\?")
    say(session, "y", r"Name\?")
    say(session, "spot", "taken: ", OUT)
    say(session, 'anaps.exportParams(runs="1-")', "takes effect", OUT)
    say(session, "exit", pexpect.EOF)
    session.close()
    assert session.exitstatus == 0
    entry = exported(tmp_path / "params.toml")
    expected = image.box(place, dots)
    np.testing.assert_allclose(expected, [[1, 2], [100, 301], [200, 501]], atol=2)
    np.testing.assert_allclose(entry.values["ROI"], expected, atol=1)
    assert (entry.name, entry.made["run"]) == ("spot", made.spec.run)


def exported(path: Path) -> Entry:
    """Return the only entry of a parameter file, which must say who made it."""
    (entry,) = ParameterFile.load(path, SIMULATED).resolve(1).detectors["jungfrau1M"]
    assert entry.kind == "roi"
    assert "@" in entry.made["by"]
    assert isinstance(entry.made["at"], datetime)
    assert entry.made["tool"] == f"smalldata_ana {smalldata_ana.__version__}"
    assert entry.made["how"] == "SelectRegion"
    assert entry.made["image"] == "AvImg_pedSub_jungfrau1M"
    return entry
