"""A checkout in a temporary folder, to test the set-up without installing."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parent.parent
TOOLS = ("dirname", "readlink", "sh")  # what the launcher needs of the system


def script(path: Path, text: str) -> Path:
    """Write a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@dataclass
class Checkout:
    """A checkout with the real bootstrap, and a folder that is all of ``PATH``."""

    root: Path
    bin: Path

    @classmethod
    def make(cls, root: Path, path: Path) -> Checkout:
        """Copy what the bootstrap consists of."""
        producers = root / "producers"
        shutil.copytree(SOURCE / "producers/bootstrap", producers / "bootstrap")
        for name in ("environment.py", "runSmallDataAna"):
            shutil.copy(SOURCE / "producers" / name, producers)
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(SOURCE / name, root)
        path.mkdir()
        for tool in TOOLS:
            (path / tool).symlink_to(shutil.which(tool) or tool)
        return cls(root, path)

    @property
    def venv(self) -> Path:
        """Where the environment is."""
        return self.root / ".venv"

    def modules(self) -> dict[str, ModuleType]:
        """Import this checkout's copy of the bootstrap into this process."""
        for name in [name for name in sys.modules if name.startswith("bootstrap")]:
            del sys.modules[name]
        names = ("checkout", "pythons", "install")
        return {name: importlib.import_module(f"bootstrap.{name}") for name in names}

    def environment(self, python: Path | str, *arguments: str, **variables: str):
        """Run ``environment.py`` by a Python."""
        command = [python, self.root / "producers/environment.py", *arguments]
        return self.run(command, **variables)

    def run(self, command, *, cwd: Path | str = "/", **variables: str):
        """Run a command that sees nothing of this process's environment."""
        env = {"PATH": str(self.bin), "HOME": str(self.bin)} | variables
        return subprocess.run(
            command, env=env, cwd=cwd, text=True, capture_output=True, check=False
        )

    def complete(self, python: str = 'echo "venv:$*"') -> None:
        """Put a ``.venv`` there as `make env` leaves it, with a script for Python."""
        script(self.venv / "bin/python", python)
        (self.venv / ".made-by-smalldata_ana").write_text("own\n")
        stamp = self.modules()["checkout"].stamp()
        (self.venv / ".ready").write_text(stamp)
        for name in ("pyproject.toml", "constraints.txt"):
            os.utime(self.root / name, (1e9, 1e9))


def bare_python(folder: Path) -> Path:
    """Make a Python without any package."""
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin/python"


def add_packages(python: Path, *names: str) -> None:
    """Give a bare Python packages that are empty."""
    (site,) = python.parent.parent.glob("lib/python*/site-packages")
    for name in names:
        (site / name).mkdir(parents=True, exist_ok=True)
        (site / name / "__init__.py").touch()
