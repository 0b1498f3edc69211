"""How a file was made: versions, constants, machine, time."""

from __future__ import annotations

import datetime
import getpass
import hashlib
import importlib.metadata
import platform
import shlex
import socket
import sys
from collections.abc import Iterable

import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.sources.constants import Constant, Value

_PACKAGES = ("smalldata_ana", "psana", "numpy", "numba", "scipy", "pyFAI", "h5py")


def versions() -> dict[str, str]:
    """Return the versions of what computes the results, by package."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def constants(detectors: Iterable[DetObject]) -> dict[str, dict[str, str]]:
    """Return a checksum of each calibration constant that is used, by detector."""
    return {
        detector.name: {
            name: checksum(constant.value)
            for name, constant in sorted(detector.calibration.constants.items.items())
        }
        for detector in detectors
    }


def origins(detectors: Iterable[DetObject]) -> dict[str, dict[str, str]]:
    """Return where each constant came from, by detector: file, validity and time."""
    return {
        detector.name: {
            name: origin(constant)
            for name, constant in sorted(detector.calibration.constants.items.items())
        }
        for detector in detectors
    }


def origin(constant: Constant) -> str:
    """Return where a constant came from: file, validity and time."""
    end = "end" if constant.end is None else constant.end
    return f"{constant.origin} {constant.begin}-{end} {constant.time}".strip()


def checksum(value: Value) -> str:
    """Return a checksum of a constant."""
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).hexdigest()
    array = np.ascontiguousarray(value)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.blake2b(array.data, digest_size=32, key=head[:64]).hexdigest()


def made_by() -> dict[str, str]:
    """Return who made a file, where, when, and with which command."""
    now = datetime.datetime.now().astimezone()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "time": now.isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
    }
