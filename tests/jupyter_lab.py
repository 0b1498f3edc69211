"""JupyterLab on a port of this machine, and a browser with a mouse in it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pytest

CHECKOUT = Path(__file__).parents[1]
_PACKAGES = ("jupyterlab", "ipympl", "playwright")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SLOW = 60
"""How long anything may take on a busy machine [s]."""

_PATIENCE, _ATTEMPTS = 20, 3
"""How long to wait for the effect of the mouse [s], and how often to use it."""

_PROMPT = ".jp-InputPrompt"
_CANVAS = ".jupyter-matplotlib-canvas-div canvas"
_KERNEL_WAITS = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
_EXECUTED = re.compile(r"\[\d+\]:")
_FIRST = "%matplotlib widget"
_ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"
"""It would ask for something over the notebook, and look for news in the network."""


def browser() -> str:
    """Return the program; skips the test where something is not installed."""
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("chromium is not installed")
    return found


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells after the one that gives figures a mouse."""
    code = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate([_FIRST, *cells])
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": code,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook))


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serve the notebooks in a folder; gives the address, with ``{}`` for a notebook.

    Everything that it writes goes below the folder.
    """
    home = folder / "home"
    settings = home / "config/labconfig"
    settings.mkdir(parents=True)
    page = json.dumps({"disabledExtensions": {_ANNOUNCEMENTS: True}})
    (settings / "page_config.json").write_text(page)
    token = secrets.token_hex()
    environment = os.environ | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_TOKEN": token,
        # Where the fonts are known already; to look for them takes long.
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
        "PYTHONPATH": str(CHECKOUT),
    }
    environment.pop("MPLBACKEND", None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", "--port=0", "--LabApp.extension_manager=readonly"]
    command += [f"--ServerApp.root_dir={folder}"]
    log = folder / "jupyter.log"
    with (
        log.open("wb") as output,
        _stopped(
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=output
            )
        ) as server,
    ):
        port = _port(server, home / f"runtime/jpserver-{server.pid}.json", log)
        yield f"http://127.0.0.1:{port}/doc/tree/{{}}?token={token}"


@contextlib.contextmanager
def _stopped(server: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a server, which ends its kernels; they also end when it is killed."""
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(timeout=_SLOW)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _port(server: subprocess.Popen[bytes], told: Path, log: Path) -> int:
    """Wait for a server, and return its port."""
    end = time.monotonic() + _SLOW
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return int(json.loads(told.read_text())["port"])
        time.sleep(0.1)
    pytest.fail(f"JupyterLab does not start:\n{log.read_text()}")


class Notebook:
    """A notebook in a browser: its cells are run one by one, figures have a mouse."""

    def __init__(self, page: Any) -> None:
        self.page = page

    @classmethod
    @contextlib.contextmanager
    def shown(cls, address: str, profile: Path) -> Iterator[Notebook]:
        """Show a notebook in a browser without windows.

        Parameters
        ----------
        address : of the notebook
        profile : a new folder for what the browser writes
        """
        program = browser()
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=program,
                args=["--no-sandbox", "--disable-gpu"],
                viewport={"width": 1100, "height": 1000},
            )
            context.set_default_timeout(_SLOW * 1000)
            page = context.pages[0]
            page.goto(address)
            page.locator(_KERNEL_WAITS).wait_for()
            notebook = cls(page)
            notebook._run_first()
            yield notebook
            context.close()

    def _run_first(self) -> None:
        """Run the first cell; a notebook that was just opened may forget that."""
        cell = self._cells().first
        end = time.monotonic() + _SLOW
        while not _EXECUTED.search(cell.locator(_PROMPT).inner_text()):
            assert time.monotonic() < end, "JupyterLab runs no cell"
            self._start(cell)
            self.page.wait_for_timeout(1000)

    def _cells(self) -> Any:
        return self.page.locator(".jp-CodeCell")

    def _start(self, cell: Any) -> None:
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def run(self, number: int) -> str:
        """Run one of the cells once more, and return the text of its output."""
        from playwright.sync_api import expect

        cell = self._cells().nth(1 + number)
        prompt = cell.locator(_PROMPT)
        before = prompt.inner_text()
        self._start(cell)
        if _EXECUTED.search(before):
            expect(prompt).not_to_have_text(before, timeout=_SLOW * 1000)
        expect(prompt).to_have_text(_EXECUTED, timeout=_SLOW * 1000)
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())

    def until(
        self, number: int, wanted: str, act: Callable[[], None] | None = None
    ) -> None:
        """Do something, then run a cell again and again until it prints what is wanted.

        Jupyter does not bring what the mouse does and the next cell in their
        order. A page whose parts still move may lose what the mouse does: it
        is then done again, as a user would.

        Parameters
        ----------
        number : of the cell
        wanted : what it prints at last
        act : what is done first, and again after each `_PATIENCE` in vain
        """
        printed = []
        for _ in range(_ATTEMPTS):
            if act is not None:
                act()
            end = time.monotonic() + _PATIENCE
            while time.monotonic() < end:
                printed.append(self.run(number).strip())
                if printed[-1] == wanted:
                    return
                self.page.wait_for_timeout(200)
        pytest.fail(f"the cell never prints {wanted!r}, but {printed}")

    def toolbar(self, tooltip: str) -> None:
        """Press the button in the figure's toolbar whose tooltip begins like this."""
        self.page.locator(_CANVAS).last.hover()
        self.page.locator(f"button[title^='{tooltip}']").click()

    def drag(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag the mouse over the figure, from its top left corner [dots]."""
        box, mouse = self._at_rest(), self.page.mouse
        mouse.move(box["x"] + begin[0], box["y"] + begin[1])
        mouse.down()
        mouse.move(box["x"] + end[0], box["y"] + end[1], steps=8)
        mouse.up()

    def _at_rest(self) -> dict[str, float]:
        """Return where the figure is, once the page no longer moves it."""
        canvas = self.page.locator(_CANVAS).last
        seen: list[dict[str, float]] = []
        end = time.monotonic() + _SLOW
        while len(seen) < 4 or any(box != seen[-1] for box in seen[-4:]):
            assert time.monotonic() < end, f"the figure never comes to rest: {seen}"
            canvas.scroll_into_view_if_needed()
            seen.append(canvas.bounding_box())
            self.page.wait_for_timeout(100)
        return seen[-1]
