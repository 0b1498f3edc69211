"""Find a Python that the environment can be made from."""

import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys

from bootstrap.checkout import NEWEST, OLDEST, VENV, SetupError

_PROBE = """
import importlib.util, json, sys
try:
    import pip
    pip_version = [int(part) for part in pip.__version__.split(".")[:2]]
except (ImportError, ValueError):
    pip_version = [0]
print(json.dumps({
    "python": sys.executable,
    "version": sys.version_info[:2],
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "pip": pip_version,
}))
"""
PIP_FOR_OTHERS = [22, 3]  # the first with ``pip --python``
SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


def plain_environment():
    """Return this process's environment without what leads Python elsewhere."""
    strange = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    plain = {key: value for key, value in os.environ.items() if key not in strange}
    if any(map(os.path.exists, SYSTEM_CERTIFICATES)):
        # uv is to trust whom the machine trusts: sites have proxies of their own.
        plain.setdefault("UV_SYSTEM_CERTS", "true")
    return plain


def output(*command):
    """Return what a command prints, or None if it fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        text = subprocess.check_output(
            command,
            stderr=subprocess.DEVNULL,
            timeout=60,
            env=plain_environment(),
        )
        return text.decode()
    return None


def probe(python):
    """Return what can be told of a Python, or None if it does not run."""
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(output(python, "-c", _PROBE))
    return None


def find_uv():
    """Return the path of uv, or None if there is none that runs."""
    uv = shutil.which("uv")
    return uv if uv and output(uv, "--version") is not None else None


def candidates(uv):
    """Name every Python that might do, the active one first."""
    yield sys.executable
    for name in ("python", "python3", "python3.13", "python3.12", "python3.11"):
        yield shutil.which(name)
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for minor in (13, 12, 11):
        for folder in sorted(glob.glob(f"{pyenv}/versions/3.{minor}.*")):
            yield os.path.join(folder, "bin", "python")
    if uv:
        yield (
            output(uv, "python", "find", "--no-project", ">=3.11,<3.14") or ""
        ).strip()


def find_python():
    """Return the `probe` of a Python that an environment can be made from.

    Raises
    ------
    SetupError
        if there is none; its text has the command that brings one
    """
    uv = find_uv()
    bare = None
    for path in candidates(uv):
        found = probe(path) if path and not path.startswith(VENV + os.sep) else None
        if not found or not OLDEST <= tuple(found["version"]) <= NEWEST:
            continue
        if found["ensurepip"] or uv:
            return found
        bare = bare or found
    if bare is None:
        raise SetupError(
            "Python 3.11 to 3.13 is needed, and none was found; type: "
            + command_for_python(uv)
        )
    if bare["pip"] < PIP_FOR_OTHERS:
        raise SetupError(
            "{} cannot make a virtual environment; type: sudo apt install "
            "python3.{}-venv".format(bare["python"], bare["version"][1])
        )
    return bare


def command_for_python(uv):
    """Return the one command that brings a Python to this machine."""
    if uv:
        return "uv python install 3.13"
    names = ("python3.13", "python3.12", "python3.11")
    there = [name for name in names if output("apt-cache", "show", name)]
    return "sudo apt install {0} {0}-venv".format((there or names[-1:])[0])
