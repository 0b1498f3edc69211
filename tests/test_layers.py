"""Imports go one way, and the core starts without what is heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent
# Modules that are imported only where they are needed, or not by the core at all.
HEAVY = ("IPython", "matplotlib.pyplot", "numba", "psana", "pyFAI", "tqdm", "xarray")
# What the producer's worker processes have before they begin to work.
PRELOADED = "preloaded"
PROMPTS = ("session", "commands", "simulation", "__main__")


def core_modules() -> list[str]:
    """Name all modules but those of the prompt, and of the kernels with numba."""
    names = []
    for path in sorted((SOURCE / "smalldata_ana").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1].endswith("kernels") or parts[-1] == PRELOADED:
            continue
        if parts[1] not in PROMPTS:
            names.append(".".join(parts).removesuffix(".__init__"))
    return names


def python(code: str) -> str:
    """Run code in a new interpreter, in the checkout, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=SOURCE,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_import_contracts_are_kept():
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    python(
        "import sys; from importlinter.cli import lint_imports;"
        "sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )


def test_importing_the_package_is_cheap():
    code = "import sys, smalldata_ana; print({'numpy', 'h5py'} & set(sys.modules))"
    assert python(code) == "set()"


def test_the_core_imports_nothing_heavy():
    code = (
        "import importlib, sys\n"
        f"for name in {core_modules()}:\n"
        "    importlib.import_module(name)\n"
        f"    found = set({HEAVY}) & set(sys.modules)\n"
        "    assert not found, f'{name} imports {found}'\n"
    )
    python(code)


def test_every_module_of_kernels_is_compiled_beforehand():
    from smalldata_ana.kernels import KERNEL_MODULES

    there = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in (SOURCE / "smalldata_ana").rglob("*_kernels.py")
    }
    assert set(KERNEL_MODULES) == there
