"""Run a thing in a process of its own, and ask how much memory a process has."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def in_fresh_process(task: Callable[[], Result]) -> Result:
    """Return what a task returns in a new process that shares nothing with this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task).result()


def status(name: str) -> int:
    """Return a size from the kernel's table of this process [bytes].

    Parameters
    ----------
    name : for instance ``VmRSS``, the resident memory, or ``VmHWM``, its highest
    """
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise OSError(f"this system does not tell {name}; memory is measured on Linux")
    return int(found[1]) * 1024
