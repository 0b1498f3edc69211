"""What there is: the places in the checkout, its stamps, and what Python can import."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PROJECT = os.path.join(CHECKOUT, "pyproject.toml")
CONSTRAINTS = os.path.join(CHECKOUT, "constraints.txt")
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
# Written first: this .venv is ours, to remove and to make anew.  Holds its layout:
# "own", or "over" the packages of another Python.
MARK = os.path.join(VENV, ".made-by-smalldata_ana")
# Written last: it is complete.  Holds the checkout and a digest of its requirements.
READY = os.path.join(VENV, ".ready")
# The launcher need not ask these Pythons again: they do not have smalldata_ana.
ASKED = os.path.join(VENV, ".asked")

NEEDED = (
    "smalldata_ana",
    "h5py",
    "IPython",
    "matplotlib",
    "numba",
    "numpy",
    "pyFAI",
    "scipy",
    "tomlkit",
    "tqdm",
    "traitlets",
    "xarray",
)
NEEDED_BY_TESTS = (
    "hdf5plugin",
    "hypothesis",
    "importlinter",
    "ipykernel",
    "mypy",
    "nbclient",
    "nexusformat",
    "pexpect",
    "playwright",
    "pytest",
    "ruff",
    "silx",
    "xdist",
)
OLDEST = (3, 11)
NEWEST = (3, 13)  # that psana has wheels for


class SetupError(Exception):
    """The environment cannot be made; the text says what to type."""


def tell(text):
    """Say on stderr what is going on."""
    print("smalldata_ana: " + text, file=sys.stderr, flush=True)


def read(path):
    """Return the text of a file, or nothing if there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    """Write a text file."""
    with open(path, "w") as file:
        file.write(text)


# ---- the running Python ----


@contextlib.contextmanager
def neutral_path():
    """Look for modules without the folder of the script, or the working directory."""
    path = sys.path[:]
    sys.path[:] = path[1:]
    try:
        yield
    finally:
        sys.path[:] = path


def origin(module):
    """Return the file that a module would be imported from here, or None."""
    with neutral_path():
        spec = importlib.util.find_spec(module)
    return spec.origin if spec else None


def usable_here(modules=NEEDED):
    """Tell whether the running Python has all that is needed."""
    return sys.version_info >= OLDEST and all(map(origin, modules))


def has_psana2():
    """Tell whether the running Python has the psana of LCLS-II, and is new enough."""
    found = origin("psana") if sys.version_info >= OLDEST else None
    return bool(found) and os.path.isdir(os.path.join(os.path.dirname(found), "psexp"))


def in_own_venv():
    """Tell whether the running Python is the one in the ``.venv`` made here."""
    here = os.path.realpath(sys.prefix) == os.path.realpath(VENV)
    return here and os.path.exists(MARK)


# ---- the .venv of the checkout ----


def stamp():
    """Return what `READY` holds: the checkout, and a digest of what is wanted."""
    digest = hashlib.sha256()
    for path in (PROJECT, CONSTRAINTS):
        with open(path, "rb") as file:
            digest.update(file.read())
    return f"{CHECKOUT}\n{digest.hexdigest()}\n"


def foreign():
    """Tell whether there is a ``.venv`` that was not made here."""
    return os.path.lexists(VENV) and not os.path.exists(MARK)


def complete():
    """Tell whether there is a complete ``.venv``, perhaps an old one."""
    made_here = read(READY).startswith(CHECKOUT + "\n")
    return made_here and os.path.exists(MARK) and os.access(PYTHON, os.X_OK)


def up_to_date():
    """Tell whether ``.venv`` is complete and as ``pyproject.toml`` wants it."""
    return complete() and read(READY) == stamp()


def newer_than_project():
    """Tell whether ``.venv`` is the newer by time: all that the launcher looks at."""
    changed = max(os.path.getmtime(path) for path in (PROJECT, CONSTRAINTS))
    return os.path.getmtime(READY) > changed


def of_its_owner():
    """Return the Python of a checkout in which we cannot write, perhaps an old one.

    Raises
    ------
    SetupError
        if there is none that we can use; the text says what to do
    """
    ask = f"ask {owner()}, whose it is, to type `make env` there"
    if not complete():
        raise SetupError(
            f"there is no .venv in {CHECKOUT} that you can use, and you may not make "
            f"one; {ask}, or type it in a checkout of your own, which takes "
            "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
        )
    tell(f"going on with {VENV}, which is not up to date; {ask}")
    return PYTHON


def owner():
    """Return the name of the user whose checkout this is."""
    number = os.stat(CHECKOUT).st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
