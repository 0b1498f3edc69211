"""A screen that nobody sees, with a real mouse and keyboard: Xvfb and xdotool."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Iterator

import pytest

Point = tuple[int, int]

_PATIENCE = 30
"""How long a program may take on a busy machine [s]."""

_PAUSE = ("sleep", "0.02")
"""So that the mouse is seen on its way, for ``xdotool`` [s]."""


class Screen:
    """A screen of an X server, without a window manager.

    Parameters
    ----------
    name : of the display, e.g. ``:1``
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, for programs that show their windows on this screen."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "WAYLAND_DISPLAY" and not name.startswith("QT_")
        }
        return kept | {"DISPLAY": self.name, "XAUTHORITY": os.devnull}

    def window(self, title: str) -> str:
        """Wait for a window with a title, and return its number."""
        search = ("search", "--sync", "--onlyvisible", "--name", f"^{title}$")
        return self._xdotool(*search).split()[0]

    def drag(self, begin: Point, end: Point, steps: int = 8) -> None:
        """Press the left button at a point, move to another, and release it there.

        Parameters
        ----------
        begin, end : x and y from the left upper corner of the screen [dots]
        steps : how often the mouse is seen on its way
        """
        commands = [*_to(begin), "mousedown", "1", *_PAUSE]
        for step in range(1, steps + 1):
            part = step / steps
            x, y = (round(b + (e - b) * part) for b, e in zip(begin, end, strict=True))
            commands += _to((x, y))
        self._xdotool(*commands, "mouseup", "1")

    def press_key(self, window: str, key: str) -> None:
        """Press and release a key, e.g. ``ctrl+z``, in a window."""
        # No window manager gives the keyboard to the window that was clicked.
        self._xdotool("windowfocus", "--sync", window, "key", key)

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _to(point: Point) -> list[str]:
    return ["mousemove", *map(str, point), *_PAUSE]


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """Start an X server on a display that is free, and end it.

    Skips the test where Xvfb or xdotool is not installed.
    """
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    told, tell = os.pipe()
    # It chooses a display that is free and tells which; and it goes on when the last
    # program has left.
    server = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(tell), "-noreset", "-nolisten", "tcp"),
            *("-screen", "0", "1280x1024x24", "-dpi", "96"),
        ],
        pass_fds=[tell],
        stderr=subprocess.DEVNULL,
    )
    os.close(tell)
    try:
        yield Screen(f":{_first_line(told)}")
    finally:
        os.close(told)
        server.terminate()
        server.wait(_PATIENCE)


def _first_line(descriptor: int) -> str:
    """Return what a server says of itself when it is ready."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], _PATIENCE)
        more = os.read(descriptor, 16) if ready else b""
        assert more, "Xvfb does not start"
        line += more
    return line.decode().strip()
