"""Make the ``.venv`` of the checkout, or bring it up to date."""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time

from bootstrap.checkout import (
    CHECKOUT,
    CONSTRAINTS,
    MARK,
    PROJECT,
    PYTHON,
    READY,
    VENV,
    SetupError,
    complete,
    foreign,
    has_psana2,
    origin,
    read,
    stamp,
    tell,
    write,
)
from bootstrap.pythons import find_python, find_uv, plain_environment, probe

WANTED = os.path.join(VENV, "wanted.txt")
THERE = os.path.join(VENV, "there.txt")
QT_BINDINGS = ("PySide6", "PyQt6", "PyQt5")
COMPILE = "from smalldata_ana.kernels import compile_all; compile_all()"


class Steps:
    """Does what is to be done; a dry run only says it."""

    def __init__(self, dry_run=False):
        self.dry_run = dry_run

    def run(self, *command, env=None):
        """Run a command in the checkout, its output on stderr.

        Raises
        ------
        SetupError
            if it fails
        """
        if self.dry_run:
            print("$ " + " ".join(map(shlex.quote, command)))
            return
        env = env or plain_environment()
        if subprocess.call(command, cwd=CHECKOUT, stdout=sys.stderr, env=env):
            text = " ".join(map(shlex.quote, command))
            raise SetupError(f"this failed, the next start repeats it: {text}")

    def do(self, function, *arguments):
        """Call a function that changes files."""
        if self.dry_run:
            print("# " + " ".join([function.__name__, *map(repr, arguments)]))
        else:
            function(*arguments)


@contextlib.contextmanager
def alone():
    """Let only one process make ``.venv``; the others wait for it."""
    with open(PROJECT, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another start that makes the environment")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            tell(f"no lock on {PROJECT}: {error}")
        yield


def make(steps):
    """Make ``.venv``, or bring it up to date, and stamp it.

    Raises
    ------
    SetupError
        if that is not possible; the text says what to do
    """
    if foreign():
        raise SetupError(
            f"`make env` did not make {VENV}; activate it, if smalldata_ana is "
            f"installed there, or type: mv {VENV} {VENV}-own"
        )
    start = time.time()
    wanted = stamp()
    if not complete():
        create(steps)
    elif not update(steps):
        return
    tell("compiling the kernels")
    try:
        steps.run(PYTHON, "-P", "-c", COMPILE, env=os.environ)
    except SetupError:
        tell("that failed; it is tried again when they are first used")
    steps.do(write, READY, wanted)
    tell(f"the environment is ready after {time.time() - start:.0f} s")


def create(steps):
    """Make a new ``.venv`` in the place of what an interrupted start has left."""
    if os.path.lexists(VENV):
        steps.do(shutil.rmtree, VENV)
    over = has_psana2()
    base = probe(sys.executable) if over else find_python()
    tell("making {} from {}, once".format(VENV, base["python"]))
    command = [base["python"], "-m", "venv", "--prompt", "smalldata_ana"]
    if over:
        tell("psana is there, and is used as it is")
        command.append("--system-site-packages")
    pip = [PYTHON, "-m", "pip"]
    if not base["ensurepip"]:
        pip = [base["python"], "-m", "pip", "--python", PYTHON]
    if not base["ensurepip"] or (find_uv() and not over):
        command.append("--without-pip")
    steps.do(os.mkdir, VENV)
    steps.do(write, MARK, "over\n" if over else "own\n")
    steps.run(*command, VENV)
    if over:
        steps.do(see_virtual_environment)
    install = install_over if over else install_own
    install(steps, pip)


def update(steps):
    """Install what ``pyproject.toml`` wants by now; without success, keep the old.

    Returns
    -------
    True if ``.venv`` is now up to date.
    """
    before = read(READY)
    tell(f"bringing {VENV} up to date")
    steps.do(os.remove, READY)
    install = install_over if read(MARK) == "over\n" else install_own
    try:
        install(steps, [PYTHON, "-m", "pip"])
    except SetupError as error:
        tell(f"{error}; going on as before, `make env` tries again")
        write(READY, before)
        return False
    return True


def install_own(steps, pip):
    """Install everything; ``pyproject.toml`` tells uv what to leave out of it."""
    tell("installing the packages (1.6 GB on disk)")
    packages = ("-c", CONSTRAINTS, "-e", ".[mpi,gui,jupyter,test]")
    uv = find_uv()
    if uv is None:
        uv = os.path.join(VENV, "bin", "uv")
        try:
            steps.run(*pip, "install", "-qq", "uv")
        except SetupError:
            tell("without uv pykerberos is compiled: sudo apt install gcc libkrb5-dev")
            steps.run(*pip, "install", "-qq", *packages)
            return
    steps.run(uv, "pip", "install", "-qq", "--python", PYTHON, *packages)


def install_over(steps, pip):
    """Install what the Python below does not have, and change nothing that it has."""
    tell("installing the packages that are missing")
    script = os.path.join(CHECKOUT, "producers", "environment.py")
    same = os.environ
    steps.run(PYTHON, script, "--write-lists", env=same)
    steps.run(*pip, "install", "-qq", "-c", THERE, "-r", WANTED, env=same)
    steps.run(*pip, "install", "-qq", "--no-deps", "-e", CHECKOUT, env=same)


def see_virtual_environment():
    """Let ``.venv`` see a Python that is itself a virtual environment.

    ``--system-site-packages`` leads to the Python below that one.
    """
    if sys.prefix == sys.base_prefix:
        return
    below = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    own = sysconfig.get_path("purelib", "venv", vars={"base": VENV})
    write(os.path.join(own, "packages_below.pth"), "\n".join(sorted(below)) + "\n")


def write_lists():
    """Write what to install over an environment, and what it has; ``.venv`` runs this.

    psana and MPI are left out: the environment has its own.
    """
    import tomllib
    from importlib.metadata import distributions

    with open(PROJECT, "rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [line for line in project["dependencies"] if not line.startswith("psana")]
    for extra in ("test",) if any(map(origin, QT_BINDINGS)) else ("test", "gui"):
        wanted += project["optional-dependencies"][extra]
    there = {}
    for found in distributions():
        name, version = found.metadata["Name"], found.version
        inside = str(found.locate_file("")).startswith(VENV + os.sep)
        if name and not inside and re.match(r"\d+(\.\d+)*\S*$", version or ""):
            there.setdefault(name.lower(), f"{name}=={version}")
    write(WANTED, "\n".join(wanted) + "\n")
    write(THERE, "\n".join(there.values()) + "\n")


def remove():
    """Remove the ``.venv`` that was made here, and no other.

    Raises
    ------
    SetupError
        if it was not made here
    """
    if foreign():
        raise SetupError(f"`make env` did not make {VENV}; it stays")
    if os.path.lexists(VENV):
        shutil.rmtree(VENV)
